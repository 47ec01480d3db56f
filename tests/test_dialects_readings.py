"""What bytes say to servers that go by different things."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.dialects import read_request
from gateway_guard.dialects.charsets import codecs_in
from gateway_guard.dialects.readings import ORDINARY, readings
from tests.callers import CHAT
from tests.parity import COMPLETIONS, FORM

JSON = b'{"prompt":"a&b=c; d"}'
TWO = b'{"prompt":"a","x":"&prompt=b&y="}'
UTF_7 = b"application/json; charset=utf-7"


@pytest.mark.parametrize(
    "kind", [*sorted(ORDINARY), b"text/plain", FORM, b"x/y;charset=\xff", b"=;=", UTF_7]
)
def test_json_that_says_one_thing_is_read_as_it_is(kind: bytes) -> None:
    """The very bytes, under whatever content type they come."""
    found = readings([JSON], [kind])
    assert len(found) == 1
    assert found[0] is JSON


def test_what_says_two_things_is_one_list_of_both() -> None:
    """Then nobody has to guess which of them the server takes."""
    [found] = readings([TWO], [FORM])
    assert [item["prompt"] for item in json.loads(found)] == ["a", "b"]
    [found] = readings([b'{"prompt":"+AGE-"}'], [UTF_7])
    assert [item["prompt"] for item in json.loads(found)] == ["+AGE-", "a"]
    [found] = readings([TWO, JSON], [b""])
    assert [item["prompt"] for item in json.loads(found)] == ["a", "a&b=c; d"]


def test_of_two_things_one_that_is_broken_is_left_out() -> None:
    """And one that only the standard parser reads is not."""
    assert readings([b'{"prompt":', JSON], [b""]) == [JSON]
    [found] = readings([b'{"prompt":NaN} garbage', JSON], [b""])
    assert json.loads(found) == [{"prompt": None}, json.loads(JSON)]
    assert readings([b'{"prompt":', b"["], [b""]) == [b'{"prompt":', b"["]


def test_what_would_take_too_long_to_bring_into_one_list_stands_for_all() -> None:
    """It is read as bytes, so that nothing else hides it."""
    dense = b"[NaN" + b",[]" * 200_000 + b"]"
    assert readings([JSON, dense], [b""]) == readings([dense], [b""]) == [dense]


def test_bytes_that_say_nothing_are_left_as_they_are() -> None:
    """The likeliest first."""
    assert readings([b"\x1f\x8b", b"\x89PNG"], [b"image/png"]) == [b"\x1f\x8b", b"\x89PNG"]


@given(st.lists(st.binary(), min_size=1, max_size=3), st.lists(st.binary(), max_size=3))
def test_any_bytes_can_be_read(bodies: list[bytes], kinds: list[bytes]) -> None:
    """Nothing is raised, and something is left."""
    assert readings(bodies, kinds)


@pytest.mark.parametrize(
    ("kind", "codecs"),
    [
        (b"text/json; charset=UTF-16LE", ["utf_16_le"]),
        (b'text/json; Charset = "latin1"; x="charset=cp037"', ["latin_1", "cp037"]),
        (b"text/json; charset=utf-8; charset=us-ascii; charset=unheard-of", []),
        (b"text/json; charset=rot13; charset=zlib; charset=idna", []),
        (b"text/json; charset=" + b"x" * 5_000, []),
    ],
)
def test_charsets_that_python_reads_are_known_by_all_their_names(
    kind: bytes, codecs: list[str]
) -> None:
    """Those that are no text are not among them, nor is what everybody assumes."""
    assert codecs_in(kind) == codecs


def test_documents_behind_each_other_are_all_read_unless_there_are_too_many() -> None:
    """Some servers take the first one, and others one a line."""
    documents = [b'{"prompt":"%d"}' % number for number in range(3)]
    exchange = read_request(b"\n".join(documents), COMPLETIONS)[1]
    assert exchange is not None
    assert [turn.text for turn in exchange.turns] == ["0", "1", "2"]
    exchange = read_request(b"1 " * 10_001, CHAT)[1]
    assert exchange is not None
    assert exchange.unparsed
