"""What a model is shown beside the conversation: tools, forms of answers, arguments of calls.

It is JSON, which models read as text. So does the guard, without making anything of it: the same
tools come with every request and have the same text each time.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import msgspec

from gateway_guard.exchange import Turn

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ABSENT = msgspec.Raw()
_EMPTY = frozenset({"", "null", "false", "{}", "[]", '""'})
_LONGEST_EMPTY = max(map(len, _EMPTY))
_FEW = 16
_HIDING = re.compile(r"\\u")
_STICKING = re.compile(r"\\[ntrbf]")


def with_asides(turns: Sequence[Turn], asides: Iterable[str]) -> tuple[Turn, ...]:
    """Return the turns with what is shown beside them, if anything, as one more system turn.

    It follows the first turn of another role: the system texts that a request begins with tell
    applications apart, and stay what they are when the tools change.
    """
    text = "\n".join(filter(None, asides))
    if not text or not turns:
        return tuple(turns)
    places = (at for at, turn in enumerate(turns, 1) if turn.role != "system")
    place = next(places, len(turns))
    return (*turns[:place], Turn("system", text), *turns[place:])


def aside(raw: msgspec.Raw) -> str:
    """Return a raw JSON value as text, an empty one as an empty text."""
    return plain(bytes(raw).decode("utf-8", "replace")) if raw else ""


def tools_aside(tools: Iterable[msgspec.Raw]) -> str:
    """Return the definitions of tools as text."""
    return plain(b",\n".join(tools).decode("utf-8", "replace"))


def aside_of(value: object) -> str:
    """Return a plain JSON value as text, likewise; strings hold JSON themselves."""
    if value is None:
        return ""
    return plain(value if isinstance(value, str) else msgspec.json.encode(value).decode())


def plain(text: str) -> str:
    """Return JSON with those escapes undone that letters hide behind or stick to.

    Quotation marks may become blanks then, and backslashes slashes. What is no JSON stays as it is.
    """
    if len(text) <= _LONGEST_EMPTY and text in _EMPTY:
        return ""
    escapes = text.count("\\")
    if not escapes:
        return text
    # Searching is the faster way where escapes are few.
    if escapes * _FEW < len(text) and not _HIDING.search(text):
        return _STICKING.sub(" ", text)
    quoted = text.replace("\\\\", "/").replace('\\"', "'").replace('"', " ")
    try:
        read: str = json.loads(f'"{quoted}"', strict=False)
    except ValueError:
        return text
    return read.encode("utf-8", "replace").decode("utf-8")
