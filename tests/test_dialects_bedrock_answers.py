"""Answers of Bedrock: JSON, and Amazon's binary event stream however it is split."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.dialects import dialect_for
from gateway_guard.exchange import Answer, Usage
from tests.frames import event, exception, frame, header, model_chunk
from tests.responses_read import (
    KEY,
    PIECES,
    asked,
    cut,
    digest_of,
    heard,
    heard_json,
    repeated,
    same_wherever_split,
)

CONVERSE = "/model/amazon.nova-pro-v1:0/converse-stream"
INVOKE = "/model/anthropic.claude-sonnet-4/invoke-with-response-stream"
CALL = {"toolUse": {"toolUseId": "t1", "name": "look"}}
PAD = {"p": "abcdefghijk"}


def piece(index: int = 0, **delta: Any) -> bytes:  # noqa: ANN401
    """Return a piece of a block."""
    return event("contentBlockDelta", {"contentBlockIndex": index, "delta": delta, **PAD})


CONVERSED = b"".join(
    (
        event("messageStart", {"role": "assistant", **PAD}),
        piece(reasoningContent={"text": "hm"}),
        piece(reasoningContent={"signature": "c2ln"}),
        event("contentBlockStop", {"contentBlockIndex": 0, **PAD}),
        piece(1, text="Grüß "),
        piece(1, text="dich 🐈"),
        event("contentBlockStart", {"contentBlockIndex": 2, "start": CALL, **PAD}),
        piece(2, toolUse={"input": '{"place":'}),
        piece(2, toolUse={"input": '"here"}'}),
        event("contentBlockStop", {"contentBlockIndex": 2}),
        event("messageStop", {"stopReason": "tool_use", **PAD}),
        event(
            "metadata",
            {
                "usage": {
                    "inputTokens": 8,
                    "outputTokens": 12,
                    "totalTokens": 25,
                    "cacheReadInputTokens": 3,
                    "cacheWriteInputTokens": 2,
                },
                "metrics": {"latencyMs": 900},
            },
        ),
    )
)
SAID = "Grüß dich 🐈"
CONVERSED_ANSWER = Answer(
    output_chars=len(SAID),
    reasoning_chars=2,
    tool_calls=1,
    finish="tool_use",
    usage=Usage(13, 12),
    digests=(digest_of(SAID, "t1"),),
)
ANTHROPIC = (
    {"type": "message_start", "message": {"usage": {"input_tokens": 8, "output_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "delta": {"type": "thinking_delta", "thinking": "hm"}},
    {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Grüß "}},
    {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "dich 🐈"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "content_block": {"type": "tool_use", "id": "t1"}},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 12}},
    {
        "type": "message_stop",
        "amazon-bedrock-invocationMetrics": {"inputTokenCount": 1, "outputTokenCount": 12},
    },
)
INVOKED = b"".join(map(model_chunk, ANTHROPIC))
INVOKED_ANSWER = Answer(
    output_chars=len(SAID),
    reasoning_chars=2,
    tool_calls=1,
    finish="tool_use",
    usage=Usage(8, 12),
    digests=(digest_of(SAID, "t1"),),
)


@pytest.mark.parametrize(
    ("body", "path", "answer"),
    [(CONVERSED, CONVERSE, CONVERSED_ANSWER), (INVOKED, INVOKE, INVOKED_ANSWER)],
)
def test_a_stream_reads_the_same_wherever_it_is_split(
    body: bytes, path: str, answer: Answer
) -> None:
    """Between any two bytes, and byte by byte."""
    assert heard([body], path) == answer
    assert same_wherever_split(body, path)


@given(st.lists(st.integers(0, 100_000), max_size=12))
def test_a_long_stream_reads_the_same_wherever_it_is_split(places: list[int]) -> None:
    """Over the borders of the batches that it is read in."""
    body = piece(text="x" * 200) * 200
    assert heard(cut(body, places), CONVERSE).output_chars == 40_000


@pytest.mark.parametrize(
    ("chunks", "usage"),
    [
        (
            [
                {"generation": "hel", "prompt_token_count": 8, "generation_token_count": 1},
                {"generation": "lo", "generation_token_count": 2, "stop_reason": "stop"},
            ],
            Usage(8, 2),
        ),
        (
            [
                {"outputText": "hel", "index": 0, "inputTextTokenCount": 8},
                {"outputText": "lo", "completionReason": "stop", "totalOutputTextTokenCount": 2},
            ],
            Usage(8, 2),
        ),
        (
            [
                {"messageStart": {"role": "assistant"}},
                {"contentBlockDelta": {"delta": {"text": "hel"}, "contentBlockIndex": 0}},
                {"contentBlockDelta": {"delta": {"text": "lo"}, "contentBlockIndex": 0}},
                {"messageStop": {"stopReason": "stop"}},
                {"metadata": {"usage": {"inputTokens": 8, "outputTokens": 2}}},
            ],
            Usage(8, 2),
        ),
        (
            [
                {"outputs": [{"text": "hel", "stop_reason": None}]},
                {"outputs": [{"text": "lo", "stop_reason": "stop"}]},
            ],
            Usage(8, 2),
        ),
        (
            [
                {"choices": [{"index": 0, "delta": {"content": "hel"}}]},
                {"choices": [{"index": 0, "delta": {"content": "lo"}, "finish_reason": "stop"}]},
            ],
            Usage(8, 2),
        ),
        (
            [
                {"event_type": "text-generation", "text": "hel"},
                {"event_type": "text-generation", "text": "lo"},
                {
                    "event_type": "stream-end",
                    "finish_reason": "stop",
                    "response": {"text": "hello"},
                },
            ],
            Usage(8, 2),
        ),
    ],
)
def test_models_of_others_stream_in_their_own_words(
    chunks: list[dict[str, Any]], usage: Usage
) -> None:
    """Llama, Titan, Nova, Mistral old and new, Cohere; Amazon counts the tokens at the end."""
    metrics = {"inputTokenCount": 8, "outputTokenCount": 2, "firstByteLatency": 100}
    chunks = [*chunks[:-1], {**chunks[-1], "amazon-bedrock-invocationMetrics": metrics}]
    assert heard(map(model_chunk, chunks), INVOKE) == Answer(
        output_chars=5, finish="stop", usage=usage, digests=(digest_of("hello"),)
    )


def test_an_answer_is_read_whole() -> None:
    """Of converse, and of models in their own words."""
    message = {
        "role": "assistant",
        "content": [
            {"reasoningContent": {"reasoningText": {"text": "hm"}}},
            {"text": "Grüß "},
            {"citationsContent": {"content": [{"text": "dich 🐈"}]}},
            {"toolUse": {"toolUseId": "t1", "name": "look", "input": {}}},
        ],
    }
    usage = {"inputTokens": 8, "outputTokens": 12, "cacheReadInputTokens": 5}
    body = {"output": {"message": message}, "stopReason": "tool_use", "usage": usage}
    assert heard_json(body, CONVERSE) == CONVERSED_ANSWER
    assert same_wherever_split(json.dumps(body).encode(), CONVERSE)
    anthropic = {
        "type": "message",
        "content": [{"type": "text", "text": "hello"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 8, "output_tokens": 2},
    }
    expected = Answer(
        output_chars=5, finish="end_turn", usage=Usage(8, 2), digests=(digest_of("hello"),)
    )
    assert heard_json(anthropic, INVOKE) == expected


def test_an_answer_comes_back_with_the_same_digest() -> None:
    """As clients append it to their history."""
    content = [{"text": "wait"}, {**CALL}]
    body = {"output": {"message": {"content": content}}}
    (digest,) = heard_json(body, CONVERSE).digests
    messages = [{"content": [{"text": "x"}]}, {"role": "assistant", "content": content}]
    assert repeated(asked({"messages": messages}, CONVERSE)) == digest


def test_events_are_read_as_server_sent_ones_too() -> None:
    """Gateways translate."""
    body = b'data: {"contentBlockIndex":0,"delta":{"text":"hello"}}\n\n'
    assert heard([body], CONVERSE, event_stream=True).output_chars == 5
    body = b'data: {"type":"content_block_delta","delta":{"type":"text_delta","text":"hello"}}\n\n'
    assert heard([body], INVOKE, event_stream=True).output_chars == 5


@pytest.mark.parametrize("path", [CONVERSE, INVOKE])
def test_an_exception_in_the_middle_is_a_failure(path: str) -> None:
    """What came before it counts, and so does what follows."""
    first = CONVERSED if path == CONVERSE else INVOKED
    answer = heard([exception("throttlingException"), first, first], path)
    assert answer.failed
    assert answer.output_chars == 2 * len(SAID)


def test_a_stream_that_broke_off_is_read_as_far_as_it_came() -> None:
    """Its last message is not whole."""
    answer = heard([piece(text="a"), piece(text="b")[:-1]], CONVERSE)
    assert answer == Answer(output_chars=1, digests=(digest_of("a"),))


def test_a_message_without_words_is_passed_over() -> None:
    """So is one that is no JSON, or of a wrong type."""
    kind = header(":message-type", "event")
    odd = [frame(b"", kind), frame(b"no", kind), frame(b'{"delta":7}', kind), frame(b"[]", kind)]
    assert heard([piece(text="a"), *odd, piece(text="b")], CONVERSE).output_chars == 2
    wrong = [event("chunk", {"bytes": value}) for value in (7, "???", "", "bm8=", None)]
    chunk = model_chunk({"type": "content_block_delta", "delta": {"text": "a"}})
    assert heard([*wrong, chunk, model_chunk([]), model_chunk("x")], INVOKE).output_chars == 1


@pytest.mark.parametrize(
    "spoilt",
    [
        b"\0\0\0\x0f" + piece(text="b")[4:],
        piece(text="b")[:4] + b"\0\0\xff\xff" + piece(text="b")[8:],
        piece(text="b")[:8] + b"\0\0\0\0" + piece(text="b")[12:],
    ],
)
def test_after_wrong_framing_nothing_is_read(spoilt: bytes) -> None:
    """The next message could begin anywhere."""
    answer = heard([piece(text="a"), spoilt, piece(text="c") * 200, b"x"], CONVERSE)
    assert answer.output_chars == 1


def test_a_message_over_a_mebibyte_is_skipped_to_its_end() -> None:
    """Its beginning is not kept."""
    long = piece(text="z" * 3_000_000)
    pieces = [long[at : at + 65_536] for at in range(0, len(long), 65_536)]
    assert heard([piece(text="a"), *pieces, piece(text="b")], CONVERSE).output_chars == 2


def test_a_stream_without_end_is_read_in_bounded_memory() -> None:
    """Twenty megabytes of it leave less than six behind."""
    reader = dialect_for(CONVERSE).response_reader(event_stream=False, digest_key=KEY)
    one = piece(text="z" * 4_000)
    tracemalloc.start()
    for _ in range(5_000):
        reader.feed(one)
    kept, _peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 6_000_000
    assert reader.finish().output_chars == 20_000_000


def test_what_is_held_is_told() -> None:
    """Nothing is before the first byte, and all of a message that is not whole."""
    reader = dialect_for(CONVERSE).response_reader(event_stream=False, digest_key=KEY)
    reader.feed(b"")
    assert reader.held_bytes == 0
    reader.feed(piece(text="a")[:-1])
    assert reader.held_bytes == len(piece(text="a")) - 1


def test_nothing_is_an_empty_answer() -> None:
    """A connection may close at once."""
    assert heard([], CONVERSE) == heard([b""], INVOKE) == Answer()


FIRST = st.sampled_from([b"", b"\0", CONVERSED[:40], INVOKED[:200]])


@pytest.mark.parametrize("path", [CONVERSE, INVOKE])
@given(first=FIRST, pieces=PIECES)
def test_arbitrary_bytes_raise_nothing(path: str, first: bytes, pieces: list[bytes]) -> None:
    """Whatever an upstream sends."""
    assert isinstance(heard([first, *pieces], path), Answer)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                (
                    *(
                        "delta",
                        "text",
                        "start",
                        "toolUse",
                        "toolUseId",
                        "contentBlockIndex",
                        "usage",
                    ),
                    *("stopReason", "inputTokens", "output", "message", "content", "bytes", "type"),
                    *("reasoningContent", "amazon-bedrock-invocationMetrics", "inputTokenCount"),
                )
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_arbitrary_json_under_known_names_raises_nothing(value: object) -> None:
    """Every field can be of every type."""
    for path in (CONVERSE, INVOKE):
        for body in (json.dumps(value).encode(), event("any", value), model_chunk(value)):
            assert isinstance(heard([body], path), Answer)
