"""Requests to Gemini: contents of every kind, methods, batches, caches, and refusals."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.dialects import dialect_for, read_request
from gateway_guard.dialects.base import Refusal
from gateway_guard.exchange import MOST_OTHERS, Exchange, Sampling, Turn
from tests.responses_read import asked

MODEL = "/v1beta/models/gemini-2.5-pro"
PATH = f"{MODEL}:generateContent"
STREAM = f"{MODEL}:streamGenerateContent"
VERTEX = "/v1/projects/p/locations/l/publishers/google/models/gemini-2.5-pro"
SIGNED = {"thoughtSignature": "c2ln"}
PNG = {"mimeType": "image/png", "data": "AAAA"}
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


def user(*parts: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a content of the user."""
    return {"role": "user", "parts": list(parts)}


def model(*parts: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a content of the model."""
    return {"role": "model", "parts": list(parts)}


def text(words: str) -> dict[str, Any]:
    """Return a part that is text."""
    return {"text": words}


def turns(*contents: Any, **fields: Any) -> tuple[Turn, ...]:  # noqa: ANN401
    """Return the turns that contents make."""
    return asked({"contents": list(contents), **fields}, PATH).turns


def said(words: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a request that says one thing."""
    return {"contents": [user(text(words))], **more}


@pytest.mark.parametrize(
    ("path", "name", "stream"),
    [
        (PATH, "gemini-2.5-pro", False),
        (STREAM, "gemini-2.5-pro", True),
        ("/v1/models/gemini-2.5-flash:generateContent/", "gemini-2.5-flash", False),
        ("/models/team/gemini:streamGenerateContent", "team/gemini", True),
        ("/v1beta/tunedModels/mine:generateContent", "tunedModels/mine", False),
        (f"/vertex_ai{VERTEX}:streamGenerateContent", "gemini-2.5-pro", True),
        ("/v1/projects/p/locations/l/endpoints/7:generateContent", "endpoints/7", False),
    ],
)
def test_the_path_names_model_and_method(path: str, name: str, *, stream: bool) -> None:
    """Under any prefix, of both clouds and of gateways."""
    exchange = asked(said("hello", model="models/other"), path)
    assert exchange == Exchange(
        "gemini_generate",
        name,
        (Turn("user", "hello"),),
        stream=stream,
        body_bytes=exchange.body_bytes,
    )


@pytest.mark.parametrize("name", ["systemInstruction", "system_instruction"])
@pytest.mark.parametrize(
    "system",
    [{"parts": [text("be"), text("brief")]}, {"parts": text("be\nbrief")}, "be\nbrief"],
)
def test_the_system_text_comes_first(name: str, system: object) -> None:
    """Under both of its names, as a content or less."""
    expected = (Turn("system", "be\nbrief"), Turn("user", "x"))
    assert turns(user(text("x")), **{name: system}) == expected


@pytest.mark.parametrize(
    "contents",
    [
        [{"parts": [text("a"), text("b")]}],
        [{"role": "user", "parts": [text("a"), "b"]}],
        {"parts": {"text": "a\nb"}},
        [{"parts": "a\nb"}],
        ["a\nb"],
        "a\nb",
    ],
)
def test_contents_may_be_written_shorter(contents: object) -> None:
    """Google takes one where a list belongs, gateways take strings."""
    assert asked({"contents": contents}, PATH).turns == (Turn("user", "a\nb"),)


def test_a_conversation_keeps_its_order() -> None:
    """The model's turns are the assistant's, a function's the tool's."""
    function = {"role": "function", "parts": [text("found")]}
    assert turns(user(text("a")), model(text("b")), function, user(text("c"))) == (
        Turn("user", "a"),
        Turn("assistant", "b"),
        Turn("tool", "found"),
        Turn("user", "c"),
    )


def test_thoughts_that_come_back_are_no_text() -> None:
    """Nor are signatures; who is not the model cannot hide words as thoughts."""
    thought = {"text": "hm", "thought": True}
    assert turns(model(thought, text("four"), SIGNED, {"thought": True})) == (
        Turn("assistant", "four"),
    )
    assert turns(user(thought)) == (Turn("user", "hm"),)


@pytest.mark.parametrize("part", [{"inlineData": PNG}, {"inline_data": PNG}, {"fileData": {}}])
def test_what_is_no_text_is_counted(part: dict[str, Any]) -> None:
    """Pictures, sound, files."""
    assert turns(user(text("look"), part, part)) == (Turn("user", "look", 2),)
    assert turns(user({**text("look"), next(iter(part)): None})) == (Turn("user", "look"),)


@pytest.mark.parametrize(
    ("call", "result"),
    [("functionCall", "functionResponse"), ("function_call", "function_response")],
)
def test_calls_and_results_of_functions_are_turns_of_their_own(call: str, result: str) -> None:
    """What a function returned is never taken for what a person wrote."""
    asked_for = {call: {"id": "f1", "name": "look", "args": {"place": "here"}}}
    found = {result: {"id": "f1", "name": "look", "response": {"output": "there"}}}
    scan = {result: {"name": "look", "response": {}, "parts": [{"inlineData": PNG}]}}
    assert turns(model(text("wait"), asked_for), user(found, scan, text("and?"))) == (
        Turn("assistant", "wait", call_ids=("f1",)),
        Turn("assistant", '{"place": "here"}'),
        Turn("tool", '{"output": "there"}'),
        Turn("tool", "", 1),
        Turn("user", "and?"),
    )


def test_a_call_without_an_id_is_known_by_what_it_says() -> None:
    """In whatever order its arguments come back."""
    one, other = (
        turns(model({"functionCall": {"name": "f", "args": args}}))
        for args in ({"a": 1, "b": [2]}, {"b": [2], "a": 1})
    )
    assert one[0] == other[0] == Turn("assistant", "", call_ids=('f({"a":1,"b":[2]})',))
    (bare,) = turns(model({"functionCall": {"name": "f"}}))
    assert bare == turns(model({"functionCall": {"name": "f", "args": {}}}))[0]


def test_arguments_that_cannot_be_read_are_kept_as_they_are() -> None:
    """A number may be larger than any."""
    body = b'{"contents":[{"role":"model","parts":[{"functionCall":{"args":{"x":1e999}}}]}]}'
    exchange = dialect_for(PATH).read_request(body, PATH)
    assert exchange is not None
    assert exchange.turns[0].call_ids == ('({"x":1e999})',)


def test_code_that_was_run_is_the_models_and_its_output_a_tools() -> None:
    """As the server's own tools."""
    code = {"executableCode": {"language": "PYTHON", "code": "print(4)"}}
    output = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "4"}}
    assert turns(model(text("wait"), code, output, text("four"))) == (
        Turn("assistant", "wait\nfour"),
        Turn("assistant", '"print(4)"'),
        Turn("tool", "4"),
    )


def test_a_part_of_an_unknown_kind_is_text() -> None:
    """Nothing is said unseen."""
    part = {"holoData": {"words": ["from", "tomorrow"]}}
    assert turns(user(text("see"), part)) == (Turn("user", "see\nfrom\ntomorrow"),)


@pytest.mark.parametrize("config", ["generationConfig", "generation_config"])
@pytest.mark.parametrize(
    "fields",
    [
        {
            "topP": 0.9,
            "maxOutputTokens": 100,
            "candidateCount": 3,
            "stopSequences": ["a", "b"],
            "responseMimeType": "application/json",
            "responseLogprobs": True,
            "thinkingConfig": {"thinkingBudget": 512, "thinkingLevel": "LOW"},
        },
        {
            "top_p": "0.9",
            "max_output_tokens": 100.0,
            "candidate_count": 3,
            "stop_sequences": ["a", "b"],
            "response_schema": {"type": "object"},
            "response_logprobs": True,
            "thinking_config": {"thinking_budget": 512, "thinking_level": "low"},
        },
    ],
)
def test_how_the_answer_is_drawn_has_two_names(config: str, fields: dict[str, Any]) -> None:
    """Those of the documentation and those of the protocol."""
    more = {"temperature": 0.5, "logprobs": 5, "seed": 7, **fields}
    assert asked(said("x", **{config: more}), PATH).sampling == Sampling(
        temperature=0.5,
        top_p=0.9,
        max_tokens=100,
        thinking_tokens=512,
        effort="low",
        answers=3,
        stops=2,
        logprobs=True,
        top_logprobs=5,
        seeded=True,
        structured=True,
    )


def test_plain_text_is_no_structure_and_thinking_may_be_left_to_the_model() -> None:
    """A budget of -1 means that."""
    config = {"responseMimeType": "text/plain", "thinkingConfig": {"thinkingBudget": -1}}
    assert asked(said("x", generationConfig=config), PATH).sampling == Sampling()


def test_tools_and_schemas_are_shown_beside_the_conversation() -> None:
    """Each function counts, and so does each of Google's tools."""
    functions = [{"name": "f", "description": "finds"}, {"name": "g"}]
    tools = [
        {"functionDeclarations": functions},
        {"function_declarations": functions[:1]},
        {"googleSearch": {}},
        {"functionDeclarations": 7},
        "odd",
    ]
    exchange = asked(
        said("x", tools=tools, generationConfig={"responseSchema": {"title": "form"}}), PATH
    )
    assert exchange.tool_definitions == 5
    assert [turn.role for turn in exchange.turns] == ["user", "system"]
    assert "finds" in exchange.turns[1].text
    assert "form" in exchange.turns[1].text


def test_a_wrong_type_elsewhere_loses_no_text() -> None:
    """What can be made sense of is read."""
    fields = {"generationConfig": {"topP": [], "seed": {}, "temperature": 0.5}, "tools": 7}
    exchange = asked(said("x", **fields), PATH)
    assert exchange.turns == (Turn("user", "x"),)
    assert exchange.sampling == Sampling(temperature=0.5)


def test_texts_to_be_embedded_are_exchanges() -> None:
    """One each, with the model that the path names."""
    single = asked({"content": {"parts": [text("a")]}, "title": "T"}, f"{MODEL}:embedContent")
    assert single.turns == (Turn("user", "T"), Turn("user", "a"))
    requests = [{"model": "models/m", "content": {"parts": [text(words)]}} for words in "abc"]
    many = asked({"requests": requests}, f"{MODEL}:batchEmbedContents")
    assert [one.turns for one in (many, *many.others)] == [(Turn("user", x),) for x in "abc"]
    assert {one.model for one in (many, *many.others)} == {"gemini-2.5-pro"}
    batch = {"batch": {"inputConfig": {"requests": {"requests": [{"request": requests[0]}]}}}}
    assert asked(batch, f"{MODEL}:asyncBatchEmbedContent").turns == (Turn("user", "a"),)


@pytest.mark.parametrize("config", ["inputConfig", "input_config"])
@pytest.mark.parametrize("nested", [True, False])
def test_each_request_of_a_batch_is_an_exchange(config: str, *, nested: bool) -> None:
    """With its own system text and parameters; one that says nothing is none."""
    requests: Any = [
        {"request": said("a", generationConfig={"topP": 0.5}), "metadata": {"key": "1"}},
        {"request": {"contents": []}},
        {"request": said("b", systemInstruction="s", generationConfig={"seed": []})},
        {"metadata": {"key": "2"}},
    ]
    batch = {"displayName": "d", config: {"requests": {"requests": requests}}}
    if not nested:
        batch[config] = {"requests": requests}
    first = asked({"batch": batch}, f"{MODEL}:batchGenerateContent")
    (second,) = first.others
    assert first.turns == (Turn("user", "a"),)
    assert first.sampling.top_p == 0.5
    assert second.turns == (Turn("system", "s"), Turn("user", "b"))
    assert second.others == ()
    assert {first.model, second.model} == {"gemini-2.5-pro"}
    assert first.body_bytes > second.body_bytes == 0


def test_a_batch_beyond_the_bound_is_counted_and_not_all_read() -> None:
    """Some are drawn, and stand for all."""
    requests = [{"request": said(f"word{number}")} for number in range(300)]
    batch = {"batch": {"inputConfig": {"requests": {"requests": requests}}}}
    first = asked(batch, f"{MODEL}:batchGenerateContent")
    assert len(first.others) == MOST_OTHERS
    drawn = (first, *first.others)
    assert len({one.turns[0].text for one in drawn}) == len(drawn)
    assert {one.model for one in drawn} == {first.model}
    assert {one.times for one in drawn} == {4, 5}
    assert sum(one.times for one in drawn) == 300


def test_a_batch_that_begins_with_nothing_is_still_read() -> None:
    """However long that goes on."""
    empty: list[Any] = [{"request": {"contents": []}}] * 255
    batch = {"inputConfig": {"requests": {"requests": [*empty, {"request": said("find me")}]}}}
    exchange = asked({"batch": batch}, f"{MODEL}:batchGenerateContent")
    assert "find me" in exchange.turns[0].text
    assert exchange.dialect == "gemini_generate"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"{MODEL}:batchGenerateContent", {"batch": None}),
        (f"{MODEL}:batchEmbedContents", {"requests": []}),
        (f"{MODEL}:embedContent", {}),
        (f"{MODEL}:countTokens", said("x")),
        (f"{MODEL}:computeTokens", said("x")),
        ("/v1beta/cachedContents", {"ttl": "60s"}),
        (PATH, {}),
    ],
)
def test_what_asks_for_no_answer_is_no_exchange(path: str, body: object) -> None:
    """Counting tokens, saying nothing."""
    dialect, exchange = read_request(json.dumps(body).encode(), path)
    assert dialect.name in {"gemini_generate", "gemini_batches"}
    assert exchange is None


@pytest.mark.parametrize("name", ["fileName", "file_name"])
def test_a_batch_may_name_the_file_that_holds_it(name: str) -> None:
    """Its lines were read when it was uploaded."""
    exchange = asked({"batch": {"inputConfig": {name: "files/1"}}}, f"{MODEL}:batchGenerateContent")
    assert (exchange.file, exchange.turns) == ("files/1", ())


@pytest.mark.parametrize(
    "path", ["/v1beta/cachedContents", "/v1/projects/p/locations/l/cachedContents"]
)
def test_what_fills_a_cache_is_system_text_and_no_question(path: str) -> None:
    """Requests that name the cache will not repeat it."""
    body = {
        "model": "projects/p/locations/l/publishers/google/models/gemini-2.5-pro",
        "systemInstruction": {"parts": [text("s")]},
        "contents": [user(text("book"), {"fileData": {}}), model(text("read"))],
        "tools": [{"functionDeclarations": [{"name": "f"}]}],
        "ttl": "300s",
    }
    exchange = asked(body, path)
    assert exchange.model == "gemini-2.5-pro"
    assert exchange.tool_definitions == 1
    assert [turn.role for turn in exchange.turns] == ["system"] * 4
    assert exchange.turns[:3] == (
        Turn("system", "s"),
        Turn("system", "book", 1),
        Turn("system", "read"),
    )


def test_a_request_inside_another_is_found() -> None:
    """Some of Google's own servers wrap it."""
    exchange = asked({"model": "m", "request": said("hello")}, "/v1internal:generateContent")
    assert exchange.turns == (Turn("user", "hello"),)


def test_a_dense_body_keeps_its_parameters() -> None:
    """What is said in too many things is read as bytes."""
    parts = [{"x": ["y"] * 50_001}]
    body = {"contents": [user(*parts)], "generationConfig": {"topP": 0.5}}
    exchange = asked(body, PATH)
    assert exchange.unparsed
    assert exchange.turns[0].text.count('"y"') == 50_001
    assert exchange.sampling.top_p == 0.5


@given(TEXTS, st.sampled_from([PATH, STREAM]))
def test_both_parsers_read_the_same_texts(words: str, path: str) -> None:
    """A field that only the standard parser reads changes no turn."""
    plain = json.dumps(said(words)).encode()
    odd = plain[:-1] + b', "unknown": NaN}'
    exchanges = (read_request(body, path)[1] for body in (plain, odd))
    assert [one.turns for one in exchanges if one is not None] == [(Turn("user", words),)] * 2


NAMES = st.sampled_from(
    (
        *("contents", "parts", "role", "text", "thought", "inlineData", "functionCall", "args"),
        *("functionResponse", "response", "executableCode", "batch", "inputConfig", "requests"),
        *("request", "content", "title", "systemInstruction", "generationConfig", "topP"),
        *("thinkingConfig", "tools", "functionDeclarations", "responseSchema", "model", "id"),
    )
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=20,
)
METHODS = ("generateContent", "batchGenerateContent", "embedContent", "batchEmbedContents")
PATHS = [f"{MODEL}:{method}" for method in METHODS] + ["/v1beta/cachedContents"]


@given(JSON | st.binary(max_size=64), st.sampled_from(PATHS))
def test_arbitrary_requests_raise_nothing(value: object, path: str) -> None:
    """Whatever a client sends."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    assert read_request(body, path)[0].name.startswith("gemini_")


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "INVALID_ARGUMENT"),
        (401, "UNAUTHENTICATED"),
        (403, "PERMISSION_DENIED"),
        (413, "INVALID_ARGUMENT"),
        (418, "FAILED_PRECONDITION"),
        (429, "RESOURCE_EXHAUSTED"),
        (500, "INTERNAL"),
        (502, "INTERNAL"),
        (503, "UNAVAILABLE"),
    ],
)
def test_refusals_are_googles_errors(status: int, name: str) -> None:
    """With Google's names for what went wrong, and the reference among the details."""
    refusal = Refusal(status, "Write to abuse@example.com.", "req_1", "abnormal_usage_detected")
    error = json.loads(dialect_for(PATH).error_body(refusal))["error"]
    assert (error["code"], error["status"]) == (status, name)
    assert error["message"] == "Write to abuse@example.com."
    info, request = error["details"]
    assert info["reason"] == "ABNORMAL_USAGE_DETECTED"
    assert request["requestId"] == "req_1"
    bare = Refusal(status, "m", "", "c")
    assert len(json.loads(dialect_for(PATH).error_body(bare))["error"]["details"]) == 1
