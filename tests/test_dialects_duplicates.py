"""Names that stand twice in a JSON object: whichever value the upstream takes is read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.dialects.duplicates import resolved
from tests.callers import CHAT
from tests.parity import COMPLETIONS, EVIL, Recorder, Sent, said

if TYPE_CHECKING:
    from gateway_guard.dialects.duplicates import Choice

HIDDEN = {
    "messages": b'{"messages":[{"content":"%b"}],"messages":[{"content":"Hi."}]}',
    "content": b'{"messages":[{"content":"%b","content":"Hi."}]}',
    "an escape": rb'{"messages":[{"c\u006fntent":"%b","content":"Hi."}]}',
    "parts": b'{"messages":[{"content":[{"type":"text","text":"%b","text":"Hi."}]}]}',
    "a prompt": b'{"prompt":"%b","prompt":"Hi."}',
    "NaN": b'{"messages":[{"content":"%b","content":"Hi."}],"x":NaN}',
    "garbage": b'{"prompt":"%b","prompt":"Hi."} garbage',
}
CASES = {
    "Messages": b'{"messages":[{"content":"Hi."}],"Messages":[{"content":"%b"}]}',
    "Content": b'{"messages":[{"Content":"%b"}]}',
    "CONTENT": b'{"messages":[{"content":"Hi.","CONTENT":"%b"}]}',
}


def read(body: bytes, choice: str, path: str = CHAT) -> str:
    """Return what the guard reads where the upstream takes the value of its choice."""
    return said(Recorder(duplicate_keys=choice).read(Sent(body % EVIL.encode(), path=path)))


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
@pytest.mark.parametrize("name", HIDDEN)
def test_the_first_value_is_read_where_it_counts(name: str, path: str) -> None:
    """At any depth, and by whichever parser; elsewhere the last one is, as by Python's parsers."""
    texts = {choice: read(HIDDEN[name], choice, path) for choice in ("first", "last", "both")}
    assert {choice for choice, text in texts.items() if EVIL in text} == {"first", "both"}
    assert {choice for choice, text in texts.items() if "Hi." in text} == {"last", "both"}


@pytest.mark.parametrize("name", CASES)
def test_names_that_differ_by_case_are_one_where_nothing_is_known(name: str) -> None:
    """Go's parser does not tell them apart."""
    assert EVIL in read(CASES[name], "both")


def test_what_is_too_dense_to_be_looked_through_is_read_as_text() -> None:
    """Nobody hides a name behind a heap of others."""
    body = b'{"prompt":"%b","prompt":"Hi.","x":[' + b"[]," * 200_000 + b"[]]}"
    assert EVIL in read(body, "both", COMPLETIONS)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), VALUES), st.sampled_from(["first", "last", "both"]))
def test_what_has_every_name_once_is_left_alone(value: object, choice: Choice) -> None:
    """The very bytes, unless names differ by case alone."""
    body = json.dumps(value).encode()
    assert resolved(body, choice) is body or (choice == "both" and body != body.lower())


@given(st.binary(), st.sampled_from(["first", "last", "both"]))
def test_any_bytes_are_left_alone(body: bytes, choice: Choice) -> None:
    """What is no JSON has no names."""
    assert resolved(body, choice) == body
