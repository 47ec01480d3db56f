"""From an exchange to its pending record, with every subject it speaks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway_guard.contribution import Contribution
from gateway_guard.features import FeatureReader
from gateway_guard.pending import PendingRecords, Ticket
from gateway_guard.principal import SubjectIds, SubjectKind
from gateway_guard.subjects import content_anchor, hash_of, subject_ids, template_in_key_id

if TYPE_CHECKING:
    from gateway_guard.exchange import Exchange
    from gateway_guard.features import Features
    from gateway_guard.memory import Memory
    from gateway_guard.policy import Terms
    from gateway_guard.powers import Powers
    from gateway_guard.principal import Principal
    from gateway_guard.subjects import Subject
    from gateway_guard.timeline import Instant

_ANSWERS_COUNTED = 32
_READING_SECONDS = 2.0


class Opening:
    """Opens pending records."""

    def __init__(
        self,
        memory: Memory,
        powers: Powers,
        pending: PendingRecords,
        secret: bytes,
        read_budget: int,
    ) -> None:
        """Read at most ``read_budget`` bytes of text per exchange."""
        self._memory = memory
        self._powers = powers
        self._pending = pending
        self._ids = SubjectIds(secret)
        self._reader = FeatureReader(secret, budget=read_budget)

    def hold(
        self, principal: Principal, exchange: Exchange, terms: Terms | None, now: Instant
    ) -> Ticket:
        """Read the exchange and hold its record for every subject it speaks for, its key first."""
        key = self._key(principal)
        features = self._reader.read(exchange, self._memory.history.known(hash_of(key.id)))
        ticket = self._ticket(principal, key, exchange, features, now)
        ticket.terms = terms
        self._hold(ticket, exchange, features, now)
        return ticket

    def _key(self, principal: Principal) -> Subject:
        table = self._memory.subjects
        if self._memory.ages.get(hash_of(principal.key)) is not None:
            return table.find(SubjectKind.KEY, principal.key, principal.key)
        return table.find_unverified(principal.key)

    def _ticket(
        self,
        principal: Principal,
        key: Subject,
        exchange: Exchange,
        features: Features,
        now: Instant,
    ) -> Ticket:
        key_hash, history = hash_of(key.id), self._memory.history
        claimed = any(turn.role == "assistant" for turn in exchange.turns)
        had_seconds = history.observed(key_hash, exchange, now.steady) if claimed else None
        contribution = Contribution(
            features=features,
            sampling=exchange.sampling,
            single=had_seconds is None or _unattended(exchange, had_seconds),
            claimed=claimed,
            young=self._powers.young(key_hash, now),
            streamed=exchange.stream,
            tools=exchange.tool_definitions > 0,
            key=key.id,
            key_hash=key_hash,
            place_hashes=(hash_of(principal.network), hash_of(principal.client)),
            settled_at=now,
        )
        answers = max(1, min(exchange.sampling.answers, _ANSWERS_COUNTED))
        return Ticket(principal, contribution, key, history.question(exchange), answers=answers)

    def _hold(self, ticket: Ticket, exchange: Exchange, features: Features, now: Instant) -> None:
        owner, table, hold = ticket.key.id, self._memory.subjects, self._pending.hold
        hold(ticket, ticket.key, now)
        content = content_anchor(features.shingles, self._memory.popularity)
        for kind, id_ in subject_ids(ticket.principal, exchange, features, content, self._ids):
            if id_ == owner:
                continue
            hold(ticket, table.find(kind, id_, owner), now)
            if kind == SubjectKind.TEMPLATE and self._powers.suspected_in_key(id_, ticket, now):
                inner = template_in_key_id(id_, owner)
                hold(ticket, table.find(SubjectKind.TEMPLATE_IN_KEY, inner, owner), now)


def _unattended(exchange: Exchange, had_seconds: float) -> bool:
    """Tell whether a conversation goes on by itself, faster than its answers can be read.

    Agents do that too, but they send the results of tools; a program that talks to itself sends
    text.
    """
    newest = exchange.turns[-1]
    return (
        had_seconds < _READING_SECONDS and newest.role == "user" and not exchange.tool_definitions
    )
