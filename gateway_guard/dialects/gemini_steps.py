"""The steps and contents of Gemini's interactions, and the turns they make."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import msgspec

from gateway_guard.dialects import parts
from gateway_guard.dialects.asides import ABSENT, aside
from gateway_guard.dialects.loose import Menders, strings_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway_guard.dialects.bounds import Budget
    from gateway_guard.exchange import Role, Turn


class Item(msgspec.Struct, gc=False):
    """A step of an interaction, a content inside one, or a turn of an older conversation."""

    type: str = ""
    role: str | None = None
    text: str | None = None
    content: list[Item | str] | Item | str | None = None
    summary: list[Item | str] | None = None
    id: str | None = None
    arguments: msgspec.Raw = ABSENT
    result: msgspec.Raw = ABSENT


Items = list[Item | str] | Item | str | None

_PICTURES = frozenset({"image", "document", "audio", "video"})
_THOUGHT = "thought"
_OWN_RESULT = "function_result"
"""What a client returns; every other result is what the upstream's own tools returned."""


def items_turns(items: Items) -> list[Turn]:
    """Return the turns of what is put in; what one side says without a break is one turn.

    Raises:
        msgspec.ValidationError: an item is of an unknown kind; ``loosely`` with ``MENDERS`` reads
            it.

    """
    turns: list[Turn] = []
    for role, group in groupby(listed(items), _role_of):
        turns += parts.split_turns(role, [part for item in group for part in _made_of(item, role)])
    return turns


def listed(items: Items) -> list[Item | str]:
    """Return items as a list."""
    if items is None:
        return []
    return items if isinstance(items, list) else [items]


def is_call(kind: str) -> bool:
    """Tell whether a step is a call of a tool."""
    return kind.endswith("_call")


def texts_of(items: Items) -> Iterator[str]:
    """Yield the texts of contents."""
    for item in listed(items):
        text = item if isinstance(item, str) else item.text
        if text:
            yield text


def _role_of(item: Item | str) -> Role:
    if isinstance(item, str):
        return "user"
    if item.role is not None:
        return "assistant" if item.role in {"model", "assistant"} else "user"
    kind = item.type
    spoken = kind in {"model_output", _THOUGHT} or is_call(kind)
    return "assistant" if spoken or (_is_result(kind) and kind != _OWN_RESULT) else "user"


def _is_result(kind: str) -> bool:
    return kind.endswith("_result")


def _made_of(item: Item | str, role: Role) -> Iterator[parts.Part | str]:
    """Yield the parts that the chat dialects would have for an item."""
    if isinstance(item, str):
        yield item
    elif is_call(item.type):
        yield parts.Part("tool_use", id=item.id, input=item.arguments)
    elif _is_result(item.type):
        yield parts.Part("tool_result", content=_result_of(item))
    elif item.type == _THOUGHT:
        yield parts.Part("thinking")
    elif item.text is not None:
        yield item.text
    elif item.content is not None:
        for inner in listed(item.content):
            yield from _made_of(inner, role)
    elif item.type in _PICTURES:
        yield parts.Part("image")
    elif item.type not in {"user_input", "model_output"}:
        message = "an item of an unknown kind"
        raise msgspec.ValidationError(message)


def _result_of(item: Item) -> str:
    """Return what a tool returned, a plain text without its quotation marks."""
    try:
        return msgspec.json.decode(item.result, type=str) if item.result else ""
    except msgspec.ValidationError:
        return aside(item.result)


def _mend(data: dict[str, object], budget: Budget) -> dict[str, object]:
    """Return an item, one of an unknown kind as a text."""
    kind = data.get("type")
    known = isinstance(kind, str) and (kind in _KINDS or is_call(kind) or _is_result(kind))
    if known or "text" in data or "content" in data:
        return data
    return {"type": "text", "text": "\n".join(strings_in(data, budget))}


_KINDS = _PICTURES | {"user_input", "model_output", _THOUGHT}
MENDERS: Menders = {Item: _mend}
