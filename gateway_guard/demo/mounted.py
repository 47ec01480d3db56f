"""The guard as the demo mounts it: the middleware in event time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway_guard import profile
from gateway_guard.actions import Action
from gateway_guard.assessment import best_score
from gateway_guard.demo.clock import VirtualClock
from gateway_guard.demo.guard import Judgement
from gateway_guard.middleware import GuardMiddleware
from gateway_guard.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp

    from gateway_guard.enforcement import Decision


class DemoGuard:
    """The middleware on virtual time; it keeps what its engine decides until the stage asks."""

    middleware: GuardMiddleware

    def __init__(self, settings: Settings) -> None:
        self.clock = VirtualClock()
        self.settings = settings
        self._heard: list[Decision] = []

    def mount(self, app: ASGIApp) -> ASGIApp:
        """Return the application with the middleware before it."""
        self.middleware = GuardMiddleware(
            app, settings=self.settings, clock=self.clock.time, timer=self.clock.monotonic
        )
        self.middleware.engine.listeners.append(self._heard.append)
        return self.middleware

    def take(self) -> Judgement | None:
        """Return the most severe decision since the last call, or None."""
        if not self._heard:
            return None
        worst = max(self._heard, key=lambda decision: (decision.action, decision.score))
        self._heard.clear()
        return Judgement(worst.action, worst.score, tuple(worst.reasons))

    def opinion(self, key: str) -> Judgement | None:
        """Return what the guard thinks of a key by itself; None before it knows the key."""
        guard = self.middleware.guard
        memory, rules, now = guard.engine.memory, guard.engine.rules, guard.timeline.now()
        subject = memory.subjects.get(guard.principals.key_id(key.encode()))
        if subject is None:
            return None
        row, elapsed_seconds = memory.subjects.project(subject, now)
        reading = profile.read(row, elapsed_seconds, now.wall)
        minimum = rules.assessment.minimum
        score = best_score(subject, reading, minimum=minimum, aged=now.wall >= rules.warm_at)
        standing = memory.standings.get(subject.id)
        action = standing.action if standing is not None else Action.PASS
        return Judgement(action, score.logit, score.reasons)

    def settled(self) -> None:
        """Count the exchange at once: what waits some real time must not wait in event time."""
        guard = self.middleware.guard
        guard.engine.flush(guard.timeline.now())

    @property
    def overhead_seconds(self) -> Iterable[float]:
        """The real time that the guard itself added to the latest requests."""
        return self.middleware.instruments.overhead_seconds


def demo_settings(seed: int, *, warm: bool = True) -> Settings:
    """Return the settings of a demo: enforcing, a secret of its own, this machine the trusted edge.

    A ``warm`` guard speaks from its first request; otherwise ``WARMUP`` has its default.
    """
    told = {
        "mode": "enforce",
        "secret": f"demo {seed}",
        "trusted_proxies": "127.0.0.1/32",
        "organisation_header": "x-organisation",
    }
    return Settings.model_validate(told | {"warmup": "0"} if warm else told)
