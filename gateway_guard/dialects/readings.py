"""What the bytes of a body say to a server: as they are, in another charset, as a form.

Servers differ in what they go by. Where several of them would find something to hand to a model in
the same bytes, all of that is read.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec

from gateway_guard.dialects.charsets import codecs_in, decoded, extends_ascii, is_utf8
from gateway_guard.dialects.density import MOST_LENIENT_COMMAS, is_dense
from gateway_guard.dialects.forms import read_multipart, read_urlencoded
from gateway_guard.dialects.lenient import UNREADABLE, is_form, normalise, normalise_form

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

ORDINARY: Final = frozenset(
    {
        b"",
        b"application/json",
        b"application/json; charset=utf-8",
        b"application/json;charset=utf-8",
        b"application/json; charset=UTF-8",
        b"application/json;charset=UTF-8",
    }
)
"""Content types that say nothing which every server does not assume."""

_MOST_LENIENT_BYTES = 2**22
_MOST_LINES = 2
_BEFORE_JSON = b" \t\r\n\0\xef\xbb\xbf\xfe\xff"  # white space, and marks of UTF-8, 16 and 32
_FORM = re.compile(rb"[\w.\[\]%+-]{1,128}=")
_ASKS = re.compile(
    rb'"(?i:prompts?|messages|inputs?|contents?|query|question|text|system|instructions?)":'
)


def readings(bodies: Iterable[bytes], kinds: Sequence[bytes]) -> list[bytes]:
    """Return what bodies say, the likeliest first; what can be understood is one JSON text.

    Args:
        bodies: one body, in each form that a server may see.
        kinds: the values of all its ``content-type`` lines.

    """
    # Servers take the first line or the last one.
    ends = dict.fromkeys((*kinds[:_MOST_LINES], *kinds[-_MOST_LINES:]))
    found = dict.fromkeys(said for body in bodies for said in _said(body, ends))
    plain = [said for said in found if is_plain(said)]
    return (_together(plain) if len(plain) > 1 else plain) or list(found)


def _together(plain: list[bytes]) -> list[bytes]:
    """Return several texts as one list, or the one of them that would take too long to read."""
    found: dict[bytes, None] = {}
    for said in plain:
        if is_utf8(said) and _is_json(said):
            found[said] = None
        elif len(said) > _MOST_LENIENT_BYTES or is_dense(said, MOST_LENIENT_COMMAS):
            return [said]
        else:
            with suppress(*UNREADABLE):
                found[normalise_form(said) or normalise(said)] = None
    return [b"[" + b",".join(found) + b"]"] if len(found) > 1 else list(found) or plain


def is_plain(body: bytes) -> bool:
    """Tell whether a body looks like JSON or a form, whatever its headers say."""
    return begins_json(body) or is_form(body)


def begins_json(body: bytes) -> bool:
    """Tell whether the first byte that says something begins an object or a list."""
    return before_json(body)[:1] in {b"{", b"["}


def before_json(body: bytes) -> bytes:
    """Return a body without what may stand before JSON."""
    return body.lstrip(_BEFORE_JSON)


def _said(body: bytes, kinds: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the body, then what its content types make of it."""
    yield body
    for kind in kinds:
        name = kind.partition(b";")[0].strip().lower()
        try:
            if name == b"multipart/form-data":
                yield read_multipart(body, kind)
            elif name == b"application/x-www-form-urlencoded":
                form = read_urlencoded(body)
                # Clients that say nothing send JSON under this name.
                if _ASKS.search(form) or _FORM.match(body):
                    yield form
        except (ValueError, RecursionError):
            continue
        yield from _in_charsets(body, kind)


def _in_charsets(body: bytes, kind: bytes) -> Iterator[bytes]:
    """Yield the body in UTF-8, decoded by each charset that a header names."""
    for codec in codecs_in(kind):
        if not (extends_ascii(codec) and is_utf8(body)):
            yield decoded(body, codec, "replace").encode("utf-8", "replace")


def _is_json(body: bytes) -> bool:
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except UNREADABLE:
        return False
    return True
