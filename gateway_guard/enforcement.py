"""Verdicts of a request -> what is done: pass, pace, refuse; shadow mode is decided here, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gateway_guard.actions import Action
from gateway_guard.instrumentation import utc
from gateway_guard.policy import Terms
from gateway_guard.principal import SubjectKind
from gateway_guard.standing import Standing
from gateway_guard.timeline import Instant
from gateway_guard.verdict import jitter

if TYPE_CHECKING:
    from collections.abc import Sequence


_MINUTE_SECONDS = 60.0
_ON_THE_WAY_SECONDS = 1.0  # what is refused so soon after the first one was on its way already
_EARLY_TOLERANCE = 20  # as many more may come early, from clients that have just passed


class Verdict(msgspec.Struct, frozen=True):
    """What one subject of a request has coming: its standing, and the most it may impose."""

    kind: SubjectKind
    subject: bytes
    standing: Standing
    most: Action = Action.BLOCK

    @property
    def action(self) -> Action:
        """Return what the subject imposes on this request."""
        return min(self.standing.action, self.most)


class Decision(msgspec.Struct, frozen=True):
    """What is done about one request, and on what grounds.

    ``refused`` is what the client sees; under ``MODE=shadow`` it stays false and ``would_refuse``
    says what would have happened. ``refused_so_far`` counts what the subject was refused, this
    request included. ``action`` is ``PASS`` where nothing was held against the
    request. ``retry_after_seconds`` is set for a throttle only, ``until_at`` for penalties and
    blocks.
    """

    action: Action = Action.PASS
    refused: bool = False
    would_refuse: bool = False
    key_id: str = ""
    subject_kind: str = ""
    subject_id: str = ""
    score: float = 0.0
    reasons: tuple[str, ...] = ()
    retry_after_seconds: float | None = None
    until_at: float | None = None
    rate_per_minute: float = 0.0
    refused_so_far: int = 0
    terms: Terms | None = None


def refusing(standing: Standing, now: Instant) -> bool:
    """Tell whether a subject's requests are refused at the moment whatever they would show."""
    if standing.action == Action.BLOCK:
        return now.wall < standing.until_at
    return standing.action == Action.THROTTLE and (
        standing.paced_at > now.steady or standing.penalty_until_at > now.wall
    )


def described(decision: Decision, name: str | None = None) -> dict[str, object]:
    """Return what a log line says of a decision; ``name`` is what the operator calls the key."""
    wait = decision.retry_after_seconds
    return {
        "action": decision.action.label,
        "key_id": decision.key_id,
        "name": name,
        "subject": decision.subject_kind,
        "subject_id": decision.subject_id,
        "score": round(decision.score, 2),
        "reasons": decision.reasons,
        "clause": decision.terms.clause if decision.terms is not None else None,
        "until": utc(decision.until_at),
        "retry_after_seconds": round(wait, 1) if wait is not None else None,
        "rate_per_minute": decision.rate_per_minute,
        "refused_so_far": decision.refused_so_far,
    }


class Pacing(msgspec.Struct, frozen=True):
    """The three steps of the throttle, and how long a penalty lasts."""

    rates_per_minute: tuple[float, ...]
    step_exchanges: int
    penalty_seconds: float
    jitter: float
    secret: bytes

    def rate(self, standing: Standing) -> float:
        """Return the requests a minute that a standing is slowed to."""
        step = min(standing.above // self.step_exchanges, len(self.rates_per_minute) - 1)
        return self.rates_per_minute[step]

    def stage(self, standing: Standing, now: Instant) -> tuple[Action, float]:
        """Return what the log is to know of a standing: its action, with its rate or its end."""
        if standing.action != Action.THROTTLE:
            return standing.action, standing.until_at
        if standing.penalty_until_at > now.wall:
            return Action.PENALTY, standing.penalty_until_at
        return Action.THROTTLE, self.rate(standing)

    def announced(self, item: Verdict, now: Instant) -> dict[str, object]:
        """Return what a log line says of a subject's standing, and note that it was said."""
        standing = item.standing
        action, value = standing.announced = self.stage(standing, now)
        until = standing.penalty_until_at if action == Action.PENALTY else standing.until_at
        return {
            "action": action.label,
            "subject": item.kind.name.lower(),
            "subject_id": item.subject.hex(),
            "score": round(standing.score, 2),
            "reasons": standing.reasons,
            "offences": standing.offences,
            "until": utc(until) if action.refuses else None,
            "watched_since": utc(standing.watched_at or None),
            "rate_per_minute": value if action == Action.THROTTLE else None,
        }

    def interval_seconds(self, verdict: Verdict) -> float:
        """Return the seconds between two requests, moved by a secret amount."""
        rate = self.rate(verdict.standing)
        moved = jitter(self.secret, f"{verdict.subject.hex()}/{rate}", self.jitter)
        return _MINUTE_SECONDS / rate * (1.0 + moved)


class Case(msgspec.Struct, frozen=True):
    """One request as the operator's policy sees it: the most it may suffer, and which terms apply.

    Where no terms apply it is at most watched. A batch has many ``exchanges`` at once: a throttle
    lets it pass if they are no more than a minute's.
    """

    key_id: str
    ceiling: Action
    terms: Terms | None
    now: Instant
    exchanges: float = 1.0


def decide(verdicts: Sequence[Verdict], case: Case, pacing: Pacing, *, shadow: bool) -> Decision:
    """Treat a request by the worst verdict that its subjects may impose."""
    ceiling = min(case.ceiling, Action.BLOCK if case.terms is not None else Action.WATCH)
    worst = max(verdicts, key=lambda item: item.action, default=None)
    if worst is None or worst.action == Action.PASS:
        return Decision(key_id=case.key_id)
    action = min(worst.action, ceiling)
    retry_after = None
    if action == Action.THROTTLE:
        worst, action, retry_after = _paced(verdicts, worst, pacing, case, shadow=shadow)
    refused = action > Action.THROTTLE or retry_after is not None
    return Decision(
        action=action,
        refused=refused and not shadow,
        would_refuse=refused,
        key_id=case.key_id,
        subject_kind=worst.kind.name.lower(),
        subject_id=worst.subject.hex(),
        score=worst.standing.score,
        reasons=worst.standing.reasons,
        retry_after_seconds=retry_after if action == Action.THROTTLE else None,
        until_at=_until(worst.standing, action),
        rate_per_minute=pacing.rate(worst.standing),
        refused_so_far=worst.standing.refused + refused,
        terms=case.terms,
    )


def _until(standing: Standing, action: Action) -> float | None:
    if action == Action.BLOCK:
        return standing.until_at
    return standing.penalty_until_at if action == Action.PENALTY else None


def _paced(
    verdicts: Sequence[Verdict], worst: Verdict, pacing: Pacing, case: Case, *, shadow: bool
) -> tuple[Verdict, Action, float | None]:
    """Let the request pass only if every subject that throttles it has room for it.

    In shadow nobody is told to wait, so nobody can come too early.
    """
    now, exchanges = case.now, case.exchanges
    throttling = [item for item in verdicts if item.action >= Action.THROTTLE]
    for item in throttling:
        if item.standing.penalty_until_at > now.wall:
            return item, Action.PENALTY, None
    if exchanges > 1:
        slowest = min(throttling, key=lambda item: pacing.rate(item.standing))
        if exchanges > pacing.rate(slowest.standing):
            return slowest, Action.THROTTLE, _MINUTE_SECONDS
    latest = max(throttling, key=lambda item: item.standing.paced_at)
    wait = latest.standing.paced_at - now.steady
    if wait <= 0.0:
        for item in throttling:
            _admitted(item, pacing, case)
        return worst, Action.THROTTLE, None
    if not shadow and _too_early(latest.standing, wait, pacing, now):
        return latest, Action.PENALTY, None
    return latest, Action.THROTTLE, wait


def _admitted(item: Verdict, pacing: Pacing, case: Case) -> None:
    """Move the theoretical arrival time of the generic cell rate algorithm (ITU-T I.371)."""
    standing = item.standing
    standing.above += int(case.exchanges)
    begin = max(case.now.steady, standing.paced_at)
    standing.paced_at = begin + case.exchanges * pacing.interval_seconds(item)


def _too_early(standing: Standing, wait: float, pacing: Pacing, now: Instant) -> bool:
    """Count requests that come before the time they were told; too many of them bring a penalty.

    Clients that were all told the same instant come back together, and only one of them can be let
    through, so as many as were told last time may come early; nor has anybody been told who was on
    his way when the first of them was refused.
    """
    if now.steady >= standing.retry_at:
        standing.told, standing.early = standing.early, 0
        standing.retry_at, standing.told_at = now.steady + wait, now.steady
    standing.early += 1
    if now.steady - standing.told_at <= _ON_THE_WAY_SECONDS:
        standing.told = max(standing.told, standing.early)
    if standing.early <= _EARLY_TOLERANCE + standing.told:
        return False
    standing.penalty_until_at = now.wall + pacing.penalty_seconds
    standing.early = standing.told = 0
    return True
