"""Anthropic requests: blocks of every kind, whose words they are, and how the answer is drawn."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway_guard.dialects.anthropic_messages import AnthropicMessages
from gateway_guard.exchange import Exchange, Sampling, Turn

PATH = "/v1/messages"


def read(*messages: Any, **fields: Any) -> Exchange:  # noqa: ANN401
    """Read a request with these messages and fields."""
    body = json.dumps({"model": "claude", "messages": messages, **fields}).encode()
    exchange = AnthropicMessages().read_request(body, PATH)
    assert exchange is not None
    return exchange


def said(role: str, *blocks: Any) -> tuple[Turn, ...]:  # noqa: ANN401
    """Return the turns that one message of blocks makes."""
    return read({"role": role, "content": list(blocks)}).turns


def text_block(text: str) -> dict[str, Any]:
    """Return a block that is text."""
    return {"type": "text", "text": text}


def result_block(content: Any, kind: str = "tool_result") -> dict[str, Any]:  # noqa: ANN401
    """Return a block with what a tool found."""
    return {"type": kind, "tool_use_id": "toolu_1", "content": content}


IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}


@pytest.mark.parametrize("system", ["be brief", [text_block("be"), text_block("brief")]])
def test_the_system_text_comes_first(system: object) -> None:
    """As a string and as blocks."""
    first, second = read({"role": "user", "content": "x"}, system=system).turns
    assert first.role == "system"
    assert first.text.split() == ["be", "brief"]
    assert second == Turn("user", "x")


@pytest.mark.parametrize("system", [None, "", []])
def test_an_empty_system_is_no_turn(system: object) -> None:
    """There is nothing to read in it."""
    assert read({"role": "user", "content": "x"}, system=system).turns == (Turn("user", "x"),)


def test_system_messages_may_stand_in_the_middle() -> None:
    """The dialect has them since it has mid-conversation instructions."""
    turns = read({"role": "user", "content": "a"}, {"role": "system", "content": "b"}).turns
    assert turns == (Turn("user", "a"), Turn("system", "b"))


def test_results_of_tools_are_turns_of_their_own_in_the_order_of_the_blocks() -> None:
    """What a tool fetched is never taken for what a person wrote."""
    assert said(
        "user",
        text_block("before"),
        result_block("first"),
        result_block([text_block("second"), IMAGE]),
        text_block("after"),
        IMAGE,
    ) == (
        Turn("user", "before"),
        Turn("tool", "first"),
        Turn("tool", "second", 1),
        Turn("user", "after", 1),
    )


def test_a_message_of_results_makes_no_empty_turn() -> None:
    """The usual message of an agent."""
    assert said("user", result_block("r")) == (Turn("tool", "r"),)
    assert said("user", result_block(None)) == (Turn("tool", ""),)


def test_documents_with_text_are_the_users_words() -> None:
    """Title and context included; other sources are counted."""
    plain = {"type": "text", "media_type": "text/plain", "data": "body"}
    document = {"type": "document", "title": "T", "context": "C", "source": plain}
    blocks = {"type": "document", "source": {"type": "content", "content": [text_block("in")]}}
    string = {"type": "document", "source": {"type": "content", "content": "string"}}
    scan = {"type": "document", "source": {"type": "base64", "data": "AAAA"}}
    linked = {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}}
    assert said("user", document, blocks, string, scan, linked) == (
        Turn("user", "T\nC\nbody\nin\nstring", 2),
    )


def test_search_results_are_what_a_tool_found() -> None:
    """They come from a retriever, wherever they stand."""
    block = {
        "type": "search_result",
        "source": "https://example.com",
        "title": "T",
        "content": [text_block("found")],
    }
    assert said("user", block, text_block("q")) == (Turn("tool", "T\nfound"), Turn("user", "q"))
    assert said("user", result_block([block])) == (Turn("tool", "T\nfound"),)


def test_thinking_that_comes_back_is_no_text() -> None:
    """The answer's digest was made without it."""
    assert said(
        "assistant",
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "redacted_thinking", "data": "zz"},
        text_block("four"),
    ) == (Turn("assistant", "four"),)


def test_calls_of_tools_give_their_ids_to_the_turn() -> None:
    """Those of the server's tools as well."""
    assert said(
        "assistant",
        text_block("let me look"),
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"deep": {"text": "yes"}}},
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
        {"type": "mcp_tool_use", "id": "mcptoolu_1", "name": "g", "input": {}},
        {"type": "tool_use"},
    ) == (
        Turn("assistant", "let me look", 0, ("toolu_1", "srvtoolu_1", "mcptoolu_1")),
        Turn("assistant", '{"deep": {"text": "yes"}}'),
    )


def test_an_assistants_text_stays_one_turn_around_the_results_of_server_tools() -> None:
    """It repeats one answer; what the tools found follows."""
    found = {"type": "web_search_result", "title": "W", "url": "u", "encrypted_content": "zz"}
    page = {"type": "web_fetch_result", "url": "u", "content": {"type": "document", "title": "P"}}
    assert said(
        "assistant",
        text_block("A"),
        result_block([found], "web_search_tool_result"),
        result_block(page, "web_fetch_tool_result"),
        text_block("B"),
    ) == (Turn("assistant", "A\nB"), Turn("tool", "W"), Turn("tool", "P"))


def test_results_of_unknown_shape_are_read() -> None:
    """Every string in them may be text."""
    output = {"type": "bash_code_execution_result", "stdout": "out", "stderr": "", "content": []}
    assert said("assistant", result_block(output, "bash_code_execution_tool_result")) == (
        Turn("assistant", ""),
        Turn("tool", "out\n"),
    )


def test_a_compacted_history_is_not_the_speakers_words() -> None:
    """A model wrote it."""
    block = {"type": "compaction", "content": "summary"}
    assert said("user", block, text_block("go on")) == (
        Turn("tool", "summary"),
        Turn("user", "go on"),
    )


def test_results_of_odd_types_lose_no_text() -> None:
    """Neither a wrong type of a title nor one of the content."""
    block = {"type": "document", "title": 5, "source": {"type": "text", "data": "body"}}
    assert said("user", block) == (Turn("user", "5\nbody"),)
    assert said("user", result_block({"rows": ["a", "b"]})) == (Turn("tool", "a\nb"),)


def test_the_whole_of_sampling_is_read() -> None:
    """Every parameter that says how the answer is drawn."""
    exchange = read(
        {"role": "user", "content": "x"},
        max_tokens=4096,
        temperature=1,
        top_p=0.9,
        stop_sequences=["a", "b"],
        thinking={"type": "enabled", "budget_tokens": 2048},
        output_config={"effort": "max", "format": {"type": "json_schema", "schema": {}}},
        tools=[{"name": "f", "input_schema": {}}],
        metadata={"user_id": "u"},
        stream=True,
    )
    assert exchange.sampling == Sampling(
        temperature=1.0,
        top_p=0.9,
        max_tokens=4096,
        thinking_tokens=2048,
        effort="max",
        stops=2,
        structured=True,
    )
    assert (exchange.model, exchange.stream) == ("claude", True)
    assert (exchange.tool_definitions, exchange.end_user) == (1, "u")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, Sampling()),
        ({"thinking": {"type": "adaptive"}}, Sampling()),
        ({"thinking": {"type": "disabled"}}, Sampling()),
        ({"output_format": {"type": "json_schema"}}, Sampling(structured=True)),
        ({"max_tokens": "100"}, Sampling(max_tokens=100)),
        ({"max_tokens": {}}, Sampling()),
        ({"metadata": {"user_id": None}}, Sampling()),
    ],
)
def test_parameters_are_read_as_servers_coerce_them(
    fields: dict[str, Any], expected: Sampling
) -> None:
    """What makes no sense is as good as not there."""
    exchange = read({"role": "user", "content": "x"}, **fields)
    assert exchange.sampling == expected
    assert exchange.end_user is None


def test_without_anything_said_there_is_no_exchange() -> None:
    """The caller may try another reader."""
    for body in (b"{}", b'{"messages":[]}', b'{"messages":5}', b"[]"):
        assert AnthropicMessages().read_request(body, PATH) is None
