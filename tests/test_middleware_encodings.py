"""Request bodies that are one thing to the guard and might be another to the application."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import TYPE_CHECKING

import pytest

from tests.callers import (
    CHAT,
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
from tests.parity import ENCODERS, part
from tests.parity import encoded as packed_by
from tests.upstreams import EVENTS, answer, completion_events, model, read

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

GENERIC = "/v1/other"
POLYGLOT = b'{\t "'
"""The beginning of a JSON object, and at the same time a whole stream of raw deflate."""


def encoded(*encodings: bytes) -> list[tuple[bytes, bytes]]:
    """Return the header lines that name encodings."""
    return [(b"content-encoding", encoding) for encoding in encodings]


def packed(text: bytes, wbits: int) -> bytes:
    """Compress with a zlib header, a gzip header or none."""
    packer = zlib.compressobj(wbits=wbits)
    return packer.compress(text) + packer.flush()


def test_the_polyglot_is_one() -> None:
    """Decoders that stop at the end of the stream find a letter in it."""
    decoder = zlib.decompressobj(-zlib.MAX_WBITS)
    assert decoder.decompress(POLYGLOT + b'n":3}')
    assert decoder.eof
    assert json.loads(POLYGLOT + b'n":3}') == {"n": 3}


@pytest.mark.parametrize("encoding", [b"deflate", b"gzip", b"br", b"zstd", b"gzip, br", b"?"])
@pytest.mark.parametrize("path", [CHAT, GENERIC])
async def test_json_is_read_whatever_encoding_it_claims(path: str, encoding: bytes) -> None:
    """Most applications ignore the header, and so does who hides behind it."""
    body = POLYGLOT + asking("hello", prompt="hello", n=3)[2:]
    guard = guarded(model)
    await ask(guard, scope_of(path, headers=encoded(encoding)), body)
    assert reading_of(guard).slow[0] == 3.0
    assert counted(guard, "unparsed") == {}


@pytest.mark.parametrize("before", [b"", b"\r\n\t ", b"\xef\xbb\xbf"])
async def test_json_is_known_behind_blanks_and_marks(before: bytes) -> None:
    """Parsers skip them."""
    guard = guarded(model)
    await ask(guard, scope_of(headers=encoded(b"br")), before + asking("hello", n=3))
    assert reading_of(guard).slow[0] == 3.0


async def test_a_form_is_read_whatever_encoding_it_claims() -> None:
    """It is JSON's poor relation."""
    guard = guarded(model)
    await ask(guard, scope_of(GENERIC, headers=encoded(b"br")), b"prompt=hello&model=m")
    assert counted(guard, "exchanges") == {"committed": 1}
    assert counted(guard, "unparsed") == {}


@pytest.mark.parametrize("wbits", [31, 15, -15])
@pytest.mark.parametrize("path", [CHAT, GENERIC])
async def test_what_is_encoded_is_decoded(path: str, wbits: int) -> None:
    """In every form of the encodings that Python knows."""
    guard = guarded(model)
    encoding = b"gzip" if wbits == 31 else b"deflate"
    body = packed(asking("hello", prompt="hello", n=3), wbits)
    await ask(guard, scope_of(path, headers=encoded(encoding)), body)
    assert reading_of(guard).slow[0] == 3.0
    assert counted(guard, "unparsed") == {}


@pytest.mark.parametrize("inner", [b"", *ENCODERS])
@pytest.mark.parametrize("outer", ENCODERS)
@pytest.mark.parametrize("path", [CHAT, GENERIC])
async def test_encodings_on_top_of_each_other_are_undone(
    path: str, outer: bytes, inner: bytes
) -> None:
    """Brotli and Zstandard as well, where their packages are installed."""
    guard = guarded(model)
    names = [inner, outer] if inner else [outer]
    body = packed_by(asking("hello", prompt="hello", n=3), *names)
    await ask(guard, scope_of(path, headers=encoded(b", ".join(names))), body)
    assert reading_of(guard).slow[0] == 3.0
    assert counted(guard, "unparsed") == {}


@pytest.mark.parametrize("names", [(b"br",), (b"zstd",), (b"gzip", b"br")])
async def test_answers_are_decoded_by_the_same_means(
    names: tuple[bytes, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a client asks to have encoded is an answer all the same."""
    body = packed_by(b"".join(completion_events({})), *names)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await read(receive)
        headers = [EVENTS, (b"content-encoding", b", ".join(names))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for at in range(0, len(body), 7):
            piece = body[at : at + 7]
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})

    guard = guarded(app)
    told = outcomes_of(guard, monkeypatch)
    wire = await ask(guard, scope_of(), asking("hello", stream=True))
    assert wire.body == body
    seen = told[0].read()
    assert seen is not None
    assert (seen.output_chars, seen.finish) == (31, "stop")


@pytest.mark.parametrize("lines", [(b"gzip", b"identity"), (b"identity", b"gzip"), (b"", b"gzip")])
async def test_an_encoding_is_found_in_every_line_of_its_header(lines: tuple[bytes, ...]) -> None:
    """Servers take the first, the last or all of them."""
    guard = guarded(model)
    await ask(guard, scope_of(headers=encoded(*lines)), gzip.compress(asking("hello", n=3)))
    assert reading_of(guard).slow[0] == 3.0


@pytest.mark.parametrize("encoding", [b"", b"identity", b"Identity "])
async def test_an_encoding_that_is_none_changes_nothing(encoding: bytes) -> None:
    """Some clients say that they do nothing."""
    guard = guarded(model)
    await ask(guard, scope_of(headers=encoded(encoding)), asking("hello", n=3))
    await ask(guard, scope_of(GENERIC, headers=encoded(encoding)), b"\x1f\x8b a file")
    assert counted(guard, "exchanges") == {"committed": 1}
    assert counted(guard, "unparsed") == {}


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        (b"compress", b"\x1f\x9d\x90{\x00"),
        (b"br", b"\xff\xff no Brotli"),
        (b"zstd", b"\x28\xb5\x2f\xfd"),
        (b"gzip, gzip", gzip.compress(b'{"prompt":"hello"}', mtime=0)),
        (b"gzip", b"\x00 no gzip"),
        (b"deflate", packed(b"", 15) + b"\x01more"),
        (
            b"gzip",
            gzip.compress(b"", mtime=0) * 1_001 + gzip.compress(b'{"prompt":"hello"}', mtime=0),
        ),
    ],
)
@pytest.mark.parametrize("path", [CHAT, GENERIC])
async def test_what_cannot_be_decoded_counts_as_unparsed(
    path: str, encoding: bytes, body: bytes
) -> None:
    """On every path: what the guard cannot see might be anything."""
    guard = guarded(model)
    wire = await ask(guard, scope_of(path, headers=encoded(encoding)), body)
    assert wire.status == 200
    assert sum(counted(guard, "unparsed").values()) == 1
    assert counted(guard, "exchanges") == {"committed": 1}


@pytest.mark.parametrize("path", [CHAT, GENERIC])
async def test_what_cannot_be_decoded_is_refused_where_the_operator_wants_it(path: str) -> None:
    """Like every other body that no parser understands."""
    guard = guarded(model, unparsed="refuse")
    wire = await ask(guard, scope_of(path, headers=encoded(b"zstd")), b"\x28\xb5\x2f\xfd")
    assert wire.status == 400


async def test_an_encoded_body_that_asks_nothing_opens_no_record() -> None:
    """Nor does an empty one, whatever its encoding."""
    guard = guarded(model)
    for path, body in ((CHAT, b'{"seed":1}'), (GENERIC, b"no JSON"), (GENERIC, b'{"seed":1}')):
        await ask(guard, scope_of(path, headers=encoded(b"gzip")), gzip.compress(body, mtime=0))
    await ask(guard, scope_of(GENERIC, headers=encoded(b"br")), b"")
    assert counted(guard, "exchanges") == {}


FORM_WITH_FILE = (b"content-type", b"multipart/form-data; boundary=cut")


async def test_a_form_is_held_until_its_texts_are_read() -> None:
    """What arrives behind its first mebibyte is handed on as it arrives."""
    mebibyte, seen = bytes(2**20), list[bytes]()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        seen.append((await receive())["body"])
        wire.given.append({"type": "http.request", "body": b"\r\n--cut--", "more_body": False})
        seen.append((await receive())["body"])
        await answer(send, b"{}")

    first = part("prompt", b"hello")
    second = part("file", mebibyte, b'; filename="a"').removesuffix(b"\r\n")
    wire = Wire(*in_chunks(first, second))
    wire.given[-1]["more_body"] = True
    guard = guarded(app)
    await guard(scope_of(GENERIC, headers=[FORM_WITH_FILE]), wire.receive, wire.send)
    assert seen == [first + second, b"\r\n--cut--"]
    assert counted(guard, "exchanges") == {"committed": 1}
    assert counted(guard, "unparsed") == {}


async def test_a_form_of_files_alone_asks_nothing() -> None:
    """However large it is."""
    guard = guarded(model, max_body=1_000)
    body = part("file", b"\x89PNG" * 1_000, b'; filename="a.png"') + b"--cut--\r\n"
    chunks = [body[at : at + 900] for at in range(0, len(body), 900)]
    wire = await ask(guard, scope_of("/v1/files", headers=[FORM_WITH_FILE]), *chunks)
    assert wire.status == 200
    assert counted(guard, "exchanges") == {}


async def test_where_a_name_stands_twice_the_upstreams_choice_is_read() -> None:
    """By the setting, through the whole guard."""
    body = b'{"n":3,"n":1,"messages":[{"content":"hello"}]}'
    for choice, answers in (("first", 3.0), ("last", 1.0)):
        guard = guarded(model, duplicate_keys=choice)
        await ask(guard, scope_of(), body)
        assert reading_of(guard).slow[0] == answers
