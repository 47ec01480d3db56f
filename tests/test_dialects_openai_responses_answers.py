"""OpenAI responses as they are answered: whole, as events, cut anywhere, and as they come back."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.dialects import read_request
from gateway_guard.dialects.openai_responses import OpenAIResponses
from gateway_guard.exchange import Answer, Usage, text_digest
from tests.openai_shapes import (
    HEAD,
    called,
    numbered,
    response,
    response_events,
    said,
    sse,
    thought,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

KEY = b"a key of 16 byte"
PATH = "/v1/responses"
NAME = text_digest("", KEY, ("resp_1",))
OUTPUT = (thought("Greetings, **friend**"), said("grüß dich 🐈"), called(1), called(2))


def heard(pieces: Iterable[bytes], *, event_stream: bool = True) -> Answer:
    """Read a response body that comes in pieces."""
    reader = OpenAIResponses().response_reader(event_stream=event_stream, digest_key=KEY)
    for piece in pieces:
        reader.feed(piece)
    return reader.finish()


def whole(body: object) -> Answer:
    """Read a JSON body."""
    return heard([json.dumps(body).encode()], event_stream=False)


def test_a_whole_response_is_read() -> None:
    """Text, reasoning, calls, status and tokens, and the ids by which it may be referred to."""
    assert whole(response(*OUTPUT)) == Answer(
        output_chars=11,
        reasoning_chars=21,
        tool_calls=2,
        finish="completed",
        usage=Usage(37, 91, 64),
        digests=(text_digest("grüß dich 🐈", KEY),),
        names=(NAME, text_digest("", KEY, ("fc_2",))),
    )


def test_events_make_the_same_answer_as_the_whole() -> None:
    """Though the last one repeats all that the others said."""
    assert heard([sse(response_events(*OUTPUT))]) == whole(response(*OUTPUT))


def test_a_stream_of_nothing_but_its_last_event_makes_the_same_answer_too() -> None:
    """Some gateways leave the others out."""
    last = response_events(*OUTPUT)[-1]
    assert heard([sse([last])]) == whole(response(*OUTPUT))


def test_a_stream_split_in_two_anywhere_reads_as_in_one_piece() -> None:
    """Between any two bytes, and byte by byte."""
    stream = sse(response_events(thought("hm"), said("grüß 🐈"), called()))
    expected = heard([stream])
    for cut in range(len(stream)):
        assert heard([stream[:cut], stream[cut:]]) == expected
    assert heard(stream[at : at + 1] for at in range(len(stream))) == expected


@given(st.data())
def test_a_long_stream_reads_the_same_however_it_is_split(data: st.DataObject) -> None:
    """Over the borders of the batches that it is read in."""
    stream = sse(response_events(thought("hm, " * 50), said("grüß 🐈, " * 60), called()))
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=12))
    edges = [0, *sorted(cuts), len(stream)]
    assert heard(stream[start:end] for start, end in pairwise(edges)) == heard([stream])


def test_a_stream_that_broke_off_has_what_came_before() -> None:
    """And no id: nobody can go on from it."""
    events = response_events(thought("hm"), said("hello there"), called())
    answer = heard([sse(events[:-2])])
    assert answer == Answer(
        output_chars=11,
        reasoning_chars=2,
        tool_calls=1,
        digests=(text_digest("hello there", KEY),),
        awaited=NAME,
    )


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("max_output_tokens", "length"), ("content_filter", "content_filter"), (None, "incomplete")],
)
def test_an_answer_that_ran_into_its_limit_says_so(reason: str | None, finish: str) -> None:
    """As the other dialects call it."""
    details = None if reason is None else {"reason": reason}
    fields: dict[str, Any] = {"incomplete_details": details}
    assert whole(response(said("half"), status="incomplete", **fields)).finish == finish
    events = response_events(said("half"), ending="incomplete", **fields)
    assert heard([sse(events)]).finish == finish


def test_a_failure_is_told_from_an_answer() -> None:
    """By its status, its event, or an error in place of everything."""
    error = {"code": "server_error", "message": "The model failed to generate a response."}
    failed = response(said("half"), status="failed", error=error, usage=None)
    assert whole(failed).failed
    events = response_events(said("half"))[:-1]
    answer = heard([sse(events), sse(numbered([{"type": "response.failed", "response": failed}]))])
    assert (answer.failed, answer.finish, answer.output_chars) == (True, "failed", 4)
    event = {"type": "error", "code": "server_error", "message": "gone", "param": None}
    answer = heard([sse(events), sse(numbered([event]))])
    assert (answer.failed, answer.output_chars) == (True, 4)
    assert whole({"error": {"message": "gone", "type": "server_error"}}).failed


@pytest.mark.parametrize("status", ["queued", "in_progress", "cancelled"])
def test_work_in_the_background_has_no_answer_yet(status: str) -> None:
    """And no id that would vouch for one."""
    answer = whole(response(status=status, background=True, usage=None))
    assert answer == Answer(
        finish=None if status == "in_progress" else status,
        awaited=None if status == "cancelled" else NAME,
    )


def test_refusals_are_text() -> None:
    """Streamed and whole."""
    refusal = said("") | {"content": [{"type": "refusal", "refusal": "I cannot"}]}
    expected = whole(response(refusal))
    assert expected.output_chars == 8
    assert expected.digests[0] == text_digest("I cannot", KEY)
    assert heard([sse(response_events(refusal))]) == expected


def test_reasoning_that_is_served_in_full_is_counted() -> None:
    """As open models are served."""
    parts = [{"type": "reasoning_text", "text": "two and two"}]
    served = thought("") | {"content": parts}
    assert whole(response(served, said("4"))).reasoning_chars == 11
    place = {"item_id": "rs_1", "output_index": 0, "content_index": 0}
    delta = {"type": "response.reasoning_text.delta", "delta": "two and two", **place}
    assert heard([sse(numbered([delta]))]).reasoning_chars == 11


def test_calls_of_the_servers_tools_count_and_what_is_no_call_does_not() -> None:
    """Whatever comes with them."""
    action = {"type": "search", "query": "x", "queries": ["x"]}
    search = {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": action}
    listed = {"id": "l", "type": "mcp_list_tools", "server_label": "s", "tools": []}
    output = (listed, search, said("found"))
    assert whole(response(*output)).tool_calls == 1
    assert heard([sse(response_events(*output))]) == whole(response(*output))


def test_an_answer_within_a_conversation_can_be_referred_to_by_it() -> None:
    """The next request may name nothing else."""
    names = whole(response(said("hi"), conversation={"id": "conv_1"})).names
    assert names == (
        NAME,
        *(text_digest("", KEY, (name,)) for name in ("conv_1", "msg_1")),
    )


@pytest.mark.parametrize(
    "output",
    [
        (said("hello"),),
        (thought("hm"), said("hello")),
        (said("one"), said("two")),
        (called(1),),
        (thought("hm"), called(1), called(2)),
        (said("let me look"), called(1)),
    ],
)
def test_an_answer_comes_back_with_the_same_digest(output: tuple[dict[str, Any], ...]) -> None:
    """As clients append it to their history: whole, by reference, or by the id of the response."""
    served = whole(response(*output))
    digests = (*served.digests, *served.names)
    references = [{"type": "item_reference", "id": item["id"]} for item in output]
    question: dict[str, Any] = {"role": "user", "content": "x"}
    for fields in (
        {"input": [question, *output]},
        {"input": [question, *references]},
        {"input": [question], "previous_response_id": "resp_1"},
    ):
        exchange = read_request(json.dumps(fields).encode(), PATH)[1]
        assert exchange is not None
        turn = next(turn for turn in exchange.turns if turn.role == "assistant")
        assert text_digest(turn.text, KEY, turn.call_ids) in digests


@pytest.mark.parametrize("count", [-5, 10**30, "7", None, {}])
def test_odd_counts_of_tokens_are_brought_into_range(count: object) -> None:
    """Whatever an upstream reports."""
    usage = {"input_tokens": 5, "output_tokens": count}
    answer = whole(HEAD | {"status": "completed", "output": [], "usage": usage})
    assert answer.usage is not None
    assert answer.usage.input_tokens == 5
    assert 0 <= answer.usage.output_tokens <= 2**53


def test_events_with_a_wrong_type_in_one_field_keep_the_others() -> None:
    """Of the event, and of the stream."""
    delta = {"type": "response.output_text.delta", "delta": "a", "output_index": "x"}
    done = {"type": "response.completed", "response": {"status": "completed", "output": [5]}}
    assert heard([sse([delta, delta, done])]) == Answer(
        output_chars=2, finish="completed", digests=(text_digest("aa", KEY),)
    )


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | st.sampled_from(("message", "reasoning", "function_call", "completed", "incomplete",
                       "response.output_text.delta", "response.completed", "error")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(("type", "delta", "item", "response", "output", "content", "summary", "id",
                         "text", "refusal", "status", "usage", "output_tokens", "call_id",
                         "output_tokens_details", "incomplete_details", "reason", "error",
                         "output_index", "conversation")),
        inner, max_size=6),
    max_leaves=25,
)  # fmt: skip


@given(ODD)
def test_arbitrary_json_under_known_names_raises_nothing(value: object) -> None:
    """Every field can be of every type."""
    body = json.dumps(value).encode()
    assert isinstance(heard([body], event_stream=False), Answer)
    assert isinstance(heard([b"data: " + body + b"\n\n"]), Answer)


@given(st.lists(st.binary(max_size=64), max_size=8))
def test_arbitrary_bytes_raise_nothing(pieces: list[bytes]) -> None:
    """Whatever an upstream sends."""
    assert isinstance(heard(pieces), Answer)
    assert isinstance(heard(pieces, event_stream=False), Answer)
