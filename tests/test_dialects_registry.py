"""Which dialect is spoken where, and that whatever the upstream reads is read here too."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.dialects import DIALECTS, dialect_for, read_request
from gateway_guard.exchange import Exchange, Turn

CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"
DEEP = b"[" * 10_000 + b"]" * 10_000
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


def chat(text: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a chat request that says one thing."""
    return {"model": "m", "messages": [{"role": "user", "content": text}], **more}


def read(body: bytes, path: str = CHAT) -> Exchange:
    """Read a body in which there is an exchange."""
    exchange = read_request(body, path)[1]
    assert exchange is not None
    assert exchange.body_bytes == len(body)
    return exchange


def texts(exchange: Exchange) -> list[str]:
    """Return what the turns say."""
    return [turn.text for turn in exchange.turns]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/chat/completions",
        "/chat/completions",
        "/engines/gpt-4o/chat/completions",
        "/openai/deployments/team/gpt-4o/chat/completions",
        "/cursor/chat/completions",
        "/any/prefix/v1/chat/completions/",
    ],
)
def test_openai_chat_is_spoken_at_every_alias_of_its_path(path: str) -> None:
    """Servers mount it under many prefixes."""
    assert dialect_for(path).name == "openai_chat"


@pytest.mark.parametrize("path", ["/v1/messages", "/anthropic/v1/messages", "/messages"])
def test_anthropic_messages_are_spoken_under_any_prefix(path: str) -> None:
    """Gateways put it under a name of their own."""
    assert dialect_for(path).name == "anthropic_messages"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/messages/count_tokens",
        "/v1/threads/t1",
        "/v1/responses/resp_1/cancel",
        "/v1/complete",
        "/v1beta/models/gemini-2.5-pro:predict",
        "/",
        "",
    ],
)
def test_every_other_path_is_read_generically(path: str) -> None:
    """No path is a way around."""
    assert dialect_for(path).name == "generic"


def test_dialects_have_names_of_their_own() -> None:
    """The names are labels of metrics."""
    names = [dialect.name for dialect in DIALECTS]
    assert len(set(names)) == len(names)
    assert names[-1] == "generic"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_encodings_that_the_standard_parser_detects_are_read(encoding: str) -> None:
    """The standard parser of Python takes them, msgspec does not."""
    body = json.dumps(chat("grüß dich 🐈"), ensure_ascii=False).encode(encoding)
    assert texts(read(body)) == ["grüß dich 🐈"]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", '"nan"', '"inf"'])
def test_numbers_that_are_not_finite_lose_no_text(number: str) -> None:
    """They are no temperature either."""
    body = json.dumps(chat("hello", temperature=0)).replace(
        '"temperature": 0', f'"temperature": {number}'
    )
    exchange = read(body.encode())
    assert texts(exchange) == ["hello"]
    assert exchange.sampling.temperature is None


def test_lone_surrogates_lose_no_text() -> None:
    """They become question marks, so that every text can be encoded."""
    body = json.dumps(chat("a\ud800b")).encode()
    assert texts(read(body)) == ["a?b"]


def test_of_duplicate_keys_the_last_one_counts() -> None:
    """Both parsers agree on it, whichever reads the body."""
    body = b'{"messages":[{"content":"first"}],"messages":[{"content":"last"}]}'
    assert texts(read(body)) == ["last"]
    assert texts(read(body[:-1] + b',"x":NaN}')) == ["last"]


def test_escaped_names_of_fields_are_the_same_names() -> None:
    """A field cannot hide behind an escape."""
    assert texts(read(rb'{"m\u0065ssages":[{"c\u006fntent":"x"}]}')) == ["x"]


def test_forms_are_read() -> None:
    """Some servers take url-encoded forms, JSON in their fields included."""
    form = urlencode(
        {"model": "m", "messages": json.dumps(chat("a form")["messages"]), "top_p": "0.5"}
    )
    exchange = read(form.encode())
    assert texts(exchange) == ["a form"]
    assert exchange.sampling.top_p == 0.5


def test_forms_with_broken_json_keep_the_rest() -> None:
    """A field that looks like JSON and is none is a text."""
    form = urlencode({"prompt": "[not json", "max_tokens": "7"})
    assert texts(read(form.encode(), "/v1/completions")) == ["[not json"]


def test_forms_with_too_many_fields_are_unparsed() -> None:
    """Their number is bounded."""
    assert read(b"&".join(b"a%d=1" % number for number in range(1_001))).unparsed


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
@pytest.mark.parametrize("body", [b"\xff\xfe\x00garbage", DEEP, b'{"messages":[{"con', b"hello"])
def test_what_nothing_reads_stands_as_one_user_turn(path: str, body: bytes) -> None:
    """It has features, counts as a request, and is marked."""
    exchange = read(body, path)
    assert exchange.unparsed
    assert [turn.role for turn in exchange.turns] == ["user"]
    assert exchange.dialect == dialect_for(path).name


def test_texts_beside_json_too_deep_for_any_parser_are_still_read() -> None:
    """As bytes, like everything that is unreadable."""
    exchange = read(json.dumps(chat("find me")).encode()[:-1] + b',"x":' + DEEP + b"}")
    assert exchange.unparsed
    assert "find me" in exchange.turns[0].text


def test_a_huge_unreadable_body_is_kept_at_both_ends() -> None:
    """A mebibyte of it in all."""
    exchange = read(b"begin" + b"\xff" * 3_000_000 + b"end")
    assert exchange.turns[0].text.startswith("begin")
    assert exchange.turns[0].text.endswith("end")
    assert len(exchange.turns[0].text) == 2**20


@pytest.mark.parametrize(
    ("body", "turns"),
    [
        ({"messages": [{}] * 10_001}, 10_001),
        ({"messages": [{"content": ["x"] * 10_001}]}, 1),
        ({"messages": [{"content": [{"type": "tool_result", "content": ["x"] * 10_001}]}]}, 1),
        ({"messages": [{"role": []}] * 10_001}, 10_001),
    ],
)
@pytest.mark.parametrize("path", [CHAT, MESSAGES])
def test_many_small_things_are_read_one_by_one(body: object, turns: int, path: str) -> None:
    """As long as reading them costs about what parsing them costs the upstream."""
    exchange = read(json.dumps(body).encode(), path)
    assert not exchange.unparsed
    assert len(exchange.turns) == turns


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
def test_what_is_said_in_too_many_things_is_bytes_and_the_rest_is_read(path: str) -> None:
    """Nobody hides how the answer is drawn behind what takes long to read."""
    content = [{"type": "odd", "x": ["y"] * 50_001}]
    body = {"messages": [{"content": content}], "top_p": 0.5, "model": "m"}
    exchange = read(json.dumps(body).encode(), path)
    assert exchange.unparsed
    assert exchange.turns[0].text.count('"y"') == 50_001
    assert (exchange.model, exchange.sampling.top_p) == ("m", 0.5)


@pytest.mark.parametrize("path", [CHAT, MESSAGES, "/v1/completions"])
def test_junk_in_fields_that_nothing_reads_hides_nothing(path: str) -> None:
    """Neither beside the messages nor inside their parts, where a wrong type is nearby."""
    junk = [[], ""] * 13_000
    parts = [{"type": "text", "text": " ", "content": junk}, {"type": "text", "text": "find me"}]
    odd = [{"type": "refusal", "refusal": "no", "text": 5, "content": junk}]
    picture = [{"type": "image", "source": junk}]
    messages = [{"role": "user", "content": parts + odd + picture}]
    body = {"x": junk, "messages": messages, "user": 5, "y": junk, "top_p": 0.5}
    exchange = read(json.dumps(body).encode(), path)
    assert not exchange.unparsed
    assert exchange.turns == (Turn("user", " \nfind me\nno", 1),)
    assert exchange.sampling.top_p == 0.5


def test_more_parts_than_are_looked_at_are_bytes_elsewhere() -> None:
    """Reading them generically takes longer."""
    body = {"messages": [{"role": "user", "content": [{"text": "x"}] * 10_001}], "n": 3}
    exchange = read(json.dumps(body).encode(), "/v1/completions")
    assert exchange.unparsed
    assert exchange.sampling.answers == 3


@pytest.mark.parametrize(("levels", "unparsed"), [(200, False), (300, True)])
def test_text_far_down_in_an_unknown_part_is_not_lost(levels: int, *, unparsed: bool) -> None:
    """It is found there, or else the body is read as bytes."""
    nested: Any = "far"
    for _ in range(levels):
        nested = [nested]
    part = {"type": "odd", "near": "near", "nested": nested}
    exchange = read(json.dumps({"messages": [{"content": [part]}]}).encode())
    assert exchange.unparsed is unparsed
    assert "near" in exchange.turns[0].text
    assert "far" in exchange.turns[0].text


@pytest.mark.parametrize("body", [b"", b" \r\n\t", b"null", b"{}", b"[]", b'"hello"', b"17"])
@pytest.mark.parametrize("path", [CHAT, MESSAGES, "/v1/embeddings"])
def test_nothing_to_answer_is_no_exchange(body: bytes, path: str) -> None:
    """Servers refuse such bodies."""
    assert read_request(body, path) == (dialect_for(path), None)


def test_unreadable_bytes_elsewhere_count_only_if_they_look_like_a_question() -> None:
    """An upload of a picture is no exchange."""
    assert read_request(b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "/upload")[1] is None
    assert read(b'{"prompt": "hello', "/generate").unparsed
    assert read('{"prompt": "hello'.encode("utf-16"), "/generate").unparsed


def test_a_chat_path_with_a_prompt_is_read_generically() -> None:
    """Some servers take one there."""
    dialect, exchange = read_request(b'{"model":"m","prompt":"hello"}', CHAT)
    assert dialect.name == "openai_chat"
    assert exchange is not None
    assert texts(exchange) == ["hello"]


@given(TEXTS, st.sampled_from([CHAT, MESSAGES]))
def test_both_parsers_read_the_same_texts(text: str, path: str) -> None:
    """A field that only the standard parser reads changes no turn."""
    plain = json.dumps(chat(text)).encode()
    odd = plain[:-1] + b', "unknown": NaN}'
    assert read(plain, path).turns == read(odd, path).turns == (Turn("user", text),)


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)
FIELDS = (
    "best_of",
    "functions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "metadata",
    "model",
    "n",
    "output_config",
    "reasoning",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "stop",
    "stop_sequences",
    "stream",
    "temperature",
    "thinking",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
)


@given(TEXTS, st.dictionaries(st.sampled_from(FIELDS), ODD), st.sampled_from([CHAT, MESSAGES]))
def test_a_wrong_type_in_another_field_loses_no_text(
    text: str, more: dict[str, Any], path: str
) -> None:
    """Whatever stands in the fields beside the messages, the texts are read."""
    exchange = read(json.dumps(chat(text, **more)).encode(), path)
    assert exchange.turns[0] == Turn("user", text)
    assert not exchange.unparsed
    assert msgspec.json.encode(exchange.sampling)
