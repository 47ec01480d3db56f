"""One request on its way through: read, admitted or refused, replayed, its answer watched."""

from __future__ import annotations

from secrets import token_hex
from time import perf_counter
from typing import TYPE_CHECKING

from gateway_guard import responses
from gateway_guard.buffers import HeldBody
from gateway_guard.dialects import dialect_for, read_request
from gateway_guard.exchange import Exchange, Outcome, Turn
from gateway_guard.fetching import fetching_at
from gateway_guard.intake import Intake, route
from gateway_guard.observation import Observation
from gateway_guard.responses import Audience, Problem

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from gateway_guard.assembly import Guard
    from gateway_guard.dialects.base import Dialect
    from gateway_guard.enforcement import Decision
    from gateway_guard.pending import Ticket
    from gateway_guard.principal import Principal
    from gateway_guard.responses import Answer

_SILENT_METHODS = frozenset({"GET", "HEAD", "DELETE", "TRACE", "CONNECT"})
_REQUEST_ID = "req_"
_MOST_UNREAD_BYTES = 2**16
_FILES = frozenset({"http.response.pathsend", "http.response.zerocopysend"})


class Responder:
    """The state of one request; nothing of it is kept on the middleware."""

    __slots__ = (
        "_app",
        "_contained",
        "_fields",
        "_guard",
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
        self._path = route(scope)
        self._fields: dict[bytes, bytes] = {}
        self._principal: Principal | None = None
        self._verified = False
        self._contained = guard.contained()
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
        principal = self._principal
        if decision is not None:
            await self._refuse(decision)
        elif guard.broken(contained) and self._stands(Problem.UNAVAILABLE):
            await self._answer(self._problem(Problem.UNAVAILABLE))
        elif principal is None or self._scope["method"] in _SILENT_METHODS:
            await self._pass(principal)
        else:
            self._spent_seconds = perf_counter() - begun
            await self._guarded(principal)

    def _identify(self) -> Decision | None:
        guard = self._guard
        self._fields = dict(self._scope["headers"])
        self._principal = guard.identify(self._scope)
        self._verified = guard.engine.verified(self._principal)
        return guard.refuse_early(self._principal, self._path)

    async def _pass(self, principal: Principal | None) -> None:
        """Let a request pass that asks for nothing, but may fetch what was asked for before."""
        fetching = None
        if principal is not None and self._scope["method"] == "GET":
            fetching = fetching_at(self._path, self._guard, principal, self._scope, self._send)
        if fetching is None:
            await self._app(self._scope, self._receive, self._send)
            return
        try:
            await self._app(self._scope, self._receive, fetching.watch)
        finally:
            fetching.end()

    async def _guarded(self, principal: Principal) -> None:
        # Anybody can make up keys, so those that were never accepted share by network.
        caller = principal.key if self._verified else principal.network
        guard, scope = self._guard, self._scope
        body = HeldBody(guard.budget, caller, verified=self._verified)
        intake = Intake(guard.settings, scope, self._fields, self._receive, body)
        try:
            problem = await intake.buffer(guard.deadlines) or self._decide(intake)
            ticket = self._ticket
            if problem is not None and self._stands(problem, intake.size):
                await self._answer(self._problem(problem, intake.size))
            elif ticket is not None and ticket.decision.refused:
                await self._refuse(ticket.decision)
            else:
                app = guard.uploads.around(
                    self._app,
                    self._path,
                    self._fields,
                    principal,
                    lambda: HeldBody(guard.budget, caller, verified=self._verified),
                )
                await app(self._scope, intake.replay, self._watch)
        finally:
            self._settle()
            intake.let_go()

    def _decide(self, intake: Intake) -> Problem | None:
        """Have the exchange decided; return what is wrong if it must not pass unread."""
        begun = perf_counter()
        problem = None
        with self._guard.contained() as contained:
            problem = self._admit(intake)
        self._spent_seconds += perf_counter() - begun
        return Problem.UNAVAILABLE if self._guard.broken(contained) else problem

    def _admit(self, intake: Intake) -> Problem | None:
        guard, settings = self._guard, self._guard.settings
        if self._principal is None or not intake.readable:
            return None
        dialect, exchange = self._read(intake)
        guard.instruments.count("requests", dialect.name)
        if exchange is None:
            return None
        if exchange.unparsed:
            guard.instruments.count("unparsed", dialect.name)
            if intake.cut and settings.oversize == "refuse":
                return Problem.TOO_LARGE
            if settings.unparsed == "refuse" and not intake.more:
                return Problem.UNPARSED
        now = guard.timeline.now()
        self._observation = Observation(dialect, guard.digest_key)
        elements = guard.uploads.find(exchange, self._principal)
        self._ticket = guard.engine.admit(self._principal, exchange, self._path, now, elements)
        guard.background.flush_soon()
        return None

    def _read(self, intake: Intake) -> tuple[Dialect, Exchange | None]:
        """Read the body in each way a server may, until one of them is understood."""
        unparsed, dialect, text = None, dialect_for(self._path), b""
        for text in intake.texts():
            dialect, exchange = read_request(text, self._path)
            if exchange is not None and not exchange.unparsed:
                return dialect, exchange
            unparsed = unparsed or exchange
        if unparsed is None and intake.undecoded:
            unparsed = _unread(dialect, text)
        return dialect, unparsed

    async def _watch(self, message: Message) -> None:
        await self._send(message)
        observation = self._observation
        if observation is None:
            return
        with self._contained:
            kind = message["type"]
            if kind == "http.response.body":
                observation.feed(message.get("body", b""))
                if not message.get("more_body", False):
                    self._complete(observation)
            elif kind == "http.response.start":
                self._started(observation, message)
            elif kind in _FILES and not message.get("more_body", False):
                self._complete(observation)

    def _complete(self, observation: Observation) -> None:
        observation.completed = True
        self._settle()

    def _started(self, observation: Observation, message: Message) -> None:
        status = message["status"]
        observation.start(status, message.get("headers", ()))
        self._guard.answered(self._principal, status)
        if self._ticket is not None:
            self._guard.engine.start(self._ticket, status, self._guard.timeline.now())

    def _settle(self) -> None:
        """Settle the exchange once, with what was seen of its answer."""
        ticket, observation = self._ticket, self._observation
        if ticket is None or observation is None:
            return
        guard, self._ticket, self._observation = self._guard, None, None
        begun = perf_counter()
        outcome = Outcome(observation.status, observation.completed)
        with guard.contained():
            outcome = observation.outcome()
        with guard.contained():
            guard.engine.settle(ticket, outcome, guard.timeline.now())
            guard.background.flush_soon()
        spent = self._spent_seconds + perf_counter() - begun
        guard.instruments.overhead_seconds.append(spent + guard.put_off_seconds)

    async def _refuse(self, decision: Decision) -> None:
        """Answer a request that a decision refuses."""
        request_id = _REQUEST_ID + token_hex(12)
        answer: Answer | None = None
        with self._guard.contained():
            plain = not self._verified and self._guard.often_refused(self._principal)
            self._guard.tell_refusal(decision, self._path, request_id)
            audience = self._audience(request_id, plain=plain)
            answer = responses.refusal(dialect_for(self._path), decision, audience)
        await self._answer(answer or self._problem(Problem.UNAVAILABLE))

    def _stands(self, found: Problem, size: int = 0) -> bool:
        """Tell whether it may be seen that a request cannot be handled; else only count and log."""
        if self._guard.settings.mode != "shadow":
            return True
        self._guard.tell_problem(found, self._principal, size, None)
        return False

    def _problem(self, found: Problem, size: int = 0) -> Answer:
        """Shape the answer to a request that cannot be handled, and tell of it."""
        audience = self._audience(_REQUEST_ID + token_hex(12), plain=False)
        self._guard.tell_problem(found, self._principal, size, audience.request_id)
        return responses.problem(dialect_for(self._path), found, audience)

    def _audience(self, request_id: str, *, plain: bool) -> Audience:
        return Audience(
            request_id=request_id,
            contact=self._guard.settings.contact,
            accept=self._fields.get(b"accept", b""),
            head_only=self._scope["method"] == "HEAD",
            plain=plain,
        )

    async def _answer(self, answer: Answer) -> None:
        start = {"type": "http.response.start", "status": answer.status, "headers": answer.headers}
        await self._send(start)
        await self._send({"type": "http.response.body", "body": answer.body})


def _unread(dialect: Dialect, body: bytes) -> Exchange:
    """Return the exchange that there may be in a body that cannot be decoded."""
    text = body[:_MOST_UNREAD_BYTES].replace(b"\0", b"").decode("utf-8", "replace")
    turns = (Turn("user", text),)
    return Exchange(dialect.name, "", turns, body_bytes=len(body), unparsed=True)
