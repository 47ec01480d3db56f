"""The guarded servers, and the model behind them, each in a process of its own."""

from __future__ import annotations

import logging
import os
import signal
import socket
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from gateway_guard.bench.bypass_fastapi import fastapi_app
from gateway_guard.bench.bypass_litellm import accepted, litellm_app
from gateway_guard.bench.bypass_model import Model
from gateway_guard.bench.bypass_witness import SideDoor
from gateway_guard.bench.contestants import lenient_settings
from gateway_guard.bench.server import HOST
from gateway_guard.middleware import GuardMiddleware
from gateway_guard.proxy.server import Listen, make_server

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from gateway_guard.bench.children import Say

_LONGEST_LIFE_SECONDS: Final = 300


def serve_model(say: Say) -> None:
    """Serve the model that LiteLLM asks."""
    _serve(say, Model().app())


def serve_fastapi(say: Say, changes: dict[str, Any] | None = None) -> None:
    """Serve an application of FastAPI with the guard in it, with ``changes`` of its settings."""
    app = fastapi_app(accepted.append)
    middleware: Any = GuardMiddleware
    settings = lenient_settings().model_copy(update=changes)
    app.add_middleware(middleware, settings=settings)
    _serve(say, SideDoor(app, _taken))


def serve_litellm(say: Say, upstream: str) -> None:
    """Serve LiteLLM's proxy with the guard in it."""
    with TemporaryDirectory() as folder:
        _serve(say, SideDoor(litellm_app(upstream, Path(folder)), _taken))


def _taken() -> list[str]:
    """Return the keys that were accepted since the last time."""
    taken = accepted.copy()
    accepted.clear()
    return taken


def _serve(say: Say, app: ASGIApp) -> None:
    """Serve on a free port, which is said, until SIGTERM, or until all this has taken too long."""
    signal.signal(signal.SIGTERM, lambda *_: None)
    if hasattr(signal, "alarm"):
        # Whoever started this may have been killed, and cannot end it then.
        signal.alarm(_LONGEST_LIFE_SECONDS)
    os.environ.setdefault("NO_PROXY", HOST)
    logging.disable(logging.CRITICAL)  # most servers log what they turn away as an error of theirs
    with socket.create_server((HOST, 0), backlog=128) as listening:
        say(listening.getsockname()[1])
        make_server(app, Listen(drain_seconds=1)).run(sockets=[listening])
