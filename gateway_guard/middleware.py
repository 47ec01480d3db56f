"""GuardMiddleware: the only ASGI in the core."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gateway_guard.assembly import Guard
from gateway_guard.intake import route
from gateway_guard.responder import Responder
from gateway_guard.settings import load_settings
from gateway_guard.subjects import hash_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from gateway_guard.engine import Engine
    from gateway_guard.instrumentation import Instrumentation
    from gateway_guard.principal import Principal
    from gateway_guard.settings import Settings

_ACCEPTED = 200
_POLICY_VIOLATION, _TRY_AGAIN_LATER = 1008, 1013


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
        self.guard = Guard(settings if settings is not None else load_settings(), clock, timer)

    @property
    def engine(self) -> Engine:
        """Return the engine, which can be asked about any subject."""
        return self.guard.engine

    @property
    def instruments(self) -> Instrumentation:
        """Return the counters and the guard's own overheads."""
        return self.guard.instruments

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Guard HTTP requests and websocket handshakes; hand everything else on untouched."""
        if scope["type"] == "http":
            self.guard.background.start()
            await Responder(self.guard, self.app, scope, receive, send).respond()
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        guard = self.guard
        code: int | None = None
        with guard.contained() as contained:
            principal = guard.identify(scope)
            code = self._closing_code(principal, route(scope))
            if not guard.engine.verified(principal):
                send = self._verifying(principal, send)
        if guard.broken(contained) and guard.settings.mode == "enforce":
            code = _TRY_AGAIN_LATER
        if code is None:
            await self.app(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": code})

    def _closing_code(self, principal: Principal, path: str) -> int | None:
        """Return the code to close a handshake with, ``None`` for one that may go on."""
        guard = self.guard
        decision = guard.refuse_early(principal, path)
        if decision is None:
            return None
        guard.tell_refusal(decision, path, request_id=None)
        return _POLICY_VIOLATION

    def _verifying(self, principal: Principal, send: Send) -> Send:
        """Return ``send`` for a websocket whose key is verified once it is accepted."""

        async def watch(message: Message) -> None:
            await send(message)
            if message["type"] == "websocket.accept":
                with self.guard.contained():
                    self.guard.answered(principal, _ACCEPTED)
                    self._verify(principal.claimed or principal.key)

        return watch

    def _verify(self, key: bytes) -> None:
        memory = self.guard.engine.memory
        memory.ages.add(hash_of(key), self.guard.timeline.now().wall)
        memory.revoked.pop(key, None)
        subject = memory.subjects.get(key)
        if subject is not None:
            memory.subjects.verify(subject)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def watch(message: Message) -> None:
            if message["type"].startswith("lifespan.shutdown."):
                self.guard.background.stop()
            await send(message)

        await self.app(scope, receive, watch)
