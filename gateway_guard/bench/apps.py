"""The application that everything is mounted on, and the two middlewares that need no package."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from gateway_guard.bench.answers import TEXT, chunks, completion
from gateway_guard.bench.traffic import PATH

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from starlette.middleware import Middleware
    from starlette.middleware.base import RequestResponseEndpoint
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    Endpoint = Callable[[Request], Awaitable[Response]]

_COMPLETION: Final = completion()
BODY: Final = json.dumps(_COMPLETION).encode()
_LONG_COMPLETION: Final = completion(" ".join([TEXT] * 7))
_CHUNKS: Final = chunks()


async def answer_chat(request: Request) -> Response:
    """Read the request and answer it, whole or streamed as it asks."""
    if (await request.json())["stream"]:
        return StreamingResponse(_stream(), media_type="text/event-stream")
    return JSONResponse(_COMPLETION)


def chat_app(
    middleware: Sequence[Middleware] = (), *, endpoint: Endpoint = answer_chat
) -> Starlette:
    """Return an application that parses a chat completion's request and answers it."""
    route = Route(PATH.decode(), endpoint, methods=["POST"])
    return Starlette(routes=[route], middleware=middleware)


async def answer_long(request: Request) -> Response:
    """Read and parse the request, and answer with 2 KB of text."""
    await request.json()
    return JSONResponse(_LONG_COMPLETION)


async def answer_known(request: Request) -> Response:
    """Read and parse the request like the application; turn junk keys away after that."""
    await request.json()
    if "junk" in request.headers.get("authorization", ""):
        return JSONResponse({"error": {"message": "no such key"}}, 401)
    return JSONResponse(_COMPLETION)


async def _stream() -> AsyncIterator[bytes]:
    for chunk in _CHUNKS:
        yield chunk


async def answer_at_once(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer like the application, as a bare function that does not look at the request."""
    if scope["type"] == "lifespan":
        await _live(receive, send)
    else:
        await answer_with(200, BODY, receive, send)


async def answer_with(status: int, body: bytes, receive: Receive, send: Send) -> None:
    """Wait for the whole request, then send a body of JSON."""
    while (await receive()).get("more_body", False):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _live(receive: Receive, send: Send) -> None:
    while (await receive())["type"] == "lifespan.startup":
        await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.shutdown.complete"})


class Replay:
    """Read the body and hand it on: the least that a middleware can do that looks at bodies."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Buffer one request's body, then replay it as one piece."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        pieces, more = [], True
        while more:
            message = await receive()
            pieces.append(message.get("body", b""))
            more = message.get("more_body", False)
        body: bytes | None = b"".join(pieces)

        async def replay() -> Message:
            nonlocal body
            if body is None:
                return await receive()
            content, body = body, None
            return {"type": "http.request", "body": content, "more_body": False}

        await self.app(scope, replay, send)


class NoOp(BaseHTTPMiddleware):
    """Do nothing, in the way that Starlette's documentation shows first."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        """Hand the request on."""
        return await call_next(request)
