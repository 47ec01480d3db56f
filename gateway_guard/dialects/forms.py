"""Read forms: url-encoded ones, and the fields of multipart ones (RFC 7578).

Servers differ in where they see the end of a field. What any of them would take for one is read, so
the same bytes may be read twice; files are fields whose names mean nothing to the readers.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from gateway_guard.dialects.density import MOST_LENIENT_COMMAS, both_ends, is_dense
from gateway_guard.dialects.standard import dumps, loads

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MOST_FIELDS = 1000
"""Starlette refuses more."""

_MOST_BOUNDARIES = 4
_MOST_HEAD_BYTES = 2**14
_MOST_PADDING_BYTES = 64
_QUOTED = rb'("(?:[^"\\]|\\.)*"|[^;\s]*)'
_BOUNDARY = re.compile(rb"(?i)(?:^|[;\s])boundary\s*=\s*" + _QUOTED)
_NAME = re.compile(rb"(?i)(?:^|[;\s])name\s*=\s*" + _QUOTED)
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")


def read_urlencoded(body: bytes) -> bytes:
    """Return a url-encoded form as a JSON object; JSON inside a field is read as such.

    Raises:
        ValueError: there are more fields than servers take.

    """
    text = body.decode("utf-8", "replace")
    pairs = parse_qsl(text, max_num_fields=MOST_FIELDS)
    if ";" in text:
        pairs += parse_qsl(text.replace(";", "&"), max_num_fields=MOST_FIELDS)
    return _object_of(pairs)


def read_multipart(body: bytes, content_type: bytes) -> bytes:
    """Return the fields of a multipart form as a JSON object.

    Raises:
        ValueError: the header names no boundary that is in the body, or there are more fields than
            servers take.

    """
    pairs: list[tuple[str, str]] = []
    for boundary in _boundaries(content_type):
        places = _places(body, b"--" + boundary)
        for is_limit in (_is_strict, _is_lax):
            cuts = [place for place in places if is_limit(body, *place)]
            ends = [*(begin for begin, _ in cuts[1:]), None]
            pairs += _fields(body[after:end] for (_, after), end in zip(cuts, ends, strict=False))
    if not pairs:
        message = "no boundary"
        raise ValueError(message)
    return _object_of(pairs)


def _boundaries(content_type: bytes) -> Iterable[bytes]:
    """Return what the parameters of a header may name as the boundary."""
    found = [_unquoted(value) for value in _BOUNDARY.findall(content_type)]
    return [boundary for boundary in dict.fromkeys(found[-_MOST_BOUNDARIES:]) if boundary]


def _places(body: bytes, delimiter: bytes) -> list[tuple[int, int]]:
    """Return where the delimiter begins and ends."""
    found: list[tuple[int, int]] = []
    at = body.find(delimiter)
    while at >= 0:
        found.append((at, at + len(delimiter)))
        if len(found) > MOST_FIELDS + 1:
            message = "too many fields"
            raise ValueError(message)
        at = body.find(delimiter, at + len(delimiter))
    return found


def _is_strict(body: bytes, begin: int, end: int) -> bool:
    """Tell whether a delimiter is one to servers that take the standard at its word."""
    first = begin < _MOST_PADDING_BYTES and not body[:begin].strip(b"\r\n")
    follows = body[end : end + 2]
    return (first or body[begin - 2 : begin] == b"\r\n") and follows in {b"\r\n", b"--"}


def _is_lax(body: bytes, begin: int, end: int) -> bool:
    """Tell whether a delimiter is one to servers that take bare newlines, or blanks behind it."""
    follows = body[end : end + _MOST_PADDING_BYTES].lstrip(b" \t")
    return body[begin - 1 : begin] in {b"", b"\n"} and follows.startswith((b"\r", b"\n", b"--"))


def _fields(parts: Iterable[bytes]) -> Iterator[tuple[str, str]]:
    """Yield name and text of each part; what has no name goes on with the part before it."""
    names: list[bytes] = []
    for part in parts:
        if part.startswith(b"--"):
            return
        blank = _BLANK_LINE.search(part, 0, _MOST_HEAD_BYTES)
        found = [_unquoted(name) for name in _NAME.findall(part[: blank.start()])] if blank else []
        names = found or names
        text = both_ends(part[blank.end() :] if blank and found else part)
        yield from ((name.decode("utf-8", "replace"), text.removesuffix("\r\n")) for name in names)


def _unquoted(value: bytes) -> bytes:
    """Return a parameter without its quotes."""
    if not value.startswith(b'"'):
        return value
    return value[1:-1].replace(b"\\\\", b"\\").replace(b'\\"', b'"')


def _object_of(pairs: Iterable[tuple[str, str]]) -> bytes:
    """Return a JSON object; a name that comes more than once has all its values."""
    found: dict[str, list[object]] = {}
    for name, value in dict.fromkeys(pairs):
        found.setdefault(name, []).append(_value(value))
    return dumps({name: _joined(values) for name, values in found.items()})


def _joined(values: list[object]) -> object:
    """Return one value as it is, several as a list in which lists have been made one."""
    if len(values) == 1:
        return values[0]
    lists = [value if isinstance(value, list) else [value] for value in values]
    return list(chain.from_iterable(lists))


def _value(value: str) -> object:
    """Return a field's text, or what it says in JSON."""
    if value[:1] not in {"[", "{"} or is_dense(value.encode(), MOST_LENIENT_COMMAS):
        return value
    try:
        return loads(value)
    except (ValueError, RecursionError):
        return value
