"""One websocket on its way through: its handshake, and each message that asks for an answer.

Messages pass as they are, in order and at once. One that is refused does not reach the application:
its client is told so on the same socket.
"""

from __future__ import annotations

from contextlib import suppress
from secrets import token_hex
from typing import TYPE_CHECKING

from gateway_guard import responses
from gateway_guard.actions import Action
from gateway_guard.dialects.sockets import voice_for
from gateway_guard.intake import route
from gateway_guard.listening import Listener
from gateway_guard.responses import Audience, Problem
from gateway_guard.subjects import hash_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from gateway_guard.assembly import Guard
    from gateway_guard.dialects.base import Voice
    from gateway_guard.enforcement import Decision
    from gateway_guard.principal import Principal
    from gateway_guard.responses import Answer

_ACCEPTED = 200
_POLICY_VIOLATION, _TRY_AGAIN_LATER = 1008, 1013
_REQUEST_ID = "req_"
_DENIAL = "websocket.http.response"


class ClosedError(OSError):
    """The application sends on a socket that the guard has closed."""


class Socket:
    """The state of one websocket; nothing of it is kept on the middleware."""

    __slots__ = (
        "_app",
        "_code",
        "_ended",
        "_guard",
        "_listener",
        "_path",
        "_principal",
        "_receive",
        "_scope",
        "_send",
        "_verified",
    )

    def __init__(
        self, guard: Guard, app: ASGIApp, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Take over one websocket to ``app``."""
        self._app = app
        self._guard = guard
        self._scope = scope
        self._receive = receive
        self._send = send
        self._path = route(scope)
        self._principal: Principal | None = None
        self._verified = False
        self._listener: Listener | None = None
        self._code: int | None = None
        self._ended = False

    async def serve(self) -> None:
        """Let the handshake through, or deny it; then follow what is said."""
        guard = self._guard
        decision: Decision | None = None
        with guard.contained() as contained:
            decision = self._identify()
        if decision is not None:
            with guard.contained():
                guard.tell_refusal(decision, self._path, request_id=None)
            await self._send({"type": "websocket.close", "code": _POLICY_VIOLATION})
        elif guard.broken(contained) and self._enforcing:
            await self._send({"type": "websocket.close", "code": _TRY_AGAIN_LATER})
        elif guard.settings.websockets == "refuse" and self._stands():
            await self._deny()
        elif self._listener is None:
            await self._app(self._scope, self._receive, self._send)
        else:
            await self._follow(self._listener)

    @property
    def _enforcing(self) -> bool:
        return self._guard.settings.mode == "enforce"

    def _identify(self) -> Decision | None:
        guard = self._guard
        principal = self._principal = guard.identify(self._scope)
        self._verified = guard.engine.verified(principal)
        query = self._scope.get("query_string") or b""
        self._listener = Listener(guard, principal, self._path, query)
        return guard.refuse_early(principal, self._path)

    def _stands(self) -> bool:
        """Tell whether it may be seen that websockets are refused; else only count and log."""
        if self._enforcing:
            return True
        self._guard.tell_problem(Problem.WEBSOCKET, self._principal, 0, None)
        return False

    async def _deny(self) -> None:
        """Answer the handshake with 403, in words where the server can send any."""
        answer = self._problem(Problem.WEBSOCKET, voice_for(self._path))
        if answer is None or _DENIAL not in (self._scope.get("extensions") or {}):
            await self._send({"type": "websocket.close", "code": _POLICY_VIOLATION})
            return
        start = {"type": f"{_DENIAL}.start", "status": answer.status, "headers": answer.headers}
        await self._send(start)
        await self._send({"type": f"{_DENIAL}.body", "body": answer.body})

    async def _follow(self, listener: Listener) -> None:
        async def take() -> Message:
            return await self._take(listener)

        async def give(message: Message) -> None:
            await self._give(listener, message)

        try:
            with suppress(ClosedError):
                await self._app(self._scope, take, give)
        finally:
            listener.settle_all()

    async def _take(self, listener: Listener) -> Message:
        """Return the next message that may reach the application."""
        while self._code is None:
            message = await self._receive()
            if message["type"] != "websocket.receive":
                if message["type"] == "websocket.disconnect":
                    listener.settle_all()
                return message
            refusal = self._heard(listener, message)
            if refusal is None:
                return message
            await self._refuse(listener, refusal)
        return {"type": "websocket.disconnect", "code": self._code}

    def _heard(self, listener: Listener, message: Message) -> Decision | Problem | None:
        """Return why a message must not reach the application, if so."""
        decision: Decision | None = None
        with self._guard.contained() as contained:
            decision = listener.hear(message)
        if self._guard.broken(contained) and self._enforcing:
            return Problem.UNAVAILABLE
        return decision

    async def _give(self, listener: Listener, message: Message) -> None:
        """Send a message of the application, and look at it then."""
        if self._code is not None:
            raise ClosedError
        self._ended = self._ended or message["type"] == "websocket.close"
        await self._send(message)
        refusal: Decision | None = None
        with self._guard.contained():
            refusal = self._saw(listener, message)
        if refusal is not None:
            await self._refuse(listener, refusal, begun=True)

    def _saw(self, listener: Listener, message: Message) -> Decision | None:
        kind = message["type"]
        if kind == "websocket.send":
            return listener.watch(message)
        if kind == "websocket.accept":
            self._verify()
        elif kind == "websocket.close":
            listener.settle_all()
        return None

    def _verify(self) -> None:
        """Take note that the application accepts the key."""
        principal = self._principal
        self._guard.answered(principal, _ACCEPTED)
        if principal is None or self._verified:
            return
        key, memory = principal.claimed or principal.key, self._guard.engine.memory
        memory.ages.add(hash_of(key), self._guard.timeline.now().wall)
        memory.revoked.pop(key, None)
        subject = memory.subjects.get(key)
        if subject is not None:
            memory.subjects.verify(subject)

    async def _refuse(
        self, listener: Listener, found: Decision | Problem, *, begun: bool = False
    ) -> None:
        """Tell the client why it has no answer, and close the socket where none will follow.

        An answer that has ``begun`` already cannot be paced by holding a message back.
        """
        if isinstance(found, Problem):
            answer = self._problem(found, listener.voice)
        else:
            answer = self._refusal(listener, found)
            if found.action > Action.THROTTLE:
                self._code = _POLICY_VIOLATION
        if self._code is None and (begun or answer is None):
            self._code = _TRY_AGAIN_LATER
        # A client that has gone does not hear it, which must not harm the application.
        with suppress(OSError):
            if answer is not None and not self._ended:
                await self._send({"type": "websocket.send", "text": answer.body.decode()})
            if self._code is not None and not self._ended:
                await self._send({"type": "websocket.close", "code": self._code})
        if self._code is not None:
            listener.settle_all()

    def _refusal(self, listener: Listener, decision: Decision) -> Answer | None:
        with self._guard.contained():
            audience = self._audience()
            listener.tell_refusal(decision, audience.request_id)
            return responses.refusal(listener.voice, decision, audience)
        return None

    def _problem(self, found: Problem, voice: Voice) -> Answer | None:
        with self._guard.contained():
            audience = self._audience()
            self._guard.tell_problem(found, self._principal, 0, audience.request_id)
            return responses.problem(voice, found, audience)
        return None

    def _audience(self) -> Audience:
        request_id = _REQUEST_ID + token_hex(12)
        return Audience(request_id=request_id, contact=self._guard.settings.contact)
