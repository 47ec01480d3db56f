"""slowapi as its documentation begins: an in-memory limit on the route."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slowapi import Limiter

from gateway_guard.bench.apps import answer_chat, chat_app
from gateway_guard.bench.traffic import OUT_OF_REACH, credential

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request


def limited_app() -> Starlette:
    """Return the application with a limit on each key's requests, the decorator's way.

    slowapi's middlewares cost more.
    """
    limiter = Limiter(key_func=key_of)
    app = chat_app(endpoint=limiter.limit(f"{OUT_OF_REACH}/minute")(answer_chat))
    app.state.limiter = limiter
    return app


def key_of(request: Request) -> str:
    """Return what a request is counted under."""
    return credential(request.scope)
