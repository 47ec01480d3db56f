"""Answers of both chat dialects, whole and streamed, as their own types write them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anthropic.types import Message, RawMessageStreamEvent
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import TypeAdapter

from gateway_guard.dialects import dialect_for
from gateway_guard.exchange import Answer, Usage, text_digest

KEY = b"a key of 16 byte"
CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"
EVENTS: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)


def read(body: bytes, path: str, *, event_stream: bool = False) -> Answer:
    """Read a response body that comes in one piece."""
    reader = dialect_for(path).response_reader(event_stream=event_stream, digest_key=KEY)
    reader.feed(body)
    return reader.finish()


def completion(*messages: dict[str, Any], **fields: Any) -> bytes:  # noqa: ANN401
    """Write a chat completion with one choice for each message."""
    choices = [
        {
            "index": index,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": None, **message},
        }
        for index, message in enumerate(messages)
    ]
    common = {"id": "c", "created": 1, "model": "m", "object": "chat.completion"}
    made = ChatCompletion.model_validate({**common, "choices": choices, **fields})
    return made.model_dump_json().encode()


def chunks(*deltas: dict[str, Any]) -> bytes:
    """Write a stream of chat completion chunks; a delta may carry its choice's fields."""
    events = []
    for delta in deltas:
        choice = {"index": 0, "finish_reason": None, **delta}
        choice["delta"] = {k: v for k, v in delta.items() if k not in {"index", "finish_reason"}}
        common = {"id": "c", "created": 1, "model": "m", "object": "chat.completion.chunk"}
        made = ChatCompletionChunk.model_validate({**common, "choices": [choice]})
        events.append(b"data: " + made.model_dump_json(exclude_unset=True).encode() + b"\n\n")
    return b"".join(events) + b"data: [DONE]\n\n"


def message(*blocks: dict[str, Any], **fields: Any) -> bytes:  # noqa: ANN401
    """Write a whole Anthropic message."""
    common = {"id": "m", "type": "message", "role": "assistant", "model": "c"}
    usage = {"input_tokens": 5, "output_tokens": 7}
    rest = {"stop_reason": "end_turn", "stop_sequence": None, "usage": usage, **fields}
    return Message.model_validate({**common, "content": blocks, **rest}).model_dump_json().encode()


def events(*raw: dict[str, Any]) -> bytes:
    """Write a stream of Anthropic events, checked by the client's own types."""
    for event in raw:
        EVENTS.validate_python(event)
    lines = (f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in raw)
    return "".join(lines).encode()


def block_events(
    index: int, block: dict[str, Any], *deltas: dict[str, Any]
) -> list[dict[str, Any]]:
    """Return the events of one block."""
    return [
        {"type": "content_block_start", "index": index, "content_block": block},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


START = {
    "type": "message_start",
    "message": {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "c",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {
            "input_tokens": 3,
            "cache_creation_input_tokens": 10,
            "cache_read_input_tokens": 100,
            "output_tokens": 1,
        },
    },
}


def ending(reason: str, **usage: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the event that ends a message."""
    delta = {"stop_reason": reason, "stop_sequence": None}
    return {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 9, **usage}}


def test_a_completion_is_counted_in_code_points_and_digested() -> None:
    """The visible text, not its bytes."""
    usage = {
        "prompt_tokens": 11,
        "completion_tokens": 22,
        "total_tokens": 33,
        "completion_tokens_details": {"reasoning_tokens": 20},
    }
    assert read(completion({"content": "grüß 🐈"}, usage=usage), CHAT) == Answer(
        output_chars=6,
        finish="stop",
        usage=Usage(11, 22, 20),
        digests=(text_digest("grüß 🐈", KEY),),
    )


def test_each_choice_has_a_digest_up_to_eight() -> None:
    """The others are counted."""
    answer = read(completion(*({"content": f"text {n}"} for n in range(12))), CHAT)
    assert answer.output_chars == 6 * 10 + 7 * 2
    assert answer.digests == tuple(text_digest(f"text {n}", KEY) for n in range(8))


def test_calls_of_tools_are_counted_and_identify_an_answer_without_text() -> None:
    """By their ids."""
    call = {"type": "function", "function": {"name": "f", "arguments": "{}"}}
    calls = [{"id": "call_1", **call}, {"id": "call_2", **call}]
    answer = read(completion({"tool_calls": calls}), CHAT)
    assert answer.tool_calls == 2
    assert answer.digests == (text_digest("", KEY, ("call_1", "call_2")),)


def test_an_old_function_call_is_counted_and_has_no_digest() -> None:
    """It has no id."""
    answer = read(completion({"function_call": {"name": "f", "arguments": "{}"}}), CHAT)
    assert (answer.tool_calls, answer.digests) == (1, ())


def test_refusals_and_served_reasoning_are_told_apart() -> None:
    """A refusal is visible, reasoning is not."""
    answer = read(completion({"refusal": "I cannot", "reasoning_content": "hm, no"}), CHAT)
    assert (answer.output_chars, answer.reasoning_chars) == (8, 6)
    assert answer.digests == (text_digest("I cannot", KEY),)


def test_reasoning_goes_by_two_names() -> None:
    """Some servers send both with the same text."""
    both = {"content": "4", "reasoning": "hm", "reasoning_content": "hm"}
    assert read(completion(both), CHAT).reasoning_chars == 2
    assert read(completion({"content": "4", "reasoning": "hm"}), CHAT).reasoning_chars == 2


def test_content_may_be_a_list_of_parts() -> None:
    """Reasoning in it is no text."""
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "one"},
        "two",
        {"type": "refusal", "refusal": "three"},
        {"type": "unknown"},
    ]
    body = json.dumps({"choices": [{"message": {"content": parts}}]}).encode()
    assert read(body, CHAT).digests == (text_digest("one two three", KEY),)


def test_streamed_chunks_make_the_same_answer_as_a_whole_one() -> None:
    """Text, reasoning, refusal and finish."""
    stream = chunks(
        {"role": "assistant", "content": ""},
        {"reasoning_content": "hm, "},
        {"reasoning_content": "no"},
        {"content": "grüß"},
        {"content": " 🐈"},
        {"finish_reason": "stop"},
    )
    whole = completion({"content": "grüß 🐈", "reasoning_content": "hm, no"})
    assert read(stream, CHAT, event_stream=True) == read(whole, CHAT)


def test_streamed_choices_are_kept_apart() -> None:
    """They come interleaved."""
    stream = chunks(
        {"content": "a", "index": 0},
        {"content": "x", "index": 1},
        {"content": "b", "index": 0},
        {"content": "y", "index": 1},
    )
    answer = read(stream, CHAT, event_stream=True)
    assert answer.digests == (text_digest("ab", KEY), text_digest("xy", KEY))


def test_pieces_of_a_streamed_call_are_one_call() -> None:
    """Its id comes with the first piece, or with every one."""

    def piece(index: int, call_id: str | None) -> dict[str, Any]:
        call = {"index": index, "id": call_id, "function": {"arguments": "{"}}
        return {"tool_calls": [call]}

    stream = chunks(piece(0, "call_1"), piece(0, None), piece(1, "call_2"), piece(1, "call_2"))
    answer = read(stream, CHAT, event_stream=True)
    assert answer.tool_calls == 2
    assert answer.digests == (text_digest("", KEY, ("call_1", "call_2")),)
    assert read(chunks(piece(0, None), piece(0, None)), CHAT, event_stream=True).tool_calls == 1


def test_the_usage_of_a_stream_is_the_last_reported() -> None:
    """It comes with a chunk without choices, or grows with every chunk."""
    stream = b"".join(
        b'data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":%d}}\n\n' % count
        for count in (1, 2, 3)
    )
    assert read(stream, CHAT, event_stream=True).usage == Usage(5, 3)


@pytest.mark.parametrize("count", [-5, 10**30, "7", None, {}])
def test_odd_counts_of_tokens_are_brought_into_range(count: object) -> None:
    """Whatever an upstream reports."""
    usage = {"prompt_tokens": 5, "completion_tokens": count}
    answer = read(json.dumps({"choices": [], "usage": usage}).encode(), CHAT)
    assert answer.usage is not None
    assert answer.usage.input_tokens == 5
    assert 0 <= answer.usage.output_tokens <= 2**53


@pytest.mark.parametrize("path", [CHAT, MESSAGES, "/v1/responses"])
@pytest.mark.parametrize("event_stream", [False, True])
def test_an_error_object_is_a_failure(path: str, *, event_stream: bool) -> None:
    """In place of the answer, streamed or not; even where a stream was promised."""
    body = b'{"type":"error","error":{"type":"overloaded_error","message":"busy"}}'
    assert read(body, path, event_stream=event_stream).failed
    assert read(b"data: " + body + b"\n\n", path, event_stream=event_stream).failed is event_stream


def test_an_error_event_in_the_middle_is_a_failure_of_an_answer_that_was_seen() -> None:
    """What came before it counts."""
    stream = chunks({"content": "half an"}).removesuffix(b"data: [DONE]\n\n")
    answer = read(stream + b'data: {"error":{"message":"gone"}}\n\n', CHAT, event_stream=True)
    assert (answer.failed, answer.output_chars) == (True, 7)
    answer = read(stream + b"event: error\ndata: gone\n\n", CHAT, event_stream=True)
    assert (answer.failed, answer.output_chars) == (True, 7)


def test_a_field_for_errors_that_says_none_is_no_failure() -> None:
    """Some servers always send it."""
    assert not read(b'{"choices":[],"error":null}', CHAT).failed


def test_chunks_with_a_wrong_type_in_one_field_keep_the_others() -> None:
    """Of the chunk, and of the stream."""
    stream = (
        b'data: {"choices":[{"index":null,"delta":{"content":"a"},"finish_reason":5}]}\n\n'
        b'data: {"choices":[{"index":0,"delta":{"content":"b"}}],"usage":"none"}\n\n'
        b"data: not json\n\n"
        b'data: {"choices":[{"index":0,"delta":{"content":"c"}}]}\n\n'
    )
    assert read(stream, CHAT, event_stream=True).digests == (text_digest("abc", KEY),)


def test_a_whole_message_is_read() -> None:
    """Text, thinking, calls, finish and usage, with the cache's tokens in the input."""
    body = message(
        {"type": "thinking", "thinking": "hm, hm", "signature": "s"},
        {"type": "redacted_thinking", "data": "zz"},
        {"type": "text", "text": "let me"},
        {"type": "text", "text": "look"},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"text": "no"}},
        stop_reason="tool_use",
        usage={
            "input_tokens": 3,
            "cache_creation_input_tokens": 10,
            "cache_read_input_tokens": 100,
            "output_tokens": 9,
            "output_tokens_details": {"thinking_tokens": 4},
        },
    )
    assert read(body, MESSAGES) == Answer(
        output_chars=10,
        reasoning_chars=6,
        tool_calls=1,
        finish="tool_use",
        usage=Usage(113, 9, 4),
        digests=(text_digest("let me look", KEY),),
    )


def test_streamed_events_make_the_same_answer_as_a_whole_message() -> None:
    """Deltas of text, thinking, signatures and arguments."""
    stream = events(
        START,
        *block_events(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "hm, "},
            {"type": "thinking_delta", "thinking": "hm"},
            {"type": "signature_delta", "signature": "c2ln"},
        ),
        *block_events(
            1,
            {"type": "text", "text": ""},
            {"type": "text_delta", "text": "let me"},
            {"type": "text_delta", "text": " look"},
        ),
        *block_events(
            2,
            {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}},
            {"type": "input_json_delta", "partial_json": '{"text":'},
            {"type": "input_json_delta", "partial_json": '"no"}'},
        ),
        ending("tool_use", output_tokens_details={"thinking_tokens": 4}),
        {"type": "message_stop"},
    )
    assert read(stream, MESSAGES, event_stream=True) == Answer(
        output_chars=11,
        reasoning_chars=6,
        tool_calls=1,
        finish="tool_use",
        usage=Usage(113, 9, 4),
        digests=(text_digest("let me look", KEY),),
    )


def test_the_usage_at_the_end_of_a_message_replaces_that_at_its_start() -> None:
    """Server tools add to the input in between."""
    late = ending("end_turn", input_tokens=50, cache_read_input_tokens=100)
    assert read(events(START, late), MESSAGES, event_stream=True).usage == Usage(150, 9)


def test_a_message_of_calls_alone_is_identified_by_their_ids() -> None:
    """Those of the server's tools as well."""
    blocks = (
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}},
    )
    answer = read(message(*blocks), MESSAGES)
    assert answer.digests == (text_digest("", KEY, ("srvtoolu_1", "toolu_1")),)


@pytest.mark.parametrize("path", [CHAT, MESSAGES, "/v1/responses"])
@pytest.mark.parametrize("event_stream", [False, True])
@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff\xfe", b"17", b"null", b"[[]]", b"{}"])
def test_bodies_that_say_nothing_make_an_empty_answer(
    path: str, body: bytes, *, event_stream: bool
) -> None:
    """Nothing is raised, and nothing is made up."""
    assert read(body, path, event_stream=event_stream) == Answer()
