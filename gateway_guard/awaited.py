"""Answers that come later: work in the background, whose answer another request fetches.

Such an exchange is counted when the upstream takes it, like any other but without an answer, and
its answer is added where it is fetched. Were it kept pending until then, whoever leaves a thousand
answers waiting would have asked a thousand questions that no score sees.

An answer is added once, to the exchange of the key that asked for it: fetched again, it adds only
what it has grown by. What another key fetches is added to that key alone, as answers without
questions; the one that asked has them to come still. Nothing is kept but what the exchange was
counted by, under a keyed hash of the key and the id.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from gateway_guard.contribution import Contribution
from gateway_guard.exchange import Answer, Sampling
from gateway_guard.features import Anchors, Features
from gateway_guard.subjects import Held, hash_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gateway_guard.exchange import Outcome
    from gateway_guard.history import History
    from gateway_guard.memory import Memory
    from gateway_guard.pending import Ticket
    from gateway_guard.timeline import Instant

AWAITED_SECONDS = 86400.0
MOST_AWAITED = 4096
"""Exchanges whose answers are still to come: beyond these, the oldest remain without."""

_NOTHING = Features(
    *(0, 0, 0, 0, 0, 0, 0, 0, 1, 0.0),
    anchors=Anchors(),
    body_hash=0,
    shingles=np.zeros(0, np.uint64),
    hits=(),
    text_hashes=(),
    new_hits=(),
)


class Fetch(NamedTuple):
    """What one request has fetched under a key.

    ``name`` is the digest of the id in its path; ``resumed`` says that it went on from where an
    earlier one had been cut. Then ``id`` is that id, which what comes does not repeat.
    """

    key: bytes
    name: bytes
    outcome: Outcome
    resumed: bool = False
    id: str | None = None


class Found(NamedTuple):
    """An answer that was fetched for the first time, or in part, and the names it may have."""

    answer: Answer
    names: tuple[bytes, ...]


def found_in(answer: Answer | None, fetch: Fetch, history: History, at: float) -> list[Found]:
    """Return what a key has not been served before, and remember it; ``at`` is monotonic seconds.

    An answer that is not complete yet may come again. Gateways that encrypt ids give one answer
    another id each time, and take any of them in the path.
    """
    found, key_hash = [], hash_of(fetch.key)
    for part in _parts(answer):
        names = part.names or (fetch.name,)
        own = (names[0],) if part is not answer else (names[0], fetch.name)
        if not any(history.served(key_hash, name) for name in own):
            as_awaited = () if part.awaited is None else (part.awaited,)
            found.append(Found(part, (*names, *own, *as_awaited)))
            if part.awaited is None:
                history.remember_names(key_hash, {*names, *own}, at)
    return found


def _parts(answer: Answer | None) -> Iterable[Answer]:
    parts = () if answer is None else answer.parts or (answer,)
    return [part for part in parts if _says_something(part)]


def _says_something(answer: Answer) -> bool:
    return bool(answer.output_chars or answer.reasoning_chars or answer.tool_calls)


def seen_of(answer: Answer | None) -> Answer | None:
    """Return an answer unless all of it is still to come."""
    if answer is None or answer.awaited is None or _says_something(answer):
        return answer
    return None


class _Entry:
    """An exchange with what was seen of its answers: complete ones, and the part of another."""

    __slots__ = ("_part", "_whole", "at", "ticket")

    def __init__(self, ticket: Ticket, part: Answer | None, at: float) -> None:
        self.ticket = ticket
        self.at = at
        self._whole: Answer | None = None
        self._part = part

    def take(self, answer: Answer, *, resumed: bool) -> Answer:
        """Take one more look at the answer; return all that was seen."""
        part = self._part
        if answer.awaited is not None:
            self._part = _sum(part, answer) if resumed else _longer(part, answer)
        else:
            self._whole, self._part = _sum(self._whole, _longer(part, answer)), None
        return answer if self._whole is None and part is None else _sum(self._whole, self._part)


class Awaited:
    """Exchanges by the keys that asked and the ids that answers are fetched by, bounded."""

    def __init__(self, memory: Memory) -> None:
        """Await nothing yet; the answers count in what ``memory`` has of their subjects."""
        self._memory = memory
        self._entries: OrderedDict[int, _Entry] = OrderedDict()

    def __len__(self) -> int:
        """Return how many answers are awaited."""
        return len(self._entries)

    def expect(self, ticket: Ticket, name: bytes, part: Answer | None, at: float) -> None:
        """Await the answer to an exchange that was counted with ``part`` of it, if any."""
        entries = self._entries
        entries[_place(ticket.key_hash, name)] = _Entry(ticket, part, at)
        while len(entries) > MOST_AWAITED or next(iter(entries.values())).at < at - AWAITED_SECONDS:
            entries.popitem(last=False)

    def count(
        self,
        found: Found,
        fetch: Fetch,
        now: Instant,
        note: Callable[[Contribution], None] = lambda _: None,
    ) -> Ticket | None:
        """Add a fetched answer to the profiles; return the exchange that it belongs to, if any.

        Once that has it, ``note`` is told of its contribution.
        """
        answer, history = found.answer, self._memory.history
        entry = self._find(hash_of(fetch.key), found.names, now.steady)
        if entry is None:
            self._count_alone(answer, fetch.key, now)
            return None
        ticket = entry.ticket
        if answer.awaited is None and ticket.asked is not None:
            history.remember_answers(ticket.key_hash, ticket.asked, answer.digests, now.steady)
        item = ticket.contribution
        if item is not None:
            before = msgspec.structs.replace(item)
            item.answer = entry.take(answer, resumed=fetch.resumed)
            note(item)
            self._memory.subjects.credit(ticket.shares, before, now)
            for subject, _ in ticket.shares:
                subject.fresh += ticket.answers
        return ticket

    def _find(self, key_hash: int, names: Iterable[bytes], at: float) -> _Entry | None:
        for name in names:
            entry = self._entries.get(_place(key_hash, name))
            if entry is not None and entry.at >= at - AWAITED_SECONDS:
                return entry
        return None

    def _count_alone(self, answer: Answer, key: bytes, now: Instant) -> None:
        """Add an answer whose question the key has not asked, or so long ago that it is forgotten.

        It is no exchange, and says nothing of how much a question drew.
        """
        subject = self._memory.subjects.get(key)
        if subject is None or not answer.names or answer.awaited is not None:
            return
        before = _unasked(key, now)
        held = Held(msgspec.structs.replace(before, answer=answer), 0, refilled=False, answers=1)
        self._memory.subjects.credit([(subject, held)], before, now)


def _place(key_hash: int, name: bytes) -> int:
    return key_hash ^ int.from_bytes(name[:8])


def _unasked(key: bytes, now: Instant) -> Contribution:
    return Contribution(
        features=_NOTHING,
        sampling=Sampling(),
        single=False,
        claimed=False,
        young=False,
        streamed=False,
        tools=False,
        key=key,
        key_hash=hash_of(key),
        place_hashes=(0, 0),
        settled_at=now,
    )


def _length(answer: Answer) -> int:
    return answer.output_chars + answer.reasoning_chars


def _longer(one: Answer | None, other: Answer) -> Answer:
    return other if one is None or _length(one) <= _length(other) else one


def _sum(one: Answer | None, other: Answer | None) -> Answer:
    if one is None or other is None:
        return one or other or Answer()
    return msgspec.structs.replace(
        other,
        output_chars=one.output_chars + other.output_chars,
        reasoning_chars=one.reasoning_chars + other.reasoning_chars,
        tool_calls=one.tool_calls + other.tool_calls,
    )
