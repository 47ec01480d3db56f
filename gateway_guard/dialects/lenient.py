"""Read JSON as the servers behind the guard read it, where msgspec is stricter than they are.

They use the standard ``json``: it takes UTF-16 and UTF-32, a byte order mark, ``NaN``, ``Infinity``
and lone surrogates; some read forms. A text that reaches the model must reach the guard too.
"""

from __future__ import annotations

import json
import math
import re
from urllib.parse import parse_qsl

import msgspec

from gateway_guard.dialects.decoding import decode
from gateway_guard.dialects.density import MOST_LENIENT_COMMAS, is_dense

UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)
"""What readers raise for bytes that they cannot read."""

_MOST_FORM_FIELDS = 256
_PECULIAR = re.compile(rb"[\0\xed\xef]|NaN|Infinity|\\u[dD][89a-fA-F]")
"""What is in every body that the standard parser reads and msgspec does not."""
_FORM = re.compile(rb"[\w.\[\]%+-]{1,128}=[^\s{\"]*(?:&|\Z)")


def normalise(body: bytes) -> bytes:
    """Return a body that the standard parser reads, as UTF-8 JSON that msgspec reads.

    Numbers that are not finite become ``null``, lone surrogates a question mark.

    Raises:
        ValueError: the standard parser does not read it either.
        RecursionError: it is nested too deeply.

    """
    data = json.loads(body, parse_constant=lambda _: None, parse_float=_finite_or_none)
    return _dump(data)


def normalise_form(body: bytes) -> bytes | None:
    """Return a url-encoded form as a JSON object, or ``None`` where the body is no form.

    JSON inside a field is read as such.
    """
    if not _FORM.match(body):
        return None
    try:
        pairs = parse_qsl(body.decode("utf-8", "replace"), max_num_fields=_MOST_FORM_FIELDS)
        return _dump({name: _form_value(value) for name, value in pairs})
    except (ValueError, RecursionError):
        return None


def parse(body: bytes) -> object:
    """Return the plain value of a body that one of the two parsers reads.

    Raises one of ``UNREADABLE`` where neither does.
    """
    try:
        return decode(body)
    except UNREADABLE:
        # To be turned down by the other parser too takes many times as long.
        if not _PECULIAR.search(body):
            raise
        return decode(normalise(body))


def _dump(data: object) -> bytes:
    return json.dumps(data, ensure_ascii=False).encode("utf-8", "replace")


def _form_value(value: str) -> object:
    if not value.startswith(("[", "{")) or is_dense(value.encode(), MOST_LENIENT_COMMAS):
        return value
    try:
        return json.loads(value, parse_constant=lambda _: None, parse_float=_finite_or_none)
    except ValueError:
        return value


def _finite_or_none(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None
