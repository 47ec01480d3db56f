"""What a file holds, for those who look through all of it or take some of it out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gateway_guard.stores import groups, tables
from gateway_guard.stores.base import VERSION, Lease, Part, Subjects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from gateway_guard.stores.base import Hashes


class SqliteHoldings:
    """The part of the store that guards do without while they serve."""

    _ns: str
    _clock: Callable[[], float]

    if TYPE_CHECKING:  # what the store itself has

        def _rows(self, what: str, *values: object) -> list[Any]: ...
        def _rows_of(self, what: str, subjects: Sequence[bytes], *first: int) -> Iterator[Any]: ...
        def _writing(self) -> AbstractContextManager[Callable[..., Any]]: ...

    def subjects(self, after: str, most: int) -> Subjects:
        """Return a page, in the order of the ids."""
        rows = self._rows(tables.SUBJECTS, self._ns, bytes.fromhex(after), most)
        return Subjects(rows[-1][0].hex() if len(rows) == most else "", [id_ for (id_,) in rows])

    def parts(self, subjects: Sequence[bytes]) -> list[list[Part]]:
        """Return all but sums."""
        found: dict[bytes, list[Part]] = {subject: [] for subject in subjects}
        for row in self._rows_of(PARTS, subjects):
            if not groups.is_group(row[1]):
                found[row[0]].append(part_of(row))
        return [found[subject] for subject in subjects]

    def void(self, subjects: Sequence[bytes]) -> None:
        """Drop what counts as nothing."""
        with self._writing() as run:
            for subject in subjects:
                run(tables.VOID, (self._ns, subject))

    def leases(self) -> list[tuple[Lease, bool]]:
        """Return all slots."""
        what = "SELECT slot, epoch, until > ? FROM writers WHERE ns = ? ORDER BY slot"
        rows = self._rows(what, self._clock(), self._ns)
        return [(Lease(slot, epoch), bool(held)) for slot, epoch, held in rows]

    def outdate(self, lease: Lease) -> None:
        """Let a slot go on from an epoch."""
        with self._writing() as run:
            run(tables.OUTDATE, (self._ns, *lease))

    def drop_entries(self, log: str, cursors: Sequence[str]) -> None:
        """Drop entries."""
        with self._writing() as run:
            for cursor in cursors:
                row = (self._ns, log, int(cursor))
                run("DELETE FROM logs WHERE ns = ? AND log = ? AND n = ?", row)

    def drop_instants(self, kind: str, hashes: Hashes) -> None:
        """Forget instants."""
        with self._writing() as run:
            for hash_ in hashes.view(np.int64).tolist():
                row = (self._ns, kind, hash_)
                run("DELETE FROM instants WHERE ns = ? AND kind = ? AND hash = ?", row)


PARTS = "SELECT subject, slot, version, data, until FROM parts WHERE ns = ? AND subject IN ({})"


def part_of(row: Sequence[Any]) -> Part:
    """Return the part that a row of the table is."""
    subject, slot, version, data, until_at = row
    reset, epoch, sequence = VERSION.unpack(version)
    return Part(subject, slot, (reset, epoch, sequence), data, until_at)
