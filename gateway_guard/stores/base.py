"""What every store does.

A store is called from one thread at a time, never from a request's task. It keeps parts of
subjects, each written by one writer; leases of the slots that writers write under; logs, in which
writers tell each other what cannot wait; and instants, of which the earliest known counts. Every
operation may be repeated without harm, save that a log has an entry once for each time it was told.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

Hashes = npt.NDArray[np.uint64]
Times = npt.NDArray[np.float64]

STARTS = "starts"
"""The kind of instants that are never pruned: when a deployment's first guard ran."""

STANDING = 0xFFFF
"""The slot under which a subject's standing is kept, whoever wrote it; no writer leases it."""

GROUPS = 0xF000
"""Slots from here on hold sums of other slots' parts; no writer leases them."""

SCHEMA = 1
"""What the layout of a store is called; a store of a later one is left alone."""

VERSION = Struct(">IIQ")
"""How a part's version is kept: reset epoch, epoch, sequence."""


class Part(msgspec.Struct, frozen=True, gc=False):
    """What one writer knows of one subject, or a subject's standing.

    ``version`` is (reset epoch, epoch, sequence): of two parts in one slot the greater one is kept.
    ``until_at`` is when a standing ends, store clock, 0 for one that refuses nothing.
    """

    subject: bytes
    slot: int
    version: tuple[int, int, int]
    data: bytes
    until_at: float = 0.0


class Lease(NamedTuple):
    """A slot to write under, and its epoch: only who leased it last may renew it.

    The first epoch of a slot is the second in which it was leased, so that no two holders have the
    same one though a store may have lost its memory between them.
    """

    slot: int
    epoch: int


class Entry(NamedTuple):
    """One entry of a log, and the cursor after which the next one comes."""

    cursor: str
    data: bytes


class Instants(NamedTuple):
    """A page of instants; ``after`` is empty where it is the last one."""

    after: str
    hashes: Hashes
    at: Times


class Subjects(NamedTuple):
    """A page of subjects; ``after`` is empty where it is the last one."""

    after: str
    ids: list[bytes]


class Store(Protocol):
    """Keeps what must survive a process or be known to others.

    ``shared`` says that others can see what is written; ``durable`` that it outlives the process.

    Raises:
        StoreError: from every method, when it was not done, or nobody knows whether it was.

    """

    shared: bool
    durable: bool

    def connect(self) -> None:
        """Begin anew, after whatever went wrong; nothing is to be done before."""

    def now(self) -> float:
        """Return the store's own clock, wall-clock seconds."""
        ...

    def lease(self, seconds: float) -> Lease:
        """Take over the first slot that nobody holds, one epoch on."""
        ...

    def renew(self, lease: Lease, seconds: float) -> bool:
        """Hold a slot for longer; false where somebody else has taken it over.

        A store that knows nothing of the slot any more learns of it anew.
        """
        ...

    def release(self, lease: Lease) -> None:
        """Let go of a slot, if it is still held."""

    def writers(self) -> int:
        """Return how many slots are held at present."""
        ...

    def write(self, parts: Sequence[Part]) -> None:
        """Keep each part that is newer than the one in its slot, and than its subject's pardon."""

    def versions(self, subjects: Sequence[bytes], slot: int) -> list[int]:
        """Return a number for each subject that changes with every part but a slot's own.

        Sums are no parts.
        """
        ...

    def read(self, subjects: Sequence[bytes], slot: int = 0) -> list[list[Part]]:
        """Return what the writer of a slot has to read of each subject, its standing among it.

        Of a subject that many write these are sums, where there are any (see ``groups``).
        """
        ...

    def standings(self, most: int) -> list[Part]:
        """Return the standings that have not ended, those that end last first."""
        ...

    def append(self, log: str, data: bytes) -> None:
        """Write an entry at the end of a log."""

    def entries(self, log: str, after: str, most: int) -> list[Entry]:
        """Return the entries of a log that follow a cursor; an empty one stands before the first.

        A cursor whose entry is gone stands where it stood.
        """
        ...

    def end(self, log: str) -> str:
        """Return the cursor of a log's last entry, an empty one where there is none."""
        ...

    def keep_instants(self, kind: str, hashes: Hashes, at: Times) -> None:
        """Keep an instant for each hash, unless an earlier one is known, and note its use."""

    def instants(self, kind: str, after: str, most: int) -> Instants:
        """Return about ``most`` of the instants that follow a cursor, in no order."""
        ...

    def subjects(self, after: str, most: int) -> Subjects:
        """Return about ``most`` of the subjects of which something is kept, in no order.

        One that is there all the while is in some page, and may be in several.
        """
        ...

    def parts(self, subjects: Sequence[bytes]) -> list[list[Part]]:
        """Return all that is kept of each subject but sums."""
        ...

    def void(self, subjects: Sequence[bytes]) -> None:
        """Drop the parts and sums of each subject that its last pardon lets count as nothing."""

    def leases(self) -> list[tuple[Lease, bool]]:
        """Return all slots, and whether somebody holds each."""
        ...

    def outdate(self, lease: Lease) -> None:
        """Let a slot go on from an epoch, unless it has a later one; its holder loses it."""

    def drop_entries(self, log: str, cursors: Sequence[str]) -> None:
        """Drop entries of a log."""

    def drop_instants(self, kind: str, hashes: Hashes) -> None:
        """Forget the instants of some hashes."""

    def prune(self) -> None:
        """Drop what was not written for as long as it is to be kept, and what logs need not."""

    def close(self) -> None:
        """Let go of files and connections."""


class Keeping(NamedTuple):
    """For whom a store keeps things, and for how long; ``entries`` is how long a log may get.

    ``patience_seconds`` is for whoever may wait longer for a call than a guard does.
    """

    namespace: str
    seconds: float
    entries: int = 20_000
    patience_seconds: float = 0.0
