"""The proxy streams both ways at once, and its client's leaving ends the call to the upstream."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from gateway_guard.proxy import ProxyOptions, create_proxy
from gateway_guard.proxy.app import default_transport
from tests.servers import answering, connected, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import Message, Receive, Scope, Send

GET = b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n"


@pytest.fixture(params=["aiohttp", "httpx"])
def transport(request: pytest.FixtureRequest) -> httpx.AsyncBaseTransport:
    """Return each of the transports in turn."""
    if request.param == "httpx":
        return httpx.AsyncHTTPTransport(trust_env=False)
    return default_transport(ProxyOptions())


async def until_disconnect(receive: Receive) -> None:
    """Wait until a server says that its client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def test_a_chunk_arrives_before_the_upstream_has_finished(
    transport: httpx.AsyncBaseTransport,
) -> None:
    """The upstream goes on only when its last chunk has been seen at the other end."""
    seen = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(5):
            yield b"data: %d\n\n" % number
            await seen.wait()
            seen.clear()

    async def upstream(scope: Scope, receive: Receive, send: Send) -> None:
        await StreamingResponse(pieces())(scope, receive, send)

    arrived = []
    async with (
        serving(upstream) as address,
        serving(create_proxy(address, transport=transport)) as proxy,
        httpx.AsyncClient() as client,
        client.stream("GET", proxy) as answer,
    ):
        async for piece in answer.aiter_raw():
            arrived.append(piece)
            seen.set()
    assert arrived == [b"data: %d\n\n" % number for number in range(5)]


async def test_chunks_that_arrive_together_are_passed_on_apart() -> None:
    """The boundaries that the upstream chose are kept, however the network cuts them."""
    chunks = b"3\r\none\r\n3\r\ntwo\r\n5\r\nthree\r\n0\r\n\r\n"

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
        writer.close()

    async with (
        answering(upstream) as address,
        serving(create_proxy(address)) as proxy,
        connected(proxy) as (reader, writer),
    ):
        writer.write(GET)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head == b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        assert await reader.readexactly(len(chunks)) == chunks


async def test_the_request_arrives_before_its_client_has_finished_it(
    transport: httpx.AsyncBaseTransport,
) -> None:
    """The client goes on only when its last piece has been seen at the upstream."""
    seen = asyncio.Event()
    arrived = []

    async def upstream(scope: Scope, receive: Receive, send: Send) -> None:
        async for piece in Request(scope, receive).stream():
            arrived.append(piece)
            seen.set()
        await Response()(scope, receive, send)

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(5):
            yield b"piece %d" % number
            await seen.wait()
            seen.clear()

    async with (
        serving(upstream) as address,
        serving(create_proxy(address, transport=transport)) as proxy,
        httpx.AsyncClient() as client,
    ):
        await client.post(proxy, content=pieces())
    assert [piece for piece in arrived if piece] == [b"piece %d" % number for number in range(5)]


async def test_an_answer_that_comes_before_the_request_has_ended_is_passed_on() -> None:
    """An upstream that refuses a body need not read it."""
    answered = asyncio.Event()

    async def upstream(scope: Scope, receive: Receive, send: Send) -> None:
        await Response(b"too large", 413)(scope, receive, send)

    async with (
        serving(upstream) as address,
        serving(create_proxy(address)) as proxy,
        connected(proxy) as (reader, writer),
    ):
        writer.write(b"POST / HTTP/1.1\r\nHost: gateway\r\nContent-Length: 100\r\n\r\nbegin")
        assert (await reader.readuntil(b"too large")).startswith(b"HTTP/1.1 413 ")
        answered.set()


async def test_leaving_before_the_first_byte_cancels_the_upstream(
    transport: httpx.AsyncBaseTransport,
) -> None:
    """The upstream learns at once that nobody waits for its answer."""
    called, cancelled = asyncio.Event(), asyncio.Event()

    async def upstream(_scope: Scope, receive: Receive, _send: Send) -> None:
        called.set()
        await until_disconnect(receive)
        cancelled.set()

    async with (
        serving(upstream) as address,
        serving(create_proxy(address, transport=transport)) as proxy,
    ):
        async with connected(proxy) as (_, writer):
            writer.write(GET)
            await called.wait()
        await cancelled.wait()


async def test_leaving_within_the_answer_cancels_the_upstream(
    transport: httpx.AsyncBaseTransport,
) -> None:
    """A stream that nobody reads any more is not generated to its end."""
    cancelled = asyncio.Event()

    async def upstream(_scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
        await until_disconnect(receive)
        cancelled.set()

    async with (
        serving(upstream) as address,
        serving(create_proxy(address, transport=transport)) as proxy,
    ):
        async with connected(proxy) as (reader, writer):
            writer.write(GET)
            await reader.readuntil(b"data: 1\n\n")
        await cancelled.wait()


async def test_leaving_within_the_request_cancels_the_upstream(
    transport: httpx.AsyncBaseTransport,
) -> None:
    """Half a body is not taken for the whole."""
    called, cancelled = asyncio.Event(), asyncio.Event()

    async def upstream(_scope: Scope, receive: Receive, _send: Send) -> None:
        message = await receive()
        called.set()
        while message["type"] != "http.disconnect":
            assert message["more_body"]
            message = await receive()
        cancelled.set()

    async with (
        serving(upstream) as address,
        serving(create_proxy(address, transport=transport)) as proxy,
    ):
        async with connected(proxy) as (_, writer):
            writer.write(b"POST / HTTP/1.1\r\nHost: gateway\r\nContent-Length: 100\r\n\r\nbegin")
            await called.wait()
        await cancelled.wait()


async def test_leaving_before_anything_was_read_calls_nobody() -> None:
    """A request whose client has gone is not forwarded."""

    def upstream(request: httpx.Request) -> httpx.Response:
        raise AssertionError(request)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    app = create_proxy("http://upstream", transport=httpx.MockTransport(upstream))
    await app(http_scope(), receive, send)
    assert sent == []


async def test_a_server_that_raises_when_its_client_has_left_is_understood() -> None:
    """ASGI 2.4: ``send`` raises ``OSError``; the upstream's answer is closed, and that is all."""
    closed = asyncio.Event()

    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            while True:
                yield b"data"

        async def aclose(self) -> None:
            closed.set()

    def upstream(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=Endless())

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            raise OSError

    app = create_proxy("http://upstream", transport=httpx.MockTransport(upstream))
    await app(http_scope(), receive, send)
    assert closed.is_set()


async def test_only_a_disconnect_is_taken_for_one() -> None:
    """Whatever else a server says after the body does not end the call to the upstream."""
    messages: list[Message] = [{"type": "http.disconnect"}, *[{"type": "http.request"}] * 3]
    cancelled = asyncio.Event()

    async def upstream(_: httpx.Request) -> httpx.Response:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return httpx.Response(200)

    async def receive() -> Message:
        return messages.pop()

    async def send(message: Message) -> None:
        raise AssertionError(message)

    app = create_proxy("http://upstream", transport=httpx.MockTransport(upstream))
    await app(http_scope(), receive, send)
    assert cancelled.is_set()
    assert messages == []


async def test_a_body_read_after_its_answer_ends_and_cancels_nothing() -> None:
    """A transport may still hold the body when the request is long over."""
    bodies = []
    messages: list[Message] = [
        {"type": "http.disconnect"},
        {"type": "http.request", "body": b"begin", "more_body": True},
    ]

    def upstream(request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.AsyncByteStream)
        bodies.append(aiter(request.stream))
        return httpx.Response(413)

    class Unread(httpx.MockTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return upstream(request)

    async def receive() -> Message:
        return messages.pop()

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    app = create_proxy("http://upstream", transport=Unread(upstream))
    await app(http_scope(), receive, send)
    assert sent[0]["status"] == 413
    assert await anext(bodies[0]) == b"begin"
    with pytest.raises(httpx.WriteError):
        await anext(bodies[0])
    current = asyncio.current_task()
    assert current is not None
    assert not current.cancelling()


async def test_a_cancellation_from_outside_is_not_taken_for_a_client_that_left() -> None:
    """A server that cuts a request at the end of its drain sees it cut."""
    called, never = asyncio.Event(), asyncio.Event()

    async def upstream(_: httpx.Request) -> httpx.Response:
        called.set()
        await never.wait()
        return httpx.Response(200)

    messages: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Message:
        if not messages:
            await never.wait()
        return messages.pop()

    async def send(message: Message) -> None:
        raise AssertionError(message)

    app = create_proxy("http://upstream", transport=httpx.MockTransport(upstream))
    task = asyncio.create_task(app(http_scope(), receive, send))
    await called.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert app.state.readiness.in_flight == 0


def http_scope() -> Scope:
    """Return the scope of a request as the smallest of servers makes it."""
    return {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
