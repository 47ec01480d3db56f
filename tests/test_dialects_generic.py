"""Requests of other shapes: what is said in them is found, and nothing in what says nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.dialects import read_request
from gateway_guard.exchange import Exchange, Sampling, Turn

LOOK = {"type": "function", "function": {"name": "look", "parameters": {"query": "no"}}}


def read(body: object, path: str = "/any") -> Exchange:
    """Read a request in which there is an exchange."""
    exchange = read_request(json.dumps(body).encode(), path)[1]
    assert exchange is not None
    assert (exchange.dialect, exchange.unparsed) == ("generic", False)
    return exchange


def users(*texts: str) -> tuple[Turn, ...]:
    """Return a turn of the user for each text."""
    return tuple(Turn("user", text) for text in texts)


def test_a_gemini_request_is_read_in_full() -> None:
    """Roles, parts, calls, results, pictures, thoughts and configuration."""
    answer = [
        {"text": "hm", "thought": True},
        {"text": "wait", "thoughtSignature": "c2ln"},
        {"functionCall": {"id": "fc_1", "name": "look", "args": {"text": "yes"}}},
    ]
    result = {"functionResponse": {"name": "look", "response": {"result": "17 degrees"}}}
    picture = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    exchange = read(
        {
            "contents": [
                {"role": "user", "parts": [{"text": "how is"}, picture, {"text": "it?"}]},
                {"role": "model", "parts": answer},
                {"role": "user", "parts": [result]},
            ],
            "systemInstruction": {"parts": [{"text": "be brief"}]},
            "tools": [{"functionDeclarations": [{"name": "look"}, {"name": "listen"}]}],
            "safetySettings": [{"text": "no"}],
            "generationConfig": {
                "temperature": 0.5,
                "topP": 0.9,
                "maxOutputTokens": 100,
                "candidateCount": 2,
                "stopSequences": ["a"],
                "seed": 1,
                "responseLogprobs": True,
                "logprobs": 5,
                "responseMimeType": "application/json",
                "thinkingConfig": {"thinkingBudget": 1024},
            },
        },
        "/v1beta/models/gemini-2.5-pro:streamOtherwise",
    )
    assert exchange.turns == (
        Turn("system", "be brief"),
        Turn("user", "how is\nit?", 1),
        Turn("system", '[{"functionDeclarations":[{"name":"look"},{"name":"listen"}]}]'),
        Turn("assistant", "wait", 0, ("fc_1",)),
        Turn("assistant", '{"text":"yes"}'),
        Turn("tool", "17 degrees"),
    )
    assert exchange.sampling == Sampling(
        temperature=0.5,
        top_p=0.9,
        max_tokens=100,
        thinking_tokens=1024,
        answers=2,
        stops=1,
        logprobs=True,
        top_logprobs=5,
        seeded=True,
        structured=True,
    )
    assert (exchange.model, exchange.stream) == ("gemini-2.5-pro", True)
    assert exchange.tool_definitions == 2


def test_an_openai_responses_request_is_read_in_full() -> None:
    """Items of every kind, instructions and the form of the text."""
    schema = {"properties": {"query": {"description": "yes"}}}
    exchange = read(
        {
            "model": "gpt",
            "instructions": "be brief",
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "how is it?"}]},
                {"type": "reasoning", "summary": [], "encrypted_content": "zz"},
                {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "call_1", "output": "17 degrees"},
                {"role": "assistant", "content": [{"type": "output_text", "text": "mild"}]},
                {"role": "user", "content": "thanks"},
            ],
            "text": {"format": {"type": "json_schema", "schema": schema}},
            "reasoning": {"effort": "high"},
            "max_output_tokens": 100,
            "tools": [LOOK],
            "safety_identifier": "someone",
            "stream": True,
        },
        "/any",
    )
    form = '{"type":"json_schema","schema":{"properties":{"query":{"description":"yes"}}}}'
    assert exchange.turns == (
        Turn("system", "be brief"),
        Turn("user", "how is it?"),
        Turn("system", f"{json.dumps([LOOK], separators=(',', ':'))}\n{form}"),
        Turn("assistant", "", 0, ("call_1",)),
        Turn("tool", "17 degrees"),
        Turn("assistant", "mild"),
        Turn("user", "thanks"),
    )
    assert exchange.sampling == Sampling(max_tokens=100, effort="high", structured=True)
    assert (exchange.stream, exchange.end_user, exchange.tool_definitions) == (True, "someone", 1)


def test_a_bedrock_conversation_is_read_in_full() -> None:
    """Blocks without types, and a model in the path."""
    use = {"toolUse": {"toolUseId": "tooluse_1", "name": "look", "input": {"text": "yes"}}}
    thought = {"reasoningContent": {"reasoningText": {"text": "hm"}}}
    result = {"toolUseId": "tooluse_1", "content": [{"text": "17"}, {"json": {"unit": "degrees"}}]}
    exchange = read(
        {
            "system": [{"text": "be"}, {"text": "brief"}],
            "messages": [
                {"role": "user", "content": [{"text": "how?"}, {"image": {"format": "png"}}]},
                {"role": "assistant", "content": [thought, use]},
                {"role": "user", "content": [{"toolResult": result}, {"text": "well?"}]},
            ],
            "inferenceConfig": {"maxTokens": 100, "temperature": 0.1, "stopSequences": ["a"]},
            "toolConfig": {"tools": [{"toolSpec": {"name": "look"}}]},
        },
        "/model/anthropic.claude-v2:1/talk-stream",
    )
    assert exchange.turns == (
        Turn("system", "be\nbrief"),
        Turn("user", "how?", 1),
        Turn("system", '{"tools":[{"toolSpec":{"name":"look"}}]}'),
        Turn("assistant", "", 0, ("tooluse_1",)),
        Turn("assistant", '{"text":"yes"}'),
        Turn("tool", "17\ndegrees"),
        Turn("user", "well?"),
    )
    assert exchange.sampling == Sampling(max_tokens=100, temperature=0.1, stops=1)
    assert (exchange.model, exchange.stream) == ("anthropic.claude-v2:1", True)
    assert exchange.tool_definitions == 1


def test_messages_of_both_chat_dialects_are_read_at_any_path() -> None:
    """An alias that nobody thought of is no way around."""
    calls = [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    exchange = read(
        {
            "model": "m",
            "messages": [
                {"role": "system", "content": "be brief"},
                {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image"}]},
                {"role": "assistant", "content": None, "tool_calls": calls},
                {"role": "tool", "tool_call_id": "call_1", "content": "b"},
                {"role": "user", "content": [{"type": "tool_result", "content": "c"}]},
            ],
            "metadata": {"user_id": "someone", "text": "no"},
        },
        "/invocations",
    )
    assert exchange.turns == (
        Turn("system", "be brief"),
        Turn("user", "a", 1),
        Turn("assistant", "", 0, ("call_1",)),
        Turn("tool", "b"),
        Turn("tool", "c"),
    )
    assert (exchange.end_user, exchange.sampling.answers) == ("someone", 1)


def test_history_comes_before_what_is_said_now() -> None:
    """Whatever the order of the fields."""
    history = [{"role": "USER", "message": "a"}, {"role": "CHATBOT", "message": "b"}]
    exchange = read({"message": "now", "chat_history": history, "preamble": "be brief"})
    assert exchange.turns == (
        Turn("system", "be brief"),
        Turn("user", "a"),
        Turn("assistant", "b"),
        Turn("user", "now"),
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"prompt": "x"}, users("x")),
        ({"inputs": "x", "parameters": {}}, users("x")),
        ({"inputText": "x"}, users("x")),
        ({"text": "x"}, users("x")),
        ({"query": "x", "documents": ["y", {"text": "z"}]}, users("x", "y", "z")),
        ({"inputs": {"question": "x", "context": "y"}}, users("x")),
        ({"inputs": {"a": "x", "b": "y"}}, users("x\ny")),
        ({"instances": [{"prompt": "x"}, {"content": "y"}]}, users("x", "y")),
        ({"deep": {"er": [{"prompt": "x"}]}}, users("x")),
        ({"content": {"parts": [{"text": "x"}]}}, users("x")),
        ({"content": [{"text": "x"}, {"text": "y"}]}, users("x\ny")),
        ({"role": "user", "content": "x"}, users("x")),
        ({"conversation": [{"from": "human", "value": "x"}]}, users("x")),
        ([{"role": "user", "content": "x"}], users("x")),
        ({"prompt": ""}, users("")),
    ],
)
def test_fields_that_hold_prompts_are_known_by_name(
    body: object, expected: tuple[Turn, ...]
) -> None:
    """In all the shapes that servers take them in."""
    assert read(body).turns == expected


@pytest.mark.parametrize(
    ("body", "answers"),
    [
        ({"prompt": ["x", "y", "z"], "n": 2}, 6),
        ({"prompt": "x", "best_of": 3}, 3),
        ({"input": ["x", "y"]}, 2),
        ({"input": [[1, 2], [3]]}, 2),
        ({"prompt": [1, 2, 3]}, 1),
        ({"requests": [{"params": {"messages": [{"role": "user", "content": "x"}]}}] * 4}, 4),
        ({"inputs": "x", "parameters": {"num_return_sequences": 5}}, 5),
        ({"prompt": ["x"] * 9_000, "n": 2}, 16384),
    ],
)
def test_each_prompt_of_a_list_wants_an_answer(body: object, answers: int) -> None:
    """As many as are drawn for it."""
    assert read(body).sampling.answers == answers


def test_prompts_of_token_numbers_are_texts_of_numbers() -> None:
    """Templates repeat in them as well."""
    assert read({"prompt": [[1, 22, 333], [4]]}).turns == users("1 22 333", "4")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"options": {"num_predict": 9, "stop": ["a"]}}, Sampling(max_tokens=9, stops=1)),
        ({"sampling_params": {"max_new_tokens": 9}}, Sampling(max_tokens=9)),
        ({"max_tokens_to_sample": "9"}, Sampling(max_tokens=9)),
        (
            {"logprobs": 5, "logit_bias": {"1": 2}},
            Sampling(logprobs=True, top_logprobs=5, logit_bias=1),
        ),
        ({"thinking": {"type": "enabled", "budget_tokens": 9}}, Sampling(thinking_tokens=9)),
        ({"format": "json"}, Sampling(structured=True)),
        ({"response_format": {"type": "text"}}, Sampling()),
        ({"guided_json": {"type": "object"}}, Sampling(structured=True)),
        ({"temperature": [], "max_tokens": -5, "stop": 7, "effort": 3}, Sampling()),
    ],
)
def test_parameters_go_by_many_names(options: dict[str, Any], expected: Sampling) -> None:
    """In the request itself and in the configurations inside it."""
    assert read({"prompt": "x", **options}).sampling == expected


@pytest.mark.parametrize(
    "body",
    [
        {"name": "team", "models": ["gpt"], "budget": 5},
        {"tools": [LOOK], "metadata": {"text": "no"}},
        {"prompt": None, "input": [], "messages": [], "text": {"format": {"type": "text"}}},
        {"system": ""},
        {"prompt": 17},
        {"items": ["a", "b", 3]},
        [],
        ["a"],
    ],
)
def test_what_holds_no_prompt_is_no_exchange(body: object) -> None:
    """Management calls are none."""
    assert read_request(json.dumps(body).encode(), "/any")[1] is None


@pytest.mark.parametrize(
    "path",
    ["/v1/messages/count_tokens", "/v1beta/models/gemini:countTokens", "/tokenize", "/detokenize/"],
)
def test_counting_tokens_asks_for_no_answer(path: str) -> None:
    """Nothing is learned from it."""
    body = b'{"messages":[{"role":"user","content":"x"}]}'
    assert read_request(body, path)[1] is None


def test_a_body_larger_than_the_walk_is_read_as_bytes() -> None:
    """Padding hides nothing: not around the prompt, and not above it."""
    nested: object = {"prompt": "find me"}
    for _ in range(50):
        nested = {"a": nested}
    for body in ({"pad": [{}] * 60_000, "z": {"prompt": "find me"}}, nested):
        exchange = read_request(json.dumps(body).encode(), "/any")[1]
        assert exchange is not None
        assert exchange.unparsed
        assert "find me" in exchange.turns[0].text


def test_the_model_is_named_in_the_body_or_in_the_path() -> None:
    """The body goes first."""
    assert read({"prompt": "x", "modelId": "m"}, "/models/other").model == "m"
    assert read({"prompt": "x"}, "/v1/engines/davinci/generate").model == "davinci"
    assert read({"prompt": "x"}).model == ""


NAMES = st.sampled_from(
    (
        "call_id", "chat_history", "content", "contents", "documents", "functionCall", "id",
        "functionResponse", "generationConfig", "inlineData", "input", "inputs", "instances",
        "logit_bias", "max_tokens", "message", "messages", "metadata", "model", "n", "options",
        "output", "parts", "prompt", "role", "stop", "stream", "system", "temperature", "text",
        "thought", "tool_calls", "toolConfig", "toolResult", "toolUse", "tools", "type", "user",
    )
)  # fmt: skip
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(("user", "text", "function_call", "function_call_output", "tool_result")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=25,
)
PATHS = st.sampled_from(("/any", "/v1/chat/completions", "/v1/messages", "/v1/messages/batches"))


@given(VALUES, PATHS)
def test_arbitrary_json_under_known_names_raises_nothing(value: object, path: str) -> None:
    """Every field can be of every type, and every text can be encoded."""
    exchange = read_request(json.dumps(value).encode(), path)[1]
    for turn in exchange.turns if exchange else ():
        turn.text.encode()
        assert all(isinstance(call_id, str) for call_id in turn.call_ids)


@given(st.binary(max_size=200), PATHS)
def test_arbitrary_bytes_raise_nothing(body: bytes, path: str) -> None:
    """Whatever a client sends."""
    exchange = read_request(body, path)[1]
    assert exchange is None or exchange.body_bytes == len(body)
