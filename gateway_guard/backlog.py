"""Backlog: what has happened and is still to be read and counted, in the order it happened.

Doing it for many exchanges at a time costs a fraction of doing it one by one. Scores read the
profiles only after the backlog has been worked off, so nothing is decided on less than all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from gateway_guard import pending
from gateway_guard.instrumentation import Contained
from gateway_guard.subjects import IMITABLE, hash_of

if TYPE_CHECKING:
    from gateway_guard.exchange import Answer, Outcome
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


class _Event:
    """Something that happened to one exchange."""

    __slots__ = ("ticket",)

    def __init__(self, ticket: Ticket) -> None:
        self.ticket = ticket

    def survey(self, memory: Memory, opening: Opening) -> None:
        """Do what must be done in order before texts are read."""

    def conclude(self, memory: Memory, opening: Opening) -> None:
        """Do what must be done in order after texts were read."""


class _Admission(_Event):
    """An exchange was admitted, or refused after all."""

    __slots__ = ()

    def survey(self, memory: Memory, opening: Opening) -> None:
        del memory
        if not self.ticket.decision.refused:
            opening.survey(self.ticket)

    def conclude(self, memory: Memory, opening: Opening) -> None:
        del memory
        opening.hold(self.ticket)


class _Answers:
    """The answer to a request, to be shared out among its exchanges."""

    __slots__ = ("_count", "_outcome", "_whole")

    def __init__(self, outcome: Outcome, count: int) -> None:
        self._outcome: Outcome | None = outcome
        self._whole: Answer | None = None
        self._count = count

    def share(self, count: int) -> Answer | None:
        """Return the share of ``count`` of the answers."""
        outcome, self._outcome = self._outcome, None
        if outcome is not None:
            self._whole = outcome.read()
        whole, every = self._whole, self._count
        if whole is None or count == every:
            return whole
        return msgspec.structs.replace(
            whole,
            output_chars=whole.output_chars * count // every,
            reasoning_chars=whole.reasoning_chars * count // every,
        )


class _Answered(_Event):
    """An exchange came to its end with an answer."""

    __slots__ = ("_answers", "_at", "answer")

    def __init__(self, ticket: Ticket, answers: _Answers, at: Instant) -> None:
        super().__init__(ticket)
        self.answer: Answer | None = None
        self._answers = answers
        self._at = at

    def read(self) -> None:
        self.answer = self._answers.share(self.ticket.answers)

    def survey(self, memory: Memory, opening: Opening) -> None:
        del opening
        ticket, steady = self.ticket, self._at.steady
        hashes: tuple[int, ...] = ()
        if ticket.surveyed is not None:
            hashes = ticket.surveyed.text_hashes
        elif ticket.contribution is not None:
            hashes = ticket.contribution.features.text_hashes
        memory.history.remember_texts(ticket.key_hash, hashes, steady)
        if self.answer is not None and ticket.asked is not None:
            digests = self.answer.digests
            memory.history.remember_answers(ticket.key_hash, ticket.asked, digests, steady)

    def conclude(self, memory: Memory, opening: Opening) -> None:
        del opening
        ticket = self.ticket
        pending.end(ticket, self._at)
        item = ticket.contribution
        if item is not None:
            memory.history.remember_hits(item.key_hash, item.features.new_hits)
            item.settled_at = self._at
            if not item.deferred:
                item.answer = self.answer
            item.features = msgspec.structs.replace(item.features, text_hashes=(), new_hits=())


class _Drop(_Event):
    """An exchange taught nothing."""

    __slots__ = ("_slot",)

    def __init__(self, ticket: Ticket, slot: Slot | None) -> None:
        super().__init__(ticket)
        self._slot = slot

    def conclude(self, memory: Memory, opening: Opening) -> None:
        del opening
        ticket, table = self.ticket, memory.subjects
        pending.end(ticket, None)
        pending.release(ticket)
        table.forget(ticket.key)
        for subject, _ in ticket.shares:
            table.forget(subject)
        if self._slot is not None:
            table.count(ticket.key, self._slot)


class Backlog:
    """Admissions, answers and drops of one engine, to be worked off together."""

    def __init__(self, memory: Memory, opening: Opening, instruments: Instrumentation) -> None:
        """Begin with nothing to do."""
        self._memory = memory
        self._opening = opening
        self._instruments = instruments
        self._events: list[_Event] = []
        self._bytes = 0
        self._admitted: list[Ticket] = []
        self._settled: list[Ticket] = []
        self._noted: set[int] = set()

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
        self._events += [_Admission(part) for part in (ticket, *ticket.others)]

    def answered(self, ticket: Ticket, outcome: Outcome, now: Instant) -> None:
        """Have an exchange counted with the answer that it had."""
        answers = _Answers(outcome, sum([part.answers for part in (ticket, *ticket.others)]))
        self._events += [_Answered(part, answers, now) for part in (ticket, *ticket.others)]

    def dropped(self, ticket: Ticket, slot: Slot | None) -> None:
        """Have an exchange forgotten; ``slot`` is where the key's row counts it."""
        self._events.append(_Drop(ticket, slot))
        self._events += [_Drop(other, None) for other in ticket.others]

    def work_off(self, now: Instant) -> list[Ticket]:
        """Do everything; return the tickets of the exchanges that were read since the last time."""
        self.catch_up(counting=True)
        admitted, self._admitted = self._admitted, []
        settled, self._settled = self._settled, []
        with Contained(self._instruments):
            self._count(settled, now)
        return admitted

    def catch_up(self, *, counting: bool = False) -> None:
        """Read what was put off, and leave the counting, unless that follows, for later.

        First what later texts and histories are compared with is brought up to date, in order; then
        all texts are read, and in order again every exchange is held, settled or dropped.
        """
        events, self._events, self._bytes = self._events, [], 0
        memory, opening, instruments = self._memory, self._opening, self._instruments
        for event in events:
            if type(event) is _Answered:
                with Contained(instruments):
                    event.read()
        for event in events:
            with Contained(instruments):
                event.survey(memory, opening)
        admitted = [event.ticket for event in events if type(event) is _Admission]
        self._read(admitted)
        for event in events:
            with Contained(instruments):
                event.conclude(memory, opening)
        for ticket in admitted:
            if ticket.open or not counting:
                pending.show(ticket)
        self._admitted += admitted
        settled = [event.ticket for event in events if type(event) is _Answered]
        self._settled += [ticket for ticket in settled if ticket.contribution]

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
                use = hash_of(subject.id) ^ key_hash
                if use not in noted:
                    noted.add(use)
                    self._memory.first_uses.add(use, now.wall)
        if len(noted) > _NOTED_KEPT:
            noted.clear()
