"""The ``limits`` package as a middleware: one hit of an in-memory window a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from starlette.responses import PlainTextResponse

from gateway_guard.bench.traffic import OUT_OF_REACH, credential

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class Limit:
    """Count the requests of each key."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.limiter = FixedWindowRateLimiter(MemoryStorage())
        self.item = RateLimitItemPerMinute(OUT_OF_REACH)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through unless its key has reached the limit."""
        if scope["type"] == "http" and not self.limiter.hit(self.item, credential(scope)):
            await PlainTextResponse("too many requests", 429)(scope, receive, send)
        else:
            await self.app(scope, receive, send)
