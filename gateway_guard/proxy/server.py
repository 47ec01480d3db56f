"""The proxy behind uvicorn, with the guard mounted and a drain at the end."""

from __future__ import annotations

import asyncio
import gc
import socket
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog
import uvicorn
from starlette.middleware import Middleware

from gateway_guard.exceptions import ConfigurationError
from gateway_guard.middleware import GuardMiddleware
from gateway_guard.proxy.app import create_proxy
from gateway_guard.proxy.forwarding import Readiness
from gateway_guard.proxy.options import ProxyOptions
from gateway_guard.settings import load_settings

if TYPE_CHECKING:
    from types import FrameType

    from starlette.applications import Starlette
    from starlette.types import ASGIApp

_log = structlog.get_logger("gateway_guard")
_BACKLOG = 2048  # connections that may wait to be accepted, as uvicorn has it


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Where a server listens, and how it stops.

    Attributes:
        host: the address; only this machine can reach the default.
        port: the port, 0 for any that is free.
        notice_seconds: after SIGTERM, how long to go on while ``/healthz`` says 503.
        drain_seconds: after that, how long what is in flight may take before it is cut.

    """

    host: str = "127.0.0.1"
    port: int = 8080
    notice_seconds: float = 0.0
    drain_seconds: int = 60


_COLLECTIONS = (10_000, 20, 20)
"""Requests make many short-lived objects; the default looks through them every few requests."""


class DrainingServer(uvicorn.Server):
    """A server that says on ``/healthz`` that it is about to stop, before it stops listening."""

    def __init__(self, config: uvicorn.Config, readiness: Readiness, notice_seconds: float) -> None:
        super().__init__(config)
        self._readiness = readiness
        self._notice_seconds = notice_seconds

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain, at SIGTERM or SIGINT."""
        self._readiness.draining = True
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen, and keep what was loaded until then out of garbage collections."""
        await super().startup(sockets)
        for listener in sockets or ():
            _log.info("gateway_guard.listening", address=address_of(listener))
        # Modules and settings never become garbage; to look through them takes 20 ms each time.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_COLLECTIONS)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let load balancers notice, then stop listening and finish what is in flight."""
        await asyncio.sleep(self._notice_seconds)
        await super().shutdown(sockets)


def address_of(listener: socket.socket) -> str:
    """Return where a socket listens, as a URL."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def bound(listen: Listen) -> socket.socket:
    """Return a socket that has the address, so that one that is taken is said before serving.

    Raises:
        ConfigurationError: if nothing can listen there.

    """
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    try:
        return socket.create_server((listen.host, listen.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        message = f"cannot listen on {listen.host} port {listen.port}: {error.strerror or error}"
        hint = "choose an address of this machine with --host, and a port that is free with --port"
        raise ConfigurationError(message, hint=hint) from None


def make_server(app: ASGIApp, listen: Listen, readiness: Readiness | None = None) -> DrainingServer:
    """Return a server for an application, ready to run, on uvloop and httptools if installed.

    It logs no request, since a path can carry a key, leaves the fields of answers alone, and takes
    the client's address from the socket and nowhere else.
    """
    config = uvicorn.Config(
        app,
        host=listen.host,
        port=listen.port,
        access_log=False,
        date_header=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=listen.drain_seconds,
    )
    return DrainingServer(config, readiness or Readiness(), listen.notice_seconds)


def serve(
    upstream: str, *, listen: Listen | None = None, options: ProxyOptions | None = None
) -> None:
    """Run the guarded proxy until SIGTERM or SIGINT, then drain.

    Raises:
        ConfigurationError: if the upstream's address or a ``GATEWAY_GUARD_*`` variable cannot be
            used, or nothing can listen where it should.

    """
    app, listen = guarded_proxy(upstream, options or ProxyOptions()), listen or Listen()
    make_server(app, listen, app.state.readiness).run([bound(listen)])


def guarded_proxy(upstream: str, options: ProxyOptions) -> Starlette:
    """Return the proxy with the guard mounted, both as the environment says.

    Raises:
        ConfigurationError: as ``serve`` does, except for where it listens.

    """
    settings = load_settings()
    if "duplicate_keys" not in settings.model_fields_set:
        # Nobody knows with what the upstream reads.
        settings = settings.model_copy(update={"duplicate_keys": "both"})
    options = replace(options, trusted_proxies=settings.trusted_proxies)

    def guard(inner: ASGIApp) -> ASGIApp:
        guarded = GuardMiddleware(inner, settings=settings)
        app.state.readiness.instruments = guarded.instruments
        return guarded

    app = create_proxy(upstream, options=options, middleware=[Middleware(guard)])
    # Built now and not at the first message, so that what cannot be used is said before serving.
    app.middleware_stack = app.build_middleware_stack()
    return app
