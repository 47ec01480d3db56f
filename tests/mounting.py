"""The guard inside an application that real clients talk to over real sockets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway_guard import GuardMiddleware, Settings
from tests.callers import DEFAULTS, Time
from tests.upstreams import Model

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.applications import Starlette
    from starlette.types import Receive, Scope, Send

    from gateway_guard.enforcement import Decision


class Mounted:
    """A model server with the guard in it, the guard's clock, and the attempts that reached it."""

    def __init__(self, framework: str, **settings: object) -> None:
        self.time = Time()
        self.model = Model()
        self.attempts: list[dict[bytes, bytes]] = []
        self.app: Starlette | FastAPI = getattr(self.model, f"in_{framework}")()
        values: dict[str, Any] = DEFAULTS | settings
        self.app.add_middleware(
            GuardMiddleware, settings=Settings(**values), clock=self.time, timer=self.time
        )
        self.app.middleware_stack = self.app.build_middleware_stack()
        self.guard.engine.listeners.append(self._obey)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Note an attempt and serve it."""
        if scope["type"] == "http":
            self.attempts.append(dict(scope["headers"]))
        await self.app(scope, receive, send)

    @property
    def guard(self) -> GuardMiddleware:
        """The guard, as the application has built it."""
        return guard_in(self.app)

    def _obey(self, decision: Decision) -> None:
        """Let as much time pass as a throttled client is told to wait."""
        self.time.pass_by(decision.retry_after_seconds or 0.0)


def guard_in(app: Starlette) -> GuardMiddleware:
    """Return the guard that an application has among its layers."""
    layer: Any = app.middleware_stack
    while not isinstance(layer, GuardMiddleware):
        layer = layer.app
    return layer
