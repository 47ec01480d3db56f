"""What was declined lately: does a key come again with the same in other words?

Of each of the latest keys that were declined something, a few requests are kept, as hashes of their
windows of words. What was served to the key since then is its template, and no resemblance.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from cachetools import LRUCache

if TYPE_CHECKING:
    from gateway_guard.features.types import Features

MOST_KEYS = 1024
MOST_REQUESTS = 4
_FEWEST_SHARED = 3
_SHARED = 0.2
"""Of the windows that are not the template's, a reworded request shares at least so many."""


class _Of:
    """Requests of one key: the latest that were declined, and the latest that was served."""

    __slots__ = ("declined", "served")

    def __init__(self) -> None:
        self.declined: deque[tuple[int, bytes]] = deque(maxlen=MOST_REQUESTS)
        self.served = b""


class Declined:
    """Requests that were declined, by keys; those of the least recently declined are forgotten."""

    def __init__(self) -> None:
        """Begin with nothing declined; takes 2 MiB at most."""
        self._of: LRUCache[int, _Of] = LRUCache(MOST_KEYS)

    def __len__(self) -> int:
        """Return how many keys were declined something lately."""
        return len(self._of)

    def forget(self, key_hash: int) -> None:
        """Forget what a key was declined."""
        self._of.pop(key_hash, None)

    def note(self, key_hash: int, features: Features) -> None:
        """Remember a request that was declined."""
        held = self._of.setdefault(key_hash, _Of())
        held.declined.append((features.body_hash, features.shingles.tobytes()))

    def served(self, key_hash: int, features: Features) -> None:
        """Take note of a request that was answered, where one of its key was declined before."""
        held = self._of.get(key_hash)
        if held is not None:
            held.served = features.shingles.tobytes()

    def resembles(self, key_hash: int, features: Features) -> bool:
        """Tell whether a request shares much with one that was declined, and is not the same."""
        held = self._of.get(key_hash)
        if held is None:
            return False
        template = _windows(held.served)
        mine = frozenset(features.shingles.tolist()) - template
        for body, packed in held.declined:
            theirs = _windows(packed) - template
            shared = len(mine & theirs)
            enough = max(_FEWEST_SHARED, _SHARED * min(len(mine), len(theirs)))
            if body != features.body_hash and shared >= enough:
                return True
        return False


def _windows(packed: bytes) -> frozenset[int]:
    return frozenset(memoryview(packed).cast("Q").tolist())
