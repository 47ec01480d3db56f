"""Anthropic's models on Vertex: its own paths, Anthropic's words."""

from __future__ import annotations

import json

import pytest

from gateway_guard.dialects import dialect_for, read_request
from gateway_guard.dialects.base import Refusal
from gateway_guard.exchange import Sampling, Turn, Usage
from tests.responses_read import asked, heard, same_wherever_split

PREFIX = "/v1/projects/p/locations/us-east5/publishers"
MODEL = f"{PREFIX}/anthropic/models/claude-sonnet-4@20250514"
BODY = {
    "anthropic_version": "vertex-2023-10-16",
    "max_tokens": 100,
    "system": "s",
    "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}],
}


@pytest.mark.parametrize(("method", "stream"), [("rawPredict", False), ("streamRawPredict", True)])
def test_messages_are_read_with_the_model_of_the_path(method: str, *, stream: bool) -> None:
    """Under any prefix."""
    exchange = asked(BODY, f"/vertex_ai{MODEL}:{method}/")
    assert (exchange.dialect, exchange.stream) == ("vertex_anthropic", stream)
    assert exchange.model == "claude-sonnet-4@20250514"
    assert exchange.turns == (Turn("system", "s"), Turn("user", "x"))
    assert exchange.sampling == Sampling(max_tokens=100)


def test_the_body_can_ask_for_a_stream_too() -> None:
    """As the official client does."""
    assert asked({**BODY, "stream": True}, f"{MODEL}:rawPredict").stream


def test_counting_tokens_asks_for_no_answer() -> None:
    """Vertex counts them under a model's name of their own."""
    path = f"{PREFIX}/anthropic/models/count-tokens:rawPredict"
    dialect, exchange = read_request(json.dumps(BODY).encode(), path)
    assert dialect.name == "vertex_anthropic"
    assert exchange is None
    assert read_request(b"{}", f"{MODEL}:rawPredict")[1] is None


def test_models_of_others_are_read_generically() -> None:
    """Mistral's are spoken to in OpenAI's words."""
    path = f"{PREFIX}/mistralai/models/codestral:streamRawPredict"
    exchange = asked({"messages": [{"role": "user", "content": "x"}], "n": 2}, path)
    assert (exchange.dialect, exchange.model, exchange.stream) == ("generic", "codestral", True)
    assert exchange.sampling.answers == 2


def test_a_stream_reads_the_same_wherever_it_is_split() -> None:
    """It is Anthropic's."""
    body = b"".join(
        b"event: %s\ndata: %s\n\n" % (json.loads(data)["type"].encode(), data)
        for data in (
            b'{"type":"message_start","message":{"usage":{"input_tokens":5,"output_tokens":1}}}',
            b'{"type":"content_block_delta","delta":{"type":"text_delta","text":"gr\xc3\xbc"}}',
            b'{"type":"message_delta","delta":{"stop_reason":"end"},"usage":{"output_tokens":9}}',
            b'{"type":"message_stop"}',
        )
    )
    path = f"{MODEL}:streamRawPredict"
    answer = heard([body], path, event_stream=True)
    assert (answer.output_chars, answer.finish, answer.usage) == (3, "end", Usage(5, 9))
    assert same_wherever_split(body, path, event_stream=True)


def test_refusals_are_anthropics_errors() -> None:
    """Its client reads them there too."""
    body = dialect_for(f"{MODEL}:rawPredict").error_body(Refusal(429, "m", "req_1", "c"))
    assert json.loads(body)["error"]["type"] == "rate_limit_error"
