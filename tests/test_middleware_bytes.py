"""What the application receives and what its client receives: every byte, one for one, at once."""

from __future__ import annotations

import asyncio
import contextvars
import gzip
import zlib
from typing import TYPE_CHECKING

import httpx
import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from gateway_guard import GuardMiddleware
from gateway_guard.exchange import Answer
from gateway_guard.profile import Slot
from tests.callers import (
    CHAT,
    JSON,
    MESSAGES,
    Time,
    Wire,
    ask,
    asking,
    counted,
    guarded,
    in_chunks,
    outcomes_of,
    reading_of,
    scope_of,
)
from tests.servers import connected, serving
from tests.upstreams import ANSWER, EVENTS, Model, answer, completion_events, read

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


@pytest.mark.parametrize("path", [CHAT, MESSAGES, "/v1/unheard-of"])
@pytest.mark.parametrize(
    "chunks", [(b"",), (b"{}",), (asking("a"),), (b"", b'{"mess', b"", b'ages":[]}', b"")]
)
async def test_a_body_is_replayed_byte_for_byte(path: str, chunks: tuple[bytes, ...]) -> None:
    """However it was cut, the application reads what was sent."""
    bodies: list[bytes] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        bodies.append(await read(receive))
        await answer(send, b"{}")

    guard = guarded(app)
    await ask(guard, scope_of(path), *chunks)
    assert bodies == [b"".join(chunks)]
    assert guard.guard.budget.held_bytes == 0


async def test_behind_the_body_stands_the_real_receive() -> None:
    """A client that leaves during its answer is noticed by the application."""
    gone = asyncio.Event()
    wire = Wire(*in_chunks(asking("hello")))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, send
        await read(receive)
        wire.given.append({"type": "http.disconnect"})
        assert (await receive())["type"] == "http.disconnect"
        gone.set()

    await guarded(app)(scope_of(), wire.receive, wire.send)
    assert gone.is_set()


async def test_a_client_that_leaves_a_real_socket_ends_the_stream() -> None:
    """Starlette's own watch for disconnects works through the guard."""
    ended = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            yield b"data: {}\n\n"
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await read(receive)
        await StreamingResponse(endless(), media_type="text/event-stream")(scope, receive, send)

    guard = guarded(app)
    body = asking("hello", stream=True)
    async with serving(guard) as address:
        async with connected(address) as (reader, writer):
            head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            await reader.readuntil(b"data: {}")
        async with asyncio.timeout(5):
            await ended.wait()
    assert counted(guard, "exchanges") == {"committed": 1}
    assert counted(guard, "errors") == {}


async def test_chunks_pass_one_for_one_and_at_once() -> None:
    """The application makes its next chunk only once the client has had the one before."""
    arrived, chunks = asyncio.Event(), [b"data: %d\n\n" % number for number in range(5)]
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await read(receive)
        await send({"type": "http.response.start", "status": 200, "headers": [EVENTS]})
        for chunk in chunks:
            arrived.clear()
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await arrived.wait()
        await send({"type": "http.response.body"})

    async def send(message: Message) -> None:
        sent.append(message)
        arrived.set()

    wire = Wire(*in_chunks(asking("hello", stream=True)))
    await guarded(app)(scope_of(), wire.receive, send)
    assert [message.get("body") for message in sent] == [None, *chunks, None]


async def test_messages_are_the_very_objects_that_the_application_sent() -> None:
    """Nothing is copied, added or left out, the unknown included."""
    given: list[Message] = [
        {"type": "http.response.debug", "info": {}},
        {"type": "http.response.start", "status": 200, "headers": [JSON], "trailers": True},
        {"type": "http.response.body", "body": b"{", "more_body": True},
        {"type": "http.response.body", "body": b"}"},
        {"type": "http.response.trailers", "headers": [(b"a", b"b")]},
    ]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await read(receive)
        for message in given:
            await send(message)

    wire = await ask(guarded(app), scope_of(), asking("hello"))
    assert list(map(id, wire.sent)) == list(map(id, given))


@pytest.mark.parametrize(
    "message",
    [
        {"type": "http.response.pathsend", "path": "/nowhere"},
        {"type": "http.response.zerocopysend", "file": 3},
    ],
)
async def test_files_sent_by_the_server_pass(
    message: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bodies that the guard cannot see are settled without having been seen."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await read(receive)
        await send({"type": "http.response.start", "status": 200, "headers": [JSON]})
        await send(message)

    guard = guarded(app)
    told = outcomes_of(guard, monkeypatch)
    wire = await ask(guard, scope_of(), asking("hello"))
    assert wire.sent[1] is message
    assert counted(guard, "exchanges") == {"committed": 1}
    assert [outcome.status for outcome in told] == [200]


async def test_background_tasks_run_after_the_answer_was_settled() -> None:
    """What the application does afterwards does not hold up what is learned."""
    committed: list[dict[str, int]] = []

    async def later() -> None:
        committed.append(counted(guard, "exchanges"))

    async def endpoint(request: Request) -> PlainTextResponse:
        await request.body()
        return PlainTextResponse("done", background=BackgroundTask(later))

    guard = guarded(Starlette(routes=[Route(CHAT, endpoint, methods=["POST"])]))
    assert (await ask(guard, scope_of(), asking("hello"))).body == b"done"
    assert committed == [{"committed": 1}]


async def test_context_variables_survive() -> None:
    """The application runs in the context of the request, and what it sets is seen outside."""
    outside = contextvars.ContextVar("outside", default="")
    inside = contextvars.ContextVar("inside", default="")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await read(receive)
        inside.set(outside.get() + " inside")
        await answer(send, b"{}")

    outside.set("outside")
    await ask(guarded(app), scope_of(), asking("hello"))
    assert inside.get() == "outside inside"


async def test_an_answers_length_and_encoding_stay_true() -> None:
    """A real client checks them both over a real connection."""
    app = Model().in_starlette()
    plain = await _post(app)
    app = Model().in_starlette()
    app.add_middleware(GZipMiddleware, minimum_size=10)
    app.add_middleware(GuardMiddleware)
    zipped = await _post(app)
    assert int(zipped.headers["content-length"]) < int(plain.headers["content-length"])
    assert zipped.headers["content-encoding"] == "gzip"
    assert zipped.json() == plain.json()


async def _post(app: ASGIApp) -> httpx.Response:
    async with serving(app) as address, httpx.AsyncClient() as client:
        return await client.post(address + CHAT, content=asking("hello"))


def zipped(body: bytes) -> bytes:
    """Compress by gzip."""
    return gzip.compress(body)


def deflated(body: bytes) -> bytes:
    """Compress without any header."""
    return zlib.compress(body, wbits=-15)


@pytest.mark.parametrize(
    ("encoding", "encode"), [(b"gzip", zipped), (b"deflate", deflated), (b"identity", bytes)]
)
async def test_compressed_answers_are_observed(
    encoding: bytes, encode: type[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client has the compressed bytes; what they say is counted."""
    body = encode(b"".join(completion_events({})))
    pieces = [body[at : at + 7] for at in range(0, len(body), 7)]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await read(receive)
        headers = [EVENTS, (b"Content-Encoding", encoding)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})

    guard = guarded(app)
    told = outcomes_of(guard, monkeypatch)
    wire = await ask(guard, scope_of(), asking("hello", stream=True))
    assert wire.body == body
    seen = told[0].read()
    assert seen is not None
    assert (seen.output_chars, seen.finish) == (31, "stop")
    assert seen.usage is not None
    assert seen.usage.output_tokens == 7


@pytest.mark.parametrize(("chars", "later"), [(600, True), (70_000, False)])
async def test_short_answers_are_read_later_and_long_ones_at_once(
    chars: int, monkeypatch: pytest.MonkeyPatch, *, later: bool
) -> None:
    """What waits to be read takes room."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await read(receive)
        await answer(send, b'{"choices":[{"message":{"content":"%s"}}]}' % (b"a" * chars))

    guard = guarded(app)
    told = outcomes_of(guard, monkeypatch)
    await ask(guard, scope_of(), asking("hello"))
    assert (told[0].unread is not None) is (told[0].answer is None) is later
    seen = told[0].read()
    assert seen is not None
    assert seen.output_chars == chars
    assert reading_of(guard).slow[Slot.ANSWERED] == 1.0


@pytest.mark.parametrize("encoding", [b"compress", b"gzip, compress", b"\xff"])
async def test_answers_in_unknown_encodings_are_known_by_their_length(
    encoding: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a client asks to have encoded is an answer all the same, if it is cut short too."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await read(receive)
        headers = [JSON, (b"content-encoding", encoding)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": bytes(600), "more_body": True})
        if not told:
            await send({"type": "http.response.body", "body": b"\x0b\x02"})

    guard = guarded(app)
    told = outcomes_of(guard, monkeypatch)
    wire = await ask(guard, scope_of(), asking("hello"))
    assert wire.body == bytes(600) + b"\x0b\x02"
    await ask(guard, scope_of(), asking("hello"))
    assert [outcome.completed for outcome in told] == [True, False]
    assert [outcome.read() for outcome in told] == [
        Answer(output_chars=1806),
        Answer(output_chars=1800),
    ]
    assert reading_of(guard).slow[Slot.ANSWERED] == 2.0


@pytest.mark.parametrize(("answered", "observed"), [(ANSWER, 1.0), ("Nowhere at all.", 0.0)])
async def test_history_counts_only_where_it_was_served(answered: str, observed: float) -> None:
    """A second turn that repeats the answer to the first is observed; an invented one is not."""
    time = Time()
    guard = guarded(Model().in_starlette(), time)
    await ask(guard, scope_of(), asking("Where?"))
    time.pass_by(60)
    await ask(guard, scope_of(), asking("Where?", answered, "And then?"))
    reading = reading_of(guard)
    assert reading.slow[Slot.CLAIMED] == 1.0
    assert reading.slow[Slot.OBSERVED] == observed
