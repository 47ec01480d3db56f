"""Events: what can happen to exchanges, and what is done about it before and after reading."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeGuard

import msgspec

from gateway_guard import pending
from gateway_guard.awaited import found_in, seen_of
from gateway_guard.comparison import compare, reply_of, reply_to
from gateway_guard.contribution import is_declined
from gateway_guard.principal import SubjectKind
from gateway_guard.profile import Slot

if TYPE_CHECKING:
    from gateway_guard.askers import Asker
    from gateway_guard.awaited import Fetch, Found
    from gateway_guard.exchange import Answer, AnswerText, Hear, Outcome
    from gateway_guard.features import FeatureReader, Reply
    from gateway_guard.history import History
    from gateway_guard.memory import Memory
    from gateway_guard.opening import Opening
    from gateway_guard.pending import Ticket
    from gateway_guard.timeline import Instant


Hearing = Callable[[bytes, "AnswerText"], None]
"""Takes a key and the text of an answer that was served to it, of which it keeps nothing."""

Taking = Callable[["Asker", "AnswerText"], None]
"""Takes the text of an answer, with who asked for it."""

Telling = Callable[["Answered | Fetched", "AnswerText"], None]
"""Tells what came with an event."""


class Event:
    """Something that happened."""

    __slots__ = ()

    def survey(self, memory: Memory, opening: Opening) -> None:
        """Do what must be done in order before texts are read."""

    def conclude(self, memory: Memory, opening: Opening) -> None:
        """Do what must be done in order after texts were read."""


class OfExchange(Event):
    """Something that happened to one exchange."""

    __slots__ = ("ticket",)

    def __init__(self, ticket: Ticket) -> None:
        self.ticket = ticket


class Admission(OfExchange):
    """An exchange was admitted, or refused after all."""

    __slots__ = ()

    def survey(self, memory: Memory, opening: Opening) -> None:
        """Look at its texts."""
        del memory
        if not self.ticket.decision.refused:
            opening.survey(self.ticket)

    def conclude(self, memory: Memory, opening: Opening) -> None:
        """Hold it in its subjects."""
        opening.hold(self.ticket)
        item = self.ticket.contribution
        if item is not None:
            item.reworded = memory.declined.resembles(item.key_hash, item.features)


class Answers:
    """The answer to a request, to be shared out among its exchanges."""

    __slots__ = ("_count", "_outcome", "_whole", "id")

    def __init__(self, outcome: Outcome, count: int) -> None:
        self.id = outcome.id
        self._outcome: Outcome | None = outcome
        self._whole: Answer | None = None
        self._count = count

    def share(self, count: int, hear: Hear) -> Answer | None:
        """Return the share of ``count`` of the answers; ``hear`` is told all of them, once."""
        outcome, self._outcome = self._outcome, None
        if outcome is not None:
            self._whole = outcome.read(hear)
        whole, every = self._whole, self._count
        if whole is None or count == every:
            return whole
        return msgspec.structs.replace(
            whole,
            output_chars=whole.output_chars * count // every,
            reasoning_chars=whole.reasoning_chars * count // every,
        )


class Answered(OfExchange):
    """An exchange came to its end with an answer, or is to have it later."""

    __slots__ = ("_answers", "_reply", "answer", "at", "awaited")

    def __init__(self, ticket: Ticket, answers: Answers, at: Instant) -> None:
        super().__init__(ticket)
        self.answer: Answer | None = None
        self.awaited: bytes | None = None
        self._reply: Reply | None = None
        self._answers = answers
        self.at = at

    @property
    def key(self) -> bytes:
        """Return the id of the key that it was served to."""
        return self.ticket.key.id

    def read(self, telling: Telling, reader: FeatureReader) -> None:
        """Read what was seen of the answer, and pass on what it says."""
        texts: list[AnswerText] = []
        answer = self._answers.share(self.ticket.answers, texts.append)
        self.answer = seen_of(answer)
        self.awaited = None if answer is None else answer.awaited
        for text in texts:
            telling(self, _named(text, self._answers.id))
            self._reply = reply_of(self.ticket, text, reader)

    def survey(self, memory: Memory, opening: Opening) -> None:
        """Remember what was shown and served."""
        del opening
        ticket, steady = self.ticket, self.at.steady
        hashes: tuple[int, ...] = ()
        if ticket.surveyed is not None:
            hashes = ticket.surveyed.text_hashes
        elif ticket.contribution is not None:
            hashes = ticket.contribution.features.text_hashes
        memory.history.remember_texts(ticket.key_hash, hashes, steady)
        if self.answer is not None and not self._adds():
            _remember(self.answer, ticket, memory.history, steady)

    def conclude(self, memory: Memory, opening: Opening) -> None:
        """End it, with what is known of its answer."""
        ticket = self.ticket
        pending.end(ticket, self.at)
        item = ticket.contribution
        if item is not None:
            memory.history.remember_hits(item.key_hash, item.features.new_hits)
            item.settled_at = self.at
            if not item.deferred:
                item.answer = self.answer
            if self._reply is not None:
                compare(item, self._reply, opening.reader)
            note = memory.declined.note if is_declined(item) else memory.declined.served
            note(item.key_hash, item.features)
            item.features = msgspec.structs.replace(item.features, text_hashes=(), new_hits=())
        if self._adds():
            self._put(memory)
        elif ticket.place is not None:
            memory.placed.asked(ticket.place)

    def _adds(self) -> bool:
        """Tell whether the upstream has put texts somewhere, and has not answered after all."""
        answer = self.answer
        return self.ticket.adds and (answer is None or bool(answer.names))

    def _put(self, memory: Memory) -> None:
        """Keep what is known of the texts for whoever asks about them: they do not count yet."""
        ticket, place = self.ticket, self.ticket.place
        if place is None and self.answer is not None:
            place = memory.history.place(ticket.key_hash, self.answer.names[0])
        item, ticket.contribution = ticket.contribution, None
        if place is not None and item is not None:
            templates = [each for each in ticket.ids if each[0] is SubjectKind.TEMPLATE]
            memory.placed.add(place, item.features, tuple(templates))
        _forget(ticket, memory)


class Fetched(Event):
    """Answers were fetched, some of them perhaps before; ``reply`` is the last of them."""

    __slots__ = ("_answer", "at", "fetch", "found", "reply")

    def __init__(self, fetch: Fetch, at: float) -> None:
        self.fetch = fetch
        self.found: list[Found] = []
        self.reply: Reply | None = None
        self._answer: Answer | None = None
        self.at = at

    @property
    def key(self) -> bytes:
        """Return the id of the key that has fetched."""
        return self.fetch.key

    def read(self, telling: Telling, reader: FeatureReader) -> None:
        """Read what was fetched, and pass on what it says."""
        texts: list[AnswerText] = []
        self._answer = self.fetch.outcome.read(texts.append)
        for text in texts:
            telling(self, _named(text, self.fetch.id))
            self.reply = reply_to(text, reader)

    def survey(self, memory: Memory, opening: Opening) -> None:
        """Find what the key had not been served before."""
        del opening
        self.found = found_in(self._answer, self.fetch, memory.history, self.at)


class Drop(OfExchange):
    """An exchange taught nothing."""

    __slots__ = ("_declined", "_slot")

    def __init__(self, ticket: Ticket, slot: Slot | None, *, declined: bool = False) -> None:
        super().__init__(ticket)
        self._slot = slot
        self._declined = declined

    def conclude(self, memory: Memory, opening: Opening) -> None:
        """End it, and forget subjects that nothing else has shown."""
        del opening
        ticket = self.ticket
        pending.end(ticket, None)
        _forget(ticket, memory)
        if self._slot is not None:
            memory.subjects.count(ticket.key, self._slot)
        item = ticket.contribution
        if self._declined and item is not None:
            memory.declined.note(item.key_hash, item.features)
            memory.subjects.count(ticket.key, Slot.DECLINED)
            if item.reworded:
                memory.subjects.count(ticket.key, Slot.REWORDED)


def _forget(ticket: Ticket, memory: Memory) -> None:
    """Forget subjects that nothing but this exchange has shown, and show it no more."""
    ticket.gone = True
    pending.release(ticket)
    memory.subjects.forget(ticket.key)
    for subject, _ in ticket.shares:
        memory.subjects.forget(subject)


def _named(text: AnswerText, id_: str | None) -> AnswerText:
    """Return what an answer says with its id, known otherwise if not by itself."""
    return text if text.id or not id_ else msgspec.structs.replace(text, id=id_)


def is_late(event: Event) -> TypeGuard[Answered | Fetched]:
    """Tell whether an event has to do with an answer that comes after its exchange was counted."""
    if isinstance(event, Answered):
        return event.awaited is not None
    return isinstance(event, Fetched) and bool(event.found)


def _remember(answer: Answer, ticket: Ticket, history: History, at: float) -> None:
    """Remember what was served; ``at`` is monotonic seconds."""
    if ticket.asked is not None:
        history.remember_answers(ticket.key_hash, ticket.asked, answer.digests, at)
    history.remember_names(ticket.key_hash, answer.names, at)
