"""Admission: which subjects get a row of the slab, and which wait for one.

A key is admitted with its second counted exchange; what several keys share is admitted once three
verified keys have shown it, or one has repeated it. Until then a subject waits in a bounded table
in which no key fills more than 1%; what it has contributed there is carried over exactly. Keys that
no upstream has accepted wait in a table of their own.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np

from gateway_guard import contribution, foreign, profile
from gateway_guard.contribution import Share
from gateway_guard.expectation import expecting
from gateway_guard.principal import SubjectKind
from gateway_guard.sketches.compact import TwoPaneMap
from gateway_guard.sketches.slab import Slab
from gateway_guard.subjects import MINIMUM_SAMPLE, PENDING_KEPT, Subject, hash_of
from gateway_guard.waiting import Elsewhere, Waiting, admissible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gateway_guard.contribution import Contribution
    from gateway_guard.profile import Slot
    from gateway_guard.subjects import Held
    from gateway_guard.timeline import Instant

_SMALL_PART, _DISCOUNT = 12, 0.25
_BYTES_A_SUBJECT, _BYTES_WAITING = 640, 1024


class SubjectTable:
    """All subjects in memory: admitted ones with rows, waiting ones, and unverified keys apart.

    ``changed`` marks rows that were written to. Where ``sightings`` is a dictionary, exchanges of
    subjects that have no row yet are noted there by subject and key, for other writers to learn of.
    ``on_evicted`` is told of a subject and its row before the row is given to another one.
    """

    def __init__(self, size_bytes: int, *, shared: bool = False) -> None:
        """Spend at most ``size_bytes``; ``shared`` says that other writers are to be heard."""
        row_bytes = profile.ROW.itemsize + _BYTES_A_SUBJECT + shared * foreign.FOREIGN.itemsize
        rows = max(64, int(size_bytes * 0.85) // row_bytes)
        self.slab = Slab(profile.ROW, rows, self._evicted)
        self.changed = np.zeros(rows, np.bool_)
        self.foreign = np.zeros(rows if shared else 0, foreign.FOREIGN)
        self.has_foreign = np.zeros(rows, np.bool_)
        self.on_evicted: Callable[[Subject, int], None] = lambda _subject, _row: None
        self.sightings: dict[tuple[bytes, bytes], int] | None = None
        self._elsewhere: TwoPaneMap[Elsewhere] = TwoPaneMap(rows)
        self._of_row: list[Subject | None] = [None] * rows
        self._admitted: dict[bytes, Subject] = {}
        self._waiting = Waiting(max(256, int(size_bytes * 0.13) // _BYTES_WAITING))
        self._unverified: OrderedDict[bytes, Subject] = OrderedDict()
        self._unverified_capacity = max(64, int(size_bytes * 0.02) // _BYTES_A_SUBJECT)

    def __len__(self) -> int:
        """Return the number of admitted subjects."""
        return len(self._admitted)

    @property
    def waiting(self) -> int:
        """Return the number of subjects that wait for admission."""
        return len(self._waiting)

    @property
    def unverified(self) -> int:
        """Return the number of unverified keys held."""
        return len(self._unverified)

    def get(self, subject: bytes) -> Subject | None:
        """Return a subject wherever it is held."""
        return (
            self._admitted.get(subject)
            or self._waiting.get(subject)
            or self._unverified.get(subject)
        )

    def admitted(self, subject: bytes) -> bool:
        """Tell whether a subject has a row."""
        return subject in self._admitted

    def find(self, kind: SubjectKind, subject: bytes, owner: bytes) -> Subject:
        """Return a subject, or begin to wait with it on behalf of the key ``owner``."""
        found = self._admitted.get(subject) or self._waiting.show(subject)
        return found or self._waiting.add(Subject(subject, kind, owner))

    def find_unverified(self, subject: bytes) -> Subject:
        """Return a key that no upstream has accepted yet, the least recently seen making room."""
        found = self.get(subject)
        if found is None:
            found = self._unverified[subject] = Subject(subject, SubjectKind.KEY, subject)
            if len(self._unverified) > self._unverified_capacity:
                self._unverified.popitem(last=False)
        elif subject in self._unverified:
            self._unverified.move_to_end(subject)
        return found

    def verify(self, subject: Subject) -> None:
        """Move a key that an upstream accepted out of the unverified ones."""
        held = self._unverified.pop(subject.id, subject)
        if subject.id not in self._admitted and self._waiting.get(subject.id) is None:
            self._waiting.add(held)

    def forget(self, subject: Subject) -> None:
        """Let go of a subject that waits with nothing counted and nothing under way."""
        idle = subject.row < 0 and not subject.exchanges and not subject.inflight
        if idle and self._waiting.get(subject.id) is subject:
            self._waiting.remove(subject.id)

    def erase(self, subject: bytes) -> None:
        """Let go of a subject and of all that was counted; what is under way begins anew."""
        self._elsewhere.remove(hash_of(subject))
        held = self.get(subject)
        if held is None:
            return
        if (row := held.row) >= 0:
            self.slab.rows[row], self.slab.touched[row], self._of_row[row] = 0, False, None
            self.changed[row] = self.has_foreign[row] = False
        elif self._waiting.get(subject) is not None:
            self._waiting.remove(subject)
        self._admitted.pop(subject, None)
        self._unverified.pop(subject, None)
        held.row, held.waiting, held.keys = -1, (), frozenset()
        held.begin_anew()

    def ids(self) -> list[bytes]:
        """Return the ids of all subjects but unverified keys."""
        return [*self._admitted, *self._waiting.ids()]

    def commit(self, shares: Iterable[tuple[Subject, Held]], *, now: Instant) -> None:
        """Count settled exchanges for the subjects that they speak for."""
        rows: dict[int, int] = {}
        counted: list[Share] = []
        for subject, held in [share for share in shares if self._admits(*share)]:
            present = subject if subject.row >= 0 else self._present(subject)
            if present.row < 0:  # made room for another one of the batch
                present.exchanges += held.answers * held.weight
                self._waiting.keep(present, held)
            else:
                counted.append(Share(rows.setdefault(present.row, len(rows)), *held))
        if counted:
            self._write(rows, counted, now)

    def credit(
        self, shares: Iterable[tuple[Subject, Held]], before: Contribution, now: Instant
    ) -> None:
        """Count what has come of exchanges that were counted as ``before`` until now.

        Where a subject waits, so do they, and will be counted as they are now.
        """
        rows: dict[int, int] = {}
        held = [(subject.row, held) for subject, held in shares if subject.row >= 0]
        counted = [Share(rows.setdefault(row, len(rows)), *share) for row, share in held]
        if counted:
            self._write(rows, counted, now, before)

    def _write(
        self,
        rows: dict[int, int],
        shares: list[Share],
        now: Instant,
        before: Contribution | None = None,
    ) -> None:
        numbers = np.fromiter(rows, dtype=np.int64, count=len(rows))
        block = self.slab.rows[numbers]
        elapsed = now.steady - block["updated_at"]
        if before is not None:
            contribution.credit(block, shares, before, elapsed_seconds=elapsed)
        else:
            contribution.apply(block, shares, elapsed_seconds=elapsed, wall_at=now.wall)
        block["updated_at"] = now.steady
        block["last_seen_at"] = now.wall
        block["sequence"] += 1
        self.slab.rows[numbers] = block
        self.slab.touched[numbers] = True
        self.changed[numbers] = True

    def _present(self, subject: Subject) -> Subject:
        """Return what is held under the id: a subject may lose its place while it is open."""
        found = self._admitted.get(subject.id) or self._waiting.get(subject.id)
        return found or self._waiting.add(subject)

    def _admits(self, subject: Subject, held: Held) -> bool:
        """Tell whether the subject has a row, now at the latest; else let its share wait."""
        if subject.row >= 0:
            subject.exchanges += held.answers * held.weight
            return True
        subject = self._present(subject)
        subject.exchanges += held.answers * held.weight
        if subject.row >= 0:
            return True
        key = held.contribution.key
        subject.keys |= {key}
        if self.sightings is not None:
            seen = subject.id, key[-8:]
            self.sightings[seen] = self.sightings.get(seen, 0) + held.answers * held.weight
        if not admissible(subject, self._elsewhere.get(hash_of(subject.id))):
            self._waiting.keep(subject, held)
            return False
        self._waiting.remove(subject.id)
        self._admit(subject, held.contribution.settled_at.wall)
        return True

    def sighted(self, subject: bytes, key: bytes, exchanges: int) -> None:
        """Take note that another writer counted exchanges of a subject that has no row there."""
        place = hash_of(subject)
        seen = self._elsewhere.get(place) or Elsewhere(0, frozenset())
        seen = self._elsewhere[place] = Elsewhere(seen.exchanges + exchanges, seen.keys | {key})
        waits = self._waiting.get(subject)
        if waits is not None and waits.waiting and admissible(waits, seen):
            self._waiting.remove(subject)
            self._admit(waits)

    def admit(self, subject: Subject) -> None:
        """Give a subject that waits here the row that it has elsewhere."""
        if self._waiting.get(subject.id) is subject and subject.waiting:
            self._waiting.remove(subject.id)
            self._admit(subject)

    def of_row(self, row: int) -> Subject | None:
        """Return the subject whose row this is."""
        return self._of_row[row]

    def _admit(self, subject: Subject, seen_at: float = 0.0) -> None:
        subject.row = self.slab.acquire()
        self._of_row[subject.row] = subject
        self._admitted[subject.id] = subject
        carried, subject.waiting, subject.keys = subject.waiting, (), frozenset()
        row = profile.empty()
        row["subject"] = np.frombuffer(subject.id, dtype=np.uint8)
        row["version"], row["first_seen_at"] = profile.LAYOUT_VERSION, seen_at
        if carried:
            shares = [Share(0, *held) for held in carried]
            first, now = (carried[at].contribution.settled_at for at in (0, -1))
            contribution.apply(row, shares, elapsed_seconds=np.zeros(1), wall_at=now.wall)
            row["updated_at"], row["first_seen_at"] = now.steady, first.wall
        self.slab.rows[subject.row] = row[0]
        self.changed[subject.row], self.has_foreign[subject.row] = True, False

    def _evicted(self, row: int) -> None:
        subject = self._of_row[row]
        if subject is not None:
            self.on_evicted(subject, row)
            del self._admitted[subject.id]
            subject.row, self._of_row[row] = -1, None
            subject.begin_anew()

    def count(self, subject: Subject, slot: Slot) -> None:
        """Count an exchange that taught nothing else, where the subject has a row."""
        if subject.row >= 0:
            self.slab.rows["linear"][subject.row, :, slot] += 1.0

    def discount(self, subject: Subject) -> None:
        """Let the past weigh less, where the subject has paid for it."""
        if subject.row >= 0:
            self.slab.rows["linear"][subject.row] *= _DISCOUNT
            self.slab.rows["sequence"][subject.row] += 1
            self.changed[subject.row] = True

    def project(self, subject: Subject, now: Instant) -> tuple[profile.RowArray, float]:
        """Return the subject's row as if all that waits or is pending were counted, and its age.

        What is pending is left out while it is a small part of the sample: it cannot move a mean.
        What other writers know is added.
        """
        row, elapsed = self._own(subject, now)
        if subject.row >= 0 and self.has_foreign[subject.row]:
            others = self.foreign[subject.row]
            return foreign.added(row, elapsed, others, now.steady), 0.0
        return row, elapsed

    def _own(self, subject: Subject, now: Instant) -> tuple[profile.RowArray, float]:
        pending = [*subject.pending.values()]
        unread = (*subject.waiting, *pending)
        row, elapsed, settled = profile.empty(), 0.0, not unread
        if subject.row >= 0:
            row = self.slab.rows[subject.row : subject.row + 1]
            elapsed = now.steady - float(row["updated_at"][0])
            count = sum([held.answers * held.weight for held in unread])
            settled = settled or count * _SMALL_PART < subject.exchanges
        if settled:
            return row, elapsed
        if round(_answered(row, subject.waiting)) < MINIMUM_SAMPLE:
            pending = [held._replace(contribution=expecting(held.contribution)) for held in pending]
            unread = (*subject.waiting, *pending)
        row, shares = row.copy(), [Share(0, *held) for held in unread[:PENDING_KEPT]]
        contribution.apply(row, shares, elapsed_seconds=np.array([elapsed]), wall_at=now.wall)
        return row, 0.0


def _answered(row: profile.RowArray, waiting: tuple[Held, ...]) -> float:
    """Return how many answers were seen, in a row and of what waits."""
    seen = sum(held.contribution.answer is not None for held in waiting)
    return float(row["linear"][0, 1, profile.Slot.ANSWERED]) + seen
