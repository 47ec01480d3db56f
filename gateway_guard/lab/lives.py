"""What becomes of a key over its whole life, request by request."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from gateway_guard.actions import Action

if TYPE_CHECKING:
    from gateway_guard.enforcement import Decision
    from gateway_guard.scoring import Score


class Life:
    """One key: whose it is, what it asked, and what was done about it.

    ``detected`` is the number of the request that was first throttled, counted from 1, and
    ``blocked`` that of the first blocked one, ``barred`` that of the first which was for what the
    key itself had done; ``None`` where it never came to it. ``highest`` is the highest score over
    its life among the subjects that could impose something, ``shares`` what each signal had of it,
    and ``trajectory`` holds (requests, score) wherever it has changed. ``talks`` counts its
    conversations; most of a ``chinese`` key's begin in Chinese.
    """

    __slots__ = (
        "barred",
        "began_at",
        "blocked",
        "chinese",
        "detected",
        "detected_at",
        "harvest_refused",
        "harvest_requests",
        "highest",
        "innocent_refused",
        "name",
        "reasons",
        "refusals",
        "requests",
        "shares",
        "source",
        "talks",
        "text_class",
        "trajectory",
        "watched",
        "watched_at",
    )

    def __init__(self, text_class: str, source: str, name: str) -> None:
        """Begin before the first request."""
        self.text_class = text_class
        self.source = source
        self.name = name
        self.talks = 0
        self.chinese = False
        self.requests = 0
        self.harvest_requests = 0
        self.harvest_refused = 0
        self.innocent_refused = 0
        self.began_at = 0.0
        self.watched: int | None = None
        self.watched_at: float | None = None
        self.detected: int | None = None
        self.detected_at: float | None = None
        self.blocked: int | None = None
        self.barred: int | None = None
        self.highest = float("-inf")
        self.reasons: tuple[str, ...] = ()
        self.shares: dict[str, float] = {}
        self.trajectory: list[tuple[int, float]] = []
        self.refusals: Counter[tuple[str, ...]] = Counter()

    @property
    def innocent_requests(self) -> int:
        """Return the number of requests that were no part of a harvest."""
        return self.requests - self.harvest_requests

    def asks(self, at: float, *, harvest: bool) -> None:
        """Count a new request, not its retries."""
        if not self.requests:
            self.began_at = at
        self.requests += 1
        self.harvest_requests += harvest

    def judged(self, decision: Decision, at: float) -> None:
        """Take note of what was decided on the newest request."""
        action = decision.action
        if action >= Action.WATCH and self.watched is None:
            self.watched, self.watched_at = self.requests, at
        if action >= Action.THROTTLE and self.detected is None:
            self.detected, self.detected_at = self.requests, at
            self.reasons = decision.reasons
        if action >= Action.BLOCK and self.blocked is None:
            self.blocked = self.requests
        if action >= Action.BLOCK and decision.subject_kind == "key" and self.barred is None:
            self.barred = self.requests

    def refused(self, decision: Decision, *, harvest: bool) -> None:
        """Count a request that was not served, whatever it tried."""
        if harvest:
            self.harvest_refused += 1
            return
        self.innocent_refused += 1
        signals = (reason.partition("=")[0] for reason in decision.reasons)
        self.refusals[decision.subject_kind, *signals] += 1

    def scored(self, score: Score) -> None:
        """Take note of the score that counts for the newest request."""
        logit = score.logit
        if not self.trajectory or self.trajectory[-1][1] != logit:
            self.trajectory.append((self.requests, logit))
        if logit > self.highest:
            self.highest = logit
            self.shares = {item.signal: share for item, share in score.shares if share > 0}
