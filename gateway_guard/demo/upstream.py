"""The model behind the gateway: it speaks both dialects and answers when the story says so."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING, Final

from gateway_guard.demo.answers import events, whole

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from typing import Any

    from starlette.types import Receive, Scope, Send

    from gateway_guard.demo.script import Request

TICKET: Final = b"x-demo-ticket"
# Models write faster than networks send: what waits together travels together.
EVENTS_PER_CHUNK: Final = 4
JSON: Final = (b"content-type", b"application/json")
EVENT_STREAM: Final = (b"content-type", b"text/event-stream; charset=utf-8")


class Gate:
    """Where one request waits between its arrival at the upstream and its answer.

    ``decided`` is set when the request arrives, or by the wire when a refusal comes back instead.
    """

    def __init__(self, request: Request, loop: asyncio.AbstractEventLoop) -> None:
        self.request = request
        self.arrived = False
        self.decided: asyncio.Future[None] = loop.create_future()
        self.opened: asyncio.Future[None] = loop.create_future()

    def arrive(self) -> None:
        """Note that the upstream has the whole request."""
        self.arrived = True
        self.decide()

    def decide(self) -> None:
        """Note that the guard has decided, whichever way."""
        if not self.decided.done():
            self.decided.set_result(None)

    def open(self) -> None:
        """Let the upstream answer."""
        if not self.opened.done():
            self.opened.set_result(None)


class Upstream:
    """An ASGI application that knows each request by the ticket in a private header."""

    def __init__(self) -> None:
        self._gates: dict[bytes, Gate] = {}
        self._tickets = 0

    def expect(self, request: Request) -> tuple[bytes, Gate]:
        """Prepare for a request; return the ticket that it carries and the gate where it waits."""
        self._tickets += 1
        ticket = b"%08x" % self._tickets
        gate = self._gates[ticket] = Gate(request, asyncio.get_running_loop())
        return ticket, gate

    def forget(self, ticket: bytes) -> None:
        """Stop waiting for a request that was refused on its way."""
        self._gates.pop(ticket, None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one expected request; anything else is not found."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        ticket = ticket_of(scope)
        gate = self._gates.pop(ticket, None)
        if gate is None:
            await _send_whole(send, 404, b'{"error":{"message":"nobody asked"}}')
            return
        body_bytes = await _body_bytes(receive)
        gate.arrive()
        await gate.opened
        if gate.request.stream:
            await _send_events(send, gate.request, ticket.decode(), body_bytes)
        else:
            await _send_whole(send, 200, whole(gate.request, ticket.decode(), body_bytes))


def ticket_of(scope: MutableMapping[str, Any]) -> bytes:
    """Return the ticket in a request's headers, empty when there is none."""
    return next((value for name, value in scope["headers"] if name == TICKET), b"")


async def _live(receive: Receive, send: Send) -> None:
    while (await receive())["type"] == "lifespan.startup":
        await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.shutdown.complete"})


async def _body_bytes(receive: Receive) -> int:
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    return size


async def _send_whole(send: Send, status: int, body: bytes) -> None:
    headers = [JSON, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _send_events(send: Send, request: Request, ticket: str, body_bytes: int) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [EVENT_STREAM]})
    left = events(request, ticket, body_bytes)
    while chunk := b"".join(islice(left, EVENTS_PER_CHUNK)):
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
