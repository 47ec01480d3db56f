"""Gemini's interactions: steps and contents, answers and their streams, and refusals."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.dialects import dialect_for, read_request
from gateway_guard.dialects.base import Refusal
from gateway_guard.exchange import Answer, Sampling, Turn, Usage
from tests.responses_read import (
    PIECES,
    asked,
    digest_of,
    heard,
    heard_json,
    repeated,
    same_wherever_split,
)

PATH = "/v1beta/interactions"
CALL = {"type": "function_call", "id": "f1", "name": "look", "arguments": {"place": "here"}}


def text(words: str) -> dict[str, Any]:
    """Return a content that is text."""
    return {"type": "text", "text": words}


def step(kind: str, *contents: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a step with contents."""
    return {"type": kind, "content": list(contents)}


def turns(put_in: object) -> tuple[Turn, ...]:
    """Return the turns that an input makes."""
    return asked({"model": "m", "input": put_in}, PATH).turns


@pytest.mark.parametrize(
    "put_in",
    [
        "a\nb",
        ["a", "b"],
        [text("a"), text("b")],
        text("a\nb"),
        [step("user_input", text("a"), text("b"))],
        [{"role": "user", "content": "a\nb"}],
        [{"role": "user", "content": [text("a"), text("b")]}],
    ],
)
def test_what_is_put_in_may_be_written_in_many_ways(put_in: object) -> None:
    """A text, contents, steps, or turns."""
    assert turns(put_in) == (Turn("user", "a\nb"),)


def test_steps_are_turns_of_who_made_them() -> None:
    """The model's calls, and what its own tools returned, are not the user's words."""
    thought = {"type": "thought", "signature": "c2ln", "summary": [text("hm")]}
    search = {"type": "google_search_call", "id": "s1", "arguments": {"queries": ["q"]}}
    found = {"type": "google_search_result", "call_id": "s1", "result": [{"title": "T"}]}
    result = {"type": "function_result", "call_id": "f1", "result": "17"}
    assert turns(
        [
            step("user_input", text("a"), {"type": "image", "data": "AAAA"}),
            thought,
            search,
            found,
            step("model_output", text("b")),
            CALL,
            result,
            {**result, "result": [text("18")]},
            step("user_input", text("c")),
            step("user_input"),
        ]
    ) == (
        Turn("user", "a", 1),
        Turn("assistant", "b", call_ids=("s1", "f1")),
        Turn("assistant", '{"queries": ["q"]}\n{"place": "here"}'),
        Turn("tool", '[{"title": "T"}]'),
        Turn("tool", "17"),
        Turn("tool", '[{"type": "text", "text": "18"}]'),
        Turn("user", "c"),
    )


def test_an_older_conversation_is_one_of_turns() -> None:
    """As the first version had it."""
    put_in = [{"role": "user", "content": "a"}, {"role": "model", "content": [text("b")]}, "c"]
    assert turns(put_in) == (Turn("user", "a"), Turn("assistant", "b"), Turn("user", "c"))


def test_an_item_of_an_unknown_kind_is_text() -> None:
    """Nothing is said unseen."""
    unknown = {"type": "holo", "words": ["from", "tomorrow"]}
    assert turns([text("see"), unknown]) == (Turn("user", "see\nfrom\ntomorrow"),)
    assert turns([step("user_input", unknown, {"type": "audio"}), {"type": 7, "x": "y"}]) == (
        Turn("user", "from\ntomorrow\ny", 1),
    )


def test_a_request_is_read_in_full() -> None:
    """System text, tools, forms, and how the answer is drawn."""
    exchange = asked(
        {
            "model": "models/gemini-3-flash",
            "input": "x",
            "stream": True,
            "system_instruction": "be brief",
            "tools": [{"type": "function", "name": "look"}, {"type": "google_search"}],
            "response_format": {"type": "text", "mime_type": "text/plain", "schema": {"a": "form"}},
            "generation_config": {
                "temperature": 0.5,
                "top_p": 0.9,
                "max_output_tokens": 100,
                "stop_sequences": ["a"],
                "seed": 7,
                "thinking_level": "high",
            },
        },
        f"/gemini{PATH}/",
    )
    assert (exchange.dialect, exchange.model) == ("gemini_interactions", "gemini-3-flash")
    assert exchange.stream
    assert exchange.tool_definitions == 2
    assert exchange.turns[:2] == (Turn("system", "be brief"), Turn("user", "x"))
    assert "look" in exchange.turns[2].text
    assert "form" in exchange.turns[2].text
    assert exchange.sampling == Sampling(
        temperature=0.5,
        top_p=0.9,
        max_tokens=100,
        effort="high",
        stops=1,
        seeded=True,
        structured=True,
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"response_mime_type": "application/json"},
        {"response_format": [{"type": "text", "mime_type": "application/json"}]},
        {"generation_config": {"responseMimeType": "application/json"}},
    ],
)
def test_the_form_of_an_answer_has_many_places(fields: dict[str, Any]) -> None:
    """Each of them makes it structured."""
    assert asked({"agent": "a", "input": "x", **fields}, PATH).sampling == Sampling(structured=True)


def test_an_agent_stands_for_a_model() -> None:
    """It has no other name here."""
    assert asked({"agent": "deep-research", "input": "x"}, PATH).model == "deep-research"


def test_an_interaction_that_goes_on_refers_to_what_was_said() -> None:
    """By the id of the last one."""
    body = {"model": "m", "input": "x", "previous_interaction_id": "int_1"}
    assert asked(body, PATH).turns == (
        Turn("assistant", "", call_ids=("int_1",)),
        Turn("user", "x"),
    )


@pytest.mark.parametrize("body", [{}, {"input": ""}, {"input": []}, {"input": None}])
def test_nothing_put_in_is_no_exchange(body: dict[str, Any]) -> None:
    """Or an empty one."""
    exchange = read_request(json.dumps(body).encode(), PATH)[1]
    assert exchange is None or exchange.turns == (Turn("user", ""),)


def test_other_servers_under_the_same_path_are_read_generically() -> None:
    """The path is a common one."""
    body = {"input": "x", "messages": [{"role": "user", "content": "find me"}]}
    exchange = asked(body, PATH)
    assert exchange.dialect == "generic"
    assert Turn("user", "find me") in exchange.turns


USAGE = {
    "total_input_tokens": 8,
    "total_tool_use_tokens": 2,
    "total_output_tokens": 12,
    "total_thought_tokens": 23,
    "total_tokens": 45,
}
SAID = "Grüß dich 🐈"
STEPS = [
    {"type": "thought", "summary": [text("hm")]},
    step("model_output", text("Grüß "), text("dich 🐈")),
    CALL,
]
WHOLE = {"id": "int_1", "status": "requires_action", "steps": STEPS, "usage": USAGE}
EVENTS = (
    {"event_type": "interaction.created", "interaction": {"id": "int_1", "status": "in_progress"}},
    {"event_type": "step.start", "index": 0, "step": {"type": "thought"}},
    {"event_type": "step.delta", "delta": {"type": "thought_summary", "content": text("hm")}},
    {"event_type": "step.stop", "index": 0},
    {"event_type": "step.start", "index": 1, "step": step("model_output", text("Grüß "))},
    {"event_type": "step.delta", "index": 1, "delta": text("dich 🐈")},
    {"event_type": "step.start", "index": 2, "step": {**CALL, "arguments": {}}},
    {"event_type": "step.delta", "delta": {"type": "arguments_delta", "arguments": "{}"}},
    {"event_type": "future.event_kind", "payload": {"a": 1}},
    {"event_type": "interaction.completed", "interaction": WHOLE},
)
STREAM = b"".join(
    b"event: %b\ndata: %b\n\n"
    % (str(one["event_type"]).encode(), json.dumps(one, ensure_ascii=False).encode())
    for one in EVENTS
)
ANSWER = Answer(
    output_chars=len(SAID),
    reasoning_chars=2,
    tool_calls=1,
    finish="requires_action",
    usage=Usage(10, 35, 23),
    digests=(digest_of(SAID, "f1"),),
    names=(digest_of("", "int_1"),),
)


def test_a_stream_reads_the_same_wherever_it_is_split() -> None:
    """What its last event repeats is not counted twice."""
    assert heard([STREAM + b"data: [DONE]\n\n"], PATH, event_stream=True) == ANSWER
    assert same_wherever_split(STREAM, PATH, event_stream=True)


def test_an_answer_is_read_whole() -> None:
    """And is the same as the stream's."""
    assert heard_json(WHOLE, PATH) == ANSWER
    assert same_wherever_split(json.dumps(WHOLE).encode(), PATH)


def test_an_answer_comes_back_with_the_same_digest() -> None:
    """As clients append its steps to their history."""
    assert repeated(asked({"input": ["x", *STEPS]}, PATH)) == digest_of(SAID, "f1")


@pytest.mark.parametrize(
    "event",
    [
        {"event_type": "error", "error": {"code": "unavailable", "message": "overloaded"}},
        {"event_type": "interaction.completed", "interaction": {"status": "failed"}},
        {"event_type": "error"},
        {"status": "failed"},
    ],
)
def test_an_error_in_the_middle_is_a_failure(event: dict[str, Any]) -> None:
    """As an event, or as what became of the interaction."""
    body = STREAM + b"data: " + json.dumps(event).encode() + b"\n\n"
    assert heard([body], PATH, event_stream=True).failed


def test_an_answer_that_is_still_being_made_has_no_finish() -> None:
    """It is fetched later."""
    assert heard_json({"id": "1", "status": "in_progress"}, PATH) == Answer(
        awaited=digest_of("", "1")
    )


def test_refusals_are_googles_errors() -> None:
    """As everywhere at Google's."""
    body = json.loads(dialect_for(PATH).error_body(Refusal(429, "m", "req_1", "c")))
    assert body["error"]["status"] == "RESOURCE_EXHAUSTED"


NAMES = st.sampled_from(
    (
        *("input", "type", "role", "content", "text", "summary", "id", "arguments", "result"),
        *("system_instruction", "generation_config", "response_format", "schema", "tools"),
        *("event_type", "delta", "step", "steps", "interaction", "status", "usage", "index"),
        *("total_input_tokens", "total_output_tokens", "error", "previous_interaction_id"),
    )
)
KINDS = st.sampled_from(("text", "user_input", "model_output", "thought", "a_call", "a_result"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | KINDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=20,
)


@given(JSON)
def test_arbitrary_json_under_known_names_raises_nothing(value: object) -> None:
    """Neither as a request nor as an answer."""
    body = json.dumps(value).encode()
    assert read_request(body, PATH)[0].name == "gemini_interactions"
    assert isinstance(heard([body], PATH), Answer)
    assert isinstance(heard([b"data: " + body + b"\n\n"], PATH, event_stream=True), Answer)


@pytest.mark.parametrize("event_stream", [False, True])
@given(pieces=PIECES)
def test_arbitrary_bytes_raise_nothing(pieces: list[bytes], *, event_stream: bool) -> None:
    """Whatever an upstream sends."""
    assert isinstance(heard(pieces, PATH, event_stream=event_stream), Answer)
    assert read_request(b"".join(pieces), PATH)[0].name == "gemini_interactions"
