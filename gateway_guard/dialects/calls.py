"""What a call of a tool is recognised by when clients send it back, where it has no id."""

from __future__ import annotations

import msgspec

from gateway_guard.dialects.asides import plain
from gateway_guard.dialects.decoding import decode
from gateway_guard.dialects.lenient import UNREADABLE


def nameless_id(name: str, arguments: object) -> str:
    """Return what a call says, its arguments in the order of their names.

    ``arguments`` are a plain JSON value, or a raw one; none and empty ones are the same.
    """
    return f"{name}({_in_order(arguments)})"


def _in_order(arguments: object) -> str:
    raw = arguments if isinstance(arguments, msgspec.Raw) else None
    try:
        value = arguments if raw is None else decode(raw or b"null", finite=True)
        text = msgspec.json.encode(value, order="sorted").decode()
    except UNREADABLE:
        text = "" if raw is None else bytes(raw).decode("utf-8", "replace")
    return text if plain(text) else ""
