"""What a model is shown beside the conversation is read: tools, schemas, arguments of calls."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.dialects import read_request
from gateway_guard.dialects.asides import plain
from gateway_guard.exchange import Turn

if TYPE_CHECKING:
    from gateway_guard.exchange import Exchange

CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"
OTHER = "/v1/other"
USER = {"role": "user", "content": "hi"}
SCHEMA = {"properties": {"a": {"description": "find me"}}}


def read(path: str, *messages: Any, **fields: Any) -> Exchange:  # noqa: ANN401
    """Read a request with these messages and fields."""
    exchange = read_request(json.dumps({"messages": messages, **fields}).encode(), path)[1]
    assert exchange is not None
    assert not exchange.unparsed
    return exchange


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (CHAT, {"tools": [{"type": "function", "function": {"description": "find me"}}]}),
        (CHAT, {"functions": [{"name": "f", "description": "find me"}]}),
        (CHAT, {"response_format": {"type": "json_schema", "json_schema": SCHEMA}}),
        (CHAT, {"response_format": {"type": "json_object", "schema": SCHEMA}}),
        (MESSAGES, {"tools": [{"name": "f", "input_schema": SCHEMA}]}),
        (MESSAGES, {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}),
        (MESSAGES, {"output_format": {"type": "json_schema", "schema": SCHEMA}}),
        (OTHER, {"tools": [{"functionDeclarations": [{"parameters": SCHEMA}]}]}),
        (OTHER, {"toolConfig": {"tools": [{"toolSpec": {"inputSchema": SCHEMA}}]}}),
        (OTHER, {"generationConfig": {"responseSchema": SCHEMA}}),
        (OTHER, {"format": SCHEMA}),
        (OTHER, {"text": {"format": {"type": "json_schema", "schema": SCHEMA}}}),
    ],
)
@pytest.mark.parametrize("mistyped", [{}, {"temperature": {}, "user": 5}])
def test_tools_and_schemas_are_one_system_turn(
    path: str, fields: dict[str, Any], mistyped: dict[str, Any]
) -> None:
    """After the first turn of somebody else: they are no part of an application's system text."""
    answer = {"role": "assistant", "content": "ho"}
    turns = read(path, {"role": "system", "content": "s"}, USER, answer, **fields, **mistyped).turns
    assert [turn.role for turn in turns] == ["system", "user", "system", "assistant"]
    assert "find me" in turns[2].text


@pytest.mark.parametrize("path", [CHAT, MESSAGES, OTHER])
@pytest.mark.parametrize("nothing", [None, [], {}, "", False])
def test_without_tools_and_schemas_there_is_no_such_turn(path: str, nothing: object) -> None:
    """Nor where the form of the answer has no words."""
    form = {"type": "json_object"} if path == CHAT else nothing
    fields = {"tools": nothing, "output_format": nothing, "response_format": form}
    assert read(path, USER, **fields).turns == (Turn("user", "hi"),)


def test_a_request_of_system_texts_alone_ends_with_the_tools() -> None:
    """There is no other place."""
    turns = read(CHAT, {"role": "system", "content": "s"}, tools=[{"name": "f"}]).turns
    assert turns == (Turn("system", "s"), Turn("system", '{"name": "f"}'))


def test_tools_without_a_question_are_no_exchange() -> None:
    """Nothing is asked."""
    for path in (CHAT, MESSAGES, OTHER):
        assert read_request(b'{"tools":[{"name":"f"}]}', path)[1] is None


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (CHAT, {"tool_calls": [{"id": "c", "function": {"arguments": '{"a":"find me"}'}}]}),
        (CHAT, {"tool_calls": [{"id": "c", "function": {"arguments": {"a": "find me"}}}]}),
        (CHAT, {"tool_calls": [{"id": "c", "custom": {"input": "find me"}}, {"id": "d"}]}),
        (CHAT, {"function_call": {"name": "f", "arguments": '{"a":"find me"}'}}),
        (MESSAGES, {"content": [{"type": "tool_use", "id": "c", "input": {"a": "find me"}}]}),
        (OTHER, {"tool_calls": [{"id": "c", "function": {"arguments": '{"a":"find me"}'}}]}),
        (OTHER, {"content": "", "tool_calls": [{"name": "f", "input": "find me"}, 5]}),
        (OTHER, {"content": "", "function_call": {"arguments": "find me"}}),
        (OTHER, {"parts": [{"functionCall": {"name": "f", "args": {"a": "find me"}}}]}),
        (OTHER, {"type": "function_call", "call_id": "c", "arguments": "find me"}),
        (OTHER, {"type": "web_search_call", "id": "c", "action": {"query": "find me"}}),
    ],
)
@pytest.mark.parametrize("mistyped", [{}, {"temperature": {}, "user": 5}])
def test_arguments_follow_the_turn_that_made_the_call(
    path: str, said: dict[str, Any], mistyped: dict[str, Any]
) -> None:
    """In a turn of their own, so that the answer is recognised as it was served."""
    message = {"role": "assistant", **said}
    result = {"role": "tool", "content": "17"}
    turns = read(path, USER, message, result, **mistyped).turns
    assert "find me" in turns[-2].text
    assert turns[-2].role == "assistant"
    assert turns[-2].call_ids == ()
    assert turns[-1] == Turn("tool", "17")


@pytest.mark.parametrize("arguments", ["{}", "", "null", None, {}])
def test_empty_arguments_are_no_turn(arguments: object) -> None:
    """There is nothing to read in them."""
    calls = [{"id": "c", "function": {"name": "f", "arguments": arguments}}]
    message = {"role": "assistant", "content": None, "tool_calls": calls}
    assert read(CHAT, USER, message).turns[1:] == (Turn("assistant", "", 0, ("c",)),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        (r'{"a":"find\nme", "b": 1}', '{"a":"find me", "b": 1}'),
        (r'{"a":"\tfind\rme", "b": "among others"}', '{"a":" find me", "b": "among others"}'),
        (r'{"a":"\tfind\rme"}', "{ a : \tfind\rme }"),
        (r'{"a":"\u0066ind me"}', "{ a : find me }"),
        (r'{"a":"\"\u0066ind\\me\""}', "{ a : 'find/me' }"),
        (r'{"a":"\ud83d\udc08 \ud83d"}', "{ a : \U0001f408 ? }"),
        (r"\u006 is no escape", r"\u006 is no escape"),
    ],
)
def test_no_word_hides_behind_the_escapes_of_json(text: str, expected: str) -> None:
    """Neither spelled in numbers nor stuck to the letter of an escape."""
    assert plain(text) == expected


@given(st.text(st.characters(categories=["L", "N"]), min_size=1), st.sampled_from(" \n\t\r\f\b"))
def test_words_are_the_same_however_they_are_encoded(word: str, space: str) -> None:
    """In letters and in escapes."""
    for ascii_only in (False, True):
        text = json.dumps({"a": f"{space}{word}{space}{word}{space}"}, ensure_ascii=ascii_only)
        assert plain(text).count(word) >= 2
        assert f"\\{word}" not in plain(text)


@given(st.text())
def test_arbitrary_text_raises_nothing(text: str) -> None:
    """And can be encoded."""
    plain(text + "\\u").encode()
    plain(text + "\\ud800").encode()
