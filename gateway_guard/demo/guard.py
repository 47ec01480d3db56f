"""What the stage knows of a guard, and the guard that is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from gateway_guard.demo.clock import VirtualClock

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from gateway_guard.actions import Action


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the guard thinks of a request or a key: action, score in logits, reasons."""

    action: Action
    score: float
    reasons: tuple[str, ...]

    @property
    def rank(self) -> tuple[int, float]:
        """How severe it is: by action, then by score."""
        return int(self.action), self.score


class Guard(Protocol):
    """What the stage needs to know of whatever stands before the upstream."""

    clock: VirtualClock

    def mount(self, app: ASGIApp) -> ASGIApp:
        """Return the application with the guard before it."""
        ...

    def take(self) -> Judgement | None:
        """Return the most severe decision since the last call, or None."""
        ...

    def opinion(self, key: str) -> Judgement | None:
        """Return what it thinks of a key by itself; None before it knows the key."""
        ...

    def settled(self) -> None:
        """Take note that an exchange is over."""
        ...


class NoGuard:
    """Nothing before the upstream: the same story without anybody watching."""

    def __init__(self) -> None:
        self.clock = VirtualClock()

    def mount(self, app: ASGIApp) -> ASGIApp:
        """Return the application as it is."""
        return app

    def take(self) -> Judgement | None:
        """Return None: nothing is ever decided."""

    def opinion(self, key: str) -> Judgement | None:
        """Return None: nobody is ever judged."""

    def settled(self) -> None:
        """Do nothing."""
