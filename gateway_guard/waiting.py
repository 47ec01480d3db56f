"""Waiting: subjects that have been shown too seldom for a row of the slab, in a bounded table.

Nobody can flush it. Templates that were shown once are many, because most texts never come back;
they wait in a lane of their own, and go over into that of all other subjects when they are shown
again. In neither lane does a key hold more than 1%, and what came by least lately makes room.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from gateway_guard.principal import SubjectKind

if TYPE_CHECKING:
    from gateway_guard.subjects import Held, Subject

REPEATS = {
    SubjectKind.KEY: 2,
    SubjectKind.TEMPLATE_IN_KEY: 2,
    SubjectKind.END_USER: 4,
}
_REPEATS_OF_SHARED = 8
_KEYS_OF_SHARED = 3
_OWNER_SHARE = 0.01
_FEWEST_OF_OWNER = 80  # what twenty exchanges take, for a table so small that 1% is less


class Elsewhere(NamedTuple):
    """How many exchanges of a subject other writers have counted, and the ends of their keys."""

    exchanges: int
    keys: frozenset[bytes]


def admissible(subject: Subject, elsewhere: Elsewhere | None) -> bool:
    """Tell whether a subject was shown often enough for a row, here and elsewhere together."""
    exchanges, keys = subject.exchanges, len(subject.keys)
    if elsewhere is not None:
        exchanges += elsewhere.exchanges
        keys = len(elsewhere.keys.union([key[-8:] for key in subject.keys]))
    repeats = REPEATS.get(subject.kind)
    if repeats is not None:
        return exchanges >= repeats
    return keys >= _KEYS_OF_SHARED or exchanges >= _REPEATS_OF_SHARED


class Waiting:
    """Subjects by id, with the exchanges that will be counted once they are admitted."""

    def __init__(self, capacity: int) -> None:
        """Hold at most ``capacity`` subjects and exchanges together."""
        self._once, self._others = _Lane(capacity // 2), _Lane(capacity // 2)

    def __len__(self) -> int:
        """Return the number of subjects held."""
        return len(self._once.subjects) + len(self._others.subjects)

    @property
    def size(self) -> int:
        """Return the number of subjects and exchanges held."""
        return self._once.size + self._others.size

    def get(self, subject: bytes) -> Subject | None:
        """Return a subject, if it is held."""
        return self._once.subjects.get(subject) or self._others.subjects.get(subject)

    def ids(self) -> list[bytes]:
        """Return the ids of all subjects that are held."""
        return [*self._once.subjects, *self._others.subjects]

    def show(self, subject: bytes) -> Subject | None:
        """Return a subject that is shown again, if it is held."""
        found = self._others.touch(subject)
        if found is None and subject in self._once.subjects:
            found = self._once.remove(subject)
            self._others.add(found)
        return found

    def add(self, subject: Subject) -> Subject:
        """Hold a subject whose id is not held; what gives way is kept by whoever refers to it."""
        known = subject.exchanges or subject.kind != SubjectKind.TEMPLATE
        (self._others if known else self._once).add(subject)
        return subject

    def keep(self, subject: Subject, held: Held) -> None:
        """Keep an exchange of a subject that is held."""
        subject.waiting = (*subject.waiting, held)
        (self._once if subject.id in self._once.subjects else self._others).grow(subject)

    def remove(self, subject: bytes) -> None:
        """Let go of a subject that is held."""
        (self._once if subject in self._once.subjects else self._others).remove(subject)


class _Lane:
    """Subjects, the one that came by least lately first, in all and of each owner."""

    def __init__(self, capacity: int) -> None:
        self.subjects: OrderedDict[bytes, Subject] = OrderedDict()
        self.size = 0
        self._capacity = capacity
        self._owner_capacity = max(_FEWEST_OF_OWNER, int(capacity * _OWNER_SHARE))
        self._owned: dict[bytes, _Owned] = {}

    def touch(self, subject: bytes) -> Subject | None:
        found = self.subjects.get(subject)
        if found is not None:
            self.subjects.move_to_end(subject)
            self._owned[found.owner].move_to_end(subject)
        return found

    def add(self, subject: Subject) -> None:
        self.subjects[subject.id] = subject
        self._owned.setdefault(subject.owner, _Owned())[subject.id] = None
        self.grow(subject, 1 + len(subject.waiting))

    def grow(self, subject: Subject, by: int = 1) -> None:
        owned = self._owned[subject.owner]
        owned.size += by
        self.size += by
        while owned.size > self._owner_capacity:
            self.remove(next(iter(owned)))
        while self.size > self._capacity:
            self.remove(next(iter(self.subjects)))

    def remove(self, subject: bytes) -> Subject:
        removed = self.subjects.pop(subject)
        owned = self._owned[removed.owner]
        del owned[subject]
        owned.size -= 1 + len(removed.waiting)
        self.size -= 1 + len(removed.waiting)
        if not owned:
            del self._owned[removed.owner]
        return removed


class _Owned(OrderedDict[bytes, None]):
    """What one key holds of a lane, and how much that is."""

    size = 0
