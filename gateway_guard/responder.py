"""One request on its way through: read, admitted or refused, replayed, its answer watched."""

from __future__ import annotations

import asyncio
from secrets import token_hex
from time import perf_counter
from typing import TYPE_CHECKING

from gateway_guard import responses
from gateway_guard.dialects import dialect_for, read_request
from gateway_guard.enforcement import described
from gateway_guard.observation import Observation
from gateway_guard.responses import Audience, Problem

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from gateway_guard.assembly import Guard
    from gateway_guard.enforcement import Decision
    from gateway_guard.pending import Ticket
    from gateway_guard.principal import Principal
    from gateway_guard.responses import Answer

_ASKING_METHODS = frozenset({"POST", "PUT", "PATCH"})
_REQUEST_ID = "req_"
_LONGEST_NUMBER = 16
_NEVER_TEXT = (b"multipart/", b"audio/", b"image/", b"video/")


class Responder:
    """The state of one request; nothing of it is kept on the middleware."""

    __slots__ = (
        "_app",
        "_body",
        "_guard",
        "_held",
        "_more",
        "_observation",
        "_path",
        "_principal",
        "_receive",
        "_scope",
        "_send",
        "_spent_seconds",
        "_ticket",
        "_verified",
    )

    def __init__(
        self, guard: Guard, app: ASGIApp, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Take over one HTTP request to ``app``."""
        self._app = app
        self._guard = guard
        self._scope = scope
        self._receive = receive
        self._send = send
        self._path = _route(scope)
        self._principal: Principal | None = None
        self._verified = False
        self._body: bytes | None = None
        self._more = False
        self._held = 0
        self._ticket: Ticket | None = None
        self._observation: Observation | None = None
        self._spent_seconds = 0.0

    async def respond(self) -> None:
        """Let the request through, or answer it."""
        guard = self._guard
        begun = perf_counter()
        decision: Decision | None = None
        if self._scope["method"] == "OPTIONS":
            await self._app(self._scope, self._receive, self._send)
            return
        with guard.contained() as contained:
            decision = self._identify()
        if decision is not None:
            await self._refuse(decision)
        elif guard.broken(contained):
            await self._answer(self._problem(Problem.UNAVAILABLE))
        elif not self._asks():
            await self._app(self._scope, self._receive, self._send)
        else:
            self._spent_seconds = perf_counter() - begun
            await self._guarded()

    def _identify(self) -> Decision | None:
        guard, now = self._guard, self._guard.timeline.now()
        self._principal = guard.principals.read(self._scope)
        self._verified = guard.engine.verified(self._principal)
        return guard.engine.refuse_early(self._principal, self._path, now)

    def _asks(self) -> bool:
        """Tell whether the request may ask a model for an answer."""
        if self._principal is None or self._scope["method"] not in _ASKING_METHODS:
            return False
        if dialect_for(self._path).name != "generic":
            return True
        return not _header(self._scope, b"content-type").lower().startswith(_NEVER_TEXT)

    async def _guarded(self) -> None:
        try:
            problem = await self._buffer()
            if problem is not None:
                await self._answer(problem)
                return
            begun = perf_counter()
            with self._guard.contained() as contained:
                problem = self._admit()
            self._spent_seconds += perf_counter() - begun
            ticket = self._ticket
            if self._guard.broken(contained):
                await self._answer(self._problem(Problem.UNAVAILABLE))
            elif problem is not None:
                await self._answer(problem)
            elif ticket is not None and ticket.decision.refused:
                await self._refuse(ticket.decision)
            else:
                await self._app(self._scope, self._replay, self._watch)
        finally:
            self._settle()
            self._release()

    async def _buffer(self) -> Answer | None:
        """Read the body within the budgets; return the answer to a request that exceeds them."""
        settings = self._guard.settings
        if settings.oversize == "refuse" and _declared(self._scope) > settings.max_body:
            return self._problem(Problem.TOO_LARGE)
        try:
            async with asyncio.timeout(settings.body_timeout):
                return await self._collect()
        except TimeoutError:
            return self._problem(Problem.TIMEOUT)

    async def _collect(self) -> Answer | None:
        settings, chunks = self._guard.settings, []
        self._more = True
        while self._more:
            message = await self._receive()
            if message["type"] != "http.request":
                break
            chunk = message.get("body", b"")
            self._more = message.get("more_body", False)
            if not self._guard.budget.reserve(len(chunk), verified=self._verified):
                return self._problem(Problem.UNAVAILABLE)
            self._held += len(chunk)
            chunks.append(chunk)
            if self._held > settings.max_body:
                if settings.oversize == "refuse":
                    return self._problem(Problem.TOO_LARGE)
                break
        self._body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        return None

    def _admit(self) -> Answer | None:
        """Read the exchange and have it decided; return an answer if it must not pass unread."""
        guard = self._guard
        left = self._more and self._held <= guard.settings.max_body
        if self._principal is None or self._body is None or left:
            return None
        dialect, exchange = read_request(self._body, self._path)
        guard.instruments.count("requests", dialect.name)
        if exchange is None:
            return None
        if exchange.unparsed:
            guard.instruments.count("unparsed", dialect.name)
            if guard.settings.unparsed == "refuse":
                return self._problem(Problem.UNPARSED)
        now = guard.timeline.now()
        self._observation = Observation(dialect, guard.digest_key)
        self._ticket = guard.engine.admit(self._principal, exchange, self._path, now)
        return None

    async def _replay(self) -> Message:
        body = self._body
        if body is None:
            return await self._receive()
        self._body = None
        self._release()
        return {"type": "http.request", "body": body, "more_body": self._more}

    async def _watch(self, message: Message) -> None:
        await self._send(message)
        observation, kind = self._observation, message["type"]
        if observation is None:
            return
        with self._guard.contained():
            if kind == "http.response.body":
                observation.feed(message.get("body", b""))
                if not message.get("more_body", False):
                    observation.completed = True
                    self._settle()
            elif kind == "http.response.start":
                self._started(observation, message)
            elif kind == "http.response.pathsend":
                observation.completed = True

    def _started(self, observation: Observation, message: Message) -> None:
        status = message["status"]
        observation.start(status, message.get("headers", ()))
        if self._ticket is not None:
            self._guard.engine.start(self._ticket, status, self._guard.timeline.now())

    def _settle(self) -> None:
        """Settle the exchange once, with what was seen of its answer."""
        ticket, observation = self._ticket, self._observation
        if ticket is None or observation is None:
            return
        guard, self._ticket, self._observation = self._guard, None, None
        begun = perf_counter()
        with guard.contained():
            guard.engine.settle(ticket, observation.outcome(), guard.timeline.now())
            if guard.engine.unflushed:
                guard.background.flush_soon()
        guard.instruments.overhead_seconds.append(self._spent_seconds + perf_counter() - begun)

    def _release(self) -> None:
        held, self._held = self._held, 0
        if held:
            self._guard.budget.release(held, verified=self._verified)

    async def _refuse(self, decision: Decision) -> None:
        """Answer a request that a decision refuses."""
        request_id = _REQUEST_ID + token_hex(12)
        plain = not self._verified and self._guard.often_refused(self._principal)
        self._guard.instruments.event(
            "refusal", **described(decision), path=self._path, request_id=request_id
        )
        audience = self._audience(request_id, plain=plain)
        await self._answer(responses.refusal(dialect_for(self._path), decision, audience))

    def _problem(self, found: Problem) -> Answer:
        """Shape the answer to a request that cannot be handled."""
        self._guard.instruments.count("problems", found.name.lower())
        audience = self._audience(_REQUEST_ID + token_hex(12), plain=False)
        return responses.problem(dialect_for(self._path), found, audience)

    def _audience(self, request_id: str, *, plain: bool) -> Audience:
        return Audience(
            request_id=request_id,
            contact=self._guard.settings.contact,
            accept=_header(self._scope, b"accept"),
            head_only=self._scope["method"] == "HEAD",
            plain=plain,
        )

    async def _answer(self, answer: Answer) -> None:
        start = {"type": "http.response.start", "status": answer.status, "headers": answer.headers}
        await self._send(start)
        await self._send({"type": "http.response.body", "body": answer.body})


def _route(scope: Scope) -> str:
    """Return the decoded path without the prefix that the server mounted the application under."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return path[len(root) :] if root and path.startswith(root) else path


def _header(scope: Scope, name: bytes) -> bytes:
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return b""


def _declared(scope: Scope) -> int:
    """Return the declared length of the body, 0 where it is not declared or makes no sense."""
    length = _header(scope, b"content-length")
    return int(length) if length.isdigit() and len(length) < _LONGEST_NUMBER else 0
