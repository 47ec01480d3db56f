"""One round: everything that is said to the store and heard from it, in the store's own thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from gateway_guard import foreign
from gateway_guard.profile import RowArray
from gateway_guard.stores.base import STANDING, STARTS, Entry, Instants, Lease, Part
from gateway_guard.stores.groups import is_group, is_young, records_of, summed
from gateway_guard.stores.parts import from_part, to_parts
from gateway_guard.stores.resting import in_pieces
from gateway_guard.syncing.news import AGES, HISTORY, NEWS, ORDERS, USES

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway_guard.foreign import ForeignArray
    from gateway_guard.stores.base import Store
    from gateway_guard.timeline import Instant

LEASE_SECONDS = 60.0
_RENEW_SECONDS = 15.0
_CLOCK_SECONDS = 10.0
_PRUNE_SECONDS = 60.0
_ENTRIES_A_ROUND = 200
_HISTORY_A_ROUND = 4
_INSTANTS_A_ROUND = 2000
_AT_ONCE = 16  # rows that are made parts without a rest in between
MOST_READ = 64
"""Subjects that are read in a round."""

_ASK_AGAIN = -1  # no subject is at this version


class Batch(msgspec.Struct):
    """What a process has to say and to ask.

    ``rows`` are copies of shape (1,) with the instant that each was last decayed to, ``wanted``
    subjects whose own parts were never read, ``asked`` others with the version last read. ``near``
    are subjects among the rows whose scores are near a threshold.
    """

    rows: list[tuple[RowArray, float]] = []
    standings: list[Part] = []
    news: list[bytes] = []
    history: list[bytes] = []
    ages: list[tuple[int, float]] = []
    uses: list[tuple[int, float]] = []
    wanted: list[bytes] = []
    asked: list[tuple[bytes, int]] = []
    near: list[bytes] = []

    @property
    def empty(self) -> bool:
        """Tell whether there is nothing to say and nothing to ask."""
        said = (self.rows, self.standings, self.news, self.history, self.ages, self.uses)
        return not any((*said, self.wanted, self.asked))


class Found(NamedTuple):
    """What is kept of one subject: this writer's own part, the sum of others', its standing."""

    subject: bytes
    version: int
    base: RowArray | None
    others: ForeignArray | None
    standing: Part | None
    reset: int


class Heard(msgspec.Struct):
    """What a store said in one round.

    ``offset_seconds`` is what its clock is ahead of this process's; ``lost`` says that the lease
    is, and then that nothing else was done. Nor was it where there are ``orders``: what an operator
    has ordered is to be heeded before more is said. ``complete`` says that all ages were read.
    """

    lease: Lease
    offset_seconds: float
    writers: int
    lost: bool = False
    orders: list[Entry] = []
    found: list[Found] = []
    entries: list[Entry] = []
    history: list[Entry] = []
    ages: list[Instants] = []
    uses: list[Instants] = []
    complete: bool = False
    first_started_at: float | None = None


class Conversation:
    """What the store's thread remembers from one round to the next."""

    def __init__(self, now: Callable[[], Instant]) -> None:
        """Begin with no lease; ``now`` gives the present."""
        self._now, self._started_at = now, now().wall
        self._lease: Lease | None = None
        self._renew_at = self._look_at = self._prune_at = 0.0
        self._offset_seconds, self._writers = 0.0, 1
        self._news_at = self._history_at = ""
        self._orders_at: str | None = None
        self._heed_at, self._connection = 0.0, 0
        self._pages = {AGES: "", USES: ""}
        self._unread = [AGES, USES]
        self._heard_history = False

    def hold(self, store: Store, batch: Batch, connection: int = 0) -> Heard:
        """Say and ask everything; ``connection`` is another one whenever the store was away.

        Raises:
            StoreError: some of it was not done; all of it may be done again.

        """
        lost = self._keep_lease(store)
        self._look_at_clock(store)
        lease = self._lease or Lease(0, 0)
        heard = Heard(lease, self._offset_seconds, self._writers, lost)
        if not lost and store.durable:
            heard.orders = self._orders(store, connection)
        if lost or heard.orders:
            return heard
        self._say(store, batch, lease)
        if store.durable:
            self._listen(store, heard)
        heard.found = self._ask(store, batch, lease)
        if self._now().steady >= self._prune_at:
            self._prune_at = self._now().steady + _PRUNE_SECONDS
            store.prune()
        return heard

    def leave(self, store: Store) -> None:
        """Let go of the lease, so that a successor need not wait."""
        lease, self._lease = self._lease, None
        if lease is not None:
            store.release(lease)

    def _keep_lease(self, store: Store) -> bool:
        """Hold a slot; return whether the one held before is lost."""
        now, lost = self._now().steady, False
        if self._lease is not None and now >= self._renew_at:
            lost = not store.renew(self._lease, LEASE_SECONDS)
        if self._lease is None or lost:
            self._lease = store.lease(LEASE_SECONDS)
        if now >= self._renew_at or lost:
            self._renew_at = now + _RENEW_SECONDS
        return lost

    def _look_at_clock(self, store: Store) -> None:
        now = self._now().steady
        if now >= self._look_at:
            self._look_at = now + _CLOCK_SECONDS
            self._offset_seconds = store.now() - self._now().wall
            self._writers = store.writers()

    def _orders(self, store: Store, connection: int) -> list[Entry]:
        """Return what was ordered, where that may have been missed: news do not wait for ever."""
        now = self._now().steady
        if self._orders_at is None:
            self._orders_at = store.end(ORDERS)  # who begins knows nothing that he could forget
        elif now < self._heed_at and connection == self._connection:
            return []
        orders = store.entries(ORDERS, self._orders_at, _ENTRIES_A_ROUND)
        if orders:
            self._orders_at = orders[-1].cursor
        else:
            self._heed_at, self._connection = now + _CLOCK_SECONDS, connection
        return orders

    def _say(self, store: Store, batch: Batch, lease: Lease) -> None:
        parts = list(batch.standings)
        for rows in in_pieces(batch.rows, _AT_ONCE):
            for row, _ in rows:
                row["epoch"] = lease.epoch
            parts += to_parts(rows, lease.slot)
        store.write(parts)
        for kind, instants in ((AGES, batch.ages), (USES, batch.uses)):
            if instants:
                hashes, at = zip(*instants, strict=True)
                store.keep_instants(kind, np.array(hashes, np.uint64), np.array(at, np.float64))
        for log, entries in ((NEWS, batch.news), (HISTORY, batch.history)):
            for entry in entries:
                store.append(log, entry)

    def _listen(self, store: Store, heard: Heard) -> None:
        heard.entries = store.entries(NEWS, self._news_at, _ENTRIES_A_ROUND)
        if heard.entries:
            self._news_at = heard.entries[-1].cursor
        if not self._heard_history:
            heard.history = store.entries(HISTORY, self._history_at, _HISTORY_A_ROUND)
            self._heard_history = not heard.history
            if heard.history:
                self._history_at = heard.history[-1].cursor
        if self._unread:
            self._read_instants(store, heard)

    def _read_instants(self, store: Store, heard: Heard) -> None:
        """Read instants that were kept before this process began; pages may be empty."""
        read = 0
        while self._unread and read < _INSTANTS_A_ROUND:
            kind = self._unread[0]
            page = store.instants(kind, self._pages[kind], _INSTANTS_A_ROUND)
            (heard.ages if kind == AGES else heard.uses).append(page)
            self._pages[kind], read = page.after, read + len(page.hashes)
            if not page.after:
                self._unread.pop(0)
        if not self._unread:
            started = np.array([self._started_at])
            store.keep_instants(STARTS, np.zeros(1, np.uint64), started)
            heard.first_started_at = float(store.instants(STARTS, "", 1000).at.min(initial=np.inf))
            heard.complete = True

    def _ask(self, store: Store, batch: Batch, lease: Lease) -> list[Found]:
        subjects = batch.wanted[:MOST_READ]
        versions = store.versions([*subjects, *(subject for subject, _ in batch.asked)], lease.slot)
        asked = zip(batch.asked, versions[len(subjects) :], strict=True)
        changed = [(id_, now) for (id_, seen), now in asked if now != seen]
        subjects += [id_ for id_, _ in changed][: MOST_READ - len(subjects)]
        versions = [*versions[: len(batch.wanted[:MOST_READ])], *(now for _, now in changed)]
        kept = store.read(subjects, lease.slot) if subjects else []
        store_at = self._now().wall + self._offset_seconds
        # Whoever comes next need not read all the parts.
        store.write([each for parts in kept for each in records_of(parts, lease.slot, store_at)])
        return [
            found(subject, version, parts, lease.slot, store_at)
            for subject, version, parts in zip(subjects, versions, kept, strict=False)
        ]


def found(subject: bytes, version: int, parts: list[Part], slot: int, store_at: float) -> Found:
    """Return what parts say to the writer of a slot.

    What claims to be of the future is of ``store_at``: beside it all else would have decayed.
    """
    standing, base, others, reset = None, None, [], 0
    if any(is_young(part, store_at) for part in parts):
        version = _ASK_AGAIN
    for part in parts:
        reset = max(reset, part.version[0])
        if part.slot == STANDING:
            standing = part
            continue
        row = summed(part) if is_group(part.slot) else from_part(part)
        if row is None:
            continue
        row["updated_at"] = np.minimum(row["updated_at"], store_at)
        if part.slot == slot:
            base = row
        else:
            others.append(row)
    if base is not None and base["reset_epoch"][0] < reset:
        base = None
    gathered = foreign.gather(others, reset) if others else None
    return Found(subject, version, base, gathered, standing, reset)
