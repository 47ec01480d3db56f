"""Rows: which of them are pushed to a store and which are read, and what becomes of what is read.

A row is its writer's own part. One that begins here holds only what was counted since, for more may
be kept from before: it is pushed after its base was read and joined, never sooner.
"""

from __future__ import annotations

from collections import deque
from math import inf
from typing import TYPE_CHECKING

import numpy as np

from gateway_guard import profile
from gateway_guard.actions import Action
from gateway_guard.subjects import IMITABLE, MINIMUM_SAMPLE, POWERS
from gateway_guard.syncing.joining import DATA, Evicted, Leftovers, clear, joined
from gateway_guard.syncing.news import ID_BYTES
from gateway_guard.syncing.rounds import MOST_READ, Batch

if TYPE_CHECKING:
    from gateway_guard.admission import SubjectTable
    from gateway_guard.foreign import ForeignArray
    from gateway_guard.profile import RowArray
    from gateway_guard.subjects import Subject
    from gateway_guard.syncing.rounds import Found

PUSH_EXCHANGES = 8
PUSH_LOGITS = 0.2
PUSH_SECONDS = 30.0
"""A row is pushed when it has as many new exchanges, its score moved so far, or after so long."""

_FEW = 4
_SETTLED = 256
"""Of a subject near a threshold with fewer exchanges each one is told, and heard of, at once."""

_YOUNG = 2 * MINIMUM_SAMPLE
"""So it is with what keys share, near or not, as long as it has so few: many may come together."""

_PUSH_WATCHED = 32  # subjects that impose nothing need not be as up to date
_MOST_PUSHED, _MOST_ASKED = 64, 256
_SELDOM, _SOON = 1.0, 0.001  # seconds between two questions about one subject
_SLOT = profile.Slot.EXCHANGES


class Rows:
    """What of the slab the store knows, and what is to be said and asked in the next round."""

    def __init__(self, table: SubjectTable, *, alone: bool) -> None:
        """Begin with nothing in the store; ``alone`` says that nobody else reads what is pushed."""
        rows = table.slab.capacity
        self._table, self._alone = table, alone
        self._based = np.zeros(rows, np.bool_)
        self._planned = np.zeros(rows, np.bool_)
        self._version = np.zeros(rows, np.int64)
        self._pushed = np.zeros(rows, np.int64)
        self._pushed_at = np.full(rows, -inf)
        self._asked_at = np.full(rows, -inf)
        self._logit = np.zeros(rows)
        self._unread: dict[bytes, None] = {}
        self._told: dict[bytes, None] = {}
        self._late: deque[tuple[float, bytes]] = deque()
        self._evicted = Leftovers()
        self._used = not alone
        self.writers = 1
        table.on_evicted = self._let_go

    def collect(self, batch: Batch, steady: float, shift: float, *, everything: bool) -> None:
        """Put into a batch what is material, and what is to be read.

        ``shift`` is what the store's clock is ahead of monotonic time.
        """
        self._ask_told(batch, steady)
        self._look_at_changed(batch, steady, shift, everything=everything)
        while self._late and (everything or self._late[0][0] <= steady):
            subject = self._table.get(self._late.popleft()[1])
            if subject is not None and subject.row >= 0 and self._planned[subject.row]:
                self._push(batch, subject, steady, shift)
        self._push_evicted(batch, shift)
        batch.wanted = [*self._unread][:MOST_READ]

    def _look_at_changed(
        self, batch: Batch, steady: float, shift: float, *, everything: bool
    ) -> None:
        changed = self._table.changed
        if not self._used:
            self._based[changed] = True  # nothing was ever kept
        if self._alone:
            changed[self._based] = False
        for row in np.flatnonzero(changed).tolist():
            if len(batch.rows) >= _MOST_PUSHED and not everything:
                break
            changed[row] = False
            subject = self._table.of_row(row)
            if subject is None:
                continue
            if not self._based[row]:
                self._return(subject)
            if self._based[row] and not self._alone:
                self._consider(batch, subject, steady, shift, everything=everything)

    def _return(self, subject: Subject) -> None:
        """Have the base of a subject read that has begun a row, unless it has only just gone."""
        gone = self._evicted.pop(subject.id, None)
        if gone is not None:
            self._join(subject, gone.row)
            self._based[subject.row], self._pushed[subject.row] = gone.based, 0
        if not self._based[subject.row]:
            self._unread[subject.id] = None

    def _consider(
        self, batch: Batch, subject: Subject, steady: float, shift: float, *, everything: bool
    ) -> None:
        row = subject.row
        imposes = POWERS[subject.kind] > Action.WATCH
        enough = _PUSH_WATCHED
        if imposes:
            # A score of few exchanges moves with each of them, for whoever reads it.
            few = 1 + self._known(subject) // _FEW if self.writers > 1 else PUSH_EXCHANGES
            enough = min(PUSH_EXCHANGES, few)
        soon = imposes and self.writers > 1 and self._is_soon(subject)
        grown = subject.exchanges - self._pushed[row] >= (1 if soon else enough)
        moved = abs(subject.logit - self._logit[row]) >= PUSH_LOGITS and imposes
        if grown or moved or everything or steady - self._pushed_at[row] >= PUSH_SECONDS:
            self._push(batch, subject, steady, shift)
            batch.near += [subject.id] * soon
        elif not self._planned[row]:
            self._planned[row] = True
            self._late.append((self._pushed_at[row] + PUSH_SECONDS, subject.id))
        # Where nobody else writes, only what somebody before has left can have changed.
        pressing = imposes and not subject.quiet and self.writers > 1
        if steady - self._asked_at[row] >= (_SOON if pressing else _SELDOM):
            self._ask(batch, subject, steady)

    def _ask(self, batch: Batch, subject: Subject, steady: float) -> None:
        if len(batch.asked) < _MOST_ASKED:
            self._asked_at[subject.row] = steady
            batch.asked.append((subject.id, int(self._version[subject.row])))

    def tell(self, near: bytes) -> None:
        """Take note of whom others have just counted, near a threshold, if he is known here."""
        for id_ in (near[at : at + ID_BYTES] for at in range(0, len(near), ID_BYTES)):
            subject = self._table.get(id_)
            if subject is not None and subject.row < 0:
                self._table.admit(subject)
            if subject is not None and subject.row >= 0:
                self._told[id_] = None

    @property
    def pressing(self) -> bool:
        """Tell whether others have counted somebody near a threshold, or what many keys share."""
        begun = np.flatnonzero(self._table.changed & ~self._based)[:_MOST_PUSHED].tolist()
        subjects = (self._table.of_row(row) for row in begun)
        return bool(self._told) or any(one and one.kind in IMITABLE for one in subjects)

    def _ask_told(self, batch: Batch, steady: float) -> None:
        told, self._told = self._told, {}
        for id_ in told:
            subject = self._table.get(id_)
            if subject is not None and subject.row >= 0:
                if self._based[subject.row]:
                    self._ask(batch, subject, steady)
                else:
                    self._told[id_] = None

    def _is_soon(self, subject: Subject) -> bool:
        """Tell whether each exchange of a subject may bring a verdict, wherever it is counted."""
        few = _YOUNG if subject.kind in IMITABLE else 0
        return self._known(subject) < (_SETTLED if subject.near else few)

    def _known(self, subject: Subject) -> int:
        """Return how many exchanges were counted here and elsewhere."""
        others = self._table.foreign["exchanges"][subject.row] if not self._alone else 0.0
        return subject.exchanges + int(others * self._table.has_foreign[subject.row])

    def _push(self, batch: Batch, subject: Subject, steady: float, shift: float) -> None:
        row = subject.row
        copy = self._table.slab.rows[row : row + 1].copy()
        batch.rows.append((copy, float(copy["updated_at"][0]) + shift))
        self._pushed[row], self._pushed_at[row] = subject.exchanges, steady
        self._logit[row], self._planned[row] = subject.logit, False

    def _push_evicted(self, batch: Batch, shift: float) -> None:
        for id_, gone in [*self._evicted.items()]:
            if not gone.based:
                self._unread[id_] = None
            elif len(batch.rows) < _MOST_PUSHED:
                del self._evicted[id_]
                batch.rows.append((gone.row, float(gone.row["updated_at"][0]) + shift))
                self._used = True

    def take_dropped(self) -> int:
        """Return how many rows that gave way were lost since the last time."""
        return self._evicted.take_dropped()

    @property
    def finished(self) -> bool:
        """Tell whether nothing waits to be read or pushed."""
        return self._alone or not (self._unread or self._evicted or self._table.changed.any())

    def restore(self, batch: Batch) -> None:
        """Take back what was not done: it is pushed again, as it is then."""
        for copy, _ in batch.rows:
            id_ = copy["subject"][0].tobytes()
            subject = self._table.get(id_)
            if subject is not None and subject.row >= 0:
                self._table.changed[subject.row], self._pushed_at[subject.row] = True, -inf
                if self._based[subject.row]:
                    continue
            gone = self._evicted.get(id_)
            if gone is None or not gone.based:  # a later copy of the same row has it all
                self._evicted.keep(id_, Evicted(copy, based=True))

    def lost(self) -> None:
        """Forget what another writer answers for now: it was pushed, and its slot is his."""
        for name in DATA:
            self._table.slab.rows[name][self._based] = 0
        for row in np.flatnonzero(self._based).tolist():
            subject = self._table.of_row(row)
            if subject is not None:
                subject.exchanges = 0
        self._table.changed[self._based] = True
        self._based[:] = False
        self._version[:] = self._pushed[:] = 0
        for id_ in [id_ for id_, gone in self._evicted.items() if gone.based]:
            del self._evicted[id_]

    def hear(self, found: Found, shift: float) -> None:
        """Take note of what a store keeps of a subject."""
        subject = self._table.get(found.subject)
        self._unread.pop(found.subject, None)
        if found.base is not None:
            found.base["updated_at"] -= shift
        gone = self._evicted.get(found.subject)
        if gone is not None and not gone.based:
            row = gone.row if found.base is None else joined(found.base, gone.row)
            self._evicted[found.subject] = Evicted(row, based=True)
        if subject is None or subject.row < 0:
            return
        self.reset(subject, found.reset)
        row_number = subject.row
        if not self._based[row_number]:
            if found.base is not None:
                self._join(subject, found.base)
            self._based[row_number] = self._table.changed[row_number] = True
        self._version[row_number] = found.version
        if found.others is None:
            self._table.has_foreign[row_number] = False
        else:
            self._hear_others(subject, found.others, shift)

    def reset(self, subject: Subject, reset_epoch: int) -> None:
        """Count as zero what was counted before a pardon."""
        row = self._table.slab.rows[subject.row : subject.row + 1]
        if row["reset_epoch"][0] >= reset_epoch:
            return
        clear(row, reset_epoch)
        self._table.has_foreign[subject.row] = False
        self._table.changed[subject.row], self._pushed_at[subject.row] = True, -inf
        subject.fresh = subject.exchanges = 0
        self._pushed[subject.row] = 0

    def _hear_others(self, subject: Subject, others: ForeignArray, shift: float) -> None:
        table, row = self._table, subject.row
        before = table.foreign["exchanges"][row] if table.has_foreign[row] else 0.0
        others["updated_at"] -= shift
        table.foreign[row], table.has_foreign[row] = others[0], bool(others["exchanges"][0] > 0)
        subject.fresh += max(0, round(float(others["exchanges"][0] - before)))

    def _join(self, subject: Subject, base: RowArray) -> None:
        """Let a row go on from what was kept of it."""
        rows, row = self._table.slab.rows, subject.row
        rows[row] = joined(base, rows[row : row + 1])[0]
        known = round(float(base["linear"][0, 1, _SLOT]))
        subject.exchanges += known
        subject.fresh += known
        self._pushed[row] = known

    def _let_go(self, subject: Subject, row: int) -> None:
        """Keep what the store does not know yet of a row that gives way."""
        unsaid = subject.exchanges > self._pushed[row] or self._alone or not self._based[row]
        if unsaid:
            copy = self._table.slab.rows[row : row + 1].copy()
            self._evicted.keep(subject.id, Evicted(copy, bool(self._based[row])))
        self._clear(row)
        self._unread.pop(subject.id, None)

    def forget(self, subject: bytes) -> None:
        """Neither read nor push what is still held of a subject that is to be erased."""
        self._unread.pop(subject, None)
        self._evicted.pop(subject, None)
        held = self._table.get(subject)
        if held is not None and held.row >= 0:
            self._clear(held.row)

    def _clear(self, row: int) -> None:
        self._based[row] = self._planned[row] = False
        self._version[row] = self._pushed[row] = 0
        self._pushed_at[row] = self._asked_at[row] = -inf
