"""Read forms: url-encoded ones, and the fields of multipart ones (RFC 7578).

Servers differ in where they see the end of a field. What any of them would take for one is read, so
the same bytes may be read twice; files are fields whose names mean nothing to the readers.
"""

from __future__ import annotations

import re
from itertools import chain, product
from typing import TYPE_CHECKING

from gateway_guard.dialects.charsets import codecs_in, decoded, is_utf8
from gateway_guard.dialects.density import MOST_LENIENT_COMMAS, is_dense
from gateway_guard.dialects.percent import percent_decoded
from gateway_guard.dialects.standard import dumps, loads

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MOST_FIELDS = 1000
"""Starlette refuses more."""

_UTF8 = "utf-8"
_MOST_BOUNDARIES = 4
_MOST_FILE_BYTES = 2**12
_LINE_END_BYTES = 2
_MOST_HEAD_BYTES = 2**14
_MOST_PADDING_BYTES = 64
_QUOTED = rb'("(?:[^"\\]|\\.)*"|[^;\s]*)'
_BOUNDARY = re.compile(rb"(?i)(?:^|[;\s])boundary\s*=\s*" + _QUOTED)
_NAME = re.compile(rb"(?i)(?:^|[;\s])name\s*=\s*" + _QUOTED)
_SAID = re.compile(
    rb"(?i:prompts?|messages?|inputs?|contents?|quer(?:y|ies)|questions?|texts?|system|instructions?)"
)
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")


def read_urlencoded(body: bytes) -> bytes:
    """Return a url-encoded form as a JSON object; JSON inside a field is read as such.

    Raises:
        ValueError: there are more fields than servers take.

    """
    bodies = (body, body.replace(b";", b"&")) if b";" in body else (body,)
    return _object_of(pair for each in bodies for pair in _pairs(each))


def _pairs(body: bytes) -> Iterator[tuple[str, str]]:
    """Yield name and value of each field that has one."""
    body = body.strip(b"&")
    while b"&&" in body:  # servers pass over empty fields
        body = body.replace(b"&&", b"&")
    if body.count(b"&") >= MOST_FIELDS:
        message = "too many fields"
        raise ValueError(message)
    for field in body.split(b"&"):
        name, _, value = field.partition(b"=")
        if value:
            yield _decoded(name), _decoded(value)


def _decoded(text: bytes) -> str:
    plain = percent_decoded(text.replace(b"+", b" "))
    return plain.replace(b"\0", b"").decode("utf-8", "replace")


def read_multipart(body: bytes, content_type: bytes) -> bytes:
    """Return the fields of a multipart form as a JSON object.

    Raises:
        ValueError: the header names no boundary that is in the body, or there are more fields than
            servers take.

    """
    pairs: list[tuple[str, str]] = []
    codecs = (_UTF8, *codecs_in(content_type))
    for boundary in _boundaries(content_type):
        places = _places(body, b"--" + boundary)
        strict = _strict(body, places)
        lax = [place for place in places if _is_lax(body, *place)]
        for cuts in (strict, lax) if strict != lax else (strict,):
            ends = [*(begin for begin, _ in cuts[1:]), None]
            parts = (body[after:end] for (_, after), end in zip(cuts, ends, strict=False))
            pairs += _fields(parts, codecs)
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


def _strict(body: bytes, places: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the delimiters to servers that take the standard at its word.

    Its line end is part of a delimiter, so none can follow the blank line of a part at once.
    """
    found: list[tuple[int, int]] = []
    data_from = -_LINE_END_BYTES
    for begin, end in places:
        first = begin < _MOST_PADDING_BYTES and not body[:begin].strip(b"\r\n")
        before = begin - _LINE_END_BYTES
        begins = (first and not found) or body[before:begin] == b"\r\n"
        ends = body[end : end + _LINE_END_BYTES] in {b"\r\n", b"--"}
        if begins and ends and before >= data_from:
            found.append((begin, end))
            blank = body.find(b"\r\n\r\n", end, end + _MOST_HEAD_BYTES)
            data_from = max(blank + 2 * _LINE_END_BYTES, end)
    return found


def _is_lax(body: bytes, begin: int, end: int) -> bool:
    """Tell whether a delimiter is one to servers that take bare newlines, or blanks behind it."""
    follows = body[end : end + _MOST_PADDING_BYTES].lstrip(b" \t")
    return body[begin - 1 : begin] in {b"", b"\n"} and follows.startswith((b"\r", b"\n", b"--"))


def _fields(parts: Iterable[bytes], codecs: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield name and text of each part; what has no name goes on with the part before it."""
    names: list[bytes] = []
    for part in parts:
        if part.startswith(b"--"):
            return
        blank = _BLANK_LINE.search(part, 0, _MOST_HEAD_BYTES)
        found = [_unquoted(name) for name in _NAME.findall(part[: blank.start()])] if blank else []
        names = found or names
        data = (part[blank.end() :] if blank and found else part).removesuffix(b"\r\n")
        for name, codec in product(names, codecs):
            yield decoded(name, codec), _text(data, name, codec)


def _text(data: bytes, name: bytes, codec: str) -> str:
    """Return the text of a field; of what is no text, and has no name for one, the beginning."""
    if codec == _UTF8:
        data = data.replace(b"\0", b"")
        if not is_utf8(data) and not _SAID.fullmatch(name):
            data = data[:_MOST_FILE_BYTES]
    return decoded(data, codec)


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
