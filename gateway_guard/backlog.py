"""Backlog: what has happened and is still to be read and counted, in the order it happened.

Doing it for many exchanges at a time costs a fraction of doing it one by one. Scores read the
profiles only after the backlog has been worked off, so nothing is decided on less than all.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from gateway_guard import pending
from gateway_guard.askers import Asker, Askers
from gateway_guard.awaited import Awaited
from gateway_guard.comparison import compare_fetched
from gateway_guard.events import (
    Admission,
    Answered,
    Answers,
    Drop,
    Event,
    Fetched,
    is_late,
)
from gateway_guard.instrumentation import Contained
from gateway_guard.subjects import IMITABLE, hash_of, under_key

if TYPE_CHECKING:
    from gateway_guard.awaited import Fetch
    from gateway_guard.contribution import Contribution
    from gateway_guard.events import Hearing, Taking
    from gateway_guard.exchange import AnswerText, Outcome
    from gateway_guard.instrumentation import Instrumentation
    from gateway_guard.memory import Memory
    from gateway_guard.opening import Opening
    from gateway_guard.pending import Ticket
    from gateway_guard.profile import Slot
    from gateway_guard.timeline import Instant

MOST_EVENTS = 32
"""More would cost each exchange a little less, and keep the request that waits for it longer."""

MOST_BYTES = 2**16
"""Bodies that wait to be read: a larger one is read at once, while it is in the caches."""

_NOTED_KEPT = 65536
_DAY_SECONDS = 86400.0


class Backlog:
    """Admissions, answers and drops of one engine, to be worked off together."""

    def __init__(self, memory: Memory, opening: Opening, instruments: Instrumentation) -> None:
        """Begin with nothing to do."""
        self._memory = memory
        self._opening = opening
        self._instruments = instruments
        self._events: list[Event] = []
        self._bytes = 0
        self._admitted: list[Ticket] = []
        self._settled: list[Ticket] = []
        self._late: list[Answered | Fetched] = []  # to be done once what was settled is counted
        self._noted: set[int] = set()
        self._noted_on = 0.0  # a store forgets what is not used for long
        self.awaited = Awaited(memory)
        self.askers = Askers()
        self.hearers: list[Hearing] = []
        self.takers: list[Taking] = []

    def __len__(self) -> int:
        """Return the number of events that are still to be worked off."""
        return len(self._events) + len(self._settled)

    @property
    def full(self) -> bool:
        """Tell whether there is enough to do."""
        return len(self) >= MOST_EVENTS

    @property
    def heavy(self) -> bool:
        """Tell whether so much text waits that it is better read before the rest is done."""
        return self._bytes >= MOST_BYTES

    def admitted(self, ticket: Ticket, body_bytes: int) -> None:
        """Have the texts of an exchange read."""
        self._bytes += body_bytes
        self._events += [Admission(part) for part in (ticket, *ticket.others)]

    def answered(self, ticket: Ticket, outcome: Outcome, now: Instant) -> None:
        """Have an exchange counted with the answer that it had."""
        answers = Answers(outcome, sum([part.answers for part in (ticket, *ticket.others)]))
        self._events += [Answered(part, answers, now) for part in (ticket, *ticket.others)]

    def fetched(self, fetch: Fetch, now: Instant) -> None:
        """Have answers that were fetched counted with the exchanges that they belong to."""
        self._events.append(Fetched(fetch, now.steady))

    def dropped(self, ticket: Ticket, slot: Slot | None, *, declined: bool = False) -> None:
        """Have an exchange forgotten; ``slot`` is where the key's row counts it.

        What was ``declined`` is remembered for a while.
        """
        self._events.append(Drop(ticket, slot, declined=declined))
        self._events += [Drop(other, None) for other in ticket.others]

    def work_off(self, now: Instant) -> list[Ticket]:
        """Do everything; return the tickets of what was read or answered since the last time."""
        self.catch_up(counting=True)
        admitted, self._admitted = self._admitted, []
        settled, self._settled = self._settled, []
        with Contained(self._instruments):
            self._count(settled, now)
        return admitted + self._add_answers(now)

    def catch_up(self, *, counting: bool = False) -> None:
        """Read what was put off, and leave the counting, unless that follows, for later.

        First what later texts and histories are compared with is brought up to date, in order; then
        all texts are read, and in order again every exchange is held, settled or dropped.
        """
        events, self._events, self._bytes = self._events, [], 0
        memory, opening, instruments = self._memory, self._opening, self._instruments
        for event in events:
            if isinstance(event, Answered | Fetched):
                with Contained(instruments):
                    event.read(self._tell, opening.reader)
                    self._expect(event)
        for event in events:
            with Contained(instruments):
                event.survey(memory, opening)
        admitted = [event.ticket for event in events if type(event) is Admission]
        self._read(admitted)
        for event in events:
            with Contained(instruments):
                event.conclude(memory, opening)
        for ticket in admitted:
            if (ticket.open or not counting) and not ticket.gone:
                pending.show(ticket)
        self._admitted += admitted
        settled = [event.ticket for event in events if type(event) is Answered]
        self._settled += [ticket for ticket in settled if ticket.contribution]
        self._late += [event for event in events if is_late(event)]

    def _tell(self, event: Answered | Fetched, text: AnswerText) -> None:
        """Tell who wants to hear it what was answered to a key."""
        for hearer in self.hearers:
            with Contained(self._instruments):
                hearer(event.key, text)
        if not self.takers:
            return
        asker = self._asker(event, text)
        for taker in self.takers:
            with Contained(self._instruments):
                taker(asker, text)

    def _asker(self, event: Answered | Fetched, text: AnswerText) -> Asker:
        if isinstance(event, Answered):
            return Asker.of(event.ticket)
        return self.askers.find(event.key, (*text.names, event.fetch.name), event.at)

    def _expect(self, event: Answered | Fetched) -> None:
        """Remember who asked for an answer that is fetched later, where anybody wants to know."""
        if self.takers and isinstance(event, Answered) and event.awaited is not None:
            self.askers.expect(Asker.of(event.ticket), event.awaited, event.at.steady)

    def _add_answers(self, now: Instant) -> list[Ticket]:
        """Await the answers that are to come, count those that came; return their exchanges."""
        late, self._late = self._late, []
        answered, awaited = [], self.awaited
        for event in late:
            if isinstance(event, Fetched):
                note = partial(self._compare, event)
                for found in event.found:
                    with Contained(self._instruments):
                        answered.append(awaited.count(found, event.fetch, now, note))
            elif event.awaited is not None:
                awaited.expect(event.ticket, event.awaited, event.answer, now.steady)
        return [ticket for ticket in answered if ticket is not None]

    def _compare(self, event: Fetched, item: Contribution) -> None:
        """Note how the only answer that was fetched was made of what was asked."""
        if event.reply is not None and len(event.found) == 1:
            compare_fetched(item, event.reply, self._opening.reader)

    def _read(self, admitted: list[Ticket]) -> None:
        """Read texts together; should that fail, one by one, so that only the one is lost."""
        with Contained(self._instruments) as together:
            self._opening.read(admitted)
        for ticket in admitted if together.failed else ():
            with Contained(self._instruments) as alone:
                self._opening.read([ticket])
            if alone.failed:
                ticket.surveyed = None

    def _count(self, settled: list[Ticket], now: Instant) -> None:
        """Add what was settled to the profiles of its subjects."""
        if not settled:
            return
        memory = self._memory
        for ticket in settled:
            pending.release(ticket)
        memory.subjects.commit([share for ticket in settled for share in ticket.shares], now=now)
        windows = [item.features.shingles for ticket in settled if (item := ticket.contribution)]
        memory.popularity.update(np.concatenate(windows))
        for ticket in settled:
            self._note_first_uses(ticket, now)

    def _note_first_uses(self, ticket: Ticket, now: Instant) -> None:
        """Remember since when the key has come with what others can imitate."""
        key_hash, noted = ticket.key_hash, self._noted
        for subject, _ in ticket.shares:
            if subject.kind in IMITABLE and subject.exchanges > 1:
                use = under_key(hash_of(subject.id), key_hash)
                if use not in noted:
                    noted.add(use)
                    self._memory.first_uses.add(use, now.wall)
        today = now.wall // _DAY_SECONDS
        if len(noted) > _NOTED_KEPT or today != self._noted_on:
            self._noted_on = today
            noted.clear()
