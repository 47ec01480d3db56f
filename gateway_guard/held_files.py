"""Held files: what was read of files for batches, under the ids that the upstream gave them.

Neither the files nor their ids are kept, but keyed hashes, and the exchanges as numbers. A file is
held until a month has passed or room is needed; no key takes more than its part of that.
"""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from gateway_guard.elements import halved, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway_guard.elements import Element

HELD_SECONDS = 30 * 86400.0

_KEY_PART = 8
_FEWEST = 8
_MOST_FILES = 4096
_BYTES_A_FILE = 512


class _File(NamedTuple):
    owner: bytes
    packed: bytes
    held_at: float


class HeldFiles:
    """What was read of files, bounded in bytes, in number and in age."""

    def __init__(self, size_bytes: int, secret: bytes) -> None:
        """Spend at most ``size_bytes``, an eighth of it on one key."""
        self._most_bytes = size_bytes
        self._secret = secret[:64]
        self._files: OrderedDict[bytes, _File] = OrderedDict()
        self._of_owner: dict[bytes, OrderedDict[bytes, int]] = {}
        self._spent: dict[bytes, int] = {}
        self.held_bytes = 0

    def __len__(self) -> int:
        """Return the number of files held."""
        return len(self._files)

    def hold(self, file: str, owner: bytes, elements: Sequence[Element], wall_at: float) -> None:
        """Hold what was read of a file that the key ``owner`` has uploaded."""
        place, most = self._place(file), self._most_bytes // _KEY_PART
        packed = pack(elements)
        while len(packed) + _BYTES_A_FILE > most and len(elements) > 1:
            elements = halved(elements)
            packed = pack(elements)
        self._drop(place)
        self._put(place, _File(owner, packed, wall_at))
        while self._spent.get(owner, 0) > most:
            self._make_room(next(iter(self._of_owner[owner])))
        while self.held_bytes > self._most_bytes or len(self._files) > _MOST_FILES:
            self._drop(next(iter(self._files)))

    def _make_room(self, place: bytes) -> None:
        """Keep half of what there is of a file; let go of one of which there is little.

        Who uploads one file after the other has none of them forgotten soon.
        """
        held = self._files[place]
        self._drop(place)
        elements = unpack(held.packed)
        if len(elements) > _FEWEST:
            self._put(place, held._replace(packed=pack(halved(elements))))

    def find(self, file: str, key: bytes, wall_at: float) -> list[Element]:
        """Return what was read of a file, nothing where it is not held.

        Another key than the owner's has no part in the end users of that one.
        """
        place = self._place(file)
        held = self._files.get(place)
        if held is None:
            return []
        if wall_at - held.held_at > HELD_SECONDS:
            self._drop(place)
            return []
        elements = unpack(held.packed)
        if held.owner == key:
            return elements
        return [msgspec.structs.replace(element, end_user=None) for element in elements]

    def _place(self, file: str) -> bytes:
        name = file.encode("utf-8", "surrogatepass")
        return blake2b(name, key=self._secret, digest_size=16).digest()

    def _put(self, place: bytes, held: _File) -> None:
        size = len(held.packed) + _BYTES_A_FILE
        self._files[place] = held
        self._of_owner.setdefault(held.owner, OrderedDict())[place] = size
        self._spend(held.owner, size)

    def _spend(self, owner: bytes, size: int) -> None:
        self.held_bytes += size
        self._spent[owner] = self._spent.get(owner, 0) + size

    def _drop(self, place: bytes) -> None:
        held = self._files.pop(place, None)
        if held is None:
            return
        mine = self._of_owner[held.owner]
        self._spend(held.owner, -mine.pop(place))
        if not mine:
            del self._of_owner[held.owner], self._spent[held.owner]
