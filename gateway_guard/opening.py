"""From an exchange to its pending record, with every subject it speaks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway_guard.contribution import Contribution
from gateway_guard.features import FeatureReader
from gateway_guard.pending import PendingRecords, Ticket
from gateway_guard.principal import SubjectIds, SubjectKind
from gateway_guard.subjects import hash_of, subject_ids, system_template_id, template_in_key_id

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
        memory = self._memory
        first_at = memory.first_at(principal.key)
        key = self._key(principal, known=first_at is not None)
        features = self._reader.read(exchange, memory.history.known(hash_of(key.id)))
        ticket = self._ticket(principal, key, exchange, features, now)
        ticket.terms = terms
        ticket.verified = first_at is not None and principal.key not in memory.revoked
        ticket.contribution.young = self._powers.young(hash_of(key.id), first_at, now)
        self._pending.hold(ticket, self._subjects(ticket, exchange, features, now), now)
        return ticket

    def _key(self, principal: Principal, *, known: bool) -> Subject:
        table = self._memory.subjects
        if known:
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
            young=False,
            streamed=exchange.stream,
            tools=exchange.tool_definitions > 0,
            key=key.id,
            key_hash=key_hash,
            place_hashes=(hash_of(principal.network), hash_of(principal.client)),
            settled_at=now,
        )
        answers = max(1, min(exchange.sampling.answers, _ANSWERS_COUNTED))
        return Ticket(principal, contribution, key, history.question(exchange), answers=answers)

    def _subjects(
        self, ticket: Ticket, exchange: Exchange, features: Features, now: Instant
    ) -> list[Subject]:
        owner, table = ticket.key.id, self._memory.subjects
        subjects = [ticket.key]
        content = self._content(features)
        for kind, id_ in subject_ids(ticket.principal, exchange, features, content, self._ids):
            if id_ == owner:
                continue
            subjects.append(table.find(kind, id_, owner))
            if kind == SubjectKind.TEMPLATE and self._powers.suspected_in_key(id_, ticket, now):
                inner = template_in_key_id(id_, owner)
                subjects.append(table.find(SubjectKind.TEMPLATE_IN_KEY, inner, owner))
        return subjects

    def _content(self, features: Features) -> int | None:
        """Return the content anchor, unless a system text stands for the template already.

        A key shows its system text for the first time in first turns only, so a window of it would
        gather nothing but those, and conversations would look like single questions.
        """
        system = features.anchors.system
        if system is not None and self._memory.subjects.admitted(system_template_id(system)):
            return None
        return self._memory.popularity.rarest(features.shingles)


def _unattended(exchange: Exchange, had_seconds: float) -> bool:
    """Tell whether a conversation goes on by itself, faster than its answers can be read.

    Agents do that too, but they send the results of tools; a program that talks to itself sends
    text.
    """
    if had_seconds >= _READING_SECONDS:
        return False
    newest = (turn.role for turn in reversed(exchange.turns) if turn.role in {"tool", "assistant"})
    return next(newest) == "assistant"
