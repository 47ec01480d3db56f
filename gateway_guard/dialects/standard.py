"""The standard JSON parser as the servers behind the guard use it, and values written for msgspec.

Numbers that are not finite become ``null``, lone surrogates a question mark.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

Pairs = list[tuple[str, object]]
"""The names and values of an object, in their order."""

_MOST_DOCUMENTS = 10_000
_BLANK = re.compile(r"[ \t\r\n]*")


def loads(text: str | bytes) -> object:
    """Return the value of a JSON text, in UTF-8, 16 or 32 where it is bytes.

    Raises:
        ValueError: it is none.
        RecursionError: it is nested too deeply.

    """
    return json.loads(text, parse_constant=_null, parse_float=_finite_or_none)


def dumps(value: object) -> bytes:
    """Return a value as JSON that msgspec reads."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")


def leading_documents(body: bytes, hook: Callable[[Pairs], object] | None = None) -> list[object]:
    """Return the JSON documents that a body begins with, one after another.

    Some parsers take the first document and leave alone what follows it. ``hook`` makes the objects
    of their pairs.

    Raises:
        ValueError: it begins with none, or there are too many.
        RecursionError: one of them is nested too deeply.

    """
    text = body.decode(json.detect_encoding(body), "surrogatepass").removeprefix("\ufeff")
    decoder = json.JSONDecoder(
        parse_constant=_null, parse_float=_finite_or_none, object_pairs_hook=hook
    )
    found: list[object] = []
    at = _skip_blank(text, 0)
    while at < len(text):
        try:
            value, at = decoder.raw_decode(text, at)
        except ValueError:
            if not found:
                raise
            break
        found.append(value)
        if len(found) > _MOST_DOCUMENTS:
            message = "too many documents"
            raise ValueError(message)
        at = _skip_blank(text, at)
    return found


def _skip_blank(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    return found.end() if found else at


def _null(_: str) -> None:
    """Stand for ``NaN`` and ``Infinity``."""


def _finite_or_none(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None
