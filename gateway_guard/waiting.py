"""Waiting: subjects that have been shown too seldom for a row of the slab, in a bounded table.

Nobody can flush it: no key holds more than 1% of it, or what one exchange speaks for, and whatever
came by least lately makes room.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway_guard.subjects import Subject

_OWNER_SHARE = 0.01
_OF_ONE_EXCHANGE = 12  # the most subjects that an exchange of an honest client speaks for


class Waiting:
    """Subjects by id, the one that came by least lately first."""

    def __init__(self, capacity: int) -> None:
        """Hold at most ``capacity`` subjects."""
        self._capacity = capacity
        self._owner_capacity = max(_OF_ONE_EXCHANGE, int(capacity * _OWNER_SHARE))
        self._subjects: OrderedDict[bytes, Subject] = OrderedDict()
        self._owned: dict[bytes, OrderedDict[bytes, None]] = {}

    def __len__(self) -> int:
        """Return the number of subjects held."""
        return len(self._subjects)

    def get(self, subject: bytes) -> Subject | None:
        """Return a subject that has come by, if it is held."""
        found = self._subjects.get(subject)
        if found is not None:
            self._subjects.move_to_end(subject)
            self._owned[found.owner].move_to_end(subject)
        return found

    def add(self, subject: Subject) -> Subject:
        """Hold a subject whose id is not held; what gives way is kept by whoever refers to it."""
        self._subjects[subject.id] = subject
        owned = self._owned.setdefault(subject.owner, OrderedDict())
        owned[subject.id] = None
        if len(owned) > self._owner_capacity:
            self.remove(next(iter(owned)))
        if len(self._subjects) > self._capacity:
            self.remove(next(iter(self._subjects)))
        return subject

    def remove(self, subject: bytes) -> None:
        """Let go of a subject that is held."""
        removed = self._subjects.pop(subject)
        owned = self._owned[removed.owner]
        del owned[subject]
        if not owned:
            del self._owned[removed.owner]
