"""The proxy changes no byte that is not its business, over either transport."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import httpx
import pytest
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from gateway_guard.proxy import ProxyOptions, create_proxy
from gateway_guard.proxy.app import default_transport
from tests.servers import connected, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

ZIPPED = gzip.compress(b'{"answer": 42}' * 50)


@pytest.fixture(params=["aiohttp", "httpx"])
def transport(request: pytest.FixtureRequest) -> httpx.AsyncBaseTransport:
    """Return each of the transports in turn."""
    if request.param == "httpx":
        return httpx.AsyncHTTPTransport(trust_env=False)
    return default_transport(ProxyOptions())


class Buffering:
    """A middleware that reads the whole body and hands it on in one piece, as the guard does."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body of a request before handing it on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        whole = [{"type": "http.request", "body": await Request(scope, receive).body()}]

        async def replay() -> Message:
            return whole.pop() if whole else await receive()

        await self.app(scope, replay, send)


async def exchange(address: str, request: bytes) -> bytes:
    """Send raw bytes and return the raw answer; the request must ask to close the connection."""
    async with connected(address) as (reader, writer):
        writer.write(request)
        return await reader.read()


@pytest.mark.parametrize(
    "target",
    [
        b"/v1/models/a%2Fb",
        b"/caf%c3%a9/%7Euser/%41",
        b"/line%0Abreak",
        b"/a/../b/./c",
        b"/a//b",
        b"/v1?key=a%2fb&x=+&y=%20&z",
        b"/?a=b?c=d",
        b"/healthz/",
    ],
)
async def test_path_and_query_arrive_with_their_own_bytes(
    transport: httpx.AsyncBaseTransport, target: bytes
) -> None:
    """Nothing is decoded, encoded, resolved or ordered anew."""
    seen = []

    async def upstream(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((scope["raw_path"], scope["query_string"]))
        await Response()(scope, receive, send)

    async with (
        serving(upstream) as address,
        serving(create_proxy(address, transport=transport)) as proxy,
    ):
        head = b"GET " + target + b" HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n"
        answer = await exchange(proxy, head)
    path, _, query = target.partition(b"?")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert seen == [(path, query)]


async def test_a_path_of_the_upstream_is_put_before_the_request_s() -> None:
    """An upstream below a path is reached there."""

    async def upstream(scope: Scope, receive: Receive, send: Send) -> None:
        await Response(scope["raw_path"])(scope, receive, send)

    async with (
        serving(upstream) as address,
        serving(create_proxy(f"{address}/deep%2Fer/")) as proxy,
        httpx.AsyncClient(base_url=proxy) as client,
    ):
        assert (await client.get("/v1/models")).content == b"/deep%2Fer/v1/models"


async def test_a_compressed_body_passes_unchanged_both_ways(
    transport: httpx.AsyncBaseTransport,
) -> None:
    """Neither side decodes, and coding and length stay true."""
    received = []

    async def upstream(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        received.append((request.headers["content-encoding"], await request.body()))
        await Response(ZIPPED, headers={"content-encoding": "gzip"})(scope, receive, send)

    async with (
        serving(upstream) as address,
        serving(create_proxy(address, transport=transport)) as proxy,
        httpx.AsyncClient() as client,
        client.stream(
            "POST", proxy, content=ZIPPED, headers={"content-encoding": "gzip"}
        ) as answer,
    ):
        raw = b"".join([piece async for piece in answer.aiter_raw()])
    assert received == [("gzip", ZIPPED)]
    assert raw == ZIPPED
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["content-length"] == str(len(ZIPPED))


@pytest.mark.parametrize("size", [0, 1, 70_000, 3_000_000])
async def test_bodies_of_any_size_pass_with_their_length(
    transport: httpx.AsyncBaseTransport, size: int
) -> None:
    """A body with a stated length keeps it, in pieces or not."""

    async def upstream(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        assert request.headers["content-length"] == str(size)
        assert "transfer-encoding" not in request.headers
        await Response(await request.body())(scope, receive, send)

    body = bytes(range(256)) * (size // 256) + bytes(size % 256)
    async with (
        serving(upstream) as address,
        serving(create_proxy(address, transport=transport)) as proxy,
        httpx.AsyncClient() as client,
    ):
        answer = await client.post(proxy, content=body)
    assert answer.content == body


async def test_a_buffered_body_larger_than_one_write_passes(
    transport: httpx.AsyncBaseTransport,
) -> None:
    """What a middleware buffers and replays as one piece arrives whole."""
    body = bytes(range(256)) * 12_000

    async def upstream(scope: Scope, receive: Receive, send: Send) -> None:
        await Response(await Request(scope, receive).body())(scope, receive, send)

    buffering = [Middleware(Buffering)]
    async with (
        serving(upstream) as address,
        serving(create_proxy(address, transport=transport, middleware=buffering)) as proxy,
        httpx.AsyncClient() as client,
    ):
        answer = await client.post(proxy, content=body)
    assert answer.content == body


async def test_a_chunked_request_stays_without_a_length(
    transport: httpx.AsyncBaseTransport,
) -> None:
    """A body of unknown length is chunked towards the upstream too."""
    seen: dict[str, str] = {}

    async def upstream(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        seen.update(request.headers)
        await Response(await request.body())(scope, receive, send)

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(3):
            yield b"%d" % number * 70_000

    async with (
        serving(upstream) as address,
        serving(create_proxy(address, transport=transport)) as proxy,
        httpx.AsyncClient() as client,
    ):
        answer = await client.post(proxy, content=pieces())
    assert answer.content == b"0" * 70_000 + b"1" * 70_000 + b"2" * 70_000
    assert seen["transfer-encoding"] == "chunked"
    assert "content-length" not in seen


async def test_no_field_is_added_but_the_proxy_s_own(transport: httpx.AsyncBaseTransport) -> None:
    """A request without ``Accept-Encoding`` asks for nothing compressed, nor does the proxy."""
    seen = []

    async def upstream(scope: Scope, receive: Receive, send: Send) -> None:
        seen.extend(scope["headers"])
        await Response(headers={"date": "once"})(scope, receive, send)

    async with (
        serving(upstream) as address,
        serving(create_proxy(address, transport=transport)) as proxy,
    ):
        head = b"POST / HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n"
        answer = await exchange(proxy, head + b"X-Two: a\r\nX-Two: \xc3\xa9\r\n\r\n")
    host = address.removeprefix("http://").encode()
    assert sorted(seen) == [
        (b"content-length", b"0"),
        (b"host", host),
        (b"via", b"1.1 gateway-guard"),
        (b"x-forwarded-for", b"127.0.0.1"),
        (b"x-forwarded-host", b"gateway"),
        (b"x-forwarded-proto", b"http"),
        (b"x-two", b"a"),
        (b"x-two", b"\xc3\xa9"),
    ]
    assert (
        answer == b"HTTP/1.1 200 OK\r\ndate: once\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    )


async def test_cookies_stay_apart_and_with_their_client(
    transport: httpx.AsyncBaseTransport,
) -> None:
    """Repeated ``Set-Cookie`` lines pass one by one, and none is sent for anybody else."""
    cookies = []

    async def upstream(scope: Scope, receive: Receive, send: Send) -> None:
        cookies.append(Request(scope, receive).headers.get("cookie"))
        response = Response()
        response.set_cookie("a", "1")
        response.set_cookie("b", "2, 3")
        await response(scope, receive, send)

    async with serving(upstream) as address:
        # By name, since cookie jars ignore what comes from a bare address.
        by_name = address.replace("127.0.0.1", "localhost")
        async with serving(create_proxy(by_name, transport=transport)) as proxy:
            async with httpx.AsyncClient() as client:
                answer = await client.get(proxy)
            async with httpx.AsyncClient() as other_client:
                await other_client.get(proxy)
    assert answer.headers.get_list("set-cookie") == [
        "a=1; Path=/; SameSite=lax",
        'b="2\\054 3"; Path=/; SameSite=lax',
    ]
    assert cookies == [None, None]


async def test_an_answer_to_head_keeps_its_length_and_has_no_body(
    transport: httpx.AsyncBaseTransport,
) -> None:
    """``HEAD`` says how long the body of ``GET`` would be."""

    async def upstream(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["method"] == "HEAD"
        await Response(headers={"content-length": "12345"})(scope, receive, send)

    async with (
        serving(upstream) as address,
        serving(create_proxy(address, transport=transport)) as proxy,
        httpx.AsyncClient() as client,
    ):
        answers = [await client.head(proxy) for _ in range(2)]
    assert [answer.headers["content-length"] for answer in answers] == ["12345", "12345"]
    assert [answer.content for answer in answers] == [b"", b""]


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_without_a_body_ends_with_its_head(
    transport: httpx.AsyncBaseTransport, status: int
) -> None:
    """204 and 304 keep their fields, and the connection serves the next request."""

    async def upstream(scope: Scope, receive: Receive, send: Send) -> None:
        await Response(status_code=status, headers={"etag": '"x"'})(scope, receive, send)

    async with (
        serving(upstream) as address,
        serving(create_proxy(address, transport=transport)) as proxy,
        httpx.AsyncClient() as client,
    ):
        answers = [await client.get(proxy) for _ in range(2)]
    assert [(answer.status_code, answer.headers["etag"]) for answer in answers] == [
        (status, '"x"'),
        (status, '"x"'),
    ]


async def test_an_answer_without_a_length_is_chunked_again(
    transport: httpx.AsyncBaseTransport,
) -> None:
    """The transfer coding belongs to each hop, the bytes below it to the answer."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"data: 1\n\n"
        yield b"data: [DONE]\n\n"

    async def upstream(scope: Scope, receive: Receive, send: Send) -> None:
        await StreamingResponse(pieces(), media_type="text/event-stream")(scope, receive, send)

    async with (
        serving(upstream) as address,
        serving(create_proxy(address, transport=transport)) as proxy,
    ):
        head = b"GET / HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n"
        answer = await exchange(proxy, head)
    assert answer.endswith(b"\r\n\r\n9\r\ndata: 1\n\n\r\ne\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
    assert answer.count(b"transfer-encoding: chunked") == 1


async def test_a_redirect_is_the_client_s_to_follow(transport: httpx.AsyncBaseTransport) -> None:
    """The proxy passes it on."""

    async def upstream(scope: Scope, receive: Receive, send: Send) -> None:
        await RedirectResponse("https://elsewhere.example/")(scope, receive, send)

    async with (
        serving(upstream) as address,
        serving(create_proxy(address, transport=transport)) as proxy,
        httpx.AsyncClient() as client,
    ):
        answer = await client.get(proxy)
    assert (answer.status_code, answer.headers["location"]) == (307, "https://elsewhere.example/")
