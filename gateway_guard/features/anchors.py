"""Anchors: under which hashes requests of one template meet, from the ends of their texts alone.

They are told before a verdict, so little is looked at: the system text, from memory where it was
seen before, and a few words at both ends of the newest user text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
from xxhash import xxh3_64_intdigest

from gateway_guard.features.normalise import normalise
from gateway_guard.features.survey import Text
from gateway_guard.features.types import Anchors
from gateway_guard.features.windows import MOST_SHINGLES, SEPARATORS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway_guard.exchange import Turn
    from gateway_guard.features.reading import Reading
    from gateway_guard.features.seeds import Seeds
    from gateway_guard.features.windows import Hashes

_ANCHOR_WORDS = 6
_LEAST_BODY_WORDS = 2 * _ANCHOR_WORDS
_LEAST_SYSTEM_WORDS = 8
"""Shorter system texts, such as "You are a helpful assistant.", tell nothing apart."""
_MOST_SYSTEMS = 4
_SYSTEMS_REMEMBERED = 2048
_END_CHARS = 256
_FOLDED = bytes(
    ord(" ") if byte in SEPARATORS else ord(chr(byte).lower()) if chr(byte).isascii() else byte
    for byte in range(0x100)
)
_UNSPACED = re.compile(rb"[\xe0-\xfe]")
"""Where a character begins that is a word of its own."""


class AnchorReader:
    """Finds the anchors of requests."""

    def __init__(
        self, seeds: Seeds, read: Callable[[Sequence[Text], int], Reading], budget: int
    ) -> None:
        """Read system texts, where they are new, with ``read`` within ``budget`` bytes."""
        self._seeds = seeds
        self._read = read
        self._budget = budget
        self._systems: dict[int, int | None] = {}
        self._windows: dict[int, Hashes] = {}

    def find(self, turns: Sequence[Turn]) -> Anchors:
        """Return the anchors of a request."""
        system = self._system(turns) if turns and turns[0].role == "system" else None
        for turn in reversed(turns):
            if turn.role == "user":
                return self._with_ends(system, turn.text)
        return Anchors(system)

    def windows_of(self, system: int | None) -> Hashes | None:
        """Return the windows of the system text that has an anchor, ``None`` if it is forgotten."""
        return None if system is None else self._windows.get(system)

    def _with_ends(self, system: int | None, text: str) -> Anchors:
        head, tail = ends(text, self._budget)
        if not head:
            return Anchors(system)
        seeds = self._seeds
        return Anchors(
            system,
            xxh3_64_intdigest(b" ".join(head), seeds.head),
            xxh3_64_intdigest(b" ".join(tail), seeds.tail),
        )

    def _system(self, turns: Sequence[Turn]) -> int | None:
        """Return the anchor of the leading system texts, from memory where they were seen."""
        leading = _leading(turns, self._seeds.text)
        if not leading:
            return None
        key = leading[0].hash if len(leading) == 1 else digest([t.hash for t in leading], 0)
        if key not in self._systems:
            if len(self._systems) >= _SYSTEMS_REMEMBERED:
                forgotten = self._systems.pop(next(iter(self._systems)))
                self._windows.pop(forgotten or 0, None)
            self._systems[key] = self._system_anchor(leading)
        return self._systems[key]

    def _system_anchor(self, leading: Sequence[Text]) -> int | None:
        """Return the anchor of system texts, each from its share of a budget of their own."""
        budget, count, hashes = self._budget // _MOST_SYSTEMS, 0, []
        windows = []
        for text in leading:
            reading = self._read([text], budget)
            first, last = reading.span(0)
            count += last - first
            hashes.append(reading.words.stretch((first, last), self._seeds.system))
            windows.append(reading.shingles())
        if count < _LEAST_SYSTEM_WORDS:
            return None
        anchor = digest(hashes, self._seeds.system)
        self._windows[anchor] = np.unique(np.concatenate(windows))[:MOST_SHINGLES]
        return anchor


def digest(hashes: Sequence[int], seed: int) -> int:
    """Return one hash of several."""
    return xxh3_64_intdigest(b"".join([part.to_bytes(8) for part in hashes]), seed)


def ends(text: str, budget: int) -> tuple[list[bytes], list[bytes]]:
    """Return the first and the last six words of a text, or nothing of one that is too short.

    As much of it is looked at as six ordinary words take, and ``budget`` characters of one whose
    words are longer.
    """
    for size in (_END_CHARS, max(1, budget // 2)):
        whole = len(text) <= 2 * size
        head = _words(text if whole else text[:size])
        if whole:
            return (
                (head[:_ANCHOR_WORDS], head[-_ANCHOR_WORDS:])
                if len(head) >= _LEAST_BODY_WORDS
                else ([], [])
            )
        tail = _words(text[-size:])
        if min(len(head), len(tail)) > _ANCHOR_WORDS:  # one of them may be cut
            return head[:_ANCHOR_WORDS], tail[-_ANCHOR_WORDS:]
    return [], []


def _words(text: str) -> list[bytes]:
    """Return the words of a text, case folded; a character without spaces is one."""
    if text.isascii():
        return text.encode().translate(_FOLDED).split()
    return _UNSPACED.sub(rb" \g<0>", normalise(text).translate(_FOLDED)).split()


def _leading(turns: Sequence[Turn], seed: int) -> list[Text]:
    """Return the first system texts before any other turn."""
    leading: list[Text] = []
    for turn in turns:
        if turn.role != "system" or len(leading) == _MOST_SYSTEMS:
            break
        if turn.text:
            raw = turn.text.encode("utf-8", "surrogatepass")
            text_hash = xxh3_64_intdigest(raw, seed)
            leading.append(Text(turn.text, raw, text_hash, "system", is_new=True))
    return leading
