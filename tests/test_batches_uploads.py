"""Files for batches are read as they stream by: in pieces, in order, in bounds, unchanged."""

from __future__ import annotations

import asyncio
import gzip
import json
from itertools import pairwise
from time import perf_counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.dialects.multipart import Multipart, boundary_of
from gateway_guard.elements import pack
from gateway_guard.lines import LONGEST_LINE, MOST_DRAWN, Chance, Lines
from tests.batching import (
    BOUNDARY,
    FILES,
    FORM,
    Upstream,
    asked_in,
    chunked,
    create,
    field,
    form_of,
    line_of,
    lines_of,
    upload,
)
from tests.callers import KEY, Wire, ask, counted, guarded, in_chunks, scope_of
from tests.upstreams import answer, read

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from gateway_guard import GuardMiddleware
    from gateway_guard.elements import Element

END = f"--{BOUNDARY}--\r\n".encode()
UPLOAD = scope_of(FILES, headers=[FORM])


def held(guard: GuardMiddleware, file: str = "file-1") -> list[Element]:
    """Return what was read of a file."""
    return guard.guard.uploads.files.find(file, guard.guard.principals.key_id(KEY), 0.0)


def number(guard: GuardMiddleware, file: str = "file-1") -> int:
    """Return how many exchanges a file is held for."""
    return sum(element.times for element in held(guard, file))


def named(name: str, field_value: bytes) -> bytes:
    """Return one field of a form."""
    return field(name, field_value)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1_000, 2**16, 10**7])
async def test_a_form_may_come_in_pieces_of_any_size(size: int) -> None:
    """The application has each of them as it came."""
    upstream = Upstream()
    guard = guarded(upstream, memory="64MiB")
    form = form_of(lines_of(20))
    await ask(guard, UPLOAD, *chunked(form, size))
    assert upstream.files == [form]
    assert number(guard) == 20


async def test_a_form_may_be_cut_at_any_byte() -> None:
    """In two."""
    form = form_of(lines_of(2))
    guard = guarded(Upstream(), memory="64MiB")
    for at in range(len(form)):
        file = (await ask(guard, UPLOAD, form[:at], form[at:])).json["id"]
        assert number(guard, file) == 2, at


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.binary(max_size=40)), max_size=4),
    st.lists(st.integers(0, 400), max_size=8),
    st.sampled_from([b"b", b"b--", b"-"]),
)
def test_every_part_arrives_whole(
    parts: list[tuple[str, bytes]], cuts: list[int], boundary: bytes
) -> None:
    """However the form is cut, unless a part holds its delimiter."""
    parts = [(name, data) for name, data in parts if b"\n--" + boundary not in b"\r\n" + data]
    found: list[tuple[bytes, bytearray]] = []

    class Sink:
        def feed(self, data: bytes) -> None:
            found[-1][1].extend(data)

        def end(self) -> None:
            found.append((b"", bytearray()))

    def begin(name: bytes, *, is_file: bool) -> Sink:
        assert not is_file
        found.append((name, bytearray()))
        return Sink()

    body = b"".join(
        b"--%b\r\nContent-Disposition: form-data; name=%b\r\n\r\n%b\r\n"
        % (boundary, name.encode(), data)
        for name, data in parts
    )
    body += b"--" + boundary + b"--"
    form, places = Multipart(boundary, begin), sorted({*cuts, 0, len(body)})
    for begin_at, end_at in pairwise(places):
        form.feed(body[begin_at:end_at])
    whole = [(name.decode(), bytes(data)) for name, data in found if name]
    assert whole == parts


@pytest.mark.parametrize(
    ("kind", "boundary"),
    [
        (b"multipart/form-data; boundary=x", b"x"),
        (b'Multipart/Form-Data; charset=utf-8; Boundary="x y"', b"x y"),
        (b"multipart/form-data", None),
        (b"multipart/form-data; boundary=", None),
        (b"application/json; boundary=x", None),
        (b"", None),
    ],
)
def test_the_boundary_is_in_the_content_type(kind: bytes, boundary: bytes | None) -> None:
    """Quoted or not."""
    assert boundary_of(kind) == boundary


@pytest.mark.parametrize(
    "form",
    [
        named("purpose", b"fine-tune") + field("file", lines_of(9), '; filename="a"') + END,
        named("purpose", b"") + field("file", lines_of(9), '; filename="a"') + END,
        field("file", lines_of(9), '; filename="a"') + END,
        named("purpose", b"batch") + END,
        named("purpose", b"batch") + field("file", b"", '; filename="a"') + END,
        named("purpose", b"batch") + field("file", b"\n" * 999, '; filename="a"') + END,
        named("purpose", b"batch") + field("file", b"{}\n" * 999, '; filename="a"') + END,
        named("purpose", b"batch") + named("other", lines_of(9)) + END,
        form_of(lines_of(9))[: -len(END) - 2],  # truncated
        form_of(lines_of(9)).replace(BOUNDARY.encode(), b"other"),
        b"",
        b"\r\n\r\n",
        b"--" * 999,
    ],
)
async def test_nothing_is_held_of_what_is_no_file_for_batches(form: bytes) -> None:
    """A file for other purposes, an empty one, one without an end or without a beginning."""
    guard = guarded(Upstream(), memory="64MiB")
    assert (await ask(guard, UPLOAD, *chunked(form))).status == 200
    assert held(guard) == []
    assert len(guard.guard.uploads.files) == 0


@pytest.mark.parametrize(
    "form",
    [
        field("file", lines_of(9), '; filename="a"') + named("purpose", b"batch") + END,
        b"a preamble\r\n" + form_of(lines_of(9)),
        form_of(lines_of(9) + b"\n"),
        form_of(lines_of(9).replace(b"\n", b"\r\n")),
        form_of(lines_of(9).replace(b"\n", b"\n\n")),
        b"".join(named(f"f{at}", b"x") for at in range(200)) + form_of(lines_of(9)),
        form_of(lines_of(9)) + b"an epilogue",
    ],
)
async def test_forms_have_many_shapes(form: bytes) -> None:
    """The purpose may come last, lines end either way, and there may be more around it."""
    guard = guarded(Upstream(), memory="64MiB")
    await ask(guard, UPLOAD, *chunked(form))
    assert number(guard) == 9


async def test_a_refused_upload_is_not_held() -> None:
    """Nor one whose answer has no id."""
    upstream = Upstream()
    upstream.status = 400
    guard = guarded(upstream)
    await upload(guard, lines_of(9))
    assert len(guard.guard.uploads.files) == 0


@pytest.mark.parametrize("said", [b"", b"[]", b"{}", b'{"id":""}', b'{"id":1}', b"x" * 10**6])
async def test_an_answer_without_an_id_is_no_harm(said: bytes) -> None:
    """Nothing is held then."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await read(receive)
        await answer(send, said)

    guard = guarded(app)
    assert (await upload(guard, lines_of(9))).body == said
    assert len(guard.guard.uploads.files) == 0


async def test_a_compressed_answer_is_read() -> None:
    """LiteLLM compresses what is over half a kilobyte."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await read(receive)
        headers = [(b"content-encoding", b"gzip"), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        packed = gzip.compress(b'{"id":"file-1"}')
        await send({"type": "http.response.body", "body": packed[:9], "more_body": True})
        await send({"type": "http.response.body", "body": packed[9:]})

    guard = guarded(app, memory="64MiB")
    await upload(guard, lines_of(9))
    assert number(guard) == 9


async def test_gemini_uploads_a_file_as_the_whole_body() -> None:
    """In one piece that is the last one; the answer has the name of the file in it."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await read(receive)
        await answer(send, b'{"file":{"name":"files/1"}}')

    guard = guarded(app, memory="64MiB")
    command = (b"x-goog-upload-command", b"upload, finalize")
    path = "/upload/v1beta/files"
    for offset, count in ((b"0", 9), (b"8388608", 3)):
        headers = [command, (b"x-goog-upload-offset", offset), (b"content-type", b"image/x")]
        await ask(guard, scope_of(path, headers=headers), lines_of(count))
    assert number(guard, "files/1") == 9


async def test_no_text_is_held() -> None:
    """Neither of the lines, nor of who they are for."""
    guard = guarded(Upstream(), memory="64MiB")
    secret = "the sealed verdict of the committee"
    lines = [line_of(asked_in(f"{secret} {at}", user="alice@example.com")) for at in range(9)]
    await upload(guard, b"\n".join(lines))
    packed = pack(held(guard))
    assert len(packed) > 9 * 50
    for text in (secret, "sealed", "alice"):
        assert text.encode() not in packed


async def test_room_for_a_line_is_given_back() -> None:
    """Also by an upload that breaks off within one, and by an application that gives up."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, send
        await receive()
        message = "no room"
        raise OSError(message)

    form = form_of(lines_of(9) + b"\n" + b"x" * 5_000)
    guard = guarded(app)
    with pytest.raises(OSError, match="no room"):
        await ask(guard, UPLOAD, form[:4_000], form[4_000:])
    assert guard.guard.budget.held_bytes == 0
    guard = guarded(Upstream())
    wire = Wire(*in_chunks(form[:4_000], b"")[:1], {"type": "http.disconnect"})
    wire.given[0]["more_body"] = True
    await guard(UPLOAD, wire.receive, wire.send)
    assert guard.guard.budget.held_bytes == 0
    assert len(guard.guard.uploads.files) == 0


HOSTILE = {
    "tiny lines": b"{}\n" * 1_000_000,
    "blank lines": b"\n" * 2_000_000,
    "one endless line": b"[" + b"x" * 3_000_000,
    "an endless request": line_of(asked_in("word " * 600_000)),
    "nested": b"\n".join([b'{"body":' + b"[" * 5_000] * 300),
    "deep": b"\n".join([line_of(json.loads("[" * 400 + "]" * 400))] * 1_000),
    "dense": b"\n".join([line_of({"messages": [[]] * 20_000})] * 40),
    "no utf-8": b"\xff\xfe\n" * 500_000,
    "zeroes": bytes(2_000_000),
    "delimiters": f"\r\n--{BOUNDARY}".encode() * 100_000,
    "almost delimiters": f"\r\n--{BOUNDARY[:-1]}\r\n".encode() * 100_000,
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_files_pass_and_cost_little(name: str) -> None:
    """They reach the application as they are; the bound on time is far above what is needed."""
    upstream, data = Upstream(), form_of(HOSTILE[name])
    guard = guarded(upstream, memory="64MiB")
    begun = perf_counter()
    await ask(guard, UPLOAD, *chunked(data))
    assert perf_counter() - begun < 5.0
    assert upstream.files == [data]
    assert guard.guard.budget.held_bytes == 0
    assert counted(guard, "failures") == {}


async def test_a_line_beyond_the_bound_is_read_from_its_beginning() -> None:
    """And counts; no more than the bound is held of it."""
    guard = guarded(Upstream(), memory="64MiB")
    long = line_of(asked_in("first words of a very long question " + "x" * 2 * LONGEST_LINE))
    await upload(guard, lines_of(3) + b"\n" + long)
    assert number(guard) == 4


async def test_other_tasks_run_while_a_file_is_read() -> None:
    """Also where a server hands it over in one piece."""
    guard, ran = guarded(Upstream(), memory="64MiB"), 0

    async def other() -> None:
        nonlocal ran
        while True:
            ran += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await ask(guard, UPLOAD, form_of(lines_of(5_000)))
    task.cancel()
    assert ran > 10


async def test_padding_does_not_hide_requests() -> None:
    """Lines that are none take no place, and count for little."""
    guard = guarded(Upstream(), memory="64MiB")
    lines = [b'{"nothing":%d}' % at for at in range(3_000)]
    lines[1_000:1_000] = lines_of(200).split(b"\n")
    await upload(guard, b"\n".join(lines))
    assert len(held(guard)) > 20
    assert 50 < number(guard) < 3_200


async def test_lists_in_lines_count_each_of_their_prompts() -> None:
    """As they would by themselves."""
    guard = guarded(Upstream(), memory="64MiB")
    embed = {"model": "m", "input": [f"text {at}" for at in range(30)]}
    lines = [line_of(embed, at, url="/v1/embeddings") for at in range(4)]
    await upload(guard, b"\n".join(lines))
    assert number(guard) == 120


class Room:
    """Room without bounds."""

    def __init__(self) -> None:
        self.held = b""

    def take(self, chunk: bytes) -> bool:
        """Hold the next bytes too."""
        self.held += chunk
        return True

    def let_go(self) -> bytes:
        """Return the bytes."""
        held, self.held = self.held, b""
        return held


def drawn_of(lines: list[bytes], pieces: int, seed: bytes = b"12345678") -> tuple[list[bytes], int]:
    """Return which lines are drawn of a file, and how many requests it is thought to hold."""
    kept: dict[int, bytes] = {}
    latest = b""

    def read_line(line: bytes, *, cut: bool) -> bool:
        nonlocal latest
        assert not cut
        latest = line
        return line.startswith(b"ask")

    def keep(place: int) -> None:
        kept[place] = latest

    found = Lines(Chance(seed), Room(), read_line, keep)
    for piece in chunked(b"\n".join(lines), pieces):
        found.feed(piece)
        while found.work():
            pass
    found.end()
    while found.work():
        pass
    return list(kept.values()), found.asked


@given(st.integers(1, MOST_DRAWN), st.integers(1, 900))
def test_a_short_file_is_read_as_a_whole(count: int, pieces: int) -> None:
    """Every line once, in order."""
    lines = [b"ask %d" % at for at in range(count)]
    assert drawn_of(lines, pieces) == (lines, count)


def test_the_lines_of_a_long_file_are_drawn_evenly() -> None:
    """None is likelier than another; the mean place of those drawn is in the middle."""
    lines = [b"ask about %d, please, and in a few words more" % at for at in range(4_000)]
    places = []
    for seed in range(30):
        drawn, asked = drawn_of(lines, 5_000, b"%08d" % seed)
        assert asked == len(lines)
        assert len(drawn) == MOST_DRAWN == len(set(drawn))
        places += [int(line.split()[2].strip(b",")) for line in drawn]
    mean = sum(places) / len(places)
    assert 1_800 < mean < 2_200
    assert sum(place < 1_000 for place in places) / len(places) == pytest.approx(0.25, abs=0.05)


async def test_a_batch_of_a_file_that_was_let_go_is_unknown() -> None:
    """After a month."""
    guard = guarded(Upstream(), memory="64MiB")
    file = (await upload(guard, lines_of(9))).json["id"]
    files, key = guard.guard.uploads.files, guard.guard.principals.key_id(KEY)
    wall = guard.guard.timeline.now().wall
    assert files.find(file, key, wall + 29 * 86_400)
    assert not files.find(file, key, wall + 31 * 86_400)
    assert len(files) == files.held_bytes == 0
    await create(guard, file)
    assert counted(guard, "batches") == {"file": 1, "unknown_file": 1}
