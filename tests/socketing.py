"""Applications that speak over websockets as model servers do, and what a guard is told of them."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import connect

from tests.callers import KEY
from tests.servers import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    import pytest
    from starlette.types import ASGIApp
    from websockets.asyncio.client import ClientConnection

    from gateway_guard import GuardMiddleware
    from gateway_guard.exchange import Exchange
    from gateway_guard.pending import Ticket
    from gateway_guard.principal import Principal
    from gateway_guard.timeline import Instant

REALTIME = "/v1/realtime"
LIVE = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
ANSWER = "Paris has been the capital of France for a thousand years."
QUESTION = "What is the capital of France?"


class Server:
    """Answers each message with a function of it; keeps all that came, and how it ended."""

    def __init__(self, answer: Callable[[WebSocket, Any], Awaitable[None]]) -> None:
        self.answer = answer
        self.came: list[str | bytes] = []
        self.codes: list[int] = []

    async def speak(self, socket: WebSocket) -> None:
        """Speak on one socket until the client goes."""
        await socket.accept()
        try:
            while True:
                message = await socket.receive()
                if message["type"] == "websocket.disconnect":
                    self.codes.append(message["code"])
                    return
                text = message.get("text")
                self.came.append(message["bytes"] if text is None else text)
                await self.answer(socket, text)
        except WebSocketDisconnect as gone:
            self.codes.append(gone.code)

    @property
    def app(self) -> ASGIApp:
        """The application, which has its socket everywhere."""
        return Starlette(routes=[WebSocketRoute("/{path:path}", self.speak)])


def admitted_by(guard: GuardMiddleware, monkeypatch: pytest.MonkeyPatch) -> list[Exchange]:
    """Return a list that collects the exchanges that the engine is asked to admit."""
    asked: list[Exchange] = []
    admit = guard.engine.admit

    def listen(principal: Principal, exchange: Exchange, path: str, now: Instant) -> Ticket:
        asked.append(exchange)
        return admit(principal, exchange, path, now)

    monkeypatch.setattr(guard.engine, "admit", listen)
    return asked


@asynccontextmanager
async def talking(
    guard: GuardMiddleware, path: str, key: bytes = KEY
) -> AsyncIterator[ClientConnection]:
    """Serve a guarded application, and open a websocket to it."""
    headers = {"authorization": f"Bearer {key.decode()}"}
    async with (
        serving(guard) as address,
        connect(address.replace("http", "ws", 1) + path, additional_headers=headers) as socket,
    ):
        yield socket


async def say(socket: ClientConnection, **message: object) -> None:
    """Send a message as a client does."""
    await socket.send(json.dumps(message))


async def hear(socket: ClientConnection) -> dict[str, Any]:
    """Return the next message of the server."""
    said: dict[str, Any] = json.loads(await socket.recv())
    return said


def in_pieces(text: str, size: int = 7) -> list[str]:
    """Return a text as a model serves it."""
    return [text[at : at + size] for at in range(0, len(text), size)]
