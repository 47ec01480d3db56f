"""Framing of responses: any split, any line ends, and bounds on everything that is kept."""

from __future__ import annotations

import json
import tracemalloc
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.dialects import dialect_for
from gateway_guard.exchange import Answer, text_digest

if TYPE_CHECKING:
    from collections.abc import Iterable

KEY = b"a key of 16 byte"
CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"
ANYTHING = "/any"
PATHS = (CHAT, MESSAGES, ANYTHING)


def read(pieces: Iterable[bytes], path: str = CHAT, *, event_stream: bool = True) -> Answer:
    """Read a response body that comes in pieces."""
    reader = dialect_for(path).response_reader(event_stream=event_stream, digest_key=KEY)
    for piece in pieces:
        reader.feed(piece)
    return reader.finish()


def chunk(text: str) -> bytes:
    """Return the JSON of a chunk that says something."""
    return json.dumps({"choices": [{"index": 0, "delta": {"content": text}}]}).encode()


def said(text: str) -> Answer:
    """Return the answer that consists of a text."""
    return Answer(output_chars=len(text), digests=(text_digest(text, KEY),))


OPENAI = b"".join(
    (
        b"\xef\xbb\xbf: keep-alive\r\n\r\n",
        b"data: " + chunk("grüß dich") + b"\n\n",
        b"id: 7\rdata:" + chunk(" 🐈 ") + b"\r\r",
        b'data: {"choices": [{"index": 0,\r\ndata: "delta": {"content": "split"}}]}\r\n\r\n',
        b"event: message\nretry: 10\ndata: " + chunk(" end\u2028") + b"\n\n\n",
        b'data: {"choices":[{"index":1,"delta":{"content":"other"},"finish_reason":"stop"}]}\n\n',
        b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}\n\n',
        b"data: [DONE]\n\n",
    )
)
ANTHROPIC = b"".join(
    b"event: %s\ndata: %s\n\n" % (json.loads(data)["type"].encode(), data)
    for data in (
        b'{"type":"message_start","message":{"usage":{"input_tokens":5,"output_tokens":1}}}',
        b'{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"h"}}',
        b'{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"gr\xc3\xbc"}}',
        b'{"type":"content_block_start","content_block":{"type":"tool_use","id":"toolu_1"}}',
        b'{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":9}}',
        b'{"type":"error","error":{"type":"overloaded_error"}}',
    )
)
JSON = json.dumps(
    {
        "choices": [{"index": 0, "message": {"content": "grüß 🐈"}, "finish_reason": "length"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4},
    },
    ensure_ascii=False,
).encode()
BODIES = [(OPENAI, CHAT, True), (ANTHROPIC, MESSAGES, True), (JSON, CHAT, False)]
BODIES += [(body, ANYTHING, stream) for body, _, stream in BODIES]


def test_every_line_end_and_field_of_the_specification_is_read() -> None:
    """The stream that the splits are made of says what it says."""
    answer = read([OPENAI])
    texts = ("grüß dich 🐈 split end\u2028", "other")
    assert answer.digests == tuple(text_digest(text, KEY) for text in texts)
    assert answer.output_chars == sum(map(len, texts))
    assert answer.finish == "stop"
    assert answer.usage is not None


@pytest.mark.parametrize(("body", "path", "event_stream"), BODIES)
def test_a_body_split_in_two_anywhere_reads_as_in_one_piece(
    body: bytes, path: str, *, event_stream: bool
) -> None:
    """Between any two bytes."""
    whole = read([body], path, event_stream=event_stream)
    for cut in range(len(body)):
        assert read([body[:cut], body[cut:]], path, event_stream=event_stream) == whole


@pytest.mark.parametrize(("body", "path", "event_stream"), BODIES)
def test_a_body_that_comes_byte_by_byte_reads_as_in_one_piece(
    body: bytes, path: str, *, event_stream: bool
) -> None:
    """As slowly as it can."""
    whole = read([body], path, event_stream=event_stream)
    pieces = (body[at : at + 1] for at in range(len(body)))
    assert read(pieces, path, event_stream=event_stream) == whole


@given(st.data())
def test_a_long_stream_reads_the_same_however_it_is_split(data: st.DataObject) -> None:
    """Over the borders of the batches that it is read in."""
    body = OPENAI.removesuffix(b"data: [DONE]\n\n") * 60
    cuts = data.draw(st.lists(st.integers(0, len(body)), max_size=20))
    edges = [0, *sorted(cuts), len(body)]
    assert read(body[start:end] for start, end in pairwise(edges)) == read([body])


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("event_stream", [False, True])
@given(pieces=st.lists(st.binary(max_size=64), max_size=8))
def test_arbitrary_bytes_raise_nothing(
    path: str, pieces: list[bytes], *, event_stream: bool
) -> None:
    """Whatever an upstream sends."""
    assert isinstance(read(pieces, path, event_stream=event_stream), Answer)


@pytest.mark.parametrize("path", PATHS)
@given(value=st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(("choices", "delta", "message", "content", "text", "type", "parts", "role",
                         "usage", "candidates", "output", "index", "error", "response", "results",
                         "tool_calls", "id", "content_block", "meta_info", "token", "thinking")),
        inner, max_size=5),
    max_leaves=20,
))  # fmt: skip
def test_arbitrary_json_under_known_names_raises_nothing(path: str, value: object) -> None:
    """Every field can be of every type."""
    body = json.dumps(value).encode()
    assert isinstance(read([body], path, event_stream=False), Answer)
    assert isinstance(read([b"data: " + body + b"\n\n"], path), Answer)


def test_a_last_event_without_its_blank_line_is_read() -> None:
    """A stream may break off there."""
    assert read([b"data: " + chunk("x")]) == said("x")
    assert read([b"data: " + chunk("x") + b"\r"]) == said("x")


def test_an_event_that_broke_off_is_left_out() -> None:
    """What came before it counts."""
    stream = b"data: " + chunk("x") + b"\n\ndata: " + chunk("y")[:-4]
    assert read([stream]) == said("x")


def test_json_over_several_lines_of_data_is_one_event() -> None:
    """The lines of an event are joined."""
    pretty = json.dumps(json.loads(chunk("x")), indent=1).encode()
    assert read([b"data: " + pretty.replace(b"\n", b"\ndata: ") + b"\n\n"]) == said("x")


def test_each_line_of_an_event_may_be_json_of_its_own() -> None:
    """Some servers forget the blank line."""
    stream = b"data: nonsense\ndata: " + chunk("x") + b"\ndata: " + chunk("y") + b"\n\n"
    assert read([stream]) == said("xy")


def test_a_document_may_be_many_lines_of_json() -> None:
    """Broken ones are left out."""
    lines = b"\n".join((chunk("x"), b"{broken", chunk("y")))
    assert read([lines], event_stream=False) == said("xy")


def test_an_event_over_a_mebibyte_is_skipped_to_its_end() -> None:
    """Its beginning is not kept for long."""
    long = b"data: " + chunk("z" * 3_000_000) + b"\n\n"
    pieces = [long[at : at + 65_536] for at in range(0, len(long), 65_536)]
    x, y = (b"data: " + chunk(text) + b"\n\n" for text in "xy")
    assert read([x, *pieces, y]) == said("xy")
    assert read([x, *pieces[:-1]]) == said("x")
    assert read([x, *pieces[:-1], pieces[-1][:-1], b"\n" + y, y]) == said("xyy")


def test_a_text_over_a_mebibyte_is_counted_and_not_digested() -> None:
    """The others keep theirs."""
    event = b"data: " + chunk("z" * 10_000) + b"\n\n"
    other = b'data: {"choices":[{"index":1,"delta":{"content":"other"}}]}\n\n'
    answer = read([other, *[event] * 110])
    assert answer == Answer(output_chars=1_100_005, digests=(text_digest("other", KEY),))


def test_the_texts_of_an_answer_are_kept_up_to_four_mebibytes_in_all() -> None:
    """Beyond them a choice goes without a digest."""
    text = "z" * 900_000
    choices = [{"index": index, "message": {"content": text}} for index in range(6)]
    answer = read([json.dumps({"choices": choices}).encode()], event_stream=False)
    assert answer.output_chars == 6 * 900_000
    assert len(answer.digests) == 4


def test_a_stream_without_end_is_read_in_bounded_memory() -> None:
    """Twenty megabytes of it leave less than six behind."""
    reader = dialect_for(CHAT).response_reader(event_stream=True, digest_key=KEY)
    event = b"data: " + chunk("z" * 4_000) + b"\n\n"
    tracemalloc.start()
    for _ in range(5_000):
        reader.feed(event)
    kept, _peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 6_000_000
    assert reader.finish().output_chars == 20_000_000


def test_a_document_over_eight_mebibytes_is_let_go() -> None:
    """It makes an answer without a finish."""
    body = json.dumps({"choices": [{"message": {"content": "z" * 9_000_000}}]}).encode()
    pieces = [body[:5_000_000], body[5_000_000:], b" "]
    assert read(pieces, event_stream=False) == Answer()


def test_the_number_of_calls_kept_is_bounded() -> None:
    """An upstream cannot fill the memory with ids."""
    calls = [{"index": index, "id": f"call_{index}"} for index in range(1_000)]
    body = json.dumps({"choices": [{"message": {"tool_calls": calls}}]}).encode()
    assert read([body], event_stream=False).tool_calls == 256
