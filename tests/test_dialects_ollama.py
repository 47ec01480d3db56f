"""Ollama: chat and generate, whole and line by line, and refusals."""

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
    cut,
    digest_of,
    heard,
    heard_json,
    repeated,
    same_wherever_split,
)

CHAT = "/api/chat"
GENERATE = "/api/generate"
CALL = {"function": {"name": "look", "arguments": {"place": "here"}}}
OPTIONS = {"temperature": 0.5, "top_p": 0.9, "num_predict": 100, "stop": ["a", "b"], "seed": 7}


def turns(*messages: Any) -> tuple[Turn, ...]:  # noqa: ANN401
    """Return the turns that messages make."""
    return asked({"model": "m", "messages": list(messages)}, CHAT).turns


def test_a_chat_is_read_in_full() -> None:
    """Roles, pictures, tools, the form of the answer and how it is drawn."""
    exchange = asked(
        {
            "model": "qwen3:8b",
            "messages": [
                {"role": "system", "content": "be brief"},
                {"role": "user", "content": "look", "images": ["AAAA", "BBBB"]},
                {"role": "assistant", "content": "", "thinking": "hm", "tool_calls": [CALL]},
                {"role": "tool", "content": "17", "tool_name": "look"},
            ],
            "tools": [{"type": "function", "function": {"name": "look"}}],
            "format": {"type": "object", "title": "form"},
            "think": "high",
            "options": OPTIONS,
            "logprobs": True,
            "top_logprobs": 5,
        },
        f"/ollama{CHAT}/",
    )
    assert (exchange.dialect, exchange.model, exchange.stream) == ("ollama", "qwen3:8b", True)
    assert exchange.tool_definitions == 1
    assert [turn for turn in exchange.turns if "form" not in turn.text] == [
        Turn("system", "be brief"),
        Turn("user", "look", 2),
        Turn("assistant", "", call_ids=('look({"place":"here"})',)),
        Turn("assistant", '{"place":"here"}'),
        Turn("tool", "17"),
    ]
    assert exchange.sampling == Sampling(
        temperature=0.5,
        top_p=0.9,
        max_tokens=100,
        effort="high",
        stops=2,
        logprobs=True,
        top_logprobs=5,
        seeded=True,
        structured=True,
    )


def test_a_prompt_is_read_in_full() -> None:
    """A template and a suffix are words of the user too."""
    body = {
        "model": "m",
        "prompt": "p",
        "suffix": "s",
        "system": "be brief",
        "template": "t",
        "images": ["AAAA"],
        "stream": False,
        "format": "json",
        "think": True,
    }
    exchange = asked(body, GENERATE)
    assert exchange.turns == (Turn("system", "be brief"), Turn("user", "t\np\ns", 1))
    assert exchange.sampling == Sampling(structured=True)
    assert not exchange.stream


def test_answers_stream_unless_they_must_not() -> None:
    """That is the server's default."""
    streams = (asked({"prompt": "x", **more}, GENERATE).stream for more in ({}, {"stream": None}))
    assert list(streams) == [True, True]


def test_content_in_parts_and_pictures_with_calls_are_read() -> None:
    """Servers that imitate Ollama take them."""
    parts = [{"type": "text", "text": "a"}, {"type": "image_url"}]
    assert turns({"role": "user", "content": parts, "images": [""]}) == (Turn("user", "a", 2),)
    named = {"role": "assistant", "content": "b", "tool_calls": [{"id": "c1", **CALL}, {}]}
    assert turns(named)[0] == Turn("assistant", "b", call_ids=("c1", "()"))


def test_a_wrong_type_elsewhere_loses_no_text() -> None:
    """What can be made sense of is read."""
    body = {"prompt": "x", "options": {"top_p": [], "temperature": "0.5"}, "think": [], "tools": 7}
    exchange = asked(body, GENERATE)
    assert exchange.turns == (Turn("user", "x"),)
    assert exchange.sampling == Sampling(temperature=0.5)


@pytest.mark.parametrize(
    "body",
    [
        {"message": "hello"},
        {"messages": [{"role": "user", "parts": [{"type": "text", "text": "hello"}]}]},
        {"messages": [{"role": "user", "text": "hello"}]},
        {"input": "hello"},
        {"prompt": "", "input": "hello"},
    ],
)
def test_other_servers_under_the_same_path_are_read_generically(body: dict[str, Any]) -> None:
    """The path is a common one."""
    exchange = asked(body, CHAT)
    assert exchange.dialect == "generic"
    assert "hello" in {turn.text for turn in exchange.turns}


def test_loading_a_model_says_nothing() -> None:
    """Ollama loads or drops it and answers nothing."""
    for path in (CHAT, GENERATE):
        assert read_request(b'{"model":"m","keep_alive":0,"messages":[]}', path)[1] is None


def line(**fields: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a line of a stream."""
    return {"model": "m", "created_at": "2025-10-17T23:14:07.414671Z", "done": False, **fields}


END = {
    "done": True,
    "done_reason": "stop",
    "total_duration": 174560334,
    "prompt_eval_count": 8,
    "eval_count": 12,
    "eval_duration": 43240000,
}
CHATTED = (
    line(message={"role": "assistant", "content": "", "thinking": "hm"}),
    line(message={"role": "assistant", "content": "Grüß {"}),
    line(message={"role": "assistant", "content": "dich 🐈"}),
    line(message={"role": "assistant", "content": "", "tool_calls": [CALL]}),
    line(message={"role": "assistant", "content": ""}, **END),
)
GENERATED = (
    line(response="", thinking="hm"),
    line(response="Grüß {"),
    line(response="dich 🐈"),
    line(response="", context=[1, 2, 3], **END),
)
SAID = "Grüß {dich 🐈"


def lines(values: tuple[dict[str, Any], ...]) -> bytes:
    """Return a stream."""
    return b"".join(json.dumps(one, ensure_ascii=False).encode() + b"\n" for one in values)


@pytest.mark.parametrize(
    ("values", "path", "calls"),
    [(CHATTED, CHAT, ('look({"place":"here"})',)), (GENERATED, GENERATE, ())],
)
def test_a_stream_reads_the_same_wherever_it_is_split(
    values: tuple[dict[str, Any], ...], path: str, calls: tuple[str, ...]
) -> None:
    """Line by line, as one document, and as events where a gateway makes them."""
    expected = Answer(
        output_chars=len(SAID),
        reasoning_chars=2,
        tool_calls=len(calls),
        finish="stop",
        usage=Usage(8, 12),
        digests=(digest_of(SAID, *calls),),
    )
    assert heard([lines(values)], path) == expected
    assert same_wherever_split(lines(values), path)
    assert same_wherever_split(lines(values)[:-1], path)
    events = b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in values)
    assert heard([events], path, event_stream=True) == expected
    assert same_wherever_split(events, path, event_stream=True)


@given(st.lists(st.integers(0, 60_000), max_size=12))
def test_a_long_stream_reads_the_same_wherever_it_is_split(places: list[int]) -> None:
    """Over the borders of the batches that it is read in."""
    body = lines(tuple(line(response="x" * 200) for _ in range(200)))
    assert heard(cut(body, places), GENERATE).output_chars == 40_000


def test_an_answer_comes_back_with_the_same_digest() -> None:
    """As clients append it to their history, calls without ids included."""
    message = {"role": "assistant", "content": "wait", "tool_calls": [CALL]}
    (digest,) = heard_json(line(message=message, **END), CHAT).digests
    history = [{"role": "user", "content": "x"}, message]
    assert repeated(asked({"messages": history}, CHAT)) == digest


def test_calls_of_an_odd_shape_are_passed_over() -> None:
    """What is no call is none."""
    message = {"content": "a", "tool_calls": [7, {}, {"function": 7}, CALL]}
    assert heard_json(line(message=message), CHAT).tool_calls == 1


def test_an_error_in_the_middle_is_a_failure() -> None:
    """It is a line of its own; a broken one hides nothing."""
    first = lines((line(response="a"),))
    answer = heard([first, b'{"error":"an error was encountered"}\n'], GENERATE)
    assert answer.failed
    assert answer.output_chars == 1
    assert heard([first, lines((line(error="overloaded"),))], GENERATE).failed
    assert heard([first, b'{"broken\n', first], GENERATE).output_chars == 2


def test_answers_of_other_servers_under_the_same_path_are_read() -> None:
    """The path is a common one."""
    assert heard_json({"choices": [{"message": {"content": "hello"}}]}, CHAT).output_chars == 5
    assert heard_json({"response": "hello"}, CHAT).output_chars == 5


def test_refusals_are_ollamas_errors() -> None:
    """A plain string."""
    body = dialect_for(CHAT).error_body(Refusal(429, "Slow down.", "req_1", "c"))
    assert json.loads(body) == {"error": "Slow down."}


NAMES = st.sampled_from(
    (
        *("messages", "role", "content", "images", "tool_calls", "id", "function", "name"),
        *("arguments", "prompt", "system", "template", "options", "top_p", "format", "think"),
        *("message", "response", "thinking", "done", "done_reason", "eval_count", "error"),
    )
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=20,
)


@given(JSON, st.sampled_from([CHAT, GENERATE]))
def test_arbitrary_json_under_known_names_raises_nothing(value: object, path: str) -> None:
    """Neither as a request nor as an answer."""
    body = json.dumps(value).encode()
    assert read_request(body, path)[0].name == "ollama"
    assert isinstance(heard([body], path), Answer)
    assert isinstance(heard([b"data: " + body + b"\n\n"], path, event_stream=True), Answer)


@pytest.mark.parametrize("event_stream", [False, True])
@given(pieces=PIECES)
def test_arbitrary_bytes_raise_nothing(pieces: list[bytes], *, event_stream: bool) -> None:
    """Whatever an upstream sends."""
    assert isinstance(heard(pieces, CHAT, event_stream=event_stream), Answer)
    assert read_request(b"".join(pieces), CHAT)[0].name == "ollama"
