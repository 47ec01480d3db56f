"""Answers of Gemini: whole, as events, as an array that grows, however they are split."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.dialects import dialect_for
from gateway_guard.exchange import Answer, Usage
from tests.responses_read import (
    KEY,
    PIECES,
    asked,
    cut,
    digest_of,
    heard,
    heard_json,
    repeated,
    same_wherever_split,
)

PATH = "/v1beta/models/gemini-2.5-pro:streamGenerateContent"
MORE = {"modelVersion": "gemini-2.5-pro", "responseId": "Il0taoSYJ5Cez7"}
CALL = {"functionCall": {"name": "look", "args": {"place": "here", "depth": 2}}}


def chunk(*parts: dict[str, Any], tokens: dict[str, Any] | None = None, **more: Any) -> Any:  # noqa: ANN401
    """Return a chunk as Google streams it."""
    candidate = {"content": {"parts": list(parts), "role": "model"}, "index": 0, **more}
    return {"candidates": [candidate], "usageMetadata": tokens or {"promptTokenCount": 8}, **MORE}


CHUNKS = (
    chunk(
        {"text": "**Weighing** {both} sides\n\n", "thought": True},
        tokens={"promptTokenCount": 8, "totalTokenCount": 31, "thoughtsTokenCount": 23},
    ),
    chunk({"text": 'Grüß "dich", 🐈 \\ ] }'}),
    chunk({"text": " and [you"}, {"text": ".\n"}),
    chunk({**CALL, "thoughtSignature": "Q2o4Qg=="}),
    chunk(
        {"text": "", "thoughtSignature": "EjQKMgEM=="},
        tokens={
            "promptTokenCount": 8,
            "candidatesTokenCount": 12,
            "totalTokenCount": 43,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 8}],
            "thoughtsTokenCount": 23,
        },
        finishReason="STOP",
    ),
)
SAID = 'Grüß "dich", 🐈 \\ ] } and [you.\n'
ANSWER = Answer(
    output_chars=len(SAID),
    reasoning_chars=27,
    tool_calls=1,
    finish="STOP",
    usage=Usage(8, 35, 23),
    digests=(digest_of(SAID),),
)
SSE = b"".join(b"data: " + json.dumps(one).encode() + b"\r\n\r\n" for one in CHUNKS)
ARRAY = b"[%b]" % b",\r\n".join(
    json.dumps(one, indent=2, ensure_ascii=False).encode() for one in CHUNKS
)
COMPACT = json.dumps(CHUNKS, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    ("body", "event_stream"),
    [(SSE, True), (ARRAY, False), (COMPACT, False), (ARRAY + b"\n", False)],
)
def test_a_stream_reads_the_same_wherever_it_is_split(body: bytes, *, event_stream: bool) -> None:
    """As events and as an array, pretty or not."""
    assert heard([body], PATH, event_stream=event_stream) == ANSWER
    assert same_wherever_split(body, PATH, event_stream=event_stream)


@given(places=st.lists(st.integers(0, 200_000), max_size=12), event_stream=st.booleans())
def test_a_long_stream_reads_the_same_wherever_it_is_split(
    places: list[int], *, event_stream: bool
) -> None:
    """Over the borders of the batches that it is read in."""
    one = json.dumps(chunk({"text": "x{[\\" * 50}), indent=1).encode()
    array = b"[" + b",\n".join([one] * 200) + b"]"
    events = b"data: " + one.replace(b"\n", b"") + b"\n\n"
    body = events * 200 if event_stream else array
    assert heard(cut(body, places), PATH, event_stream=event_stream).output_chars == 40_000


def test_an_answer_is_read_whole() -> None:
    """Each candidate is a choice; what was cached and what tools took is the prompt's."""
    body = {
        "candidates": [
            {"content": {"parts": [{"text": "one"}]}, "finishReason": "MAX_TOKENS"},
            {"content": {"parts": [{"text": "two"}]}, "finishReason": "STOP", "index": 1},
        ],
        "usageMetadata": {
            "promptTokenCount": 8,
            "toolUsePromptTokenCount": 5,
            "cachedContentTokenCount": 4,
            "candidatesTokenCount": 2,
        },
    }
    assert heard_json(body, PATH) == Answer(
        output_chars=6,
        finish="STOP",
        usage=Usage(13, 2),
        digests=(digest_of("one"), digest_of("two")),
    )
    assert heard_json({"response": body}, PATH) == heard_json(body, PATH)


def test_an_answer_that_was_only_thought_has_its_tokens() -> None:
    """The limit may be reached before the first word."""
    tokens = {"promptTokenCount": 8, "thoughtsTokenCount": 64}
    body = {"candidates": [{"finishReason": "MAX_TOKENS"}], "usageMetadata": tokens}
    assert heard_json(body, PATH) == Answer(finish="MAX_TOKENS", usage=Usage(8, 64, 64))


def test_a_prompt_that_is_not_answered_says_why() -> None:
    """There is no candidate then."""
    assert heard_json({"promptFeedback": {"blockReason": "SAFETY"}}, PATH).finish == "SAFETY"


def test_code_that_the_model_ran_is_a_call() -> None:
    """Without an id."""
    parts = ({"executableCode": {"code": "print(4)"}}, {"codeExecutionResult": {"output": "4"}})
    assert heard_json(chunk(*parts, {"text": "four"}), PATH) == Answer(
        output_chars=4, tool_calls=1, usage=Usage(8), digests=(digest_of("four"),)
    )


@pytest.mark.parametrize(
    "parts",
    [
        [{"text": "hm", "thought": True}, {"text": "in "}, {"text": "parts"}],
        [CALL],
        [{"functionCall": {"id": "f1", "name": "look", "args": {}}}, CALL],
        [{"text": "wait"}, CALL],
        [{"text": "wait"}, {"executableCode": {"code": "print(4)"}}],
    ],
)
def test_an_answer_comes_back_with_the_same_digest(parts: list[dict[str, Any]]) -> None:
    """As clients append it to their history, calls without ids included."""
    (digest,) = heard_json(chunk(*parts), PATH).digests
    contents = [{"parts": [{"text": "x"}]}, {"role": "model", "parts": parts}]
    assert repeated(asked({"contents": contents}, PATH)) == digest


ERROR = {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}


@pytest.mark.parametrize("indent", [None, 2])
def test_an_error_in_the_middle_is_seen(indent: int | None) -> None:
    """Among events it is bare JSON, in an array one more element."""
    error = json.dumps(ERROR, indent=indent).encode()
    first = json.dumps(CHUNKS[1]).encode()
    for stream in (
        b"data: " + first + b"\n\n" + error + b"\n",
        b"data: " + first + b"\n\n[" + error + b"]",
        b"data: " + first + b"\n\ndata: " + json.dumps(ERROR).encode() + b"\n\n",
        error,
    ):
        assert heard([stream], PATH, event_stream=True).failed
        assert same_wherever_split(stream, PATH, event_stream=True)
    array = heard([b"[" + first + b",\n" + error + b"]"], PATH)
    assert array.failed
    assert array.output_chars > 0
    assert heard([error], PATH).failed


def test_an_array_that_broke_off_is_read_as_far_as_it_came() -> None:
    """The client left, or the connection did."""
    broken = ARRAY[: ARRAY.index(b"and [you")]
    answer = heard([broken], PATH)
    assert answer.output_chars == len('Grüß "dich", 🐈 \\ ] }')
    assert answer.reasoning_chars == 27
    assert answer.finish is None


def test_an_element_of_a_wrong_type_does_not_touch_the_others() -> None:
    """It is read as far as it makes sense."""
    odd = {**chunk({"text": "b"}), "usageMetadata": 7}
    body = json.dumps([chunk({"text": "a"}), odd, 7, None, [chunk({"text": "c"})]]).encode()
    assert heard([body], PATH) == Answer(
        output_chars=3, usage=Usage(8), digests=(digest_of("abc"),)
    )


def test_an_array_without_end_is_read_in_bounded_memory() -> None:
    """Twenty megabytes of it leave less than six behind."""
    reader = dialect_for(PATH).response_reader(event_stream=False, digest_key=KEY)
    element = b"[" + json.dumps(chunk({"text": "z" * 4_000})).encode() + b","
    tracemalloc.start()
    for _ in range(5_000):
        reader.feed(element)
    kept, _peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 6_000_000
    assert reader.finish().output_chars == 20_000_000


def test_a_value_over_eight_mebibytes_is_let_go() -> None:
    """With all that follows it; what came before counts."""
    first = json.dumps(chunk({"text": "a"})).encode() + b"\n"
    huge = json.dumps(chunk({"text": "z" * 9_000_000})).encode()
    pieces = [first, huge[:5_000_000], huge[5_000_000:-1], huge[-1:], first]
    assert heard(pieces, PATH).output_chars == 1


@pytest.mark.parametrize("event_stream", [False, True])
@given(pieces=PIECES)
def test_arbitrary_bytes_raise_nothing(pieces: list[bytes], *, event_stream: bool) -> None:
    """Whatever an upstream sends."""
    assert isinstance(heard(pieces, PATH, event_stream=event_stream), Answer)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(
                    (
                        *(
                            "candidates",
                            "content",
                            "parts",
                            "text",
                            "thought",
                            "functionCall",
                            "args",
                        ),
                        *(
                            "usageMetadata",
                            "promptTokenCount",
                            "thoughtsTokenCount",
                            "index",
                            "error",
                        ),
                        *("finishReason", "promptFeedback", "response", "executableCode", "name"),
                    )
                ),
                inner,
                max_size=5,
            )
        ),
        max_leaves=20,
    )
)
def test_arbitrary_json_under_known_names_raises_nothing(value: object) -> None:
    """Every field can be of every type."""
    body = json.dumps(value).encode()
    assert isinstance(heard([body], PATH), Answer)
    assert isinstance(heard([b"data: " + body + b"\n\n"], PATH, event_stream=True), Answer)
