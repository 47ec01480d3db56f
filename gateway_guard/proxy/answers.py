"""What the proxy says itself, in a shape that both OpenAI's and Anthropic's SDKs read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import httpx
from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


class Failure(NamedTuple):
    """Why a request is not forwarded or not answered: status, machine-readable code, sentence."""

    status: int
    code: str
    message: str


WEBSOCKET: Final = Failure(
    501, "websocket_not_supported", "This gateway does not forward websockets; use HTTP streaming."
)
TARGET: Final = Failure(
    400, "invalid_target", "The request target must be a path that begins with '/', in ASCII."
)
OVERLOADED: Final = Failure(
    503, "gateway_overloaded", "The gateway forwards as many requests as it may; try again shortly."
)
FAILURES: Final = (
    (
        httpx.PoolTimeout,
        Failure(504, "pool_timeout", "No connection to the upstream became free in time."),
    ),
    (
        httpx.ConnectTimeout,
        Failure(504, "connect_timeout", "The upstream did not accept a connection in time."),
    ),
    (
        httpx.TimeoutException,
        Failure(504, "upstream_timeout", "The upstream did not answer in time."),
    ),
    (
        httpx.ConnectError,
        Failure(502, "upstream_unreachable", "The upstream could not be reached."),
    ),
    (
        httpx.LocalProtocolError,
        Failure(
            400,
            "invalid_request",
            "The request cannot be forwarded unchanged: a field is not UTF-8.",
        ),
    ),
)
BROKEN: Final = Failure(
    502, "upstream_broken", "The upstream broke the connection or sent no valid HTTP answer."
)


def failure_of(error: httpx.TransportError) -> Failure:
    """Return what a transport's error means for the client."""
    return next((failure for kind, failure in FAILURES if isinstance(error, kind)), BROKEN)


def failure_response(failure: Failure) -> JSONResponse:
    """Shape a failure as a response; a 503 says when to come back."""
    error = {"type": "api_error", "message": failure.message, "code": failure.code, "param": None}
    headers = {"retry-after": "1"} if failure.status == OVERLOADED.status else None
    return JSONResponse({"type": "error", "error": error}, failure.status, headers)


async def refuse_websocket(scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse a handshake, with a reason where the server can send one."""
    if "websocket.http.response" in scope.get("extensions", {}):
        # Starlette turns the messages of a plain response into those of a denial.
        await failure_response(WEBSOCKET)(scope, receive, send)
    else:
        await send({"type": "websocket.close", "code": 1013, "reason": WEBSOCKET.message})
