"""Cohere's chat: both versions of its requests, answers, streams and refusals."""

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

FIRST = "/v1/chat"
SECOND = "/v2/chat"
USAGE = {
    "billed_units": {"input_tokens": 5.0, "output_tokens": 2.0},
    "tokens": {"input_tokens": 71.0, "output_tokens": 4.0},
}
CALL = {"id": "look_1", "type": "function", "function": {"name": "look", "arguments": '{"a":1}'}}
OLD_CALL = {"name": "look", "parameters": {"b": 1, "a": 2}}


def said(role: str, content: object, **more: Any) -> tuple[Turn, ...]:  # noqa: ANN401
    """Return the turns that one message makes."""
    message = {"role": role, "content": content, **more}
    return asked({"model": "command-a", "messages": [message]}, SECOND).turns


def test_a_request_of_the_second_version_is_read_in_full() -> None:
    """Roles, content as string and parts, tools, and how the answer is drawn."""
    exchange = asked(
        {
            "model": "command-a",
            "stream": True,
            "messages": [
                {"role": "system", "content": "be brief"},
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "how"},
                        {"type": "image_url", "image_url": {"url": "data:"}},
                    ],
                },
                {"role": "assistant", "tool_plan": "I will look.", "tool_calls": [CALL]},
                {
                    "role": "tool",
                    "tool_call_id": "look_1",
                    "content": [{"type": "document", "document": {"data": {"found": "there"}}}],
                },
            ],
            "tools": [{"type": "function", "function": {"name": "look"}}],
            "response_format": {"type": "json_object", "json_schema": {"title": "form"}},
            "thinking": {"type": "enabled", "token_budget": 512},
            "max_tokens": 100,
            "temperature": 0.3,
            "p": 0.75,
            "seed": 7,
            "stop_sequences": ["a"],
            "logprobs": True,
        },
        f"/cohere{SECOND}/",
    )
    assert (exchange.dialect, exchange.model, exchange.stream) == ("cohere_chat", "command-a", True)
    assert exchange.tool_definitions == 1
    assert [turn for turn in exchange.turns if "form" not in turn.text] == [
        Turn("system", "be brief"),
        Turn("user", "how", 1),
        Turn("assistant", "I will look.", call_ids=("look_1",)),
        Turn("assistant", '{"a":1}'),
        Turn("tool", '{"data": {"found": "there"}}'),
    ]
    assert exchange.sampling == Sampling(
        temperature=0.3,
        top_p=0.75,
        max_tokens=100,
        thinking_tokens=512,
        stops=1,
        logprobs=True,
        seeded=True,
        structured=True,
    )


def test_a_request_of_the_first_version_is_read_in_full() -> None:
    """Its history has other roles, and its question a field of its own."""
    exchange = asked(
        {
            "model": "command-r",
            "preamble": "be brief",
            "chat_history": [
                {"role": "USER", "message": "a"},
                {"role": "CHATBOT", "message": "b", "tool_calls": [OLD_CALL]},
                {"role": "TOOL", "tool_results": [{"call": OLD_CALL, "outputs": [{"c": "d"}]}]},
                {"role": "SYSTEM", "message": "e"},
            ],
            "message": "f",
            "documents": [{"title": "T", "snippet": "found"}],
            "p": 0.5,
        },
        FIRST,
    )
    assert exchange.turns == (
        Turn("system", "be brief"),
        Turn("user", "a"),
        Turn("assistant", "b", call_ids=('look({"a":2,"b":1})',)),
        Turn("assistant", '{"b":1,"a":2}'),
        Turn("tool", '[{"c": "d"}]'),
        Turn("system", "e"),
        Turn("tool", '{"title": "T", "snippet": "found"}'),
        Turn("user", "f"),
    )
    assert exchange.sampling == Sampling(top_p=0.5)


def test_results_of_tools_may_come_without_a_question() -> None:
    """The model goes on from them."""
    results = [{"call": OLD_CALL, "outputs": [{"c": "d"}]}]
    history = [{"role": "USER", "message": "a"}]
    body = {"message": "", "chat_history": history, "tool_results": results}
    assert asked(body, FIRST).turns == (Turn("user", "a"), Turn("tool", '[{"c": "d"}]'))
    mixed = {"role": "USER", "message": "m", "tool_results": results}
    assert asked({"message": "", "chat_history": [mixed]}, FIRST).turns == (
        Turn("user", "m"),
        Turn("tool", '[{"c": "d"}]'),
        Turn("user", ""),
    )


def test_parts_of_every_kind_are_read() -> None:
    """Only the model's own thoughts are passed over."""
    thought = {"type": "thinking", "thinking": "hm"}
    assert said("assistant", [thought, {"type": "text", "text": "four"}]) == (
        Turn("assistant", "four"),
    )
    assert said("user", [thought, "as a string"]) == (Turn("user", "hm\nas a string"),)
    unknown = {"type": "holo", "words": ["from", "tomorrow"]}
    assert said("user", [{"type": "image_url"}, unknown]) == (Turn("user", "from\ntomorrow", 1),)
    document = {"type": "document", "document": {"id": "1", "data": "found"}}
    assert said("tool", [document]) == (Turn("tool", '{"id": "1", "data": "found"}'),)


def test_thinking_may_be_off() -> None:
    """Its budget does not count then."""
    body = {"messages": [{"content": "x"}], "thinking": {"type": "disabled", "token_budget": 9}}
    assert asked(body, SECOND).sampling == Sampling()


def test_a_wrong_type_elsewhere_loses_no_text() -> None:
    """What can be made sense of is read."""
    body = {"messages": [{"role": "user", "content": "x"}], "p": [], "seed": "1", "tools": 7}
    exchange = asked(body, SECOND)
    assert exchange.turns == (Turn("user", "x"),)
    assert exchange.sampling == Sampling(seeded=True)


@pytest.mark.parametrize(
    ("body", "texts"),
    [
        ({"prompt": "x"}, {"x"}),
        ({"message": "x", "history": [{"role": "user", "content": "y"}]}, {"x", "y"}),
        ({"messages": [{"role": "user", "content": "x"}], "system": "y"}, {"x", "y"}),
        ({"input": "x", "messages": []}, {"x"}),
    ],
)
def test_other_servers_under_the_same_path_are_read_generically(
    body: dict[str, Any], texts: set[str]
) -> None:
    """The path is a common one."""
    exchange = asked(body, FIRST)
    assert {turn.text for turn in exchange.turns} == texts
    assert exchange.dialect == "generic"


def second(kind: str, **fields: Any) -> bytes:  # noqa: ANN401
    """Return an event of the second version."""
    data = json.dumps({"type": kind, **fields}, ensure_ascii=False).encode()
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)


def piece(kind: str, message: dict[str, Any], index: int = 0) -> bytes:
    """Return an event with a piece of the message."""
    return second(kind, index=index, delta={"message": message})


THOUGHT = {"content": {"type": "thinking", "thinking": ""}}
SAID = "I will look. Grüß dich 🐈"
STREAM = b"".join(
    (
        second("message-start", id="29f1", delta={"message": {"role": "assistant", "content": []}}),
        piece("content-start", THOUGHT),
        piece("content-delta", {"content": {"thinking": "hm"}}),
        second("content-end", index=0),
        piece("tool-plan-delta", {"tool_plan": "I will"}),
        piece("tool-plan-delta", {"tool_plan": " look. "}),
        piece("content-start", {"content": {"type": "text", "text": ""}}, 1),
        piece("content-delta", {"content": {"text": "Grüß "}}, 1),
        piece("content-delta", {"content": {"text": "dich 🐈"}}, 1),
        second("citation-start", index=0, delta={"message": {"citations": {"text": "dich"}}}),
        second("citation-end", index=0),
        second("content-end", index=1),
        piece("tool-call-start", {"tool_calls": {**CALL, "function": {"arguments": ""}}}),
        piece("tool-call-delta", {"tool_calls": {"function": {"arguments": '{"a":1}'}}}),
        second("tool-call-end", index=0),
        second("message-end", delta={"finish_reason": "TOOL_CALL", "usage": USAGE}),
    )
)
ANSWER = Answer(
    output_chars=len(SAID),
    reasoning_chars=2,
    tool_calls=1,
    finish="TOOL_CALL",
    usage=Usage(71, 4),
    digests=(digest_of(SAID, "look_1"),),
)
WHOLE: dict[str, Any] = {
    "generation_id": "29f1",
    "text": "Grüß dich 🐈",
    "chat_history": [{"role": "USER", "message": "x"}],
    "meta": {"api_version": {"version": "1"}, **USAGE},
}
OLD = (
    {"is_finished": False, "event_type": "stream-start", "generation_id": "29f1"},
    {"is_finished": False, "event_type": "text-generation", "text": "Grüß "},
    {"is_finished": False, "event_type": "text-generation", "text": "dich 🐈"},
    {"event_type": "citation-generation", "citations": [{"text": "dich"}]},
    {"event_type": "tool-calls-chunk", "tool_call_delta": {"parameters": "{"}},
    {"event_type": "tool-calls-generation", "tool_calls": [OLD_CALL]},
    {
        "is_finished": True,
        "event_type": "stream-end",
        "finish_reason": "COMPLETE",
        "response": WHOLE,
    },
)
LINES = b"".join(json.dumps(one, ensure_ascii=False).encode() + b"\n" for one in OLD)
EVENTS = b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in OLD)
OLD_ANSWER = Answer(
    output_chars=11,
    tool_calls=1,
    finish="COMPLETE",
    usage=Usage(71, 4),
    digests=(digest_of("Grüß dich 🐈", 'look({"a":2,"b":1})'),),
)


@pytest.mark.parametrize(
    ("body", "path", "event_stream", "answer"),
    [
        (STREAM, SECOND, True, ANSWER),
        (LINES, FIRST, False, OLD_ANSWER),
        (EVENTS, FIRST, True, OLD_ANSWER),
    ],
)
def test_a_stream_reads_the_same_wherever_it_is_split(
    body: bytes, path: str, answer: Answer, *, event_stream: bool
) -> None:
    """As events, and as lines of JSON."""
    assert heard([body], path, event_stream=event_stream) == answer
    assert same_wherever_split(body, path, event_stream=event_stream)


def test_an_answer_is_read_whole() -> None:
    """Of both versions."""
    content = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Grüß dich 🐈"}]
    message = {"tool_plan": "I will look. ", "content": content, "tool_calls": [CALL]}
    body = {"id": "1", "finish_reason": "TOOL_CALL", "message": message, "usage": USAGE}
    assert heard_json(body, SECOND) == ANSWER
    old = {**WHOLE, "finish_reason": "COMPLETE", "tool_calls": [OLD_CALL]}
    assert heard_json(old, FIRST) == OLD_ANSWER


def test_an_answer_comes_back_with_the_same_digest() -> None:
    """As clients append it to their history."""
    message = {"role": "assistant", "tool_plan": "I will look.", "tool_calls": [CALL]}
    (digest,) = heard_json({"finish_reason": "TOOL_CALL", "message": message}, SECOND).digests
    assert repeated(asked({"messages": [{"content": "x"}, message]}, SECOND)) == digest
    plain = {"role": "assistant", "content": "four"}
    (digest,) = heard_json({"finish_reason": "COMPLETE", "message": plain}, SECOND).digests
    assert repeated(asked({"messages": [{"content": "x"}, plain]}, SECOND)) == digest


def test_an_error_in_the_middle_is_a_failure() -> None:
    """In either version."""
    new = second("message-end", delta={"finish_reason": "ERROR", "error": "overloaded"})
    assert heard([new], SECOND, event_stream=True).failed
    old = {"event_type": "stream-end", "finish_reason": "ERROR_TOXIC", "response": {}}
    assert heard_json(old, FIRST).failed


def test_an_event_without_a_reason_has_no_finish() -> None:
    """Its tokens count all the same."""
    event = second("message-end", delta={"finish_reason": None, "usage": USAGE})
    assert heard([event], SECOND, event_stream=True) == Answer(usage=Usage(71, 4))


def test_answers_of_other_servers_under_the_same_path_are_read() -> None:
    """The path is a common one."""
    assert heard_json({"choices": [{"message": {"content": "hello"}}]}, FIRST).output_chars == 5
    assert heard_json({"response": "hello"}, FIRST).output_chars == 5


def test_refusals_are_coheres_errors() -> None:
    """They have a message, and the id that the user can quote."""
    body = dialect_for(SECOND).error_body(Refusal(429, "Slow down.", "req_1", "c"))
    assert json.loads(body) == {"id": "req_1", "message": "Slow down."}


NAMES = st.sampled_from(
    (
        *("messages", "role", "content", "text", "type", "tool_calls", "id", "function", "message"),
        *("chat_history", "tool_results", "outputs", "documents", "preamble", "tool_plan", "p"),
        *("delta", "event_type", "finish_reason", "usage", "tokens", "response", "generation_id"),
        *("thinking", "document", "name", "parameters", "index", "error"),
    )
)
KINDS = st.sampled_from(("content-delta", "tool-call-start", "message-end", "stream-end", "text"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | KINDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=20,
)


@given(JSON, st.sampled_from([FIRST, SECOND]))
def test_arbitrary_json_under_known_names_raises_nothing(value: object, path: str) -> None:
    """Neither as a request nor as an answer."""
    body = json.dumps(value).encode()
    assert read_request(body, path)[0].name == "cohere_chat"
    assert isinstance(heard([body], path), Answer)
    assert isinstance(heard([b"data: " + body + b"\n\n"], path, event_stream=True), Answer)


@pytest.mark.parametrize("event_stream", [False, True])
@given(pieces=PIECES)
def test_arbitrary_bytes_raise_nothing(pieces: list[bytes], *, event_stream: bool) -> None:
    """Whatever an upstream sends."""
    assert isinstance(heard(pieces, SECOND, event_stream=event_stream), Answer)
    assert read_request(b"".join(pieces), SECOND)[0].name == "cohere_chat"
