"""GuardMiddleware: the only ASGI in the core."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gateway_guard.assembly import Guard
from gateway_guard.ledger.handover import open_ledger
from gateway_guard.responder import Responder
from gateway_guard.settings import load_settings
from gateway_guard.sockets import Socket

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from gateway_guard.engine import Engine
    from gateway_guard.instrumentation import Instrumentation
    from gateway_guard.settings import Settings


class GuardMiddleware:
    """Watch what passes to ``app``, score every subject it speaks for, throttle or block violators.

    Constructs with ``app`` alone; the ``GATEWAY_GUARD_*`` variables configure it. ``clock`` gives
    wall-clock seconds, ``timer`` monotonic seconds. One instance serves one event loop at a time.

    Raises:
        ConfigurationError: a variable or the policy file cannot be used.

    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        settings: Settings | None = None,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        """Configure the guard; nothing runs before the first request."""
        self.app = app
        settings = settings if settings is not None else load_settings()
        self.guard = guard = Guard(settings, clock, timer)
        self.ledger = open_ledger(settings, guard.engine.takers, guard.instruments, clock)

    @property
    def engine(self) -> Engine:
        """Return the engine, which can be asked about any subject."""
        return self.guard.engine

    @property
    def instruments(self) -> Instrumentation:
        """Return the counters and the guard's own overheads."""
        return self.guard.instruments

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Guard HTTP requests and websockets; hand everything else on untouched."""
        if scope["type"] == "http":
            self.guard.background.start()
            await Responder(self.guard, self.app, scope, receive, send).respond()
        elif scope["type"] == "websocket":
            self.guard.background.start()
            await Socket(self.guard, self.app, scope, receive, send).serve()
        elif scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def watch(message: Message) -> None:
            if message["type"].startswith("lifespan.shutdown."):
                self.guard.background.stop()
                if self.ledger is not None:
                    self.ledger.close()
            await send(message)

        await self.app(scope, receive, watch)
