"""Pending records: exchanges that were admitted and whose answers are still to come."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway_guard.enforcement import Decision
from gateway_guard.subjects import PENDING_KEPT, Held

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gateway_guard.contribution import Contribution
    from gateway_guard.policy import Terms
    from gateway_guard.principal import Principal
    from gateway_guard.subjects import Subject
    from gateway_guard.timeline import Instant

_KEPT_IN_ALL = 65536
_REFILL_RATIO = 5.0  # where arrivals know nothing of ends, one in six comes so soon after one


@dataclass(slots=True, eq=False)
class Ticket:
    """One exchange from its admission to its settlement: what it will contribute, and to whom.

    ``shares`` holds each subject with the exchange as its row will count it. ``asked`` is the
    digest of the question, ``answers`` how many were asked for; ``verified`` says that the key was
    when the exchange was admitted.
    """

    principal: Principal
    contribution: Contribution
    key: Subject
    asked: bytes | None
    answers: int = 1
    terms: Terms | None = None
    verified: bool = False
    shares: list[tuple[Subject, Held]] = field(default_factory=list)
    decision: Decision = field(default_factory=Decision)
    open: bool = True


class PendingRecords:
    """All pending records, bounded per subject and in all; they expire if no answer starts."""

    def __init__(self, timeout_seconds: float) -> None:
        """Give answers ``timeout_seconds`` to start."""
        self._timeout_seconds = timeout_seconds
        self._waiting: OrderedDict[Ticket, None] = OrderedDict()

    def hold(self, ticket: Ticket, subjects: Iterable[Subject], now: Instant) -> None:
        """Let the subjects' scores read the exchange as if it were counted."""
        steady, number, answers = now.steady, id(ticket), ticket.answers
        for subject in subjects:
            subject.inflight += 1
            subject.fresh += answers
            since_end = steady - subject.ended_at
            refilled = since_end * _REFILL_RATIO <= steady - subject.admitted_at
            subject.admitted_at = steady
            held = Held(ticket.contribution, subject.inflight, refilled, answers)
            ticket.shares.append((subject, held))
            if len(subject.pending) < PENDING_KEPT:
                subject.pending[number] = held
        self._waiting[ticket] = None

    def started(self, ticket: Ticket) -> None:
        """Take note that the answer has started, so that the record does not expire."""
        self._waiting.pop(ticket, None)

    def end(self, ticket: Ticket, now: Instant | None) -> None:
        """Close a record; ``now`` is given where an exchange has ended rather than been dropped."""
        ticket.open = False
        self._waiting.pop(ticket, None)
        for subject, _ in ticket.shares:
            subject.inflight -= 1
            if now is not None:
                subject.ended_at = now.steady

    def overdue(self, now: Instant) -> Iterator[Ticket]:
        """Yield the oldest records while they are too old or too many; the caller drops each."""
        latest = now.steady - self._timeout_seconds
        while self._waiting:
            ticket = next(iter(self._waiting))
            late = ticket.contribution.settled_at.steady <= latest
            if not late and len(self._waiting) <= _KEPT_IN_ALL:
                return
            yield ticket

    @staticmethod
    def release(ticket: Ticket) -> None:
        """Stop showing the record to scores."""
        for subject, _ in ticket.shares:
            subject.pending.pop(id(ticket), None)
