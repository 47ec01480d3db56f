"""Bodies that hold millions of small things cost about what texts of their size cost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from gateway_guard.dialects import read_request
from gateway_guard.dialects.density import MOST_COMMAS, MOST_VALUES, is_dense, thinned

if TYPE_CHECKING:
    from gateway_guard.exchange import Exchange

CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"
GENERIC = "/v1/other"
LISTS = b"[" + b"[]," * MOST_VALUES + b"[]]"
STRINGS = b"[" + b'"",' * MOST_VALUES + b'""]'
NUMBERS = b"[" + b"1," * (MOST_COMMAS + 1) + b"1]"
OBJECTS = b"[" + b"{}," * MOST_VALUES + b"{}]"
DENSE = pytest.mark.parametrize("junk", [LISTS, STRINGS, NUMBERS, OBJECTS])


def read(body: bytes, path: str = CHAT) -> Exchange:
    """Read a body in which there is an exchange."""
    exchange = read_request(body, path)[1]
    assert exchange is not None
    assert exchange.body_bytes == len(body)
    return exchange


@DENSE
def test_what_holds_more_values_than_any_real_request_is_dense(junk: bytes) -> None:
    """Lists, objects, strings and numbers alike."""
    assert is_dense(junk)


@pytest.mark.parametrize(
    "text",
    [
        'if (a[0]) { b["x"] = {1, 2}; }\n',
        "1,2,3,4,5\n",
        '"quoted","cells",\\\\\n',
        "prose, and more of it, ",
    ],
)
@pytest.mark.parametrize("path", [CHAT, MESSAGES, GENERIC])
def test_megabytes_of_code_and_tables_are_read_as_what_they_are(text: str, path: str) -> None:
    """What stands inside strings is no value."""
    code = text * (3_000_000 // len(text))
    exchange = read(json.dumps({"messages": [{"role": "user", "content": code}]}).encode(), path)
    assert not exchange.unparsed
    assert exchange.turns[0].text == code


def test_a_long_conversation_is_not_dense() -> None:
    """Thousands of messages of several parts and calls."""
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "a, b"}, {"type": "text"}]}
    ] * 8_000
    assert not is_dense(json.dumps({"messages": messages}).encode())


@DENSE
@pytest.mark.parametrize("path", [CHAT, MESSAGES, GENERIC])
def test_junk_in_unknown_fields_hides_nothing(junk: bytes, path: str) -> None:
    """It is passed over as the upstream passes over it."""
    body = b'{"x":%b,"messages":[{"role":"user","content":"hi"}],"temperature":0.5,"y":%b}'
    exchange = read(body % (junk, junk), path)
    assert [turn.text for turn in exchange.turns] == ["hi"]
    assert exchange.sampling.temperature == 0.5
    assert not exchange.unparsed


def test_as_many_fields_as_there_is_room_for_hide_nothing() -> None:
    """Fields without a known name are not made into anything."""
    fields = b",".join(b'"%x":0' % number for number in range(MOST_VALUES + 1))
    exchange = read(b'{%b,"prompt":"hi","n":16}' % fields, GENERIC)
    assert exchange.turns[0].text == "hi"
    assert exchange.sampling.answers == 16


@DENSE
@pytest.mark.parametrize(
    ("name", "path"),
    [("messages", CHAT), ("messages", MESSAGES), ("prompt", GENERIC), ("contents", GENERIC)],
)
def test_dense_prompts_are_text_and_the_rest_is_read(junk: bytes, name: str, path: str) -> None:
    """How the answer is drawn is known even so."""
    body = b'{"model":"m","top_p":0.5,"%b":[[{"text":"find me"}],%b]}' % (name.encode(), junk)
    exchange = read(body, path)
    assert exchange.unparsed
    assert "find me" in exchange.turns[0].text
    assert (exchange.model, exchange.sampling.top_p) == ("m", 0.5)


def test_many_fields_that_are_nearly_dense_are_dense_together() -> None:
    """They do not add up."""
    nearly = b"[" + b"[]," * (MOST_VALUES // 2) + b"[]]"
    body = b'{"prompt":%b,"input":%b,"inputs":%b,"n":3}' % (nearly, nearly, nearly)
    exchange = read(body, GENERIC)
    assert exchange.unparsed
    assert exchange.sampling.answers == 3


@DENSE
def test_dense_bodies_that_are_no_object_are_bytes(junk: bytes) -> None:
    """A question in them is seen, and without one there is no exchange."""
    assert read(b'[{"prompt":"hi"},%b]' % junk, GENERIC).unparsed
    assert read_request(junk, GENERIC)[1] is None
    assert thinned(junk, whole=False) is None


@DENSE
def test_a_dense_object_without_a_question_is_no_exchange(junk: bytes) -> None:
    """Management calls are none, whatever their size."""
    assert read_request(b'{"items":%b,"model":"m"}' % junk, GENERIC)[1] is None


@DENSE
def test_dense_bodies_that_only_the_lenient_parser_reads_are_bytes(junk: bytes) -> None:
    """They are not parsed again and again."""
    exchange = read(b'{"messages":[{"content":"find me"}],"x":[NaN,%b]}' % junk)
    assert exchange.unparsed
    assert "find me" in exchange.turns[0].text


def test_long_bodies_that_only_the_lenient_parser_reads_are_bytes() -> None:
    """The lenient parser takes several times as long; real ones of that size need it not."""
    long = json.dumps({"messages": [{"content": "x" * 2**22}], "x": float("nan")}).encode()
    assert read(long).unparsed
    short = json.dumps({"messages": [{"content": "x" * 2**20}], "x": float("nan")}).encode()
    assert not read(short).unparsed


@pytest.mark.parametrize("form", [b"prompt=" + LISTS, b"n=2&prompt=" + b"%5B" * 2**21])
def test_dense_forms_are_bytes(form: bytes) -> None:
    """A question in one is known by its name."""
    assert read(form, GENERIC).unparsed


def test_a_dense_field_of_a_form_is_text() -> None:
    """The form itself may be short enough to be read."""
    exchange = read(b"prompt=" + b"%5B%5D," * MOST_VALUES, GENERIC)
    assert exchange.turns[0].text.startswith("[],[],")


def test_beside_junk_more_may_be_said_than_is_looked_at() -> None:
    """Then it is text, and the rest is read."""
    said = b'{"role":5,"content":[{"type":"odd","x":[' + b'"y",' * 60_000 + b'"find me"]}]}'
    exchange = read(b'{"messages":[%b],"x":%b,"n":3}' % (said, LISTS))
    assert exchange.unparsed
    assert "find me" in exchange.turns[0].text
    assert exchange.sampling.answers == 3
