"""Joining: in which slot a part of another store's has its place, so that nothing is lost.

A slot has one writer after the other, and each goes on from what the last one knew. So where both
stores have a part in a slot, and one was gone on from, it has all of the other, and stays. Where
neither was, as when guards had begun to use an empty store before it was filled, the part goes into
a slot that nobody leases, and always into the same one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gateway_guard.stores.base import STANDING
from gateway_guard.stores.parts import from_part

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gateway_guard.stores.base import Part

SPARE_SLOTS = range(0x7000, 0x7FF0)
"""No fleet has so many writers that one of them would lease one of these."""

_TRIES = 4  # as many unrelated stores can be imported into one
_APART = len(SPARE_SLOTS) // _TRIES


def placed(part: Part, kept: Mapping[int, Part], held: Mapping[int, int]) -> Part | None:
    """Return a part as it is to be written beside what is kept of its subject, by slot.

    ``held`` are the epochs of slots that somebody writes under at present. ``None`` stands for a
    part that is known already, or of before a pardon. Of more than five unrelated writers of one
    slot only the newer ones are kept.
    """
    if part.slot == STANDING:
        return part
    if part.version[0] < max((each.version[0] for each in kept.values()), default=0):
        return None
    for slot in _slots(part.slot):
        known = kept.get(slot)
        if known is not None and _is_of(known, part):
            newer = known.version < part.version
            return msgspec.structs.replace(part, slot=slot) if newer else None
    slot = part.slot
    for slot in _slots(part.slot):
        taken = slot in kept or held.get(slot, part.version[1]) != part.version[1]
        if not taken:
            return msgspec.structs.replace(part, slot=slot)
    return msgspec.structs.replace(part, slot=slot)


def _slots(slot: int) -> Iterator[int]:
    """Yield the slots in which a part may have its place, its own first."""
    yield slot
    for tries in range(_TRIES):
        yield SPARE_SLOTS[(slot + tries * _APART) % len(SPARE_SLOTS)]


def _is_of(known: Part, part: Part) -> bool:
    """Tell whether two parts are of one writer, or one goes on from the other or was pardoned."""
    if known.version[:2] == part.version[:2] or known.version[0] < part.version[0]:
        return True
    older, newer = sorted((known, part), key=lambda each: each.version)
    return _first_seen_at(newer) <= _first_seen_at(older)


def _first_seen_at(part: Part) -> float:
    row = from_part(part)
    return float(row["first_seen_at"][0]) if row is not None else 0.0
