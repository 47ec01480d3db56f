"""Forms: what one server or another takes for a field is read, at the cost of reading bytes."""

from __future__ import annotations

import json
from contextlib import suppress
from urllib.parse import quote, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.dialects.forms import MOST_FIELDS, read_multipart, read_urlencoded
from gateway_guard.dialects.percent import percent_decoded
from tests.parity import MULTIPART, part

END = b"--cut--\r\n"


def fields(form: bytes) -> object:
    """Return what a form says."""
    return json.loads(form)


@given(st.text("%aAfFgG019 +é", max_size=2_000), st.integers(0, 400))
def test_escapes_are_undone_as_the_standard_library_does(text: str, times: int) -> None:
    """However many there are."""
    raw = (text + "%" * 300).encode() + quote(text, safe="").encode() * times
    assert percent_decoded(raw) == unquote_to_bytes(raw)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"a=1&b=2", {"a": "1", "b": "2"}),
        (b"a=1&&&b=2&", {"a": "1", "b": "2"}),
        (b"a=1&a=2", {"a": ["1", "2"]}),
        (b"a=1&a=1", {"a": "1"}),
        (b"a=&b", {}),
        (b"a+b=c%20d%C3%A9%ff", {"a b": "c d\xe9\ufffd"}),
        (b"a=1;b=2", {"a": ["1;b=2", "1"], "b": "2"}),
        (b'a=[1,2]&a=[3]&b={"c":NaN}', {"a": [1, 2, 3], "b": {"c": None}}),
        (b"a=[1&b={", {"a": "[1", "b": "{"}),
        (b"a=x&a=[1]", {"a": ["x", 1]}),
    ],
)
def test_a_form_is_an_object(body: bytes, said: object) -> None:
    """A name that comes more than once has all its values."""
    assert fields(read_urlencoded(body)) == said


def test_the_number_of_fields_is_bounded_and_that_of_separators_is_not() -> None:
    """Servers skip them."""
    most = b"&".join(b"a%d=1" % number for number in range(MOST_FIELDS + 1))
    assert len(json.loads(read_urlencoded(b"&" * 5_000 + most[5:]))) == MOST_FIELDS
    with pytest.raises(ValueError, match="too many fields"):
        read_urlencoded(most + b"&a=1")
    with pytest.raises(ValueError, match="too many fields"):
        read_multipart(part("a", b"b") * (MOST_FIELDS + 2), MULTIPART)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (part("a", b"b") + END, {"a": "b"}),
        (part("a", b"b\r\n") + part("a", b"c") + END, {"a": ["b\r\n", "c"]}),
        (part("a", b"b", b'; filename="c"') + END, {"a": "b"}),
        (part("a", b"\xff\0\xff" * 4_096) + END, {"a": "\xff" * 4_096}),
        (part("text", b"\xff" * 4_097) + END, {"text": "\xff" * 4_097}),
        (part("a", b"b") + END + part("c", b"d"), {"a": "b"}),
        (part("a", b"[1]") + END, {"a": [1]}),
        (part('a\\"b', b"c") + END, {'a"b': "c"}),
    ],
)
def test_parts_are_fields(body: bytes, said: object) -> None:
    """Files, too; of what is no text the beginning is enough unless it is named as one."""
    assert fields(read_multipart(body, MULTIPART)) == said


def test_where_servers_would_cut_elsewhere_both_are_read() -> None:
    """One goes by carriage returns alone, the other does not."""
    body = part("a", b"b\n--cut\nContent-Disposition: form-data; name=c\n\nd") + END
    said = fields(read_multipart(body, MULTIPART))
    assert said == {
        "a": ["b\n--cut\nContent-Disposition: form-data; name=c\n\nd", "b\n"],
        "c": "d",
    }


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (b"multipart/form-data", part("a", b"b") + END),
        (b"multipart/form-data; boundary=", part("a", b"b") + END),
        (b"multipart/form-data; boundary=other", part("a", b"b") + END),
        (MULTIPART, b"--cut"),
        (MULTIPART, b"--cut\r\nname=a\r\n" + END),
        (MULTIPART, b"--cut\r\n" + b"x" * 20_000 + b"name=a\r\n\r\nb\r\n" + END),
    ],
)
def test_what_has_no_parts_is_no_form(kind: bytes, body: bytes) -> None:
    """It is read as something else, then."""
    with pytest.raises(ValueError, match="no boundary"):
        read_multipart(body, kind)


@given(st.binary(), st.binary() | st.just(MULTIPART))
def test_any_bytes_are_a_form_or_none(body: bytes, kind: bytes) -> None:
    """Nothing else is raised."""
    with suppress(ValueError):
        assert isinstance(fields(read_urlencoded(body)), dict)
    with suppress(ValueError):
        assert isinstance(fields(read_multipart(body, kind)), dict)
