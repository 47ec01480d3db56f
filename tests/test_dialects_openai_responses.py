"""OpenAI responses requests: items of every kind, references, and how the answer is drawn."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.dialects import dialect_for, read_request
from gateway_guard.dialects.openai_responses import OpenAIResponses
from gateway_guard.exchange import Exchange, Sampling, Turn

PATH = "/v1/responses"
LOOK = {"type": "function", "name": "look", "parameters": {"type": "object"}}
CALL = {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{}"}


def read(asked: object = "x", *, path: str = PATH, **fields: Any) -> Exchange:  # noqa: ANN401
    """Read a request with this input and these fields."""
    body = json.dumps({"model": "gpt-5", "input": asked, **fields}).encode()
    exchange = OpenAIResponses().read_request(body, path)
    assert exchange is not None
    assert exchange.dialect == "openai_responses"
    return exchange


def turns(*items: Any) -> tuple[Turn, ...]:  # noqa: ANN401
    """Return the turns that items make."""
    return read(items).turns


def user(*parts: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a message of the user."""
    return {"type": "message", "role": "user", "content": list(parts)}


def wrote(text: str) -> dict[str, Any]:
    """Return a message of the model, as it comes back."""
    part = {"type": "output_text", "text": text, "annotations": []}
    return {"type": "message", "id": "msg_1", "role": "assistant", "content": [part]}


def item(kind: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return an item of a type."""
    return {"type": kind, **fields}


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/v1/responses", "gpt-5"),
        ("/responses/", "gpt-5"),
        ("/openai/v1/responses", "gpt-5"),
        ("/openai/responses", "gpt-5"),
        ("/any/prefix/v1/responses", "gpt-5"),
        ("/openai/deployments/team/model/responses", "team/model"),
    ],
)
def test_responses_are_spoken_at_every_alias_of_their_path(path: str, model: str) -> None:
    """The model in the path goes before the one in the body."""
    assert dialect_for(path).name == "openai_responses"
    assert read(path=path).model == model


@pytest.mark.parametrize("path", ["/v1/responses/input_tokens", "/v1/responses/compact"])
def test_counting_and_compacting_ask_for_no_answer(path: str) -> None:
    """Nothing is learnt from them."""
    body = json.dumps({"model": "gpt-5", "input": "count me"}).encode()
    assert read_request(body, path)[1] is None


def test_a_text_is_a_turn_of_the_user() -> None:
    """After the instructions."""
    assert read("hello").turns == (Turn("user", "hello"),)
    assert read("hello", instructions="be brief").turns == (
        Turn("system", "be brief"),
        Turn("user", "hello"),
    )


def test_a_conversation_keeps_its_order_and_roles() -> None:
    """With types and without."""
    assert turns(
        {"role": "developer", "content": "be brief"},
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "hi"},
        {"type": "message", "role": "system", "content": "be kind"},
        {"role": "critic", "content": "hm"},
        {"content": "who?"},
        "plain",
    ) == (
        Turn("system", "be brief"),
        Turn("user", "hello"),
        Turn("assistant", "hi"),
        Turn("system", "be kind"),
        Turn("user", "hm"),
        Turn("user", "who?"),
        Turn("user", "plain"),
    )


def test_parts_are_joined_and_media_are_counted() -> None:
    """Pictures, sounds and files are no text."""
    assert turns(
        user(
            {"type": "input_text", "text": "what is"},
            {"type": "input_image", "image_url": "data:image/png;base64,AAAA"},
            {"type": "input_file", "file_data": "AAAA", "filename": "a.pdf"},
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
            {"type": "input_text", "text": "this?"},
        )
    ) == (Turn("user", "what is\nthis?", 3),)


def test_what_a_model_said_and_called_at_once_is_one_turn() -> None:
    """So its answer is recognised; arguments follow, and reasoning is no text."""
    assert turns(
        user({"type": "input_text", "text": "how is it?"}),
        item("reasoning", id="rs_1", summary=[{"type": "summary_text", "text": "hm"}]),
        wrote("let me look"),
        CALL | {"arguments": '{"city": "Paris"}'},
        CALL | {"call_id": "call_2"},
        item("function_call_output", call_id="call_1", output="17 degrees"),
        item("function_call_output", call_id="call_2", output="sunny"),
        wrote("mild"),
    ) == (
        Turn("user", "how is it?"),
        Turn("assistant", "let me look", 0, ("call_1", "call_2")),
        Turn("assistant", '{"city": "Paris"}'),
        Turn("tool", "17 degrees"),
        Turn("tool", "sunny"),
        Turn("assistant", "mild"),
    )


@pytest.mark.parametrize(
    ("call", "call_id"),
    [
        (CALL | {"arguments": "find me"}, "call_1"),
        (item("custom_tool_call", call_id="c", id="ctc", name="x", input="find me"), "c"),
        (item("code_interpreter_call", id="ci", code="find me", container_id="x"), "ci"),
        (item("web_search_call", id="ws", action={"type": "search", "query": "find me"}), "ws"),
        (item("file_search_call", id="fs", queries=["find me"]), "fs"),
        (item("computer_call", call_id="cc", action={"type": "type", "text": "find me"}), "cc"),
        (item("computer_call", call_id="cc", actions=[{"type": "type", "text": "find me"}]), "cc"),
        (item("local_shell_call", call_id="l", action={"command": ["find me"]}), "l"),
        (item("shell_call", call_id="s", action={"commands": ["find me"]}), "s"),
        (item("apply_patch_call", call_id="a", operation={"diff": "find me"}), "a"),
        (item("tool_search_call", id="t", call_id=None, arguments={"a": "find me"}), "t"),
        (item("mcp_call", id="m", name="x", arguments="find me"), "m"),
        (item("mcp_approval_request", id="r", name="x", arguments="find me"), "r"),
        (item("program", id="p", call_id="pc", code="find me", fingerprint="f"), "pc"),
    ],
)
def test_calls_of_every_kind_have_ids_and_arguments(call: dict[str, Any], call_id: str) -> None:
    """Of the client's tools and of the server's."""
    called, asked = turns(call)
    assert called == Turn("assistant", "", 0, (call_id,))
    assert asked.role == "assistant"
    assert "find me" in asked.text


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("17 degrees", Turn("tool", "17 degrees")),
        ([{"type": "input_text", "text": "17"}, "degrees"], Turn("tool", "17\ndegrees")),
        ([{"type": "input_image", "image_url": "https://x"}], Turn("tool", "", 1)),
        ({"type": "computer_screenshot", "image_url": "https://x"}, Turn("tool", "", 1)),
        ([{"stdout": "17", "stderr": "", "outcome": {"type": "exit"}}], Turn("tool", "17\n")),
        ({"odd": ["17", {"unit": "degrees"}]}, Turn("tool", "17\ndegrees")),
        ([{"type": ["odd"], "text": "17"}], Turn("tool", "17")),
        (None, Turn("tool", "")),
        (17, Turn("tool", "")),
    ],
)
def test_results_of_tools_are_turns_of_tools(output: object, expected: Turn) -> None:
    """In all the shapes that they have."""
    for kind in ("function_call_output", "custom_tool_call_output", "any_call_output"):
        assert turns(item(kind, call_id="c", output=output)) == (expected,)


def test_results_come_under_other_names_too() -> None:
    """Of programs, approvals, and tools that were searched for."""
    assert turns(
        item("program_output", call_id="p", result="17"),
        item("mcp_approval_response", approve=False, reason="not now"),
        item("mcp_approval_response", approve=True),
        item("tool_search_output", tools=[{"type": "function", "description": "find me"}]),
    ) == (Turn("tool", "17"), Turn("tool", "not now"), Turn("tool", ""), Turn("tool", "find me"))


def test_results_of_the_servers_own_tools_follow_the_answer_they_are_a_part_of() -> None:
    """What was searched for, run, drawn and listed."""
    assert turns(
        item("mcp_list_tools", id="l", tools=[{"name": "look", "description": "look up"}]),
        item("file_search_call", id="fs", queries=[], results=[{"text": "found", "score": 1}]),
        item("code_interpreter_call", id="ci", outputs=[{"type": "logs", "logs": "42"}]),
        item("mcp_call", id="m", arguments="{}", output="listed"),
        item("image_generation_call", id="ig", result="QUJD" * 100),
        wrote("done"),
        "thanks",
    ) == (
        Turn("assistant", "done", 0, ("fs", "ci", "m", "ig")),
        Turn("tool", "look\nlook up"),
        Turn("tool", "found"),
        Turn("tool", "42"),
        Turn("tool", "listed"),
        Turn("tool", "", 1),
        Turn("user", "thanks"),
    )


@pytest.mark.parametrize(
    "reference",
    [{"type": "item_reference", "id": "msg_1"}, {"id": "msg_1"}, {"type": None, "id": "msg_1"}],
)
def test_a_reference_stands_for_what_the_model_said(reference: dict[str, Any]) -> None:
    """By the id of the last item that it said; reasoning comes before it."""
    thought = {"type": "item_reference", "id": "rs_1"}
    assert turns("hi", thought, reference, "and?") == (
        Turn("user", "hi"),
        Turn("assistant", "", 0, ("msg_1",)),
        Turn("user", "and?"),
    )


def test_references_beside_what_is_repeated_change_nothing() -> None:
    """The texts and calls identify the answer."""
    thought = {"type": "item_reference", "id": "rs_1"}
    assert turns(thought, CALL) == (Turn("assistant", "", 0, ("call_1",)),)
    assert turns(thought, wrote("hi"))[0].text == "hi"


def test_a_compacted_history_is_an_answer_without_words() -> None:
    """It is encrypted."""
    compacted = item("compaction", id="cmp_1", encrypted_content="zz" * 100)
    assert turns(compacted, "and?") == (Turn("assistant", "", 0, ("cmp_1",)), Turn("user", "and?"))


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"previous_response_id": "resp_1"}, "resp_1"),
        ({"conversation": "conv_1"}, "conv_1"),
        ({"conversation": {"id": "conv_1"}}, "conv_1"),
    ],
)
def test_the_answer_that_a_request_goes_on_from_is_claimed(
    fields: dict[str, Any], name: str
) -> None:
    """It follows the system texts, which tell applications apart."""
    claimed = Turn("assistant", "", 0, (name,))
    assert read("and?", **fields).turns == (claimed, Turn("user", "and?"))
    asked = [{"role": "developer", "content": "be kind"}, {"role": "user", "content": "and?"}]
    assert read(asked, instructions="be brief", **fields).turns == (
        Turn("system", "be brief"),
        Turn("system", "be kind"),
        claimed,
        Turn("user", "and?"),
    )
    assert read(None, **fields).turns == (claimed,)


def test_what_is_filled_into_a_template_is_said_by_the_user() -> None:
    """The template itself is kept by the server."""
    variables = {"type": "find me", "b": {"type": "input_text", "text": "and me"}, "c": None}
    template = {"id": "pmpt_1", "version": "2", "variables": variables}
    assert read("x", prompt=template).turns == (Turn("user", "find me\nand me"), Turn("user", "x"))
    assert read(None, prompt={"id": "pmpt_1"}).turns == (Turn("user", ""),)
    assert read(None, prompt="plain").turns == (Turn("user", "plain"),)


def test_what_a_server_takes_as_said_before_is_read() -> None:
    """As vLLM does."""
    before = [{"role": "user", "content": [{"type": "text", "text": "hi"}]}, wrote("ho")]
    assert read("and?", previous_input_messages=before).turns == (
        Turn("user", "hi"),
        Turn("assistant", "ho"),
        Turn("user", "and?"),
    )


def test_instructions_may_be_messages() -> None:
    """Some servers take them."""
    instructions = [{"role": "developer", "content": [{"type": "input_text", "text": "be brief"}]}]
    text = read("x", instructions=instructions).turns[0].text
    assert "be brief" in text


def test_tools_and_the_form_of_the_answer_are_shown_beside_the_conversation() -> None:
    """In one more system turn, wherever tools are added."""
    schema = {"description": "find me"}
    form = {"type": "json_schema", "name": "x", "schema": schema}
    exchange = read("x", tools=[LOOK], text={"format": form, "verbosity": "low"})
    assert exchange.tool_definitions == 1
    assert exchange.sampling.structured
    assert exchange.turns[1].role == "system"
    assert "look" in exchange.turns[1].text
    assert "find me" in exchange.turns[1].text
    assert turns(item("additional_tools", role="developer", tools=[LOOK]))[0].role == "system"


@pytest.mark.parametrize(
    ("odd", "expected"),
    [
        (item("poem", lines=["roses", {"more": "violets"}]), Turn("user", "roses\nviolets")),
        (item("poem", role="assistant", lines=["roses"]), Turn("assistant", "roses")),
        (item("poem", content="roses"), Turn("user", "roses")),
        (item("input_text", text="roses"), Turn("user", "roses")),
        ({"type": ["message"], "role": "user", "content": "roses"}, Turn("user", "roses")),
        (user({"type": "poem", "lines": ["roses"]}), Turn("user", "roses")),
        (user(17), Turn("user", "17")),
        ({}, Turn("user", "")),
    ],
)
def test_items_of_unknown_shapes_are_read(odd: dict[str, Any], expected: Turn) -> None:
    """Nothing that may be text is lost, and what is known is read as ever."""
    for call_id in ("7", 7):
        called = Turn("assistant", "", 0, ("7",))
        assert turns(CALL | {"call_id": call_id}, "x", odd) == (called, Turn("user", "x"), expected)


@pytest.mark.parametrize(
    "asked",
    [
        [{}] * 40_000,
        [{"type": ["odd"]}] * 40_000,
        [item("odd_output", output=[["x"] * 60_000])],
    ],
)
def test_more_items_than_are_looked_at_are_bytes_and_the_rest_is_read(asked: list[Any]) -> None:
    """Nobody hides how the answer is drawn behind what takes long to read."""
    said = [{"role": "user", "content": "find me"}, *asked]
    body = json.dumps({"model": "m", "input": said, "top_p": 0.5}).encode()
    exchange = read_request(body, PATH)[1]
    assert exchange is not None
    assert exchange.unparsed
    assert "find me" in exchange.turns[0].text
    assert (exchange.model, exchange.sampling.top_p) == ("m", 0.5)


def test_a_single_item_may_stand_without_a_list() -> None:
    """Lenient servers take it."""
    assert read({"role": "user", "content": "x"}).turns == (Turn("user", "x"),)


def test_without_anything_said_there_is_no_exchange() -> None:
    """The caller may try another reader."""
    for body in (b"{}", b'{"input":[]}', b'{"input":null,"model":"m"}', b'{"tools":[{}]}', b"[1]"):
        assert OpenAIResponses().read_request(body, PATH) is None


def test_the_whole_of_sampling_is_read() -> None:
    """Every parameter that says how the answer is drawn."""
    fields: dict[str, Any] = {
        "temperature": 0.7,
        "top_p": 0.9,
        "max_output_tokens": 100,
        "reasoning": {"effort": "high", "summary": "auto"},
        "include": ["reasoning.encrypted_content", "message.output_text.logprobs"],
        "top_logprobs": 20,
        "logit_bias": {"50256": -100},
        "stop": ["a"],
        "seed": 1,
        "text": {"format": {"type": "json_object"}},
        "background": True,
        "stream": True,
    }
    exchange = read("x", **fields)
    assert exchange.stream
    assert exchange.sampling == Sampling(
        temperature=0.7,
        top_p=0.9,
        max_tokens=100,
        effort="high",
        stops=1,
        logprobs=True,
        top_logprobs=20,
        logit_bias=1,
        seeded=True,
        structured=True,
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, Sampling()),
        ({"temperature": "0.7"}, Sampling(temperature=0.7)),
        ({"temperature": {}, "max_output_tokens": "9"}, Sampling(max_tokens=9)),
        ({"top_logprobs": 2}, Sampling(logprobs=True, top_logprobs=2)),
        ({"include": ["message.output_text.logprobs"]}, Sampling(logprobs=True)),
        ({"include": "none"}, Sampling()),
        ({"text": {"format": {"type": "text"}}}, Sampling()),
        ({"text": "plain"}, Sampling()),
        ({"reasoning": {"max_tokens": 2000}}, Sampling(thinking_tokens=2000)),
        ({"reasoning": "high"}, Sampling()),
        ({"reasoning": None}, Sampling()),
    ],
)
def test_parameters_are_read_as_servers_coerce_them(
    fields: dict[str, Any], expected: Sampling
) -> None:
    """What makes no sense is as good as not there."""
    assert read("x", **fields).sampling == expected


def test_the_last_effort_that_items_ask_for_holds() -> None:
    """They may change it on the way."""
    updates = [
        item("configuration_update", reasoning={"effort": effort}) for effort in ("low", "max")
    ]
    exchange = read(["x", updates[0], "y", updates[1], "z"], reasoning={"effort": "none"})
    assert exchange.sampling.effort == "max"
    assert [turn.text for turn in exchange.turns] == ["x", "y", "z"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"user": "u"}, "u"),
        ({"safety_identifier": "s", "user": "u"}, "s"),
        ({"metadata": {"user_id": "m", "other": "o"}}, "m"),
        ({"prompt_cache_key": "p"}, None),
    ],
)
def test_the_end_user_is_whom_the_request_names(
    fields: dict[str, Any], expected: str | None
) -> None:
    """A cache key names nobody."""
    assert read("x", **fields).end_user == expected


def test_chat_that_is_asked_like_responses_is_read() -> None:
    """Some gateways take such input at a path of their own, and answer as chat."""
    dialect, exchange = read_request(
        b'{"input":[{"role":"user","content":"hi"}]}', "/cursor/chat/completions"
    )
    assert dialect.name == "openai_chat"
    assert exchange is not None
    assert exchange.turns == (Turn("user", "hi"),)


NAMES = st.sampled_from(
    (
        "action", "arguments", "call_id", "code", "content", "conversation", "format", "id",
        "include", "input", "instructions", "model", "operation", "output", "outputs",
        "previous_input_messages", "previous_response_id", "prompt", "queries", "reasoning",
        "result", "results", "role", "text", "tools", "type", "variables",
    )
)  # fmt: skip
KINDS = st.sampled_from(
    ("assistant", "function_call", "function_call_output", "input_text", "item_reference",
     "mcp_list_tools", "mcp_call", "message", "reasoning", "user", "additional_tools")
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | KINDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=25,
)


@given(st.dictionaries(NAMES, VALUES, max_size=8))
def test_arbitrary_json_under_known_names_raises_nothing(value: dict[str, Any]) -> None:
    """Every field can be of every type, and every text can be encoded."""
    exchange = read_request(json.dumps(value).encode(), PATH)[1]
    for turn in exchange.turns if exchange else ():
        turn.text.encode()
        assert all(isinstance(call_id, str) for call_id in turn.call_ids)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_nothing(body: bytes) -> None:
    """Whatever a client sends."""
    exchange = read_request(body, PATH)[1]
    assert exchange is None or exchange.body_bytes == len(body)


@given(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.dictionaries(st.sampled_from(("text", "tools", "include", "reasoning", "user")), VALUES),
)
def test_a_wrong_type_in_another_field_loses_no_text(text: str, more: dict[str, Any]) -> None:
    """Whatever stands in the fields beside the input, the texts are read."""
    exchange = read([{"role": "user", "content": text}], **more)
    assert exchange.turns[0] == Turn("user", text)
