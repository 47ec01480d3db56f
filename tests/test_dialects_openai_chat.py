"""OpenAI chat requests: every part of them that says something, and how the answer is drawn."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway_guard.dialects.openai_chat import OpenAIChat
from gateway_guard.exchange import Exchange, Sampling, Turn

PATH = "/v1/chat/completions"


def read(*messages: Any, path: str = PATH, **fields: Any) -> Exchange:  # noqa: ANN401
    """Read a request with these messages and fields."""
    body = json.dumps({"model": "gpt-4o", "messages": messages, **fields}).encode()
    exchange = OpenAIChat().read_request(body, path)
    assert exchange is not None
    return exchange


def turns(*messages: Any) -> tuple[Turn, ...]:  # noqa: ANN401
    """Return the turns that messages make."""
    return read(*messages).turns


def user(content: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a message of the user."""
    return {"role": "user", "content": content}


def text_part(text: str) -> dict[str, Any]:
    """Return a part that is text."""
    return {"type": "text", "text": text}


def drawn(**fields: Any) -> Sampling:  # noqa: ANN401
    """Return the sampling of a request with these fields."""
    return read(user("x"), **fields).sampling


def test_a_conversation_keeps_its_order_and_roles() -> None:
    """Developers speak as the system, functions as tools."""
    assert turns(
        {"role": "developer", "content": "be brief"},
        user("hello"),
        {"role": "assistant", "content": "hi"},
        {"role": "system", "content": "be kind"},
        {"role": "function", "name": "f", "content": "42"},
    ) == (
        Turn("system", "be brief"),
        Turn("user", "hello"),
        Turn("assistant", "hi"),
        Turn("system", "be kind"),
        Turn("tool", "42"),
    )


@pytest.mark.parametrize("role", ["critic", "User", "", None, 5, ["assistant"]])
def test_an_unknown_role_is_a_user(role: object) -> None:
    """What is not known to be harmless is read in full."""
    assert turns({"role": role, "content": "x"}) == (Turn("user", "x"),)


def test_a_message_without_a_role_is_a_user() -> None:
    """Some servers assume one."""
    assert turns({"content": "x"}) == (Turn("user", "x"),)


def test_parts_are_joined_and_media_are_counted() -> None:
    """Pictures, sounds and files are no text."""
    content = [
        text_part("what is"),
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "file", "file": {"file_data": "AAAA", "filename": "a.pdf"}},
        text_part("this?"),
        "plain",
    ]
    assert turns(user(content)) == (Turn("user", "what is\nthis?\nplain", 3),)


@pytest.mark.parametrize("content", ["", None, [], [text_part("")]])
def test_an_empty_message_is_a_turn(content: object) -> None:
    """Asking nothing at all is a way to harvest."""
    assert turns(user(content)) == (Turn("user", ""),)


def test_a_single_part_may_stand_without_a_list() -> None:
    """Lenient servers take it."""
    assert turns(user(text_part("x"))) == (Turn("user", "x"),)


def test_tool_calls_give_their_ids_to_the_turn() -> None:
    """They identify an answer without text."""
    calls = [
        {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        {"id": "call_2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
    ]
    message = {"role": "assistant", "content": None, "tool_calls": calls}
    assert turns(message) == (Turn("assistant", "", 0, ("call_1", "call_2")),)
    assert turns({**message, "content": "wait"}) == (
        Turn("assistant", "wait", 0, ("call_1", "call_2")),
    )


@pytest.mark.parametrize("content", ["17 degrees", [text_part("17 degrees")]])
def test_results_of_tools_are_turns_of_tools(content: object) -> None:
    """As a string and as parts."""
    message = {"role": "tool", "tool_call_id": "call_1", "content": content}
    assert turns(message) == (Turn("tool", "17 degrees"),)


def test_refusals_are_text() -> None:
    """As a part, and as a field beside the content."""
    refusal = {"type": "refusal", "refusal": "I cannot"}
    assert turns({"role": "assistant", "content": [refusal]}) == (Turn("assistant", "I cannot"),)
    for content in (None, "Sorry.", [text_part("Sorry.")]):
        message = {"role": "assistant", "content": content, "refusal": "I cannot"}
        assert turns(message)[0].text.split("\n")[-1] == "I cannot"


def test_reasoning_that_comes_back_is_no_text() -> None:
    """The answer's digest was made without it."""
    message = {"role": "assistant", "content": "4", "reasoning_content": "two and two"}
    assert turns(message) == (Turn("assistant", "4"),)


def test_parts_of_unknown_types_are_read_as_text() -> None:
    """Nothing that may be text is lost, and base64 is none."""
    part = {"type": "poem", "lines": ["roses", {"more": "violets"}], "data": "QUJD" * 100}
    assert turns(user([part])) == (Turn("user", "roses\nviolets"),)


@pytest.mark.parametrize(
    "part",
    [
        {"type": "text", "text": {"value": "found"}},
        {"type": "text", "content": "found"},
        {"type": ["text"], "text": "found"},
        {"type": "text", "text": ["found"]},
        "found",
    ],
)
def test_parts_of_odd_shapes_are_read(part: object) -> None:
    """Servers differ in what they forgive."""
    assert turns(user([part])) == (Turn("user", "found"),)


def test_a_number_for_content_is_text() -> None:
    """It is coerced as servers do."""
    assert turns(user(17)) == (Turn("user", "17"),)


def test_messages_that_are_no_messages_are_left_out() -> None:
    """The others are read."""
    assert turns(user("x"), None, 5, "text", ["list"]) == (Turn("user", "x"),)


def test_without_messages_there_is_no_exchange() -> None:
    """The caller may try another reader."""
    for body in (b"{}", b'{"messages":[]}', b'{"messages":null}', b'{"messages":"x"}', b"[1]"):
        assert OpenAIChat().read_request(body, PATH) is None


def test_the_whole_of_sampling_is_read() -> None:
    """Every parameter that says how the answer is drawn."""
    assert drawn(
        temperature=0.7,
        top_p=0.9,
        max_tokens=100,
        max_completion_tokens=200,
        n=3,
        stop=["a", "b"],
        seed=0,
        logprobs=True,
        top_logprobs=20,
        logit_bias={"50256": -100, "7": 5},
        reasoning_effort="high",
        response_format={"type": "json_schema", "json_schema": {}},
        thinking={"type": "enabled", "budget_tokens": 4096},
    ) == Sampling(
        temperature=0.7,
        top_p=0.9,
        max_tokens=200,
        thinking_tokens=4096,
        effort="high",
        answers=3,
        stops=2,
        logprobs=True,
        top_logprobs=20,
        logit_bias=2,
        seeded=True,
        structured=True,
    )


def test_a_silent_request_has_no_sampling() -> None:
    """Nothing is assumed."""
    assert drawn() == Sampling()
    assert drawn(temperature=None, stop=None, n=None, logit_bias=None, tools=None) == Sampling()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"temperature": "0.7"}, Sampling(temperature=0.7)),
        ({"temperature": {"x": 1}}, Sampling()),
        ({"temperature": 1e300}, Sampling()),
        ({"temperature": 10**400}, Sampling()),
        ({"max_tokens": "512"}, Sampling(max_tokens=512)),
        ({"max_tokens": 512.0}, Sampling(max_tokens=512)),
        ({"max_tokens": -1}, Sampling()),
        ({"max_tokens": 10**30}, Sampling(max_tokens=2**31 - 1)),
        ({"n": 0}, Sampling()),
        ({"n": 10**9}, Sampling(answers=16384)),
        ({"n": 1, "best_of": 5}, Sampling(answers=5)),
        ({"stop": "\n"}, Sampling(stops=1)),
        ({"stop": ["a", 5, None]}, Sampling(stops=2)),
        ({"logprobs": 5}, Sampling(logprobs=True)),
        ({"logprobs": 0}, Sampling()),
        ({"response_format": {"type": "text"}}, Sampling()),
        ({"response_format": {"type": "json_object"}}, Sampling(structured=True)),
        ({"thinking": {"type": "disabled", "budget_tokens": 9}}, Sampling()),
        ({"reasoning": {"effort": "low"}}, Sampling(effort="low")),
        ({"reasoning": {"max_tokens": 2000}}, Sampling(thinking_tokens=2000)),
        ({"logit_bias": [1]}, Sampling()),
        ({"stream_options": {"include_usage": True}}, Sampling()),
    ],
)
def test_parameters_are_read_as_servers_coerce_them(
    fields: dict[str, Any], expected: Sampling
) -> None:
    """What makes no sense is as good as not there."""
    assert drawn(**fields) == expected


def test_tools_and_functions_are_counted() -> None:
    """Together; what is no tool is not counted."""
    assert read(user("x"), tools=[{}, {}], functions=[{"name": "f"}]).tool_definitions == 3
    assert read(user("x"), tools=[{}, "y"]).tool_definitions == 1
    assert read(user("x"), tools={}).tool_definitions == 0


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"user": "u"}, "u"),
        ({"safety_identifier": "s", "user": "u"}, "s"),
        ({"metadata": {"user_id": "m"}}, "m"),
        ({"user": 17}, "17"),
        ({"user": ""}, None),
        ({"prompt_cache_key": "p"}, None),
        ({}, None),
    ],
)
def test_the_end_user_is_whom_the_request_names(
    fields: dict[str, Any], expected: str | None
) -> None:
    """A cache key names nobody."""
    assert read(user("x"), **fields).end_user == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(True, True), (False, False), (None, False), ("true", True), ([], False)],
)
def test_streaming_is_what_the_request_asks_for(value: object, *, expected: bool) -> None:
    """Coerced like the rest."""
    assert read(user("x"), stream=value).stream is expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (PATH, "gpt-4o"),
        ("/engines/davinci/chat/completions", "davinci"),
        ("/openai/deployments/team/gpt/chat/completions/", "team/gpt"),
        ("/deployments/chat/completions", "gpt-4o"),
    ],
)
def test_the_model_in_the_path_goes_before_the_one_in_the_body(path: str, expected: str) -> None:
    """As servers prefer it."""
    assert read(user("x"), path=path).model == expected
