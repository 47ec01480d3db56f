"""The syncer: what the memory knows that others should, and what others know that it should.

It works in rounds. What is to be said is collected on the event loop, said and heard in the store's
own thread, and taken note of on the loop again; only there is the memory touched, and only for as
long as a round's share of it takes. A round that fails is said again.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from math import inf
from typing import TYPE_CHECKING

from cachetools import LRUCache

from gateway_guard import profile
from gateway_guard.principal import SubjectKind
from gateway_guard.stores.base import STANDING
from gateway_guard.subjects import hash_of
from gateway_guard.syncing import news
from gateway_guard.syncing.clocks import Shift
from gateway_guard.syncing.erasing import Erasure
from gateway_guard.syncing.notices import Notices, kept
from gateway_guard.syncing.rounds import Batch, Conversation
from gateway_guard.syncing.rows import Rows

if TYPE_CHECKING:
    from gateway_guard.instrumentation import Instrumentation
    from gateway_guard.memory import Memory
    from gateway_guard.stores.base import Entry, Lease, Part
    from gateway_guard.stores.link import Link
    from gateway_guard.syncing.rounds import Heard
    from gateway_guard.timeline import Instant, Timeline

_SENT_A_ROUND = 16
_WRITERS_KEPT, _KEYS_KEPT = 4096, 65_536
_DAY_SECONDS = 86400.0
_TIMES_READ = 2  # the standings that there is room for: one kind may have to give way to others
_SEGMENT, _SEGMENT_SECONDS = 4096, 60.0


class Syncer:
    """Carries what is remembered between one process's memory and a store."""

    def __init__(
        self,
        memory: Memory,
        link: Link,
        timeline: Timeline,
        instruments: Instrumentation,
    ) -> None:
        """Say and ask nothing yet."""
        self._memory, self.link, self._timeline = memory, link, timeline
        self._instruments = instruments
        self._alone = not link.store.shared
        self._rows = Rows(memory.subjects, alone=self._alone)
        self._notices = Notices(memory, self._rows, timeline.now)
        self._conversation = Conversation(timeline.now)
        self._offset_seconds = 0.0
        self._lease: Lease | None = None
        self._number = self._connections = 0
        self._hurried = False
        self._unsent: deque[news.News] = deque()
        self._standings: dict[bytes, Part] = {}
        self._heard: LRUCache[tuple[int, int], int] = LRUCache(_WRITERS_KEPT)
        self._used: LRUCache[int, float] = LRUCache(_KEYS_KEPT)
        self._segment = news.News()
        self._segment_at = timeline.now().steady
        self._pardons: list[tuple[profile.RowArray, float]] = []
        if not self._alone:
            memory.share()

    def idle(self, batch: Batch) -> bool:
        """Tell whether there is nobody to talk to: nobody else, or nobody who answers."""
        return batch.empty and (self._alone or not self.link.ready)

    def begin(self) -> None:
        """Take over the standings that last, before the first request is decided; this is I/O."""
        if not self._alone:
            most = _TIMES_READ * self._memory.standings.capacity
            lasting = self.link.attempt(lambda store: (store.now(), store.standings(most)))
            if lasting is not None:
                store_at, standings = lasting
                self._offset_seconds = store_at - self._timeline.now().wall
                # Where there are too many, those give way that were heard first.
                self._hear_standings(standings[::-1])
            # Whoever forks after this must not share a connection.
            self.link.close()

    def collect(self, *, everything: bool = False) -> Batch:
        """Return what is to be said and asked now."""
        now, batch = self._timeline.now(), Batch()
        shift = self._shift(now)
        ready = self.link.ready or everything
        if ready:
            self._rows.collect(batch, now.steady, shift.steady_seconds, everything=everything)
        if not self._alone:
            self._gather(shift, b"".join(batch.near))
        if not ready:
            return batch
        batch.rows += self._pardons
        self._pardons = []
        if self._alone:
            return batch
        self._refresh_ages(batch, now)
        batch.standings = [*self._standings.values()]
        self._lengthen_segment(now, batch, everything=everything)
        for told in islice(self._unsent, 0 if self._lease is None else _SENT_A_ROUND):
            batch.ages += told.instants(news.AGES)
            batch.uses += told.instants(news.USES)
            told.slot, told.epoch = self._lease or (-1, 0)
            batch.news.append(news.encode(told))
        return batch

    def exchange(self, batch: Batch) -> Heard | None:
        """Say and ask a batch, in the store's thread; ``None`` where that was not done."""
        link, hold = self.link, self._conversation.hold
        return link.attempt(lambda store: hold(store, batch, link.connections))

    def urgent(self, heard: Heard | None) -> bool:
        """Tell whether the next round is not to be waited for: what was read is to be said now."""
        if heard is None or any(found.version == 0 for found in heard.found):
            return heard is not None
        # Whoever is told again and again does not hurry each time.
        self._hurried = self._rows.pressing and not self._hurried
        return self._hurried

    @property
    def finished(self) -> bool:
        """Tell whether all was said that could be, or nobody answers."""
        said = not (self._unsent or self._standings) or self._alone
        return not self.link.ready or (said and self._rows.finished)

    def leave(self) -> None:
        """Let go of the slot and the store, in the store's thread."""
        self.link.attempt(self._conversation.leave)
        self.link.close()

    def apply(self, batch: Batch, heard: Heard | None) -> None:
        """Take note of what was heard, or of what is still to be said."""
        if heard is None or heard.lost or heard.orders:
            self._take_back(batch, restored=heard is None or not heard.lost)
        if heard is None:
            return
        self._lease, self._offset_seconds = heard.lease, heard.offset_seconds
        self._rows.writers = heard.writers
        self._instruments.gauges["store_writers"] = float(heard.writers)
        self._instruments.count("store_parts", "dropped", self._rows.take_dropped())
        if heard.lost:
            self._rows.lost()
            return
        shift = self._shift(self._timeline.now())
        if heard.orders:
            for entry in heard.orders:
                self._hear_news(entry, shift, again=True)
            self._erase()
            return
        self._done(batch)
        if self.link.connections != self._connections:
            self._connections = self.link.connections
            for notice in () if self._alone else self._notices.lasting(shift):
                self._standings.setdefault(notice.subject, kept(notice))
        self._hear(heard, shift)

    def pardon(self, subject: bytes) -> None:
        """Clear a subject of everything that was found against it, here and everywhere."""
        now = self._timeline.now()
        notice = self._notices.pardon(subject, self._shift(now))
        empty = profile.empty()
        empty["subject"] = memoryview(subject)
        empty["reset_epoch"], empty["sequence"] = notice.reset, 1
        self._pardons.append((empty, 0.0))
        self._tell([notice], news.News())

    def _shift(self, now: Instant) -> Shift:
        offset = self._offset_seconds
        return Shift(offset, offset + now.wall - now.steady)

    def _gather(self, shift: Shift, near: bytes) -> None:
        """Put what is new into an entry of its own."""
        told = news.gathered(self._memory)
        told.near = near
        notices = self._notices.collect(shift)
        if notices or not told.empty:
            self._tell(notices, told)

    def _tell(self, notices: list[news.Notice], told: news.News) -> None:
        now = self._timeline.now()
        told.notices, told.at = notices, now.steady + self._shift(now).steady_seconds
        if self._unsent and self._unsent[-1].slot < 0 and len(self._unsent) > 1:
            self._unsent[-1].extend(told)  # nobody has been told of that one yet
        else:
            self._number += 1
            told.number = self._number
            self._unsent.append(told)
        self._segment.extend(news.News(texts=told.texts, pairs=told.pairs, hits=told.hits))
        for notice in notices:
            self._standings[notice.subject] = kept(notice)

    def _refresh_ages(self, batch: Batch, now: Instant) -> None:
        """Say once a day of keys that come that they do: a store forgets those that do not."""
        for row, _ in batch.rows:
            subject = row["subject"][0].tobytes()
            hash_ = hash_of(subject)
            if (
                subject[0] == SubjectKind.KEY
                and now.wall - self._used.get(hash_, 0.0) > _DAY_SECONDS
            ):
                self._used[hash_] = now.wall
                at = self._memory.ages.get(hash_)
                if at is not None:
                    batch.ages.append((hash_, at))

    def _lengthen_segment(self, now: Instant, batch: Batch, *, everything: bool) -> None:
        """Keep what was shown and served for longer than news are, in larger pieces."""
        segment = self._segment
        full = len(segment.texts) + len(segment.pairs) >= 8 * _SEGMENT
        late = now.steady - self._segment_at >= _SEGMENT_SECONDS
        if (full or late or everything) and not segment.empty:
            self._segment, self._segment_at = news.News(), now.steady
            segment.at = now.steady + self._shift(now).steady_seconds
            batch.history.append(news.encode(segment))

    def _take_back(self, batch: Batch, *, restored: bool) -> None:
        if restored:
            self._rows.restore(batch)
        for entry in batch.history:
            segment = news.decode(entry)
            if segment is not None:
                self._segment.extend(segment)

    def _done(self, batch: Batch) -> None:
        for _ in batch.news:
            self._unsent.popleft()
        for part in batch.standings:
            if self._standings.get(part.subject) is part:
                del self._standings[part.subject]
        self._instruments.count("store_parts", "pushed", len(batch.rows))

    def _hear(self, heard: Heard, shift: Shift) -> None:
        for found in heard.found:
            self._rows.hear(found, shift.steady_seconds)
            if found.standing is not None:
                self._hear_standings([found.standing])
        self._instruments.count("store_parts", "read", len(heard.found))
        for entry in heard.entries:
            self._hear_news(entry, shift)
        for entry in heard.history:
            segment = news.decode(entry.data)
            if segment is not None:
                self._memory.history.learn(segment.learned, self._timeline.now().steady)
        for page in heard.ages:
            self._memory.learn_ages(zip(page.hashes.tolist(), page.at.tolist(), strict=True))
        for page in heard.uses:
            self._memory.learn_uses(zip(page.hashes.tolist(), page.at.tolist(), strict=True))
        if heard.first_started_at is not None:
            self._memory.first_started_at = heard.first_started_at
        self._memory.ages_known = self._memory.ages_known or heard.complete
        self._erase()

    def _erase(self) -> None:
        """Let go of what was erased, here and in what is still to be said."""
        erased = self._notices.take_erased()
        if not erased:
            return
        for subject in erased:
            self._rows.forget(subject)
            self._standings.pop(subject, None)
            self._used.pop(hash_of(subject), None)
        self._memory.forget(erased)
        erasure = Erasure(erased, before=inf)
        self._unsent = deque(map(erasure.without, self._unsent))
        self._segment = erasure.without(self._segment)

    def _hear_standings(self, parts: list[Part]) -> None:
        shift = self._shift(self._timeline.now())
        for part in parts:
            notice = news.decode_notice(part.data) if part.slot == STANDING else None
            if notice is not None:
                self._notices.hear(notice, shift, again=True)

    def _hear_news(self, entry: Entry, shift: Shift, *, again: bool = False) -> None:
        """Learn what another writer tells, once."""
        told = news.decode(entry.data)
        if told is None or (told.slot, told.epoch) == self._lease:
            return
        writer = told.slot, told.epoch
        if told.number <= self._heard.get(writer, 0):
            return
        self._heard[writer] = told.number
        for notice in told.notices:
            self._notices.hear(notice, shift, again=again)
        self._rows.tell(told.near)
        self._memory.learn_ages(told.instants(news.AGES))
        self._memory.learn_uses(told.instants(news.USES))
        steady, served_at = self._timeline.now().steady, shift.steady_in(told.at)
        self._memory.history.learn(told.learned, steady, served_at)
        for subject, key, exchanges in told.sightings:
            self._memory.subjects.sighted(subject, key, exchanges)
