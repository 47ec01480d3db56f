"""Hostile input: whatever is sent, the guard neither fails nor changes a byte."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from tests.callers import (
    CHAT,
    JSON,
    KEY,
    MESSAGES,
    Wire,
    ask,
    asking,
    counted,
    guarded,
    in_chunks,
    outcomes_of,
    scope_of,
)
from tests.servers import connected, serving
from tests.upstreams import EVENTS, answer, model, read

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

    from gateway_guard import GuardMiddleware

DEEP = 10_000
TEXT = "tell me everything"


class Echo:
    """An application that answers with what it was sent."""

    def __init__(self) -> None:
        self.received: list[Message] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or give it up with its client."""
        del scope
        more = True
        while more:
            self.received.append(await receive())
            if self.received[-1]["type"] == "http.disconnect":
                return
            more = self.received[-1]["more_body"]
        await answer(send, self.body)

    @property
    def body(self) -> bytes:
        """What arrived of the body."""
        return b"".join(message.get("body", b"") for message in self.received)


def unharmed(guard: GuardMiddleware) -> bool:
    """Tell whether nothing in the guard has failed, and nothing is held any more."""
    return not counted(guard, "errors") and not guard.guard.budget.held_bytes


def nested(opening: str, closing: str) -> bytes:
    """Return a message whose content is nested as deep as can be."""
    body = asking("HERE").decode()
    return body.replace('"HERE"', opening * DEEP + closing * DEEP).encode()


BODIES = {
    "nothing": b"",
    "white space": b" \r\n\t",
    "no JSON": b"hello",
    "not UTF-8": b'{"messages":[{"role":"user","content":"\xff\xfe\xfa"}]}',
    "overlong UTF-8": b'{"messages":[{"role":"user","content":"\xc0\xaf"}]}',
    "lone surrogates": b'{"messages":[{"role":"user","content":"\\ud800 \\udfff"}]}',
    "UTF-16": asking(TEXT).decode().encode("utf-16"),
    "UTF-32": asking(TEXT).decode().encode("utf-32"),
    "byte order mark": b"\xef\xbb\xbf" + asking(TEXT),
    "null bytes": b"\0" * 1000,
    "truncated": asking(TEXT)[:-3],
    "truncated in an escape": b'{"messages":[{"role":"user","content":"\\u12',
    "deep lists": nested("[", "]"),
    "deep objects": nested('{"a":', "}").replace(b":}", b":1}"),
    "deep and open": b"[" * DEEP,
    "NaN": b'{"temperature":NaN,"max_tokens":Infinity,"messages":[{"role":"user","content":"a"}]}',
    "huge numbers": b'{"max_tokens":1e999,"n":' + b"9" * 5000 + b',"messages":[{"content":"a"}]}',
    "negative numbers": b'{"max_tokens":-1,"n":-5,"messages":[{"role":"user","content":"a"}]}',
    "many answers": b'{"n":4294967297,"messages":[{"role":"user","content":"a"}]}',
    "duplicate keys": b'{"messages":[],"messages":[{"role":"user","content":"a","content":"b"}]}',
    "wrong types": b'{"messages":{"role":7},"model":[],"stream":"yes","tools":1,"user":{}}',
    "messages of all kinds": b'{"messages":[1,null,"a",[],{"role":null,"content":{"type":3}}]}',
    "empty roles": b'{"messages":[{"role":"","content":""},{"content":null},{}]}',
    "a long role": b'{"messages":[{"role":"' + b"r" * 100_000 + b'","content":"a"}]}',
    "a long end user": b'{"user":"' + b"u" * 100_000 + b'","messages":[{"content":"a"}]}',
    "an end user in surrogates": b'{"user":"\\ud800","messages":[{"content":"a"}]}',
    "many messages": json.dumps({"messages": [{"content": "a"}] * 20_000}).encode(),
    "many parts": json.dumps(
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}] * 20_000}]}
    ).encode(),
    "a form": b"messages=%5B%7B%22content%22%3A%22a%22%7D%5D&model=m",
    "gzip without saying so": gzip.compress(asking(TEXT)),
    "control characters": asking("".join(map(chr, range(32))) + "\x7f\x80\u2028"),
    "bidirectional text": asking("\u202e\u2066 abc \u2069" * 100),
    "combining characters": asking("a" + "\u0301" * 50_000),
    "emoji": asking("\U0001f468\u200d\U0001f469\u200d\U0001f467" * 5_000),
    "one word": asking("a" * 300_000),
    "one word again and again": asking("again " * 60_000),
}


@pytest.mark.parametrize("path", [CHAT, MESSAGES, "/v1/responses"])
@pytest.mark.parametrize("name", BODIES)
async def test_a_body_passes_whatever_it_is(name: str, path: str) -> None:
    """It reaches the application unchanged, twice, and nothing in the guard fails."""
    body, guard = BODIES[name], guarded(model)
    for _ in range(2):
        guard.app = Echo()
        assert (await ask(guard, scope_of(path), body)).body == body
    guard.engine.flush(guard.guard.timeline.now())
    assert unharmed(guard)


@pytest.mark.parametrize("name", BODIES)
async def test_an_answer_passes_whatever_it_is(name: str) -> None:
    """As JSON and as events, in both dialects."""
    whole = b"data: %s\n\n" % BODIES[name]
    kinds = [JSON, EVENTS]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await read(receive)
        await answer(send, whole[:6], whole[6:], kind=kinds[0])

    guard = guarded(app)
    for path in (CHAT, MESSAGES, "/v1/responses"):
        for _ in kinds:
            kinds.reverse()
            assert (await ask(guard, scope_of(path), asking("a"))).body == whole
    assert counted(guard, "exchanges") == {"committed": 6}
    assert unharmed(guard)


@pytest.mark.parametrize("chunks", [(), (b"",), (b'{"messages":[',), (b"{", b'"a":', b"1")])
async def test_a_client_that_leaves_in_its_body_is_known_to_have_left(
    chunks: tuple[bytes, ...],
) -> None:
    """The application has what came, and then the disconnect, once."""
    app = Echo()
    guard = guarded(app)
    given = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    wire = Wire(*given, {"type": "http.disconnect"})
    await guard(scope_of(), wire.receive, wire.send)
    assert app.body == b"".join(chunks)
    assert [message["type"] for message in app.received][-1] == "http.disconnect"
    assert wire.sent == []
    assert counted(guard, "exchanges") == {}
    assert unharmed(guard)


async def test_messages_without_their_optional_fields_are_read() -> None:
    """The interface lets servers leave out an empty body and the end of it."""
    app = Echo()
    guard = guarded(app)
    wire = Wire({"type": "http.request"})
    await guard(scope_of(), wire.receive, wire.send)
    assert wire.status == 200
    assert unharmed(guard)


SOCKET_REQUESTS = {
    "chunked": (b"Transfer-Encoding: chunked", b'5\r\n{"mes\r\n2\r\nsa\r\n0\r\n\r\n', b"200"),
    "shorter than declared": (b"Content-Length: 900", b'{"messages":[]}', b""),
    "longer than declared": (b"Content-Length: 2", b"{}{}{}", b""),
    "two lengths": (b"Content-Length: 2\r\nContent-Length: 3", b"{}}", b"400"),
    "both": (b"Content-Length: 9\r\nTransfer-Encoding: chunked", b"2\r\n{}\r\n0\r\n\r\n", b""),
    "negative": (b"Content-Length: -2", b"{}", b""),
    "chunks that lie": (b"Transfer-Encoding: chunked", b"ffffff\r\n{}\r\n", b""),
    "chunks that are none": (b"Transfer-Encoding: chunked", b"xyz\r\n{}\r\n0\r\n\r\n", b"400"),
    "gigantic by declaration": (b"Content-Length: 99999999999", b"{}", b"413"),
}


@pytest.mark.parametrize("http", ["h11", "httptools"])
@pytest.mark.parametrize("name", SOCKET_REQUESTS)
async def test_lengths_that_lie_do_not_hang_or_break_the_server(name: str, http: str) -> None:
    """Each is answered or given up with its client, and the next request is served."""
    declared, body, status = SOCKET_REQUESTS[name]
    guard = guarded(model)
    head = b"POST " + CHAT.encode() + b" HTTP/1.1\r\nHost: x\r\n" + declared + b"\r\n\r\n"
    async with serving(guard, http="h11" if http == "h11" else "httptools") as address:
        async with connected(address) as (reader, writer):
            writer.write(head + body)
            if status:
                assert (await reader.readline()).split()[1] == status
        async with connected(address) as (reader, writer):
            question = asking("hello")
            length = b"Content-Length: %d\r\n\r\n" % len(question)
            writer.write(head.partition(declared)[0] + length + question)
            assert (await reader.readline()).split()[1] == b"200"
    assert unharmed(guard)


@pytest.mark.parametrize("size", [1, 2, 100])
async def test_a_body_just_over_the_limit_is_refused_however_it_is_cut(size: int) -> None:
    """In pieces of a byte or as one piece, the answer is the same and nothing is held."""
    guard = guarded(model, max_body=1_000)
    body = b"x" * 1_001
    wire = await ask(guard, scope_of(), *(body[at : at + size] for at in range(0, 1_001, size)))
    assert wire.status == 413
    assert unharmed(guard)


def bomb() -> bytes:
    """Return a hundred megabytes of an answer, compressed to a hundred thousand bytes."""
    packer = zlib.compressobj(9, wbits=31)
    pieces = [packer.compress(b'{"choices":[{"message":{"content":"')]
    pieces += [packer.compress(b"a" * 1_000_000) for _ in range(100)]
    return b"".join([*pieces, packer.compress(b'"}}]}'), packer.flush()])


async def test_a_bomb_in_an_answer_passes_and_is_not_unpacked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The client has what it asked for; the guard has stopped looking."""
    body = bomb()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await read(receive)
        headers = [JSON, (b"content-encoding", b"gzip")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    guard = guarded(app)
    told = outcomes_of(guard, monkeypatch)
    assert (await ask(guard, scope_of(), asking("a"))).body == body
    seen = told[0].read()
    assert seen is not None
    assert seen.output_chars <= 2**23
    assert unharmed(guard)


@pytest.mark.parametrize(
    "headers",
    [
        [(b"authorization", b"")],
        [(b"authorization", b"Bearer")],
        [(b"authorization", b"Bearer " + b"k" * 60_000)],
        [(b"authorization", b"\xff\xfe\0")],
        [(b"authorization", b"Basic dTpw"), (b"authorization", b"Bearer a"), (b"x-api-key", b"c")],
        [(b"x-api-key", bytes((number % 256,)) * 8) for number in range(500)],
        [(b"content-type", b"\xff" * 1000), (b"accept", b"\xff;q=0," * 1000)],
        [(b"content-length", b"\xd9\xa1\xd9\xa2"), (b"content-encoding", b"\xff,gzip,,")],
        [(b"x-forwarded-for", b"1.2.3.4," * 1000), (b"forwarded", b'for=;;;for="[::')],
        [(b"user-agent", b"\0\r\n" * 1000), (b"", b"")],
    ],
)
async def test_strange_headers_are_read_without_harm(headers: list[tuple[bytes, bytes]]) -> None:
    """Bytes that no text is made of, empty and endless ones, and many of a kind."""
    guard = guarded(model, trusted_proxies="203.0.113.0/24")
    scope = scope_of(key=b"", headers=headers, query_string=b"key=%ff&key=&%6bey=%00")
    assert (await ask(guard, scope, asking("hello"))).status == 200
    assert unharmed(guard)


@pytest.mark.parametrize(
    "changes",
    [
        {"client": None},
        {"client": ("", 0)},
        {"client": ("not an address", -1)},
        {"client": ("::ffff:203.0.113.7%eth0", 1)},
        {"path": ""},
        {"path": "/" * 60_000},
        {"path": "/v1/\udcff\0/chat/completions"},
        {"root_path": "/somewhere/else"},
        {"query_string": b"&=&;%%%"},
        {"headers": []},
    ],
)
async def test_strange_scopes_are_read_without_harm(changes: dict[str, Any]) -> None:
    """Servers differ in what they say of a request."""
    guard = guarded(Echo())
    assert (await ask(guard, scope_of(**changes), asking("a"))).body == asking("a")
    assert unharmed(guard)


async def test_strange_handshakes_are_read_without_harm() -> None:
    """A websocket's scope has no method."""
    reached: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del receive, send
        reached.append(scope)

    guard = guarded(app)
    scope = scope_of("/v1/\udcff", headers=[(b"sec-websocket-protocol", b"\xff")], type="websocket")
    del scope["method"]
    wire = Wire()
    await guard(scope, wire.receive, wire.send)
    assert reached == [scope]
    assert unharmed(guard)


@pytest.mark.parametrize(
    "start",
    [
        {"status": 200},
        {"status": 200, "headers": [(b"content-type", b"\xff")]},
        {"status": 299, "headers": [[b"Content-Encoding", b"gzip"], [b"CONTENT-TYPE", b"TEXT/x"]]},
        {"status": 999, "headers": ()},
        {"status": 0},
    ],
)
async def test_strange_answers_pass(start: dict[str, object]) -> None:
    """Applications are not always what they should be."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await read(receive)
        await send({"type": "http.response.start", **start})
        await send({"type": "http.response.body", "body": b"\x1f\x8b"})

    guard = guarded(app)
    wire = await ask(guard, scope_of(), asking("hello"))
    assert wire.sent[0] == {"type": "http.response.start", **start}
    assert wire.body == b"\x1f\x8b"
    assert sum(counted(guard, "exchanges").values()) == 1
    assert unharmed(guard)


async def test_many_keys_in_one_request_are_one_caller() -> None:
    """The worst of a thousand made-up keys is looked for without harm."""
    guard = guarded(model)
    headers = [(b"authorization", b"Bearer k%d" % number) for number in range(1_000)]
    wire = await ask(guard, scope_of(key=KEY, headers=headers), asking("hello"))
    assert wire.status == 200
    assert unharmed(guard)


async def test_a_thousand_requests_that_never_end_leave_nothing_behind() -> None:
    """Bodies that stop half-way are given back with their connections."""
    guard = guarded(Echo())
    for number in range(1_000):
        wire = Wire(*in_chunks(b'{"messages":[', b"")[:1], {"type": "http.disconnect"})
        scope = scope_of(key=b"sk-%d" % number)
        await guard(scope, wire.receive, wire.send)
    assert unharmed(guard)
    assert counted(guard, "exchanges") == {}
