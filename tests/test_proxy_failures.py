"""What goes wrong is said in a status, a code and a sentence that a client can act on."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import httpx
import pytest
import structlog
from starlette.responses import Response

from gateway_guard.exceptions import ConfigurationError
from gateway_guard.proxy import ProxyOptions, create_proxy
from tests.servers import answering, connected, serving

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

KEY = "sk-never-to-be-seen"


async def silence(_scope: Scope, receive: Receive, _send: Send) -> None:
    """Answer nothing until the client leaves."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def nowhere() -> str:
    """Return an address of this machine where nobody listens."""
    async with serving(Response()) as address:
        return address


def code(answer: httpx.Response) -> str:
    """Return the code of an error, from a body as both SDKs read it."""
    body = answer.json()
    assert body["type"] == "error"
    assert body["error"]["type"] == "api_error"
    assert body["error"]["message"].endswith(".")
    found: str = body["error"]["code"]
    return found


async def test_an_upstream_that_is_down_is_a_502() -> None:
    """Nobody listens there."""
    async with (
        serving(create_proxy(await nowhere())) as proxy,
        httpx.AsyncClient() as client,
    ):
        answer = await client.get(proxy)
    assert (answer.status_code, code(answer)) == (502, "upstream_unreachable")


async def test_an_upstream_that_stays_silent_is_a_504() -> None:
    """Its time is up before its first byte."""
    options = ProxyOptions(read_seconds=0.05)
    async with (
        serving(silence) as address,
        serving(create_proxy(address, options=options)) as proxy,
        httpx.AsyncClient() as client,
    ):
        answer = await client.get(proxy)
    assert (answer.status_code, code(answer)) == (504, "upstream_timeout")


async def test_a_connection_that_does_not_become_free_is_a_504() -> None:
    """One connection, and somebody has it."""
    options = ProxyOptions(max_connections=1, pool_seconds=0.02, connect_seconds=0.02)
    called = asyncio.Event()

    async def upstream(scope: Scope, receive: Receive, send: Send) -> None:
        called.set()
        await silence(scope, receive, send)

    async with (
        serving(upstream) as address,
        serving(create_proxy(address, options=options)) as proxy,
        connected(proxy) as (_, writer),
        httpx.AsyncClient() as client,
    ):
        writer.write(b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n")
        await called.wait()
        answer = await client.get(proxy)
    assert (answer.status_code, code(answer)) == (504, "connect_timeout")


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 2", b"\x16\x03\x01\x02\x00\r\n\r\n"])
async def test_an_upstream_that_speaks_no_http_is_a_502(said: bytes) -> None:
    """It hangs up, is cut off, or means something else."""

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        writer.close()

    async with (
        answering(upstream) as address,
        serving(create_proxy(address)) as proxy,
        httpx.AsyncClient() as client,
    ):
        answer = await client.get(proxy)
    assert (answer.status_code, code(answer)) == (502, "upstream_broken")


@pytest.mark.parametrize(
    "head",
    [b"Content-Length: 100\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n64\r\n"],
)
async def test_an_answer_that_breaks_off_is_not_taken_for_a_whole_one(head: bytes) -> None:
    """The connection to the client is cut too."""

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n" + head + b"a part")
        writer.close()

    async with (
        answering(upstream) as address,
        serving(create_proxy(address)) as proxy,
        httpx.AsyncClient() as client,
    ):
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(proxy)


@pytest.mark.parametrize(
    ("error", "status", "expected"),
    [
        (httpx.ConnectTimeout, 504, "connect_timeout"),
        (httpx.ReadTimeout, 504, "upstream_timeout"),
        (httpx.WriteTimeout, 504, "upstream_timeout"),
        (httpx.PoolTimeout, 504, "pool_timeout"),
        (httpx.ConnectError, 502, "upstream_unreachable"),
        (httpx.ReadError, 502, "upstream_broken"),
        (httpx.WriteError, 502, "upstream_broken"),
        (httpx.RemoteProtocolError, 502, "upstream_broken"),
        (httpx.LocalProtocolError, 400, "invalid_request"),
    ],
)
async def test_every_error_of_a_transport_has_a_status_and_a_code(
    error: type[httpx.TransportError], status: int, expected: str
) -> None:
    """The log names the error's kind; what the error says stays inside, it may hold the URL."""

    def upstream(_: httpx.Request) -> httpx.Response:
        message = f"http://upstream/?key={KEY}"
        raise error(message)

    app = create_proxy("http://upstream", transport=httpx.MockTransport(upstream))
    with structlog.testing.capture_logs() as logs:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
            answer = await client.get("http://gateway")
    assert (answer.status_code, code(answer)) == (status, expected)
    assert logs == [
        {
            "event": "gateway_guard.proxy_problem",
            "log_level": "warning",
            "status": status,
            "code": expected,
            "error": error.__name__,
        }
    ]
    assert KEY not in answer.text
    assert app.state.readiness.instruments.counters == {("proxy_problems", expected): 1}


async def test_an_upstream_that_stays_away_is_logged_once_a_minute() -> None:
    """Every request is counted."""

    def upstream(_: httpx.Request) -> httpx.Response:
        message = "nobody there"
        raise httpx.ConnectError(message)

    app = create_proxy("http://upstream", transport=httpx.MockTransport(upstream))
    with structlog.testing.capture_logs() as logs:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
            for _ in range(3):
                await client.get("http://gateway")
    assert app.state.readiness.instruments.counters == {
        ("proxy_problems", "upstream_unreachable"): 3
    }
    assert [log["code"] for log in logs] == ["upstream_unreachable"]


async def test_a_request_above_the_limit_is_told_to_come_back() -> None:
    """The one that is in flight is not disturbed, and the place that it leaves is free again."""
    called, finish = asyncio.Event(), asyncio.Event()

    async def upstream(scope: Scope, receive: Receive, send: Send) -> None:
        called.set()
        await finish.wait()
        await Response()(scope, receive, send)

    async with (
        serving(upstream) as address,
        serving(create_proxy(address, options=ProxyOptions(max_in_flight=1))) as proxy,
        httpx.AsyncClient() as client,
    ):
        first = asyncio.create_task(client.get(proxy))
        await called.wait()
        second = await client.get(proxy)
        finish.set()
        assert (second.status_code, code(second)) == (503, "gateway_overloaded")
        assert second.headers["retry-after"] == "1"
        assert (await first).status_code == 200
        assert (await client.get(proxy)).status_code == 200


@pytest.mark.parametrize(
    "target", [b"@elsewhere.example/", b"http://elsewhere.example/", b"*", b".elsewhere.example/"]
)
async def test_a_target_that_is_no_path_is_refused(target: bytes) -> None:
    """Nothing that a client sends becomes part of the upstream's name."""

    def upstream(request: httpx.Request) -> httpx.Response:
        raise AssertionError(request)

    app = create_proxy("http://upstream", transport=httpx.MockTransport(upstream))
    # h11 hands any target on, httptools fewer.
    async with serving(app, http="h11") as proxy, connected(proxy) as (reader, writer):
        writer.write(
            b"OPTIONS " + target + b" HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n"
        )
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["error"]["code"] == "invalid_target"


async def test_a_field_that_would_be_changed_is_refused() -> None:
    """Fields are written as UTF-8; what is not UTF-8 is refused, not mangled."""
    async with (
        serving(create_proxy(await nowhere())) as proxy,
        connected(proxy) as (reader, writer),
    ):
        writer.write(b"GET / HTTP/1.1\r\nHost: g\r\nX-Name: caf\xe9\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"invalid_request" in answer


@pytest.mark.parametrize("ws", ["auto", "none"])
async def test_a_websocket_is_refused_with_a_reason(ws: str) -> None:
    """Whether or not the server itself could speak it."""
    handshake = (
        b"GET /v1/realtime HTTP/1.1\r\nHost: gateway\r\nConnection: Upgrade\r\n"
        b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    app = create_proxy(await nowhere())
    async with (
        serving(app, ws="auto" if ws == "auto" else "none") as proxy,
        connected(proxy) as (reader, writer),
    ):
        writer.write(handshake)
        answer = await reader.readuntil(b"}}")
    assert answer.startswith(b"HTTP/1.1 501 ")
    assert b"websocket_not_supported" in answer


async def test_a_websocket_is_closed_where_no_reason_can_be_sent() -> None:
    """A server without the denial extension refuses the handshake itself."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    app = create_proxy("http://upstream")
    await app({"type": "websocket", "path": "/", "headers": []}, receive, send)
    [message] = sent
    assert message["type"] == "websocket.close"


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        ("upstream:8000", "no http or https address"),
        ("ftp://upstream", "no http or https address"),
        ("http://", "no http or https address"),
        ("http://up:stream", "is no URL"),
        (f"http://user:{KEY}@upstream", "must carry no user"),
        (f"http://upstream/?key={KEY}", "must carry no user"),
    ],
)
def test_an_upstream_that_cannot_be_used_is_refused(address: str, complaint: str) -> None:
    """The error says what is wrong and what to give instead, and repeats no secret."""
    with pytest.raises(ConfigurationError, match=complaint) as caught:
        create_proxy(address)
    assert "http://host:port" in caught.value.hint
    assert KEY not in str(caught.value)


async def test_an_answer_that_stalls_is_cut_off() -> None:
    """The time-out holds between two parts of an answer too."""

    async def upstream(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a part", "more_body": True})
        await silence(scope, receive, send)

    options = ProxyOptions(read_seconds=0.05)
    async with (
        serving(upstream) as address,
        serving(create_proxy(address, options=options)) as proxy,
        httpx.AsyncClient() as client,
    ):
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(proxy)
