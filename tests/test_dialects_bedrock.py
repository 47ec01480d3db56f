"""Bedrock's converse and invoke: requests of every kind, and refusals."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.dialects import dialect_for, read_request
from gateway_guard.dialects.base import Refusal
from gateway_guard.exchange import Sampling, Turn
from tests.responses_read import asked

ARN = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4"
CONVERSE = "/model/amazon.nova-pro-v1:0/converse"
INVOKE = "/model/anthropic.claude-sonnet-4/invoke"
SCAN = {"name": "scan", "format": "pdf", "source": {"bytes": "AAAA"}}


def said(*blocks: Any, role: str = "user") -> tuple[Turn, ...]:  # noqa: ANN401
    """Return the turns that one message makes."""
    return asked({"messages": [{"role": role, "content": list(blocks)}]}, CONVERSE).turns


@pytest.mark.parametrize(
    ("path", "name", "model", "stream"),
    [
        (CONVERSE, "bedrock_converse", "amazon.nova-pro-v1:0", False),
        (f"{CONVERSE}-stream", "bedrock_converse", "amazon.nova-pro-v1:0", True),
        (f"/bedrock/model/{ARN}/converse-stream/", "bedrock_converse", ARN, True),
        (f"/model/{ARN}/invoke", "bedrock_invoke", ARN, False),
        ("/model/m/invoke-with-response-stream", "bedrock_invoke", "m", True),
    ],
)
def test_the_path_names_model_and_method(path: str, name: str, model: str, *, stream: bool) -> None:
    """The id of a model may be a whole resource name."""
    exchange = asked({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, path)
    assert (exchange.dialect, exchange.model, exchange.stream) == (name, model, stream)
    assert exchange.turns == (Turn("user", "x"),)


@pytest.mark.parametrize("path", ["/model/m/count-tokens", "/async-invoke", "/invoke", "/model/m"])
def test_other_paths_are_read_generically(path: str) -> None:
    """They are no conversations."""
    assert dialect_for(path).name == "generic"


def test_a_conversation_is_read_in_full() -> None:
    """System text, roles, tools, results and how the answer is drawn."""
    use = {"toolUse": {"toolUseId": "t1", "name": "look", "input": {"text": "yes"}}}
    thought = {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}}
    found = {"toolUseId": "t1", "content": [{"text": "17"}, {"json": {"unit": "C"}}, {"image": {}}]}
    exchange = asked(
        {
            "system": [{"text": "be"}, {"cachePoint": {"type": "default"}}, {"text": "brief"}],
            "messages": [
                {"role": "user", "content": [{"text": "how?"}, {"image": {"format": "png"}}]},
                {"role": "assistant", "content": [thought, {"text": "wait"}, use]},
                {"role": "user", "content": [{"toolResult": found}, {"text": "well?"}]},
            ],
            "inferenceConfig": {
                "maxTokens": 100,
                "temperature": 0.1,
                "topP": 0.9,
                "stopSequences": ["a"],
            },
            "additionalModelRequestFields": {
                "thinking": {"type": "enabled", "budget_tokens": 2048},
                "reasoning_effort": "high",
                "top_k": 5,
            },
            "toolConfig": {"tools": [{"toolSpec": {"name": "look"}}]},
            "outputConfig": {"textFormat": {"type": "json_schema", "structure": {}}},
        },
        CONVERSE,
    )
    assert [turn for turn in exchange.turns if "json_schema" not in turn.text] == [
        Turn("system", "be\nbrief"),
        Turn("user", "how?", 1),
        Turn("assistant", "wait", call_ids=("t1",)),
        Turn("assistant", '{"text": "yes"}'),
        Turn("tool", '17\n{"unit": "C"}', 1),
        Turn("user", "well?"),
    ]
    assert "look" in exchange.turns[2].text
    assert exchange.tool_definitions == 1
    assert exchange.sampling == Sampling(
        temperature=0.1,
        top_p=0.9,
        max_tokens=100,
        thinking_tokens=2048,
        effort="high",
        stops=1,
        structured=True,
    )


def test_blocks_of_every_kind_are_read() -> None:
    """Texts as text, what was found as a tool's, the rest is counted."""
    document = {"name": "notes", "context": "C", "source": {"text": "body"}}
    pieces = {"name": "pieces", "source": {"content": [{"text": "one"}, {"text": "two"}]}}
    cited = {"content": [{"text": "cited"}], "citations": [{"title": "T"}]}
    found = {"source": "s", "title": "F", "content": [{"text": "found"}]}
    guarded = {"text": {"text": "guarded", "qualifiers": ["query"]}}
    assert said(
        {"document": document},
        {"document": pieces},
        {"document": SCAN},
        {"guardContent": guarded},
        {"guardContent": {"image": {}}},
        {"citationsContent": cited},
        {"video": {}},
        {"audio": {}},
        {"cachePoint": {}},
        {"toolAddition": {}},
        {"searchResult": found},
        {"holoData": {"words": ["from", "tomorrow"]}},
    ) == (
        Turn("user", "notes\nC\nbody\npieces\none\ntwo\nscan\nguarded\ncited", 4),
        Turn("tool", "F\nfound"),
        Turn("user", "from\ntomorrow"),
    )


def test_thoughts_are_passed_over_only_if_they_are_the_models() -> None:
    """Nobody else hides words there."""
    thought = {"reasoningContent": {"reasoningText": {"text": "hm"}}}
    redacted = {"reasoningContent": {"redactedContent": "AAAA"}}
    assert said(thought, redacted, {"text": "x"}, role="assistant") == (Turn("assistant", "x"),)
    assert said(thought, redacted, {"text": "x"}) == (Turn("user", "hm\nx"),)


def test_content_may_be_a_string() -> None:
    """As gateways write it."""
    body = {"system": "s", "messages": [{"content": "a"}, {"content": ["b", {"text": "c"}]}]}
    assert asked(body, CONVERSE).turns == (
        Turn("system", "s"),
        Turn("user", "a"),
        Turn("user", "b\nc"),
    )
    result = {"toolResult": {"content": "found"}}
    assert said(result) == (Turn("tool", "found"),)


def test_the_variables_of_a_kept_prompt_are_what_is_asked() -> None:
    """The prompt itself is upstream."""
    variables = {"topic": {"text": "cats"}, "tone": {"text": "kind"}, "none": {}}
    assert asked({"promptVariables": variables}, CONVERSE).turns == (Turn("user", "cats\nkind"),)


def test_a_wrong_type_elsewhere_loses_no_text() -> None:
    """What can be made sense of is read."""
    body = {
        "messages": [{"role": "user", "content": [{"text": "x"}]}],
        "inferenceConfig": {"topP": [], "temperature": "0.5"},
        "toolConfig": 7,
    }
    exchange = asked(body, CONVERSE)
    assert exchange.turns == (Turn("user", "x"),)
    assert exchange.sampling == Sampling(temperature=0.5)


def test_nothing_said_is_no_exchange() -> None:
    """Bedrock refuses it."""
    assert read_request(b"{}", CONVERSE)[1] is None
    assert read_request(b"{}", INVOKE)[1] is None


def test_a_model_of_anthropics_is_invoked_in_anthropics_words() -> None:
    """Its parameters and tools included."""
    body = {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 100,
        "system": "s",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}],
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "tools": [{"name": "look"}],
    }
    exchange = asked(body, INVOKE)
    assert (exchange.dialect, exchange.model) == ("bedrock_invoke", "anthropic.claude-sonnet-4")
    assert exchange.turns[:2] == (Turn("system", "s"), Turn("user", "x"))
    assert exchange.sampling == Sampling(max_tokens=100, thinking_tokens=1024)
    assert exchange.tool_definitions == 1


@pytest.mark.parametrize(
    ("body", "turns", "drawn"),
    [
        (
            {"inputText": "x", "textGenerationConfig": {"maxTokenCount": 9, "topP": 0.5}},
            (Turn("user", "x"),),
            Sampling(max_tokens=9, top_p=0.5),
        ),
        (
            {"prompt": "x", "max_gen_len": 9, "temperature": 0.5},
            (Turn("user", "x"),),
            Sampling(max_tokens=9, temperature=0.5),
        ),
        (
            {
                "schemaVersion": "messages-v1",
                "system": [{"text": "s"}],
                "messages": [{"role": "user", "content": [{"text": "x"}]}],
                "inferenceConfig": {"max_new_tokens": 9},
            },
            (Turn("system", "s"), Turn("user", "x")),
            Sampling(max_tokens=9),
        ),
        (
            {"texts": ["x", "y"], "input_type": "search_document"},
            (Turn("user", "x"), Turn("user", "y")),
            Sampling(answers=2),
        ),
    ],
)
def test_other_models_are_invoked_in_their_own_words(
    body: dict[str, Any], turns: tuple[Turn, ...], drawn: Sampling
) -> None:
    """Of Titan, Llama, Nova and an embedding model."""
    exchange = asked(body, INVOKE)
    assert (exchange.turns, exchange.sampling) == (turns, drawn)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "ValidationException"),
        (403, "AccessDeniedException"),
        (413, "ValidationException"),
        (429, "ThrottlingException"),
        (500, "InternalServerException"),
        (503, "ServiceUnavailableException"),
    ],
)
@pytest.mark.parametrize("path", [CONVERSE, INVOKE])
def test_refusals_are_amazons_errors(status: int, kind: str, path: str) -> None:
    """With the type that its clients raise."""
    refusal = Refusal(status, "Write to abuse@example.com.", "req_1", "abnormal_usage")
    assert json.loads(dialect_for(path).error_body(refusal)) == {
        "__type": kind,
        "message": "Write to abuse@example.com.",
    }


NAMES = st.sampled_from(
    (
        *("messages", "role", "content", "text", "toolUse", "toolResult", "json", "system"),
        *("toolUseId", "input", "image", "document", "source", "name", "guardContent"),
        *("searchResult", "citationsContent", "reasoningContent", "inferenceConfig", "topP"),
        *("promptVariables", "toolConfig", "tools", "outputConfig", "textFormat"),
    )
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=20,
)


@given(JSON | st.binary(max_size=64), st.sampled_from([CONVERSE, INVOKE]))
def test_arbitrary_requests_raise_nothing(value: object, path: str) -> None:
    """Whatever a client sends."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    assert read_request(body, path)[0].name == dialect_for(path).name
