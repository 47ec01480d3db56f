"""The proxy says how it is, and when told to stop finishes what it has begun."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import pytest
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from gateway_guard.exceptions import ConfigurationError
from gateway_guard.proxy import ProxyOptions, create_proxy
from gateway_guard.proxy import app as app_module
from gateway_guard.proxy.app import default_transport
from gateway_guard.proxy.forwarding import Readiness
from gateway_guard.proxy.server import Listen, address_of, bound, guarded_proxy, make_server, serve
from tests.servers import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from starlette.types import ASGIApp, Receive, Scope, Send

COMMAND = "import sys; from gateway_guard.cli import main; sys.exit(main())"


class Refusing:
    """A middleware that lets nothing pass."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse every request."""
        handler = Response(status_code=403) if scope["type"] == "http" else self.app
        await handler(scope, receive, send)


async def test_health_is_answered_by_the_proxy_before_any_middleware() -> None:
    """Neither the guard nor the upstream is asked."""
    app = create_proxy("http://127.0.0.1:9", middleware=[Middleware(Refusing)])
    async with serving(app) as proxy, httpx.AsyncClient(base_url=proxy) as client:
        health, other = await client.get("/healthz"), await client.get("/v1/models")
    assert (health.status_code, health.json()) == (200, {"status": "ok", "in_flight": 0})
    assert health.headers["cache-control"] == "no-store"
    assert other.status_code == 403


async def test_health_counts_what_is_in_flight() -> None:
    """A request that waits for its upstream is counted, the question itself is not."""
    called, finish = asyncio.Event(), asyncio.Event()

    async def upstream(scope: Scope, receive: Receive, send: Send) -> None:
        called.set()
        await finish.wait()
        await Response()(scope, receive, send)

    async with (
        serving(upstream) as address,
        serving(create_proxy(address)) as proxy,
        httpx.AsyncClient(base_url=proxy) as client,
    ):
        request = asyncio.create_task(client.get("/v1/models"))
        await called.wait()
        during = await client.get("/healthz")
        finish.set()
        await request
        after = await client.get("/healthz")
    assert (during.json()["in_flight"], after.json()["in_flight"]) == (1, 0)


async def test_health_is_503_while_draining_and_requests_still_pass() -> None:
    """A load balancer looks elsewhere; who came before it noticed is served."""

    async def upstream(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("served")(scope, receive, send)

    async with serving(upstream) as address:
        app = create_proxy(address)
        server = make_server(app, Listen(port=0), app.state.readiness)
        async with serving(app) as proxy, httpx.AsyncClient(base_url=proxy) as client:
            server.handle_exit(signal.SIGTERM, None)
            health, other = await client.get("/healthz"), await client.get("/v1/models")
    assert (health.status_code, health.json()["status"]) == (503, "draining")
    assert other.text == "served"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_an_address_is_taken_before_anything_starts(host: str) -> None:
    """The second who wants it is told so, with a hint and without a traceback."""
    with bound(Listen(host=host, port=0)) as listener:
        port = listener.getsockname()[1]
        assert address_of(listener) in {f"http://127.0.0.1:{port}", f"http://[::1]:{port}"}
        with pytest.raises(ConfigurationError, match=f"port {port}: Address already in use"):
            bound(Listen(host=host, port=port))


async def test_a_server_stops_when_it_was_told_to() -> None:
    """It starts the application, gives its notice, and shuts the application down."""
    states: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "lifespan"
        for _ in range(2):
            message = await receive()
            states.append(message["type"])
            await send({"type": f"{message['type']}.complete"})

    server = make_server(app, Listen(port=0))
    server.should_exit = True
    frozen = gc.get_freeze_count()
    try:
        await server.serve()
        assert gc.get_freeze_count() > frozen
    finally:
        gc.unfreeze()
    assert states == ["lifespan.startup", "lifespan.shutdown"]


def test_a_server_logs_no_request_and_believes_no_field() -> None:
    """A path can carry a key, and an address comes from the socket."""
    config = make_server(Response(), Listen(), Readiness()).config
    assert (config.access_log, config.proxy_headers) == (False, False)
    assert (config.server_header, config.date_header) == (False, False)


async def test_the_guard_stands_between_health_and_the_upstream(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Configured by the environment, which also says whose word on the origin is taken."""
    seen: list[str] = []

    async def upstream(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        seen.append(request.headers["x-forwarded-proto"])
        await Response(await request.body())(scope, receive, send)

    monkeypatch.setenv("GATEWAY_GUARD_SECRET", "made up")
    monkeypatch.setenv("GATEWAY_GUARD_TRUSTED_PROXIES", "127.0.0.0/8")
    monkeypatch.setenv("GATEWAY_GUARD_MAX_BODY", "1KB")
    async with (
        serving(upstream) as address,
        serving(guarded_proxy(address, ProxyOptions())) as proxy,
        httpx.AsyncClient(base_url=proxy, headers={"x-forwarded-proto": "https"}) as client,
    ):
        small = await client.post("/v1/chat/completions", content=b'{"messages": []}')
        large = await client.post("/v1/chat/completions", content=b" " * 2000)
        health = await client.get("/healthz")
    assert (small.status_code, small.content) == (200, b'{"messages": []}')
    assert (large.status_code, health.status_code) == (413, 200)
    assert seen == ["https"]


def test_a_guard_that_cannot_be_configured_is_said_before_serving(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A variable, and what is only found when the guard is built."""
    monkeypatch.setenv("GATEWAY_GUARD_POLICY", str(tmp_path / "absent.toml"))
    with pytest.raises(ConfigurationError, match=r"absent\.toml"):
        serve("http://127.0.0.1:9")
    monkeypatch.setenv("GATEWAY_GUARD_MODE", "perhaps")
    with pytest.raises(ConfigurationError, match="GATEWAY_GUARD_MODE"):
        serve("http://127.0.0.1:9")


async def test_without_aiohttp_httpx_s_own_transport_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The core dependencies are enough to run the proxy, only slower."""
    monkeypatch.setattr(app_module, "find_spec", lambda _: None)
    async with default_transport(ProxyOptions()) as transport:
        assert isinstance(transport, httpx.AsyncHTTPTransport)


async def test_a_transport_that_was_never_used_closes() -> None:
    """An application that starts and stops without a request opens nothing."""
    app = create_proxy("http://127.0.0.1:9")
    async with app.router.lifespan_context(app):
        pass


async def test_sigterm_lets_a_request_in_flight_finish() -> None:
    """The command stops listening, answers what it has begun, and ends."""
    called, finish = asyncio.Event(), asyncio.Event()

    async def upstream(scope: Scope, receive: Receive, send: Send) -> None:
        called.set()
        await finish.wait()
        await PlainTextResponse("finished")(scope, receive, send)

    async with (
        serving(upstream) as address,
        httpx.AsyncClient(timeout=30) as client,
        running("serve", "--upstream", address, "--port", "0") as process,
    ):
        proxy = (await said(process, '"address": "')).partition('"')[0]
        request = asyncio.create_task(client.get(f"{proxy}/v1/models"))
        await called.wait()
        process.send_signal(signal.SIGTERM)
        await said(process, "Waiting for connections to close")
        with pytest.raises(httpx.ConnectError):
            await client.get(f"{proxy}/v1/models")
        finish.set()
        assert (await request).text == "finished"
        await said(process, "Finished server process")
        assert await process.wait() in {0, -signal.SIGTERM}


@asynccontextmanager
async def running(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a command until the block ends."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", COMMAND, *arguments), stderr=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def said(process: asyncio.subprocess.Process, words: str) -> str:
    """Wait until a process has written some words; return what follows them on the line."""
    assert process.stderr is not None
    async for line in process.stderr:
        if words in line.decode():
            return line.decode().partition(words)[2]
    message = f"the process ended before it said {words!r}"
    raise AssertionError(message)
