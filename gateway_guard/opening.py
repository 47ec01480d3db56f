"""From an exchange to its pending record, with every subject it speaks for.

What must be known before a verdict is told at once: who asks, and which template the ends of the
texts are of. The texts themselves are read a little later, many exchanges at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway_guard import pending
from gateway_guard.elements import Element, slimmed
from gateway_guard.exchange import Exchange
from gateway_guard.expectation import assuming
from gateway_guard.features import FeatureReader
from gateway_guard.history import unattended
from gateway_guard.lots import Lots
from gateway_guard.pending import Surveyed, Ticket
from gateway_guard.placed import joined
from gateway_guard.principal import SubjectIds, SubjectKind
from gateway_guard.subjects import (
    content_template_id,
    corpus_id,
    hash_of,
    subject_ids,
    system_template_id,
    template_in_key_id,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway_guard.features import Anchors, Draft, FeatureReader, Features
    from gateway_guard.features.survey import Known
    from gateway_guard.memory import Memory
    from gateway_guard.policy import Terms
    from gateway_guard.powers import Powers
    from gateway_guard.principal import Principal
    from gateway_guard.subjects import Subject
    from gateway_guard.timeline import Instant

_ANSWERS_COUNTED = 2048
_EARLY_SECONDS = 600.0
_SIGHTINGS_AT_ONCE = 4
_KEY, _TEMPLATE, _CORPUS = SubjectKind.KEY, SubjectKind.TEMPLATE, SubjectKind.CORPUS


class Opening:
    """Opens pending records, and reads what they hold."""

    def __init__(
        self, memory: Memory, powers: Powers, secret: bytes, reader: FeatureReader
    ) -> None:
        """Have texts read by ``reader``."""
        self._memory = memory
        self._powers = powers
        self._ids = SubjectIds(secret)
        self.reader = reader
        self._lots = Lots(secret)
        self._sightings: dict[bytes, int] = {}

    def begin(
        self,
        principal: Principal,
        parts: Sequence[Exchange | Element],
        terms: Terms | None,
        now: Instant,
    ) -> Ticket:
        """Open the record of a request for the subjects that it speaks for at first sight.

        That of its first exchange has those of all others, where it has several.
        """
        tickets = [self._begin(principal, part, now) for part in parts]
        if len(tickets) > 1:
            pending.find_lone(tickets)
        deferred = isinstance(parts[0], Element) or parts[0].batch
        for ticket in tickets:
            ticket.terms, ticket.deferred = terms, deferred
            self._sight(ticket, now)
        first = tickets[0]
        if len(tickets) > 1:
            first.others = tuple(tickets[1:])
            first.due = any(ticket.due for ticket in tickets)
        return first

    def _begin(self, principal: Principal, part: Exchange | Element, now: Instant) -> Ticket:
        if isinstance(part, Exchange):
            return self._open(principal, part, self.reader.anchors(part), now)
        exchange = Exchange("", part.model, (), part.sampling, times=part.times)
        ticket = self._open(principal, exchange, part.features.anchors, now)
        ticket.exchange = None
        if part.end_user is not None:
            ticket.ids.append((SubjectKind.END_USER, part.end_user))
        seen = (part.sampling, part.single, part.claimed, part.streamed, part.tools)
        ticket.surveyed = Surveyed(None, *seen, part.features)
        return ticket

    def read_ahead(
        self, principal: Principal, exchange: Exchange, known: Known, now: Instant
    ) -> Element:
        """Read an exchange that is not asked for yet; ``known`` as ``FeatureReader`` has it."""
        reader, end_user = self.reader, None
        draft = reader.survey(exchange, known, reader.anchors(exchange))
        reader.read_drafts([draft])
        seen = self._seen(exchange, hash_of(principal.claimed or principal.key), draft, now.steady)
        if exchange.end_user is not None:
            name = exchange.end_user.encode("utf-8", "surrogatepass")
            end_user = self._ids.make(SubjectKind.END_USER, principal.key, name)
        return Element(
            model=exchange.model,
            sampling=exchange.sampling,
            features=slimmed(reader.features(draft, known)),
            single=seen.single,
            claimed=seen.claimed,
            streamed=seen.streamed,
            tools=seen.tools,
            end_user=end_user,
        )

    def _open(
        self, principal: Principal, exchange: Exchange, anchors: Anchors, now: Instant
    ) -> Ticket:
        memory = self._memory
        first_at = memory.first_at(principal.key)
        key = self._key(principal, known=first_at is not None)
        claimed = principal.claimed
        # What is known of whom a token names may be read before an upstream has accepted it.
        since_at = first_at if claimed is None else memory.first_at(claimed)
        key_hash = hash_of(claimed or key.id)
        young = self._powers.young(key_hash, since_at, now)
        return Ticket(
            principal=principal,
            exchange=exchange,
            anchors=anchors,
            key=key,
            key_hash=key_hash,
            ids=subject_ids(principal, exchange, anchors, self._ids),
            admitted_at=now,
            answers=max(1, min(exchange.sampling.answers, _ANSWERS_COUNTED)),
            verified=first_at is not None and principal.key not in memory.revoked,
            young=young,
            early=young and (since_at is None or now.wall - since_at < _EARLY_SECONDS),
            place=None if exchange.place is None else self._place(key_hash, exchange.place),
            adds=exchange.adds,
            weight=exchange.times,
            times=exchange.times,
            model=exchange.model,
            dialect=exchange.dialect,
        )

    def _place(self, key_hash: int, name: str) -> int:
        return self._memory.history.place(key_hash, name)

    def readdress(self, ticket: Ticket, claimed: bytes) -> None:
        """Count a request for the key that its token stands for, now that it was accepted."""
        for part in (ticket, *ticket.others):
            former, owner = part.key, self._memory.subjects.find(_KEY, claimed, claimed)
            part.key, part.ids[0] = owner, (_KEY, claimed)
            owner.fresh += part.answers * part.times
            pending.move(part, former, owner)

    def _key(self, principal: Principal, *, known: bool) -> Subject:
        table = self._memory.subjects
        if known:
            return table.find(SubjectKind.KEY, principal.key, principal.key)
        return table.find_unverified(principal.key)

    def _sight(self, ticket: Ticket, now: Instant) -> None:
        """Count an exchange for the subjects that are held, and look whether one is due.

        A subject that nobody has seen is not held before the texts are read; a few sightings of it
        are a reason to read them.
        """
        get, known, sightings = self._memory.subjects.get, ticket.known, self._sightings
        lone, answers = ticket.lone, ticket.answers
        for kind, id_ in ticket.ids:  # grows on the way
            if kind is _TEMPLATE:
                self._suspect(id_, ticket, now)
            subject = get(id_)
            seen = answers if id_ in lone else answers * ticket.times
            if subject is not None:
                known.append(subject)
                subject.fresh += seen
                ticket.due = ticket.due or subject.fresh >= subject.urgent
            else:
                count = sightings[id_] = sightings.get(id_, 0) + seen
                ticket.due = ticket.due or count >= _SIGHTINGS_AT_ONCE
        exchange = ticket.exchange
        if exchange is None or ticket.due or ticket.adds or ticket.times > 1:
            return
        if ticket.key.quiet:
            ticket.weight = self._lots.draw(ticket, exchange)

    def _suspect(self, template: bytes, ticket: Ticket, now: Instant) -> None:
        """Have a key answer for its own requests with a template that is suspected."""
        if self._powers.suspected_in_key(template, ticket, now):
            inner = template_in_key_id(template, ticket.key.id)
            ticket.ids.append((SubjectKind.TEMPLATE_IN_KEY, inner))
            if template in ticket.lone:
                ticket.lone |= {inner}

    def survey(self, ticket: Ticket) -> None:
        """Look at the texts of an exchange, and at the history that it shows; let it go then."""
        exchange, ticket.exchange = ticket.exchange, None
        if exchange is None:
            return
        history, key_hash = self._memory.history, ticket.key_hash
        self._sightings.clear()
        ticket.asked = history.question(exchange)
        if not ticket.weight:
            return
        draft = self.reader.survey(exchange, history.known(key_hash), ticket.anchors)
        ticket.surveyed = self._seen(exchange, key_hash, draft, ticket.admitted_at.steady)

    def _seen(self, exchange: Exchange, key_hash: int, draft: Draft, at: float) -> Surveyed:
        """Return what is kept of an exchange, and whether it goes on from what was served."""
        claimed = "assistant" in [turn.role for turn in exchange.turns]
        had_seconds = self._memory.history.observed(key_hash, exchange, at) if claimed else None
        return Surveyed(
            draft=draft,
            sampling=exchange.sampling,
            single=had_seconds is None or unattended(exchange, had_seconds),
            claimed=claimed,
            streamed=exchange.stream,
            tools=exchange.tool_definitions > 0,
        )

    def read(self, tickets: Sequence[Ticket]) -> None:
        """Read the texts of exchanges that were surveyed."""
        surveyed = [ticket.surveyed for ticket in tickets if ticket.surveyed]
        self.reader.read_drafts([seen.draft for seen in surveyed if seen.draft])

    def hold(self, ticket: Ticket) -> None:
        """Hold an exchange whose texts were read in every subject that it speaks for."""
        surveyed, ticket.surveyed = ticket.surveyed, None
        if not ticket.weight:
            pending.pass_over(ticket)
        if surveyed is None:
            return
        known = self._memory.history.known(ticket.key_hash)
        features = surveyed.features
        if surveyed.draft is not None:
            features = self.reader.features(surveyed.draft, known)
        if features is None:
            return
        features = self._with_placed(ticket, features)
        content = self._content(features)
        if content is not None:
            self._show(_TEMPLATE, content_template_id(content), ticket)
        for corpus in features.train:
            self._show(_CORPUS, corpus_id(corpus), ticket)
        contribution = pending.contribution_of(ticket, surveyed, features)
        if ticket.deferred:
            contribution = assuming(contribution)
        pending.hold(ticket, contribution, self._subjects(ticket))

    def _show(self, kind: SubjectKind, id_: bytes, ticket: Ticket) -> None:
        """Have a request speak for a subject that its texts have shown."""
        if ticket.times > 1 and self._memory.subjects.get(id_) is None:
            ticket.lone |= {id_}
        ticket.ids.append((kind, id_))
        self._suspect(id_, ticket, ticket.admitted_at)

    def _with_placed(self, ticket: Ticket, features: Features) -> Features:
        """Return the features of a request with those of what it finds where it asks."""
        placed = None if ticket.place is None else self._memory.placed.get(ticket.place)
        if placed is None or ticket.adds:
            return features
        for template in placed.templates:
            if template not in ticket.ids:
                ticket.ids.append(template)
                self._suspect(template[1], ticket, ticket.admitted_at)
        return joined(placed.features, features)

    def _subjects(self, ticket: Ticket) -> list[Subject]:
        """Return every subject an exchange speaks for, its key first."""
        key, known, find = ticket.key, ticket.known, self._memory.subjects.find
        owner = key.id
        subjects = [key]
        subjects += [find(kind, id_, owner) for kind, id_ in ticket.ids if id_ != owner]
        for subject in subjects:
            if subject not in known:
                times = 1 if subject.id in ticket.lone else ticket.times
                subject.fresh += ticket.answers * times
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
