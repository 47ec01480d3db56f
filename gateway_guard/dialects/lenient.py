"""Read JSON as the servers behind the guard read it, where msgspec is stricter than they are.

They use the standard ``json``: it takes UTF-16 and UTF-32, a byte order mark, ``NaN``, ``Infinity``
and lone surrogates; some stop behind the first document, some read forms. A text that reaches the
model must reach the guard too.
"""

from __future__ import annotations

import re

import msgspec

from gateway_guard.dialects.decoding import decode
from gateway_guard.dialects.forms import read_urlencoded
from gateway_guard.dialects.standard import dumps, leading_documents, loads

UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)
"""What readers raise for bytes that they cannot read."""

_PECULIAR = re.compile(rb"[\0\xed\xef]|NaN|Infinity|\\u[dD][89a-fA-F]")
"""What is in every body that the standard parser reads and msgspec does not."""
_FORM = re.compile(rb"[\w.\[\]%+-]{1,128}=[^\s{\"]*(?:&|\Z)")


def normalise(body: bytes) -> bytes:
    """Return a body that the standard parser reads, as UTF-8 JSON that msgspec reads.

    Of several documents all are in a list; what is no JSON behind the first of them is left out.

    Raises:
        ValueError: the standard parser does not read it either.
        RecursionError: it is nested too deeply.

    """
    found = leading_documents(body)
    return dumps(found[0] if len(found) == 1 else found)


def is_form(body: bytes) -> bool:
    """Tell whether a body looks like a url-encoded form."""
    return _FORM.match(body) is not None


def normalise_form(body: bytes) -> bytes | None:
    """Return a url-encoded form as a JSON object, or ``None`` where the body is no form.

    JSON inside a field is read as such.
    """
    if not is_form(body):
        return None
    try:
        return read_urlencoded(body)
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
        return decode(dumps(loads(body)))
