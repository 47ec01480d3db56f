"""Groups: of a subject that many write, others' parts are read in sums of eight.

Whoever reads all parts of a group of slots keeps their sum in a record beside them, which names the
version of each part that it contains. So the next one who reads need not read them all. A writer
never reads his own part in a sum: of his own group he reads the parts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway_guard import foreign, profile
from gateway_guard.stores.base import GROUPS, STANDING, VERSION, Part
from gateway_guard.stores.parts import decode, encode, from_part

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gateway_guard.profile import RowArray

SIZE = 8
"""Slots in a group."""

FRESH_MILLISECONDS = 1000
"""A record that is younger is good enough, whatever was written since."""

_SLOT_BYTES = 2
_ENTRY = _SLOT_BYTES + VERSION.size


def is_group(slot: int) -> bool:
    """Tell whether a slot is that of a group's record."""
    return GROUPS <= slot < STANDING


def chosen(parts: Iterable[Part], slot: int, now: float) -> list[Part]:
    """Return what the writer of a slot has to read, of all that is kept of one subject.

    These are the parts of his own group, the standing, and of each other group its record, where
    that contains all of its parts or is young; else the parts. ``now`` is the store's clock.
    """
    members: dict[int, list[Part]] = {}
    records: dict[int, Part] = {}
    found = []
    for part in parts:
        if is_group(part.slot):
            records[part.slot - GROUPS] = part
        elif part.slot == STANDING or part.slot // SIZE == slot // SIZE:
            found.append(part)
        else:
            members.setdefault(part.slot // SIZE, []).append(part)
    for group, each in members.items():
        record = records.get(group)
        found += [record] if record is not None and _will_do(record, each, now) else each
    return found


def _will_do(record: Part, members: Sequence[Part], now: float) -> bool:
    if any(part.version[0] > record.version[0] for part in members):
        return False  # it was pardoned since
    contained = contents(record)
    return is_young(record, now) or all(
        contained.get(part.slot) == part.version for part in members
    )


def is_young(part: Part, now: float) -> bool:
    """Tell whether this is a record that is read though it may not contain what is newest."""
    return is_group(part.slot) and 1000 * now - part.version[2] < FRESH_MILLISECONDS


def contents(record: Part) -> dict[int, tuple[int, int, int]]:
    """Return the slots whose parts a record contains, with their versions."""
    count = record.data[0] if record.data else 0
    entries = [record.data[1 + _ENTRY * at : 1 + _ENTRY * (at + 1)] for at in range(count)]
    return {
        int.from_bytes(entry[:_SLOT_BYTES]): VERSION.unpack(entry[_SLOT_BYTES:])
        for entry in entries
        if len(entry) == _ENTRY
    }


def summed(record: Part) -> RowArray | None:
    """Return the sum that a record holds, shape (1,), ``None`` where nobody can read it."""
    count = record.data[0] if record.data else 0
    row = decode(record.data[1 + _ENTRY * count :])
    if row is not None:
        row["reset_epoch"] = record.version[0]
    return row


def records_of(parts: Sequence[Part], slot: int, now: float) -> list[Part]:
    """Return a record for each group of which several parts were read, save the reader's own."""
    members: dict[int, list[Part]] = {}
    for part in parts:
        if part.slot < GROUPS and part.slot // SIZE != slot // SIZE:
            members.setdefault(part.slot // SIZE, []).append(part)
    made = [_record(group, each, now) for group, each in members.items() if len(each) > 1]
    return [record for record in made if record is not None]


def _record(group: int, members: Sequence[Part], now: float) -> Part | None:
    rows = [from_part(part) for part in members]
    known = [row for row in rows if row is not None]
    if len(known) < len(rows):
        return None
    reset = max(part.version[0] for part in members)
    total, row = foreign.gather(known, reset), profile.empty()
    row["linear"][:, :, : profile.USED] = total["linear"]
    for name in ("registers", "counts", "panes", "first_seen_at"):
        row[name] = total[name]
    head = bytes((len(members),)) + b"".join(
        part.slot.to_bytes(_SLOT_BYTES) + VERSION.pack(*part.version) for part in members
    )
    data = head + encode(row, float(total["updated_at"][0]))
    return Part(members[0].subject, GROUPS + group, (reset, 0, int(1000 * now)), data)
