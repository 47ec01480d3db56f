"""Answers of other shapes, whole and streamed, and the tokens they report."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway_guard.dialects import dialect_for
from gateway_guard.exchange import Answer, Usage, text_digest

KEY = b"a key of 16 byte"
DIALECT = dialect_for("/any")


def whole(*values: object) -> Answer:
    """Read a body of JSON values, one a line."""
    reader = DIALECT.response_reader(event_stream=False, digest_key=KEY)
    reader.feed(b"\n".join(json.dumps(value).encode() for value in values))
    return reader.finish()


def streamed(*events: object) -> Answer:
    """Read a stream of events."""
    reader = DIALECT.response_reader(event_stream=True, digest_key=KEY)
    for event in events:
        reader.feed(b"data: " + json.dumps(event).encode() + b"\n\n")
    return reader.finish()


def said(text: str, **more: Any) -> Answer:  # noqa: ANN401
    """Return the answer that consists of a text."""
    return Answer(output_chars=len(text), digests=(text_digest(text, KEY),), **more)


def candidate(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a Gemini response with one candidate."""
    return {"candidates": [{"content": {"parts": list(parts), "role": "model"}, **more}]}


@pytest.mark.parametrize(
    "body",
    [
        {"choices": [{"text": "hello"}]},
        {"choices": [{"message": {"content": "hello"}}]},
        {"type": "message", "content": [{"type": "text", "text": "hello"}]},
        {"content": [{"text": "hello"}]},
        candidate({"text": "hello"}),
        {"output": [{"type": "message", "role": "assistant", "content": [{"text": "hello"}]}]},
        {"output": {"message": {"role": "assistant", "content": [{"text": "hello"}]}}},
        {"output": "hello"},
        {"output": ["hel", "lo"]},
        {"message": {"role": "assistant", "content": "hello"}},
        {"message": {"role": "assistant", "content": [{"type": "text", "text": "hello"}]}},
        {"response": "hello"},
        {"completion": "hello"},
        {"generation": "hello"},
        {"generated_text": "hello"},
        [{"generated_text": "hello"}],
        {"text": "hello"},
        {"results": [{"outputText": "hello"}]},
        {"predictions": ["hello"]},
        {"outputs": [{"text": "hello"}]},
        {"generations": [{"text": "hello"}]},
    ],
)
def test_visible_text_is_known_by_name(body: object) -> None:
    """In all the shapes that servers give it."""
    assert whole(body) == said("hello")


@pytest.mark.parametrize(
    "usage",
    [
        {"usage": {"prompt_tokens": 3, "completion_tokens": 4}},
        {"usage": {"input_tokens": 3, "output_tokens": 4}},
        {"usage": {"inputTokens": 3, "outputTokens": 4}},
        {"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4}},
        {"prompt_eval_count": 3, "eval_count": 4},
        {"meta": {"billed_units": {"input_tokens": 3, "output_tokens": 4}}},
        {"meta_info": {"prompt_tokens": 3, "completion_tokens": 4}},
        {
            "type": "response.completed",
            "response": {"usage": {"input_tokens": 3, "output_tokens": 4}},
        },
        {"metadata": {"usage": {"inputTokens": 3, "outputTokens": 4}}},
    ],
)
def test_tokens_are_known_by_name(usage: object) -> None:
    """In all the places where servers report them."""
    assert whole(usage).usage == Usage(3, 4)


def test_the_thoughts_of_gemini_are_added_to_its_output() -> None:
    """Everyone else's output has the reasoning in it."""
    tokens = {"promptTokenCount": 3, "candidatesTokenCount": 4, "thoughtsTokenCount": 10}
    assert whole({"usageMetadata": tokens}).usage == Usage(3, 14, 10)
    details = {"output_tokens": 14, "output_tokens_details": {"reasoning_tokens": 10}}
    assert whole({"usage": details}).usage == Usage(0, 14, 10)


def test_gemini_is_read_streamed_as_events_and_as_a_list() -> None:
    """Thoughts apart, calls by their ids."""
    pieces = (
        candidate({"text": "hm", "thought": True}),
        candidate({"text": "hel"}),
        candidate({"text": "lo"}, finishReason="STOP"),
    )
    expected = said("hello", reasoning_chars=2, finish="STOP")
    assert streamed(*pieces) == expected
    assert whole(list(pieces)) == expected
    call = whole(candidate({"functionCall": {"id": "fc_1", "name": "look"}}))
    assert call == Answer(tool_calls=1, digests=(text_digest("", KEY, ("fc_1",)),))


def test_openai_responses_are_read_whole() -> None:
    """Messages, reasoning, calls and status."""
    body = {
        "object": "response",
        "status": "completed",
        "error": None,
        "output": [
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "hello"}],
            },
            {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{}"},
        ],
        "usage": {"input_tokens": 3, "output_tokens": 4},
    }
    usage = Usage(3, 4)
    assert whole(body) == said(
        "hello", reasoning_chars=2, tool_calls=1, finish="completed", usage=usage
    )
    assert whole({"object": "response", "status": "failed", "output": []}).failed


def test_openai_responses_are_read_streamed() -> None:
    """The last event repeats what the others said, and is not counted twice."""
    message = {"type": "message", "role": "assistant", "content": [{"text": "hello"}]}
    call = {"type": "function_call", "call_id": "call_1", "name": "look"}
    done = {"status": "completed", "output": [message], "usage": {"output_tokens": 4}}
    assert streamed(
        {"type": "response.created", "response": {"status": "in_progress"}},
        {"type": "response.reasoning_summary_text.delta", "delta": "hm"},
        {"type": "response.output_text.delta", "delta": "hel"},
        {"type": "response.output_text.delta", "delta": "lo"},
        {"type": "response.output_text.done", "text": "hello"},
        {"type": "response.output_item.done", "item": message},
        {"type": "response.output_item.done", "item": call},
        {"type": "response.completed", "response": done},
    ) == said("hello", reasoning_chars=2, tool_calls=1, finish="completed", usage=Usage(0, 4))
    failed = {"type": "response.failed", "response": {"status": "failed", "error": {"code": "x"}}}
    assert streamed(failed).failed


def test_lines_of_json_are_read() -> None:
    """As Ollama streams."""
    assert whole(
        {"message": {"role": "assistant", "content": "", "thinking": "hm"}, "done": False},
        {"message": {"role": "assistant", "content": "hel"}, "done": False},
        {"message": {"role": "assistant", "content": "lo"}, "done": False},
        {"done": True, "done_reason": "stop", "prompt_eval_count": 3, "eval_count": 4},
    ) == said("hello", reasoning_chars=2, finish="stop", usage=Usage(3, 4))


def test_deltas_of_other_servers_are_read() -> None:
    """Bedrock, Cohere, text generation inference."""
    assert streamed(
        {"contentBlockDelta": {"delta": {"text": "hel"}}},
        {"contentBlockDelta": {"delta": {"text": "lo"}}},
    ) == said("hello")
    assert streamed(
        {"type": "content-delta", "delta": {"message": {"content": {"text": "hello"}}}}
    ) == said("hello")
    assert streamed(
        {"token": {"text": "hel"}, "generated_text": None},
        {"token": {"text": "lo"}, "generated_text": "hello", "details": {"generated_tokens": 2}},
    ) == said("hello", usage=Usage(0, 2))


def test_anthropic_events_are_read_at_any_path() -> None:
    """Clouds serve them under their own."""
    delta = {"type": "text_delta", "text": "hello"}
    assert streamed({"type": "content_block_delta", "delta": delta}) == said("hello")


def test_a_text_that_is_streamed_whole_each_time_is_counted_once() -> None:
    """As it grows."""
    pieces = [{"text": text, "meta_info": None} for text in ("he", "hell", "hello")]
    assert streamed(*pieces) == said("hello")


def test_every_generated_text_of_a_list_is_a_choice() -> None:
    """One for each prompt."""
    answer = whole([{"generated_text": "one"}, {"generated_text": "two"}])
    assert answer.digests == (text_digest("one", KEY), text_digest("two", KEY))
