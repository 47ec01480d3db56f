"""Pending records: exchanges that were admitted and whose answers are still to come."""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from gateway_guard.contribution import Contribution
from gateway_guard.enforcement import Decision
from gateway_guard.exchange import Exchange
from gateway_guard.features import Anchors
from gateway_guard.policy import Terms
from gateway_guard.principal import Principal
from gateway_guard.subjects import PENDING_KEPT, Held, Subject, SubjectId, hash_of
from gateway_guard.timeline import Instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from gateway_guard.exchange import Sampling
    from gateway_guard.features import Draft, Features

_KEPT_IN_ALL = 65536
_REFILL_RATIO = 5.0  # where arrivals know nothing of ends, one in six comes so soon after one


class Surveyed(NamedTuple):
    """What is kept of a request between the look at its texts and their reading.

    What was read before it was asked for has its ``features`` and no ``draft``.
    """

    draft: Draft | None
    sampling: Sampling
    single: bool
    claimed: bool
    streamed: bool
    tools: bool
    features: Features | None = None

    @property
    def text_hashes(self) -> tuple[int, ...]:
        """Return what identifies the texts of the request, the newest last."""
        known = self.features if self.draft is None else self.draft
        return () if known is None else known.text_hashes


class Ticket(msgspec.Struct, eq=False, gc=False):
    """One exchange from its admission to its settlement.

    ``ids`` are the kind and id of every subject it speaks for, as far as they are known, ``known``
    those of them that were held when it came. ``answers`` is how many were asked for; ``verified``
    and ``young`` say that the key was when the exchange was admitted, ``early`` that it had come
    for minutes only, ``due`` that a score is. A
    look at its texts turns ``exchange`` into ``surveyed``, and their reading that into what it will
    contribute and ``shares``: each subject with the exchange as its row will count it. ``weight``
    is for how many exchanges like it it was drawn to be read, 0 where it is passed over; ``times``
    how many of them are of the same request, save for the subjects in ``lone``. ``others`` are the
    tickets of further exchanges of the same request, which share its fate; those of a batch are
    ``deferred``: their answers come later. ``place`` is where it finds texts that were put there
    before it, or ``adds`` its own. What is ``gone`` does not count, and is not shown to scores any
    more.
    """

    principal: Principal
    exchange: Exchange | None
    anchors: Anchors
    key: Subject
    key_hash: int
    ids: list[SubjectId]
    admitted_at: Instant
    answers: int = 1
    verified: bool = False
    young: bool = False
    early: bool = False
    terms: Terms | None = None
    known: list[Subject] = msgspec.field(default_factory=list)
    asked: bytes | None = None
    surveyed: Surveyed | None = None
    contribution: Contribution | None = None
    shares: list[tuple[Subject, Held]] = msgspec.field(default_factory=list)
    decision: Decision = msgspec.field(default_factory=Decision)
    due: bool = False
    weight: int = 1
    times: int = 1
    lone: frozenset[bytes] = frozenset()
    deferred: bool = False
    others: tuple[Ticket, ...] = ()
    open: bool = True
    gone: bool = False
    place: int | None = None
    adds: bool = False
    model: str = ""
    dialect: str = ""

    @property
    def count(self) -> int:
        """Return how many exchanges the whole request holds."""
        return self.times + sum([other.times for other in self.others])


class PendingRecords:
    """All pending records, bounded per subject and in all; they expire if no answer starts."""

    def __init__(self, timeout_seconds: float) -> None:
        """Give answers ``timeout_seconds`` to start."""
        self._timeout_seconds = timeout_seconds
        self._waiting: OrderedDict[Ticket, None] = OrderedDict()

    def expect(self, ticket: Ticket) -> None:
        """Wait for the answer to an exchange."""
        self._waiting[ticket] = None

    def started(self, ticket: Ticket) -> None:
        """Take note that the answer has started, so that the record does not expire."""
        self._waiting.pop(ticket, None)

    def close(self, ticket: Ticket) -> None:
        """Wait no longer."""
        for part in (ticket, *ticket.others):
            part.open = False
        self._waiting.pop(ticket, None)

    def overdue(self, now: Instant) -> Iterator[Ticket]:
        """Yield the oldest records while they are too old or too many; the caller drops each."""
        latest = now.steady - self._timeout_seconds
        while self._waiting:
            ticket = next(iter(self._waiting))
            if ticket.admitted_at.steady > latest and len(self._waiting) <= _KEPT_IN_ALL:
                return
            yield ticket


def find_lone(tickets: Sequence[Ticket]) -> None:
    """Find what only one of the exchanges that were drawn of a batch has, other than its key.

    It may be all that there is of it, so it counts once.
    """
    if all(ticket.times == 1 for ticket in tickets):
        return
    counts = Counter([id_ for ticket in tickets for _, id_ in ticket.ids])
    for ticket in tickets:
        ticket.lone = frozenset([id_ for _, id_ in ticket.ids if counts[id_] == 1])


def contribution_of(ticket: Ticket, surveyed: Surveyed, features: Features) -> Contribution:
    """Return what an exchange will contribute, as long as its answer has not been seen."""
    principal = ticket.principal
    return Contribution(
        features=features,
        sampling=surveyed.sampling,
        single=surveyed.single,
        claimed=surveyed.claimed,
        young=ticket.young,
        streamed=surveyed.streamed,
        tools=surveyed.tools,
        key=ticket.key.id,
        key_hash=ticket.key_hash,
        place_hashes=(hash_of(principal.network), hash_of(principal.client)),
        settled_at=ticket.admitted_at,
        deferred=ticket.deferred,
        early=ticket.early,
    )


def hold(ticket: Ticket, contribution: Contribution, subjects: Iterable[Subject]) -> None:
    """Note in each subject that an exchange is under way, as it stood when it was admitted."""
    steady, answers, lone = ticket.admitted_at.steady, ticket.answers, ticket.lone
    ticket.contribution = contribution
    for subject in subjects:
        subject.inflight += 1
        since_end = steady - subject.ended_at
        refilled = since_end * _REFILL_RATIO <= steady - subject.admitted_at
        subject.admitted_at = steady
        weight = 1 if subject.id in lone else ticket.weight
        held = Held(contribution, subject.inflight, refilled, answers, weight)
        ticket.shares.append((subject, held))


def pass_over(ticket: Ticket) -> None:
    """Note in each subject that an exchange is under way whose texts are not read."""
    steady = ticket.admitted_at.steady
    for subject in ticket.known:
        subject.inflight += 1
        subject.admitted_at = steady


def move(ticket: Ticket, former: Subject, owner: Subject) -> None:
    """Let an exchange count for one subject instead of another, while it is under way."""
    ticket.known = [owner if subject is former else subject for subject in ticket.known]
    number = id(ticket)
    for at, (subject, held) in enumerate(ticket.shares):
        if subject is former:
            former.inflight -= 1
            owner.inflight += 1
            ticket.shares[at] = (owner, held._replace(inflight=owner.inflight))
            if former.pending.pop(number, None) is not None:
                owner.pending[number] = ticket.shares[at][1]
    if ticket.contribution is not None:
        ticket.contribution.key = owner.id


def show(ticket: Ticket) -> None:
    """Let the subjects' scores read an exchange as if it were counted."""
    number = id(ticket)
    for subject, held in ticket.shares:
        if len(subject.pending) < PENDING_KEPT:
            subject.pending[number] = held


def end(ticket: Ticket, now: Instant | None) -> None:
    """Note that an exchange is over; ``now`` is given where it has ended, not been dropped."""
    held = [subject for subject, _ in ticket.shares] if ticket.weight else ticket.known
    for subject in held:
        subject.inflight -= 1
        if now is not None:
            subject.ended_at = now.steady


def release(ticket: Ticket) -> None:
    """Stop showing an exchange to scores."""
    number = id(ticket)
    for subject, _ in ticket.shares:
        subject.pending.pop(number, None)
