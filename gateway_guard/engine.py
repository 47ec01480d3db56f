"""What is done with an exchange, from admission to settlement, in order."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import msgspec

from gateway_guard import enforcement
from gateway_guard.actions import Action
from gateway_guard.backlog import Backlog
from gateway_guard.enforcement import Case, Decision, Verdict, described, refusing
from gateway_guard.features import FeatureReader
from gateway_guard.instrumentation import Contained
from gateway_guard.opening import Opening
from gateway_guard.pending import PendingRecords, Ticket
from gateway_guard.powers import Powers, Rules
from gateway_guard.principal import SubjectKind
from gateway_guard.profile import Slot
from gateway_guard.verdict import lapse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway_guard.awaited import Fetch
    from gateway_guard.elements import Element
    from gateway_guard.exchange import Exchange, Outcome
    from gateway_guard.features.survey import Known
    from gateway_guard.instrumentation import Instrumentation
    from gateway_guard.memory import Memory
    from gateway_guard.policy import Policy, Terms
    from gateway_guard.principal import Principal
    from gateway_guard.subjects import Subject
    from gateway_guard.timeline import Instant

_NEARLY_DUE = 2  # what is half due is scored with what is due, so that counting is done for both
_OK, _REDIRECT, _UNAUTHORIZED, _FORBIDDEN = 200, 300, 401, 403


class Engine:
    """Admits exchanges and settles them, without I/O; one instance per process and event loop."""

    def __init__(
        self,
        rules: Rules,
        memory: Memory,
        secret: bytes,
        *,
        policy: Callable[[], Policy],
        instruments: Instrumentation,
    ) -> None:
        """Put the parts together; ``policy`` returns the operator's policy as it stands."""
        self.rules = rules
        self.memory = memory
        self.instruments = instruments
        self.listeners: list[Callable[[Decision], None]] = []
        self._policy = policy
        self._powers = Powers(
            memory,
            warm_at=rules.warm_at,
            aged_at=rules.aged_at,
            young_seconds=rules.young_seconds,
            warmup_seconds=rules.warmup_seconds,
        )
        self._pending = PendingRecords(rules.answer_timeout_seconds)
        reader = FeatureReader(secret, budget=rules.read_budget, model=rules.model)
        self._opening = Opening(memory, self._powers, secret, reader)
        self._backlog = Backlog(memory, self._opening, instruments)
        self.hearers = self._backlog.hearers
        self.takers = self._backlog.takers

    def refuse_early(self, principal: Principal, path: str, now: Instant) -> Decision | None:
        """Refuse a key that is blocked or has a penalty before anything of the request is read."""
        verdicts = [] if self.rules.shadow else self._out_of_favour(principal, now)
        if not verdicts or self._policy().entitles_users_of(principal.key, now.wall):
            return None
        terms = self._policy().terms_for("", path)
        decision = self._decided(verdicts, principal, None, terms, now)
        return self._record(decision, verdicts, now) if decision.refused else None

    def _out_of_favour(self, principal: Principal, now: Instant) -> list[Verdict]:
        """Return the verdicts on keys of a request that are refused whatever the request holds."""
        verdicts = []
        for key in (principal.key, principal.doubled, *principal.further):
            standing = self.memory.standings.get(key) if key is not None else None
            if key is None or standing is None:
                continue
            if lapse(standing, now.wall):
                self._tell(Verdict(SubjectKind.KEY, key, standing), principal.key_id, None, now)
            most = Action.THROTTLE if principal.anonymous else Action.BLOCK
            if standing.penalty_until_at > now.wall or standing.action == most == Action.BLOCK:
                verdicts.append(Verdict(SubjectKind.KEY, key, standing, most))
        return verdicts

    def read_ahead(
        self, principal: Principal, exchange: Exchange, known: Known, now: Instant
    ) -> Element:
        """Read an exchange of a file that a batch may name later; nothing of it counts yet."""
        return self._opening.read_ahead(principal, exchange, known, now)

    def admit(
        self,
        principal: Principal,
        exchange: Exchange,
        path: str,
        now: Instant,
        elements: Sequence[Element] = (),
    ) -> Ticket:
        """Open a pending record, score the subjects that are due and decide what is done.

        Where there are ``elements``, the request stands for those, and its own exchange for none.
        """
        if elements:
            model, times = elements[0].model, sum([element.times for element in elements])
            exchange = msgspec.structs.replace(exchange, model=model, times=times)
        terms = self._policy().terms_for(exchange.model, path)
        parts: Sequence[Exchange | Element] = elements or (exchange, *exchange.others)
        ticket = self._opening.begin(principal, parts, terms, now)
        self._pending.expect(ticket)
        self._backlog.admitted(ticket, exchange.body_bytes)
        if ticket.due or self._backlog.full or self.memory.standings.by_content:
            self.flush(now, due=ticket)
        elif self._backlog.heavy:
            self._backlog.catch_up()
        verdicts = self._verdicts(ticket, now)
        decision = self._decided(verdicts, principal, exchange, terms, now)
        ticket.decision = self._record(decision, verdicts, now)
        for other in ticket.others:
            other.decision = decision
        if decision.refused:
            self._drop(ticket, Slot.REFUSED)
        return ticket

    def start(self, ticket: Ticket, status: int, now: Instant) -> None:
        """Take note that the answer starts; it never expires now, and 2xx verifies its key."""
        self._pending.started(ticket)
        claimed = ticket.principal.claimed
        if _OK <= status < _REDIRECT and claimed is not None:
            self._opening.readdress(ticket, claimed)
        if _OK <= status < _REDIRECT and not ticket.verified:
            self.memory.ages.add(ticket.key_hash, now.wall)
            self.memory.subjects.verify(ticket.key)
            self.memory.revoked.pop(ticket.key.id, None)

    def settle(self, ticket: Ticket, outcome: Outcome, now: Instant) -> None:
        """Commit or drop the pending record, by how the exchange ended."""
        if not ticket.open:
            return
        status = outcome.status
        if status is None:
            self._drop(ticket, Slot.ABANDONED)
        elif _OK <= status < _REDIRECT:
            self._pending.close(ticket)
            self._backlog.answered(ticket, outcome, now)
            label = "placed" if ticket.adds else "committed"
            self.instruments.count("exchanges", label, ticket.count)
        elif status == _UNAUTHORIZED:
            if self.memory.first_at(ticket.key.id) is not None:
                self.memory.revoked[ticket.key.id] = True
            self._drop(ticket, None)
        else:
            self._drop(ticket, None if status == _FORBIDDEN else Slot.REJECTED, outcome)

    def fetched(self, fetch: Fetch, now: Instant) -> None:
        """Count the answers that a request has fetched, be it to this or to an earlier question."""
        self._backlog.fetched(fetch, now)

    def flush(self, now: Instant, due: Ticket | None = None) -> None:
        """Read and count all that has happened, then score the subjects that are due.

        Those of ``due`` are scored when they are nearly so, that counting is done for both.
        """
        for late in self._pending.overdue(now):
            self._drop(late, Slot.ABANDONED)
        for ticket in self._backlog.work_off(now):
            for subject, _ in ticket.shares:
                if subject.fresh * (_NEARLY_DUE if ticket is due else 1) >= subject.due:
                    self._assess(ticket, subject, now)

    @property
    def unflushed(self) -> int:
        """Return the number of admissions, answers and drops that are still to be worked off."""
        return len(self._backlog)

    def verified(self, principal: Principal) -> bool:
        """Tell whether an upstream has accepted this key, and has not turned it away since."""
        known = self.memory.first_at(principal.key) is not None
        return known and principal.key not in self.memory.revoked

    def _assess(self, ticket: Ticket, subject: Subject, now: Instant) -> None:
        """Score a subject, unless it is refused whatever its score."""
        standing = self.memory.standings.get(subject.id)
        if standing is not None and refusing(standing, now):
            return
        blocked = standing is not None and standing.action == Action.BLOCK
        ended = standing is not None and blocked and lapse(standing, now.wall)
        before = standing.action if standing is not None else Action.PASS
        warming, aged = self._powers.warming(now), self._powers.knows_ages(now)
        assess = self.rules.assessment.assess
        standing = assess(self.memory, subject, now, warming=warming, aged=aged)
        if ended or standing.action != before:
            item = Verdict(subject.kind, subject.id, standing)
            self._tell(item, ticket.principal.key_id, ticket.terms, now)

    def _verdicts(self, ticket: Ticket, now: Instant) -> list[Verdict]:
        verdicts = []
        standing_of = self.memory.standings.get
        subjects = ticket.ids
        if ticket.others:
            every = [*subjects, *(id_ for other in ticket.others for id_ in other.ids)]
            subjects = list(dict.fromkeys(every))
        for subject in subjects:
            standing = standing_of(subject[1])
            if standing is None:
                continue
            most = Action.WATCH
            if standing.action > Action.WATCH:
                if lapse(standing, now.wall):
                    item = Verdict(*subject, standing)
                    self._tell(item, ticket.principal.key_id, ticket.terms, now)
                most = self._powers.most(subject, ticket, standing, now)
            verdicts.append(Verdict(*subject, standing, most))
        return verdicts

    def _decided(
        self,
        verdicts: list[Verdict],
        principal: Principal,
        asked: Exchange | None,
        terms: Terms | None,
        now: Instant,
    ) -> Decision:
        if not verdicts:
            return Decision(key_id=principal.key_id)
        end_user = None if asked is None else asked.end_user
        case = Case(
            key_id=principal.key_id,
            ceiling=self._policy().ceiling(principal, end_user, now.wall),
            terms=terms,
            now=now,
            exchanges=1.0 if asked is None else _size(asked),
        )
        return enforcement.decide(verdicts, case, self.rules.pacing, shadow=self.rules.shadow)

    def _tell(self, item: Verdict, key_id: str, terms: Terms | None, now: Instant) -> None:
        """Log what a subject has coming from now on, and at whose request that was found."""
        self.memory.standings.note(item.subject, item.standing)
        fields = self.rules.pacing.announced(item, now)
        self.instruments.count("verdicts", str(fields["action"]))
        clause, name = terms.clause if terms else None, self._policy().name_of(key_id)
        self.instruments.event("verdict", **fields, key_id=key_id, name=name, clause=clause)

    def _record(self, decision: Decision, verdicts: list[Verdict], now: Instant) -> Decision:
        self.instruments.count("decisions", decision.action.label)
        if decision.action >= Action.THROTTLE:
            self._record_severe(decision, verdicts, now)
        for listener in self.listeners:
            with Contained(self.instruments):
                listener(decision)
        return decision

    def _record_severe(self, decision: Decision, verdicts: list[Verdict], now: Instant) -> None:
        """Count what is refused; log steps of a throttle, and penalties as they begin and end."""
        for item in verdicts:
            standing = item.standing
            self.memory.standings.note(item.subject, standing)
            if decision.would_refuse and item.subject.hex() == decision.subject_id:
                standing.refused += 1
            if standing.action == item.action == Action.THROTTLE:
                stage = self.rules.pacing.stage(standing, now)
                if stage != standing.announced:
                    self._tell(item, decision.key_id, decision.terms, now)
        if decision.refused:
            self.instruments.count("refusals", decision.action.label)
        elif decision.would_refuse:
            self.instruments.count("shadow_refusals", decision.action.label)
            self.tell_refusal(decision, "shadow_refusal")

    def tell_refusal(self, decision: Decision, event: str, **fields: object) -> None:
        """Log a refusal: of each subject and action the first one, then one a minute."""
        shown = described(decision, self._policy().name_of(decision.key_id)) | fields
        self.instruments.seldom("info", event, (decision.subject_id, decision.action), **shown)

    def _drop(self, ticket: Ticket, slot: Slot | None, outcome: Outcome | None = None) -> None:
        """Close a pending record that taught nothing; ``slot`` is where the key's row counts it."""
        self._pending.close(ticket)
        self._backlog.dropped(ticket, slot, declined=outcome is not None and outcome.declined)
        label = slot.name.lower() if slot else "forbidden" if outcome else "unauthorised"
        self.instruments.count("exchanges", label, ticket.count)


def _size(asked: Exchange) -> float:
    """Return how many exchanges a request is for who is throttled; who knows of a batch unread."""
    if not asked.batch:
        return 1.0
    if asked.file and asked.times == 1:
        return inf
    return asked.times + sum([other.times for other in asked.others])
