"""What LiteLLM's proxy runs for the tests in its own process: keys, and a look at its guard."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from hashlib import sha256
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest
from starlette.middleware import Middleware

from gateway_guard import Action
from tests.callers import counted, is_verified, outcomes_of, sentence
from tests.mounting import guard_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from starlette.applications import Starlette
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from gateway_guard.exchange import Outcome

SIDE_DOOR = "/side-door"


@dataclass
class Seen:
    """What went through the proxy, on the guard's inner side."""

    requests: int = 0
    sent: list[bytes] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)


seen = Seen()


async def accept(request: object, api_key: str) -> object:
    """Accept every key that LiteLLM finds."""
    del request
    assert api_key.startswith("sk-")
    return import_module("litellm.proxy._types").UserAPIKeyAuth(api_key=api_key)


def look_in() -> None:
    """Stand on the guard's inner side if it is installed afterwards, else on its outer side."""
    app = proxy_app()
    app.user_middleware.insert(0, Middleware(SideDoor))
    app.middleware_stack = app.build_middleware_stack()


def listen() -> None:
    """Hear what the guard learns of answers; runs after the guard is installed."""
    seen.outcomes = outcomes_of(guard_in(proxy_app()), pytest.MonkeyPatch())


def proxy_app() -> Starlette:
    """Return LiteLLM's application."""
    app: Starlette = import_module("litellm.proxy.proxy_server").app
    return app


class SideDoor:
    """Tells what the proxy and its guard have seen; everything else passes."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer at the side door, or note what is sent."""
        if scope["type"] == "http" and scope["path"] == SIDE_DOOR:
            await tell(scope, send)
            return

        async def note(message: Message) -> None:
            if message["type"] == "http.response.body":
                seen.sent.append(message.get("body", b""))
            await send(message)

        seen.requests += 1
        seen.sent = []
        await self.app(scope, receive, note)


async def tell(scope: Scope, send: Send) -> None:
    """Answer with all that was seen; block a key first, as a verdict would, if one is named."""
    guard = guard_in(proxy_app())
    asked = parse_qs(scope["query_string"])
    for name in asked.get(b"block", ()):
        sentence(guard, Action.BLOCK, name)
    told = {
        "requests": seen.requests,
        "sent": sha256(b"".join(seen.sent)).hexdigest(),
        "answer": answer_of(seen.outcomes[-1]) if seen.outcomes else None,
        "exchanges": counted(guard, "exchanges"),
        "verified": [is_verified(guard, name) for name in asked.get(b"verified", ())],
        "routes": sorted(set(routes_of(proxy_app().routes))),
    }
    body = json.dumps(told).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def answer_of(outcome: Outcome) -> dict[str, Any]:
    """Return what the guard saw of an answer."""
    answer = outcome.read()
    usage = answer.usage if answer is not None else None
    return {
        "status": outcome.status,
        "completed": outcome.completed,
        "chars": answer.output_chars if answer is not None else None,
        "tokens": usage.output_tokens if usage is not None else None,
    }


def routes_of(routes: Iterable[Any]) -> Iterator[tuple[str, str]]:
    """Yield method and path of every route, included routers unfolded."""
    for route in routes:
        if hasattr(route, "effective_candidates"):
            yield from routes_of(route.effective_candidates())
        else:
            yield from ((method, route.path) for method in getattr(route, "methods", None) or ())
