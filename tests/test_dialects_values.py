"""Bodies of many JSON values: lines, arrays and documents, cut anywhere."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.dialects.readers import Grammar
from gateway_guard.dialects.values import MOST_DEPTH, ValuesReader
from tests.responses_read import KEY, cut

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway_guard.dialects.tally import Tally


def finding(found: list[object]) -> ValuesReader[object]:
    """Return a reader that appends what it finds to a list."""

    def absorb(value: object, tally: Tally) -> None:
        del tally
        found.append(value)

    return ValuesReader(Grammar(object, lambda data: data, absorb), KEY)


def read(pieces: Iterable[bytes]) -> list[object]:
    """Return the values that a reader finds."""
    found: list[object] = []
    reader = finding(found)
    for piece in pieces:
        reader.feed(piece)
    reader.finish()
    return found


VALUES = st.recursive(
    st.none() | st.integers() | st.text('x"\\{}[] \n,é🐈', max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text('x"\\{}[]', max_size=4), inner, max_size=3)
    ),
    max_leaves=12,
)
OBJECTS = st.lists(st.dictionaries(st.text(max_size=4), VALUES, min_size=1, max_size=3), max_size=6)
PLACES = st.lists(st.integers(0, 1000), max_size=12)


@given(
    objects=OBJECTS,
    places=PLACES,
    ascii_only=st.booleans(),
    indent=st.sampled_from([None, 0, 2]),
)
def test_the_objects_of_an_array_are_found(
    objects: list[object], places: list[int], *, ascii_only: bool, indent: int | None
) -> None:
    """Pretty or not, wherever it is cut, whatever its strings hold."""
    body = json.dumps(objects, ensure_ascii=ascii_only, indent=indent).encode()
    assert read(cut(body, places)) == objects


@given(OBJECTS, PLACES, st.sampled_from([b"\n", b"\r\n", b"", b" ", b",\n", b"\x1e"]))
def test_the_objects_of_lines_are_found(
    objects: list[object], places: list[int], between: bytes
) -> None:
    """Whatever stands between them."""
    body = between.join(json.dumps(one).encode() for one in objects)
    assert read(cut(body, places)) == objects


@given(st.text('x"\\{}[] \n:,', max_size=200), PLACES)
def test_what_is_almost_json_raises_nothing(text: str, places: list[int]) -> None:
    """Brackets and quotation marks in any order."""
    assert isinstance(read(cut(text.encode(), places)), list)


def test_empty_objects_are_passed_over() -> None:
    """They say nothing, and there can be millions of them."""
    assert read([b'{}[{}, { } ,{"a":{}},[]]{}']) == [{}, {"a": {}}]


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_what_is_deeper_than_any_parser_goes_is_let_go(opening: bytes) -> None:
    """With all that follows it."""
    deep = b'{"a":' + opening * MOST_DEPTH
    rest = b'x"' * 20_000
    assert read([b'{"a":1}', deep, rest, b'{"a":2}']) == [{"a": 1}]


def test_what_is_held_is_told() -> None:
    """Nothing is, once it was read."""
    reader = finding([])
    reader.feed(b'{"a":1}{"b":')
    assert reader.held_bytes == 12
    reader.feed(b"2}" * 8_192)
    assert reader.held_bytes == 0
