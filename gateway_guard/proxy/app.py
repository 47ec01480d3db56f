"""The proxy as a Starlette application."""

from __future__ import annotations

from contextlib import asynccontextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

import httpx
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse

from gateway_guard.proxy.forwarding import Forwarder, Readiness
from gateway_guard.proxy.options import ProxyOptions, parse_upstream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send

HEALTH_PATH: Final = "/healthz"


def create_proxy(
    upstream: str,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    options: ProxyOptions | None = None,
    middleware: Sequence[Middleware] = (),
) -> Starlette:
    """Build an application that forwards every request but ``/healthz`` to an upstream.

    Args:
        upstream: its address, ``http://host:port`` or ``https://host``, at most with a path, which
            is put before the path of every request.
        transport: how requests travel; aiohttp's connections where aiohttp is installed,
            otherwise httpx's own. It is closed when the application shuts down.
        options: time-outs, limits and trusted proxies.
        middleware: what stands between the client and the upstream, outermost first, the guard in
            particular. ``/healthz`` is answered before it.

    Raises:
        ConfigurationError: if the upstream's address cannot be used.

    """
    options = options or ProxyOptions()
    transport = transport or default_transport(options)
    readiness = Readiness()

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with transport:
            yield

    health = Middleware(Health, readiness=readiness)
    app = Starlette(middleware=[health, *middleware], lifespan=lifespan)
    app.state.readiness = readiness
    app.router.redirect_slashes = False
    # What no route matches: a pattern would have to match every path, a newline's "%0A" included.
    app.router.default = Forwarder(parse_upstream(upstream), transport, options, readiness)
    app.user_middleware.append(Middleware(Shortcut, proxy=app))
    return app


def default_transport(options: ProxyOptions) -> httpx.AsyncBaseTransport:
    """Return the fastest transport that is installed."""
    if find_spec("aiohttp") is not None:
        module = import_module("gateway_guard.proxy.aiohttp_transport")
        fastest: httpx.AsyncBaseTransport = module.AiohttpTransport(options)
        return fastest
    limits = httpx.Limits(
        max_connections=options.max_connections, max_keepalive_connections=options.max_connections
    )
    return httpx.AsyncHTTPTransport(trust_env=False, limits=limits)


class Health:
    """Answer ``/healthz``: 200 while the proxy takes new work, 503 while it drains."""

    def __init__(self, app: ASGIApp, readiness: Readiness) -> None:
        self.app = app
        self.readiness = readiness

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on to the application."""
        if scope["type"] != "http" or scope["path"] != HEALTH_PATH:
            await self.app(scope, receive, send)
            return
        draining = self.readiness.draining
        content: dict[str, object] = {
            "status": "draining" if draining else "ok",
            "in_flight": self.readiness.in_flight,
        }
        up = self.readiness.instruments.gauges.get("store_up")
        if up is not None:
            content["store"] = "up" if up else "down"
        response = JSONResponse(content, 503 if draining else 200, {"cache-control": "no-store"})
        await response(scope, receive, send)


class Shortcut:
    """Lead requests past Starlette's routing, unless somebody has given the proxy something there.

    Starlette prepares to look up routes and handlers of exceptions, of which there are none.
    """

    def __init__(self, app: ASGIApp, proxy: Starlette) -> None:
        self.app = app
        self.proxy = proxy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on to the router's default, or to whatever comes before it."""
        proxy = self.proxy
        if scope["type"] != "http" or proxy.router.routes or proxy.exception_handlers:
            await self.app(scope, receive, send)
        else:
            await proxy.router.default(scope, receive, send)
