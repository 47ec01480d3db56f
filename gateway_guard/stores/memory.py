"""A store in this process's own memory: what was evicted comes back, and nothing outlives it."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from gateway_guard.stores import groups
from gateway_guard.stores.base import (
    STANDING,
    STARTS,
    Entry,
    Instants,
    Keeping,
    Lease,
    Part,
    Subjects,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway_guard.stores.base import Hashes, Times

_OVERHEAD = 400  # bytes that a subject's entry takes beside its parts


class MemoryStore:
    """Parts in bounded memory: of too many subjects, the one not written or read for longest goes.

    Writers of one process share it where they share the object.
    """

    shared = False
    durable = False

    def __init__(self, size_bytes: int, clock: Callable[[], float], keeping: Keeping) -> None:
        """Spend about ``size_bytes``; ``clock`` gives wall-clock seconds."""
        self._size_bytes, self._clock, self._keeping = size_bytes, clock, keeping
        self._subjects: OrderedDict[bytes, _Kept] = OrderedDict()
        self._held = 0
        self._leases: list[tuple[int, float]] = []
        self._logs: dict[str, deque[tuple[int, float, bytes]]] = {}
        self._told = 0
        self._instants: dict[str, dict[int, tuple[float, float]]] = {}

    def connect(self) -> None:
        """Begin."""

    def now(self) -> float:
        """Return the process's clock."""
        return self._clock()

    def lease(self, seconds: float) -> Lease:
        """Take over the first slot that nobody holds."""
        now = self._clock()
        for slot, (epoch, until_at) in enumerate(self._leases):
            if until_at <= now:
                self._leases[slot] = epoch + 1, now + seconds
                return Lease(slot, epoch + 1)
        self._leases.append((int(now), now + seconds))
        return Lease(len(self._leases) - 1, int(now))

    def renew(self, lease: Lease, seconds: float) -> bool:
        """Hold a slot for longer."""
        while lease.slot >= len(self._leases):
            self._leases.append((lease.epoch if lease.slot == len(self._leases) else 0, 0.0))
        held = self._leases[lease.slot][0] == lease.epoch
        if held:
            self._leases[lease.slot] = lease.epoch, self._clock() + seconds
        return held

    def release(self, lease: Lease) -> None:
        """Let go of a slot."""
        self.renew(lease, 0.0)

    def writers(self) -> int:
        """Return how many slots are held."""
        now = self._clock()
        return sum(until_at > now for _, until_at in self._leases)

    def write(self, parts: Sequence[Part]) -> None:
        """Keep what is newer."""
        now = self._clock()
        for part in parts:
            kept = self._subjects.setdefault(part.subject, _Kept())
            before = kept.parts.get(part.slot)
            if kept.takes(part):
                self._held += len(part.data) + (-len(before.data) if before else _OVERHEAD)
                kept.parts[part.slot] = part
                kept.changes[part.slot] += not groups.is_group(part.slot)
                kept.written_at = now
            self._subjects.move_to_end(part.subject)
        while self._held > self._size_bytes and self._subjects:
            self._drop(next(iter(self._subjects)))

    def versions(self, subjects: Sequence[bytes], slot: int) -> list[int]:
        """Return how often each subject has changed."""
        found = [self._subjects.get(subject, _NOTHING).changes for subject in subjects]
        return [changes.total() - changes[slot] for changes in found]

    def read(self, subjects: Sequence[bytes], slot: int = 0) -> list[list[Part]]:
        """Return what is to be read of each subject."""
        for subject in subjects:
            if subject in self._subjects:
                self._subjects.move_to_end(subject)
        kept = [self._subjects.get(subject, _NOTHING).parts.values() for subject in subjects]
        return [groups.chosen(parts, slot, self._clock()) for parts in kept]

    def standings(self, most: int) -> list[Part]:
        """Return the standings that have not ended."""
        now = self._clock()
        found = [kept.parts[STANDING] for kept in self._subjects.values() if STANDING in kept.parts]
        lasting = [part for part in found if part.until_at > now]
        return sorted(lasting, key=lambda part: -part.until_at)[:most]

    def append(self, log: str, data: bytes) -> None:
        """Write an entry."""
        self._told += 1
        entries = self._logs.setdefault(log, deque(maxlen=self._keeping.entries))
        entries.append((self._told, self._clock(), data))

    def entries(self, log: str, after: str, most: int) -> list[Entry]:
        """Return the entries that follow."""
        first = int(after or 0)
        later = (entry for entry in self._logs.get(log, ()) if entry[0] > first)
        return [Entry(str(number), data) for number, _, data in islice(later, most)]

    def end(self, log: str) -> str:
        """Return the last entry's cursor."""
        entries = self._logs.get(log)
        return str(entries[-1][0]) if entries else ""

    def keep_instants(self, kind: str, hashes: Hashes, at: Times) -> None:
        """Keep the earliest."""
        kept, now = self._instants.setdefault(kind, {}), self._clock()
        for hash_, instant in zip(hashes.tolist(), at.tolist(), strict=True):
            kept[hash_] = min(instant, kept.get(hash_, (instant, now))[0]), now

    def instants(self, kind: str, after: str, most: int) -> Instants:
        """Return a page, in the order of the hashes."""
        first = int(after or -1)
        later = sorted(item for item in self._instants.get(kind, {}).items() if item[0] > first)
        page = later[:most]
        cursor = str(page[-1][0]) if len(later) > most else ""
        hashes = np.array([hash_ for hash_, _ in page], np.uint64)
        return Instants(cursor, hashes, np.array([at for _, (at, _) in page], np.float64))

    def subjects(self, after: str, most: int) -> Subjects:
        """Return a page, in the order of the ids."""
        first = bytes.fromhex(after)
        later = sorted(subject for subject in self._subjects if not after or subject > first)
        return Subjects(later[most - 1].hex() if len(later) > most else "", later[:most])

    def parts(self, subjects: Sequence[bytes]) -> list[list[Part]]:
        """Return all but sums."""
        kept = [self._subjects.get(subject, _NOTHING).parts.values() for subject in subjects]
        return [[part for part in each if not groups.is_group(part.slot)] for each in kept]

    def void(self, subjects: Sequence[bytes]) -> None:
        """Drop what counts as nothing."""
        for subject in subjects:
            kept = self._subjects.get(subject, _NOTHING)
            for part in [part for part in kept.parts.values() if part.version[0] < kept.reset]:
                del kept.parts[part.slot]
                self._held -= len(part.data) + _OVERHEAD

    def leases(self) -> list[tuple[Lease, bool]]:
        """Return all slots."""
        now = self._clock()
        slots = enumerate(self._leases)
        return [(Lease(slot, epoch), until_at > now) for slot, (epoch, until_at) in slots]

    def outdate(self, lease: Lease) -> None:
        """Let a slot go on from an epoch."""
        self.renew(lease, 0.0)
        if self._leases[lease.slot][0] < lease.epoch:
            self._leases[lease.slot] = lease.epoch, 0.0

    def drop_entries(self, log: str, cursors: Sequence[str]) -> None:
        """Drop entries."""
        kept = [entry for entry in self._logs.get(log, ()) if str(entry[0]) not in cursors]
        self._logs[log] = deque(kept, maxlen=self._keeping.entries)

    def drop_instants(self, kind: str, hashes: Hashes) -> None:
        """Forget instants."""
        for hash_ in hashes.tolist():
            self._instants.get(kind, {}).pop(hash_, None)

    def prune(self) -> None:
        """Drop what is too old."""
        oldest = self._clock() - self._keeping.seconds
        for subject in [id_ for id_, kept in self._subjects.items() if kept.written_at < oldest]:
            self._drop(subject)
        for kind, kept in self._instants.items():
            for hash_ in (
                []
                if kind == STARTS
                else [hash_ for hash_, (_, used_at) in kept.items() if used_at < oldest]
            ):
                del kept[hash_]
        for entries in self._logs.values():
            while entries and entries[0][1] < oldest:
                entries.popleft()

    def close(self) -> None:
        """Keep everything: there is nothing to let go of."""

    def _drop(self, subject: bytes) -> None:
        for part in self._subjects.pop(subject).parts.values():
            self._held -= len(part.data) + _OVERHEAD


class _Kept:
    """One subject's parts by slot."""

    __slots__ = ("changes", "parts", "written_at")

    def __init__(self) -> None:
        self.parts: dict[int, Part] = {}
        self.changes = Counter[int]()
        self.written_at = 0.0

    @property
    def reset(self) -> int:
        """When the subject was last pardoned."""
        standing = self.parts.get(STANDING)
        return standing.version[0] if standing is not None else 0

    def takes(self, part: Part) -> bool:
        """Tell whether a part is newer than what is known."""
        before = self.parts.get(part.slot)
        newer = before is None or before.version < part.version
        return newer and part.version[0] >= self.reset


_NOTHING = _Kept()
