"""Two ways for a request to reach the guarded application: over HTTP, and inside the process.

Both keep the same order of things. ``start`` returns when the guard has decided. ``finish`` lets
the upstream answer and returns when the client has read it and the guard has settled it.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from gateway_guard.demo.bodies import PATHS, encode_body
from gateway_guard.demo.connection import HOST, ConnectionPool, Response
from gateway_guard.demo.script import OK, Reply, Request
from gateway_guard.demo.upstream import TICKET, Gate, Upstream, ticket_of
from gateway_guard.proxy import create_proxy
from gateway_guard.proxy.server import Listen, make_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Self

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from gateway_guard.demo.guard import Guard

REFUSALS: Final = frozenset({403, 429, 503})
# Nothing here takes longer; a story that stands still must end.
PATIENCE_SECONDS: Final = 30.0


@dataclass(slots=True)
class Flight:
    """One request between its start and its end."""

    request: Request
    ticket: bytes
    gate: Gate
    response: asyncio.Future[Response]
    settled: asyncio.Future[None]

    @property
    def refusal(self) -> int | None:
        """The status of the guard's refusal, None if the request passed; known once decided."""
        if self.gate.arrived:
            return None
        status = self.response.result().status
        return status if status in REFUSALS else None


class StageError(RuntimeError):
    """Neither an answer nor a refusal came back: the stage itself is broken."""

    def __init__(self, status: int) -> None:
        super().__init__(f"a request of the demo was answered with status {status}")
        self.status = status


class Wire(Protocol):
    """Carries requests to the guarded application."""

    guard: Guard

    async def start(self, request: Request) -> Flight:
        """Send a request; return when the guard has decided."""
        ...

    async def finish(self, flight: Flight) -> Reply:
        """Let the upstream answer; return when the answer is read and settled."""
        ...


class _Desk:
    """What both wires share: the upstream, and the watch over the guarded application's calls."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.upstream = Upstream()
        self._settled: dict[bytes, asyncio.Future[None]] = {}

    def guarded(self, app: ASGIApp) -> ASGIApp:
        """Mount the guard before an application, and note when each of its calls is over."""
        inner = self.guard.mount(app)

        async def watched(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await inner(scope, receive, send)
            finally:
                if scope["type"] == "http" and (over := self._settled.pop(ticket_of(scope), None)):
                    over.set_result(None)

        return watched

    def expect(self, request: Request) -> tuple[bytes, Gate, asyncio.Future[None]]:
        """Prepare for a request: its ticket, its gate and the end of the guard's call."""
        ticket, gate = self.upstream.expect(request)
        settled = self._settled[ticket] = asyncio.get_running_loop().create_future()
        return ticket, gate, settled

    async def decided(self, flight: Flight) -> Flight:
        """Wait until the request has arrived, or has come back before."""
        flight.response.add_done_callback(lambda _: flight.gate.decide())
        async with asyncio.timeout(PATIENCE_SECONDS):
            await flight.gate.decided
        if not flight.gate.arrived:
            self.upstream.forget(flight.ticket)
        return flight

    async def finish(self, flight: Flight) -> Reply:
        """Let the upstream answer; return when the answer is read and settled."""
        flight.gate.open()
        async with asyncio.timeout(PATIENCE_SECONDS):
            response = await flight.response
            await flight.settled
        if response.status != OK and flight.refusal is None:
            raise StageError(response.status)
        self.guard.settled()
        return read_reply(response)


class HttpWire(_Desk):
    """Sends requests over loopback sockets: client, guarded proxy, upstream."""

    _pool: ConnectionPool
    _stack: AsyncExitStack

    async def __aenter__(self) -> Self:
        """Start the upstream and the guarded proxy in front of it."""
        async with AsyncExitStack() as stack:
            upstream_port = await stack.enter_async_context(served(self.upstream))
            proxy = create_proxy(f"http://{HOST}:{upstream_port}")
            port = await stack.enter_async_context(served(self.guarded(proxy)))
            self._pool = ConnectionPool(port)
            stack.callback(self._pool.close)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop everything."""
        await self._stack.aclose()

    async def start(self, request: Request) -> Flight:
        """Send a request; return when the guard has decided."""
        ticket, gate, settled = self.expect(request)
        response = await self._pool.send(http_request(request, ticket))
        return await self.decided(Flight(request, ticket, gate, response, settled))


class InProcessWire(_Desk):
    """Calls the guarded application directly: the same story without sockets, for calibration."""

    _app: ASGIApp

    async def __aenter__(self) -> Self:
        """Mount the guard before the upstream."""
        self._app = self.guarded(self.upstream)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Do nothing: every call is over when its flight is."""

    async def start(self, request: Request) -> Flight:
        """Call the application; return when the guard has decided."""
        ticket, gate, settled = self.expect(request)
        response = asyncio.ensure_future(self._call(request, ticket))
        return await self.decided(Flight(request, ticket, gate, response, settled))

    async def _call(self, request: Request, ticket: bytes) -> Response:
        response = Response()
        body: Message | None = {"type": "http.request", "body": encode_body(request)}

        async def receive() -> Message:
            nonlocal body
            message, body = body, None
            return message or await asyncio.get_running_loop().create_future()

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                response.status, response.headers = message["status"], dict(message["headers"])
            else:
                response.body += message.get("body", b"")

        await self._app(asgi_scope(request, ticket), receive, send)
        return response


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[int]:
    """Serve an application on a free loopback port, which is yielded."""
    server = make_server(app, Listen(host=HOST, port=0, drain_seconds=1))
    # Making a server sets up its logging anew, and its comings and goings are no part of the story.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup()
    try:
        port: int = server.servers[0].sockets[0].getsockname()[1]
        yield port
    finally:
        await server.shutdown()


def request_fields(request: Request, ticket: bytes) -> list[tuple[bytes, bytes]]:
    """Return the fields that a client sends, lower-case."""
    key = request.identity.key.encode()
    credential = (
        (b"authorization", b"Bearer " + key) if request.dialect == "openai" else (b"x-api-key", key)
    )
    return [
        (TICKET, ticket),
        credential,
        (b"content-type", b"application/json"),
        (b"x-stainless-retry-count", b"%d" % request.attempt),
        *request.identity.headers,
    ]


def http_request(request: Request, ticket: bytes) -> bytes:
    """Return a request as it travels."""
    body = encode_body(request)
    fields = [
        (b"host", HOST.encode()),
        *request_fields(request, ticket),
        (b"content-length", b"%d" % len(body)),
    ]
    head = b"".join(b"%b: %b\r\n" % field for field in fields)
    return b"POST %b HTTP/1.1\r\n%b\r\n%b" % (PATHS[request.dialect], head, body)


def asgi_scope(request: Request, ticket: bytes) -> dict[str, Any]:
    """Return a request as a server would hand it to an application."""
    path = PATHS[request.dialect]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path.decode(),
        "raw_path": path,
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", HOST.encode()), *request_fields(request, ticket)],
        "client": (HOST, 1),
        "server": (HOST, 2),
        "state": {},
        "extensions": {},
    }


def read_reply(response: Response) -> Reply:
    """Return what a client makes of a response."""
    after = response.headers.get(b"retry-after")
    return Reply(
        status=response.status,
        retry_after_seconds=float(after) if after else None,
        should_retry=response.headers.get(b"x-should-retry") != b"false",
    )
