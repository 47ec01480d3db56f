"""An answer is recognised when it comes back: its digest is that of the turn that repeats it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway_guard.dialects import dialect_for, read_request
from gateway_guard.exchange import text_digest

KEY = b"a key of 16 byte"
CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"
RESPONSES = "/v1/responses"
ASKED = {"name": "f", "arguments": '{"path": "a"}'}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
USE = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}


def served(body: object, path: str) -> bytes:
    """Return the digest of the one choice in an answer."""
    reader = dialect_for(path).response_reader(event_stream=False, digest_key=KEY)
    reader.feed(json.dumps(body).encode())
    (digest,) = reader.finish().digests
    return digest


def repeated(body: object, path: str) -> bytes:
    """Return the digest of the assistant's turn in a request."""
    exchange = read_request(json.dumps(body).encode(), path)[1]
    assert exchange is not None
    turn = next(turn for turn in exchange.turns if turn.role == "assistant")
    return text_digest(turn.text, KEY, turn.call_ids)


@pytest.mark.parametrize(
    "message",
    [
        {"content": "  hello\r\n world "},
        {"content": None, "tool_calls": [CALL]},
        {"content": None, "tool_calls": [{**CALL, "function": ASKED}]},
        {"content": "wait", "tool_calls": [{**CALL, "function": ASKED}]},
        {"content": "wait", "tool_calls": [CALL]},
        {"content": "", "tool_calls": [CALL, {**CALL, "id": "call_2"}]},
        {"content": None, "refusal": "I cannot"},
        {"content": "Sorry.", "refusal": "I cannot"},
        {"content": "four", "reasoning_content": "two and two"},
        {"content": [{"type": "text", "text": "in"}, {"type": "text", "text": "parts"}]},
    ],
)
def test_an_openai_message_comes_back_with_the_same_digest(message: dict[str, Any]) -> None:
    """As clients append it to their history."""
    message = {"role": "assistant", **message}
    request = {"messages": [{"role": "user", "content": "x"}, message]}
    assert served({"choices": [{"message": message}]}, CHAT) == repeated(request, CHAT)


@pytest.mark.parametrize(
    "blocks",
    [
        [{"type": "text", "text": "hello"}],
        [{"type": "text", "text": "cited "}, {"type": "text", "text": "text"}],
        [USE, {**USE, "id": "toolu_2"}],
        [{"type": "text", "text": "look:"}, {**USE, "input": {"path": "a"}}],
        [{**SEARCH, "input": {"query": "a"}}, FOUND, {"type": "text", "text": "found"}],
        [
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "text", "text": "four"},
        ],
        [{"type": "redacted_thinking", "data": "zz"}, USE],
        [{"type": "text", "text": "look:"}, SEARCH, FOUND, {"type": "text", "text": "found"}],
    ],
)
def test_an_anthropic_message_comes_back_with_the_same_digest(blocks: list[Any]) -> None:
    """With its thinking and the results of the server's tools."""
    answer = {"type": "message", "role": "assistant", "content": blocks}
    message = {"role": "assistant", "content": blocks}
    request = {"messages": [{"role": "user", "content": "x"}, message]}
    assert served(answer, MESSAGES) == repeated(request, MESSAGES)


@pytest.mark.parametrize(
    "item",
    [
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "hi"}],
        },
        {
            "type": "function_call",
            "call_id": "call_1",
            "id": "fc_1",
            "name": "f",
            "arguments": "{}",
        },
    ],
)
def test_an_item_of_responses_comes_back_with_the_same_digest(item: dict[str, Any]) -> None:
    """Read generically."""
    request = {"input": [{"role": "user", "content": "x"}, item]}
    assert served({"object": "response", "output": [item]}, RESPONSES) == repeated(
        request, RESPONSES
    )
