"""One request on its way: to the upstream, and the answer back, while the client is there."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

import httpx

from gateway_guard.instrumentation import Instrumentation
from gateway_guard.principal.addresses import Addresses
from gateway_guard.proxy.answers import (
    OVERLOADED,
    TARGET,
    WEBSOCKET,
    Failure,
    failure_of,
    failure_response,
    refuse_websocket,
)
from gateway_guard.proxy.bodies import AnswerBody, BufferedBody, StreamedBody
from gateway_guard.proxy.headers import framed, request_headers, response_headers
from gateway_guard.proxy.messages import ForwardedRequest, fields_of
from gateway_guard.proxy.watching import Watch, Watches

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

    from gateway_guard.proxy.options import ProxyOptions, Upstream


@dataclass(slots=True)
class Readiness:
    """Whether the proxy takes new work, how much it has, and where it tells what goes wrong."""

    draining: bool = False
    in_flight: int = 0
    instruments: Instrumentation = field(default_factory=Instrumentation)


@dataclass(slots=True)
class Forwarder:
    """An ASGI application that forwards every request to one upstream.

    It speaks to the transport itself: redirects, cookies, authentication and decoding, which
    ``httpx.AsyncClient`` adds above it, are the business of the client, not of a proxy.
    """

    upstream: Upstream
    transport: httpx.AsyncBaseTransport
    options: ProxyOptions
    readiness: Readiness
    timeout: dict[str, float] = field(init=False)
    addresses: Addresses = field(init=False)
    watches: Watches = field(init=False, default_factory=Watches)

    def __post_init__(self) -> None:
        """Prepare what every request needs."""
        self.timeout = self.options.timeout
        self.addresses = Addresses(self.options.trusted_proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward a request, within the limit."""
        if scope["type"] == "websocket":
            await refuse_websocket(scope, receive, send)
        elif failure := self._refusal(scope):
            self.tell(failure)
            await failure_response(failure)(scope, receive, send)
        else:
            self.readiness.in_flight += 1
            try:
                await Relay(self, scope, receive, send).run()
            finally:
                self.readiness.in_flight -= 1

    def tell(self, failure: Failure, error: Exception | None = None) -> None:
        """Count and log that the proxy itself answers, by the error's kind and never its text."""
        instruments, kind = self.readiness.instruments, type(error).__name__ if error else None
        instruments.count("proxy_problems", failure.code)
        shown = {"code": failure.code, "status": failure.status, "error": kind}
        instruments.seldom("warning", "proxy_problem", (failure.code, kind), **shown)

    def request(self, scope: Scope, body: BufferedBody | StreamedBody) -> ForwardedRequest:
        """Build the request to the upstream: the client's bytes under the upstream's name."""
        client = scope.get("client")
        _, trusted = self.addresses.peer(client[0] if client else None)
        headers = request_headers(scope, self.upstream.host, peer_is_trusted=trusted)
        length = len(body.content) if isinstance(body, BufferedBody) else None
        return ForwardedRequest(
            scope["method"],
            self.upstream.origin,
            framed(headers, scope["method"], length),
            body,
            {"target": self.upstream.prefix + target(scope), "timeout": self.timeout},
        )

    def _refusal(self, scope: Scope) -> Failure | None:
        """Say why a request is not forwarded, if so."""
        if self.readiness.in_flight >= self.options.max_in_flight:
            return OVERLOADED
        path = raw_path(scope)
        # Put behind the upstream's name, "@elsewhere/" would be another host.
        if not path.startswith(b"/") or not path.isascii():
            return TARGET
        if is_websocket_handshake(scope):
            return WEBSOCKET
        return None


class Relay:
    """The forwarding of one request, and the watch over its client."""

    __slots__ = (
        "_forwarder",
        "_left",
        "_receive",
        "_scope",
        "_send",
        "_task",
        "_watch",
        "_whole",
    )

    def __init__(self, forwarder: Forwarder, scope: Scope, receive: Receive, send: Send) -> None:
        self._forwarder = forwarder
        self._scope = scope
        self._receive = receive
        self._send = send
        self._task: asyncio.Task[Any] | None = None
        self._watch: Watch | None = None
        self._left = False
        self._whole = False

    async def run(self) -> None:
        """Forward the request; return at once when the client leaves.

        Raises:
            httpx.TransportError: if the upstream fails after its answer began, so that the server
                cuts the connection and the client does not take a part for the whole.

        """
        message = await self._receive()
        if message["type"] == "http.disconnect":
            return
        self._task = asyncio.current_task()
        try:
            await self._exchange(message)
        except asyncio.CancelledError:
            if not self._left or self._task is None or self._task.uncancel():
                raise
        except OSError:
            # How newer servers (ASGI 2.4) say it: the client is gone, nothing more can be sent.
            return
        finally:
            self._task = None
            if self._watch is not None:
                self._forwarder.watches.end(self._watch)
                # Each knows the other; so they need not be found by a garbage collection.
                self._watch = None

    async def _exchange(self, message: Message) -> None:
        """Send the request, then pass the answer on."""
        request = self._forwarder.request(self._scope, self._body(message))
        try:
            response = await self._forwarder.transport.handle_async_request(request)
        except httpx.TransportError as error:
            if not self._left:
                await self._fail(error)
            return
        # Not the response's own "aclose", which does little more than this.
        stream = cast("httpx.AsyncByteStream", response.stream)
        try:
            await self._answer(response, stream)
        finally:
            await stream.aclose()

    async def _answer(self, response: httpx.Response, stream: httpx.AsyncByteStream) -> None:
        """Pass the answer on, each piece as it comes."""
        status, send, over = response.status_code, self._send, False
        headers = response_headers(fields_of(response), status)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        body = stream if isinstance(stream, AnswerBody) else None
        async for piece in stream:
            over = body is not None and body.is_over
            await send({"type": "http.response.body", "body": piece, "more_body": not over})
        if not over:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _fail(self, error: httpx.TransportError) -> None:
        """Say that the upstream did not answer."""
        failure = failure_of(error)
        self._forwarder.tell(failure, error)
        await failure_response(failure)(self._scope, self._receive, self._send)

    def _body(self, message: Message) -> BufferedBody | StreamedBody:
        """Return the request's body, whole if it is there already."""
        first = message.get("body", b"")
        if message.get("more_body", False):
            return StreamedBody(first, self._next_piece)
        self._watch_client()
        return BufferedBody(first)

    async def _next_piece(self) -> bytes | None:
        """Wait for the next piece of the body; at its end begin to watch the client instead."""
        if self._whole:
            return None
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._leave()
            reason = "the client left"
            raise httpx.WriteError(reason)
        if not message.get("more_body", False):
            self._watch_client()
        piece: bytes = message.get("body", b"")
        return piece

    def _watch_client(self) -> None:
        """Watch, now that the request is whole, whether its client leaves before the answer."""
        self._whole = True
        # A transport may still hold the body when the answer is long over.
        if self._task is not None:
            self._watch = Watch(self._receive, self._leave)
            self._forwarder.watches.begin(self._watch)

    def _leave(self) -> None:
        """Cancel what is under way at the upstream: nobody waits for it any more."""
        if self._task is None:
            return
        self._left = True
        # A transport that reads the body within this task is ended by the body's error instead:
        # a cancellation would interrupt it while it closes the connection.
        if self._task is not asyncio.current_task():
            self._task.cancel()


def raw_path(scope: Scope) -> bytes:
    """Return the path's own bytes, which a server may leave out."""
    raw: bytes | None = scope.get("raw_path")
    return quote(scope["path"]).encode() if raw is None else raw


def target(scope: Scope) -> bytes:
    """Return path and query as they came."""
    path, query = raw_path(scope), scope["query_string"]
    return path + b"?" + query if query else path


def is_websocket_handshake(scope: Scope) -> bool:
    """Say whether a plain request asks for a websocket, where the server itself speaks none."""
    for name, value in scope["headers"]:
        if name == b"upgrade" and b"websocket" in value.lower():
            return True
    return False
