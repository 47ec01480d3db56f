"""OpenAI's threads, runs and conversations: what is put there, what asks, what is returned."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.dialects import dialect_for, fetched_at, read_request
from gateway_guard.dialects.base import Refusal
from gateway_guard.exchange import Answer, Sampling, Turn, Usage
from tests.responses_read import asked, digest_of, heard, heard_json, same_wherever_split

THREADS, MESSAGES, RUNS = "/v1/threads", "/v1/threads/t1/messages", "/v1/threads/t1/runs"
OUTPUTS = "/v1/threads/t1/runs/r1/submit_tool_outputs"
SAID = "Grüß dich 🐈"
HELLO = {"role": "user", "content": "Hello."}
RUN = {"object": "thread.run", "id": "r1", "thread_id": "t1"}


def message(text: str = SAID, **fields: object) -> dict[str, Any]:
    """Return a message of a run."""
    pieces = [{"type": "text", "text": {"value": text, "annotations": []}}] if text else []
    head = {"object": "thread.message", "id": "m1", "thread_id": "t1", "run_id": "r1"}
    return head | {"role": "assistant", "status": "completed", "content": pieces} | fields


def named(*names: str) -> tuple[bytes, ...]:
    """Return the digests of ids."""
    return tuple(digest_of("", name) for name in names)


@pytest.mark.parametrize(
    "path",
    [
        *(THREADS, MESSAGES, RUNS, OUTPUTS, "/threads/runs", "/openai/v1/threads/runs/"),
        *("/v1/conversations", "/v1/conversations/c1/items"),
    ],
)
def test_threads_are_known_under_any_prefix(path: str) -> None:
    """As LiteLLM and Azure serve them."""
    assert dialect_for(path).name == "openai_threads"


@pytest.mark.parametrize("path", ["/v1/threads/t1", "/v1/messages", RUNS + "/r1/cancel", "/runs"])
def test_other_paths_are_not_threads(path: str) -> None:
    """Nothing is put there."""
    assert dialect_for(path).name != "openai_threads"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/responses/resp_1", "resp_1"),
        ("/responses/resp_1/", "resp_1"),
        ("/v1beta/interactions/int_1", "int_1"),
        (MESSAGES, "messages"),
        (MESSAGES + "/m1", "m1"),
        (RUNS + "/r1", "r1"),
    ],
)
def test_answers_are_fetched_by_these_paths(path: str, name: str) -> None:
    """Under an id, or in a list."""
    place = fetched_at(path)
    assert place is not None
    assert place[1] == name


@pytest.mark.parametrize(
    "path",
    ["", "/", "/responses", "/v1/responses", "/v1/responses/r1/input_items", "/v1/messages/m1"],
)
def test_nothing_is_fetched_by_others(path: str) -> None:
    """They cost nothing."""
    assert fetched_at(path) is None


@pytest.mark.parametrize(
    ("path", "body", "place"),
    [
        (THREADS, {"messages": [HELLO]}, None),
        (MESSAGES, HELLO, "t1"),
        (MESSAGES, {"role": "user", "content": [{"type": "text", "text": "Hello."}]}, "t1"),
        ("/v1/conversations", {"items": [HELLO]}, None),
        ("/v1/conversations/c1/items", {"items": [HELLO]}, "c1"),
    ],
)
def test_texts_that_are_put_somewhere_ask_for_nothing(
    path: str, body: object, place: str | None
) -> None:
    """The exchange says so, and where they are if it knows."""
    exchange = asked(body, path)
    assert exchange.turns == (Turn("user", "Hello."),)
    assert exchange.adds
    assert exchange.place == place


def test_a_run_goes_on_in_its_thread() -> None:
    """After what it is told, and before what it adds."""
    body = {
        "assistant_id": "a",
        "instructions": "Be kind.",
        "additional_instructions": "Be brief.",
        "additional_messages": [HELLO],
        "model": "gpt-4o",
        "temperature": 0.5,
        "max_completion_tokens": 100,
        "response_format": "auto",
        "stream": True,
    }
    exchange = asked(body, RUNS)
    assert exchange.turns == (
        Turn("system", "Be kind."),
        Turn("system", "Be brief."),
        Turn("assistant", "", 0, ("t1",)),
        Turn("user", "Hello."),
    )
    assert (exchange.place, exchange.adds, exchange.stream) == ("t1", False, True)
    assert exchange.sampling == Sampling(temperature=0.5, max_tokens=100)


def test_a_run_may_bring_its_thread() -> None:
    """Then nothing was put anywhere before."""
    exchange = asked({"assistant_id": "a", "thread": {"messages": [HELLO]}}, "/v1/threads/runs")
    assert exchange.turns == (Turn("user", "Hello."),)
    assert (exchange.place, exchange.adds) == (None, False)


def test_outputs_of_tools_ask_again() -> None:
    """In the thread of the run."""
    body = {"tool_outputs": [{"tool_call_id": "c1", "output": "12 miles"}]}
    exchange = asked(body, OUTPUTS)
    assert exchange.turns == (Turn("assistant", "", 0, ("t1",)), Turn("tool", "12 miles"))
    assert (exchange.place, exchange.adds) == ("t1", False)


def test_a_thread_without_messages_is_no_exchange() -> None:
    """There is nothing to read."""
    assert read_request(b'{"metadata": {}}', THREADS)[1] is None


EVENTS = (
    {"object": "thread", "id": "t1"},
    RUN | {"status": "queued"},
    message("", status="in_progress"),
    *(
        {"object": "thread.message.delta", "id": "m1", "delta": {"content": [{"text": text}]}}
        for text in ({"value": "Grüß "}, {"value": "dich"})
    ),
    message(),
    RUN | {"status": "completed", "usage": {"prompt_tokens": 5, "completion_tokens": 7}},
)
STREAM = b"".join(
    b"event: x\ndata: %b\n\n" % json.dumps(one, ensure_ascii=False).encode() for one in EVENTS
)
ANSWER = Answer(
    output_chars=len(SAID),
    finish="completed",
    usage=Usage(5, 7),
    digests=(digest_of(SAID),),
    names=named("t1", "m1", "r1"),
)


def test_a_stream_reads_the_same_wherever_it_is_split() -> None:
    """What its last events repeat is not counted twice."""
    answer = heard([STREAM + b"event: done\ndata: [DONE]\n\n"], RUNS, event_stream=True)
    assert set(answer.names) == set(ANSWER.names) | set(named("t1"))
    assert (answer.output_chars, answer.usage) == (ANSWER.output_chars, ANSWER.usage)
    assert answer.awaited is None
    assert same_wherever_split(STREAM, RUNS, event_stream=True)


def test_a_stream_that_is_cut_is_awaited() -> None:
    """The rest can be fetched by the run."""
    answer = heard([STREAM[: STREAM.index(b"completed")]], RUNS, event_stream=True)
    assert answer.awaited == digest_of("", "r1")
    assert answer.output_chars == len("Grüß dich")


@pytest.mark.parametrize("status", ["queued", "in_progress"])
def test_a_run_that_is_under_way_is_awaited(status: str) -> None:
    """And has no name that would vouch for an answer."""
    assert heard_json(RUN | {"status": status}, RUNS) == Answer(awaited=digest_of("", "r1"))


def test_a_run_can_call_tools() -> None:
    """The calls are what it answers with."""
    calls = {"submit_tool_outputs": {"tool_calls": [{"id": "c1"}, {"id": "c2"}]}}
    answer = heard_json(RUN | {"status": "requires_action", "required_action": calls}, RUNS)
    assert (answer.tool_calls, answer.finish) == (2, "requires_action")
    assert answer.names == named("c1", "r1", "t1")


def test_a_run_that_fails_is_a_failure() -> None:
    """Whatever it had said."""
    assert heard_json(RUN | {"status": "failed"}, RUNS).failed
    assert heard_json({"error": {"message": "gone"}}, RUNS).failed


def test_a_list_holds_an_answer_for_each_message_of_a_run() -> None:
    """Not for those that were put there, and not yet for one that is being written."""
    mine = message("Hello.", role="user", run_id=None, id="m0")
    last = message("So", id="m3", run_id="r2", status="in_progress")
    answer = heard_json({"object": "list", "data": [last, message(), mine]}, MESSAGES)
    assert answer.parts == (
        Answer(output_chars=2, digests=(digest_of("So"),), awaited=digest_of("", "r2")),
        Answer(output_chars=len(SAID), digests=(digest_of(SAID),), names=named("m1", "r1", "t1")),
    )
    assert answer.output_chars == 0


def test_refusals_are_openais_errors() -> None:
    """As everywhere at OpenAI's."""
    body = json.loads(dialect_for(RUNS).error_body(Refusal(429, "m", "req_1", "c")))
    assert body["error"]["message"] == "m"


NAMES = st.sampled_from(
    (
        *("messages", "items", "role", "content", "thread", "instructions", "tool_outputs"),
        *("object", "id", "run_id", "data", "delta", "status", "required_action", "error"),
    )
)
SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
VALUES = st.recursive(
    SCALARS | st.sampled_from(("thread.message", "thread.run", "list", "in_progress")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
)


@given(st.dictionaries(NAMES, VALUES, max_size=6), st.sampled_from((THREADS, MESSAGES, RUNS)))
def test_no_shape_is_too_strange(value: dict[str, object], path: str) -> None:
    """Requests and answers are read as far as they make sense."""
    read_request(json.dumps(value).encode(), path)
    heard_json(value, path)
