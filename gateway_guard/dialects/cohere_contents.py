"""What Cohere's chat is given to read, in both of its versions, and the turns it makes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from gateway_guard.dialects import parts
from gateway_guard.dialects.asides import ABSENT, aside, aside_of, tools_aside
from gateway_guard.dialects.calls import nameless_id
from gateway_guard.dialects.loose import Menders, strings_in
from gateway_guard.exchange import Role, Turn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway_guard.dialects.bounds import Budget

_ROLES: dict[str, Role] = {
    "assistant": "assistant",
    "chatbot": "assistant",
    "system": "system",
    "developer": "system",
    "tool": "tool",
}


class Function(msgspec.Struct, gc=False):
    """The function that is called, in the second version."""

    arguments: Any = None


class Call(msgspec.Struct, gc=False):
    """A call of a tool; in the first version it has no id."""

    id: str | None = None
    name: str = ""
    parameters: Any = None
    function: Function | None = None


class Block(msgspec.Struct, gc=False):
    """A part of a message's content."""

    type: str = "text"
    text: str | None = None
    thinking: str | None = None
    document: msgspec.Raw = ABSENT


class Result(msgspec.Struct, gc=False):
    """What a tool returned, in the first version."""

    outputs: msgspec.Raw = ABSENT


class Message(msgspec.Struct, gc=False):
    """A message; what it says is its ``content``, in the first version its ``message``."""

    role: str = "user"
    content: list[Block | str] | str | None = None
    message: str | None = None
    plan: str | None = msgspec.field(default=None, name="tool_plan")
    calls: list[Call] | None = msgspec.field(default=None, name="tool_calls")
    results: list[Result] | None = msgspec.field(default=None, name="tool_results")


def message_turns(message: Message) -> list[Turn]:
    """Return the turns of one message.

    Raises:
        msgspec.ValidationError: a part of its content is of an unknown kind; ``loosely`` with
            ``MENDERS`` reads it.

    """
    role = _ROLES.get(message.role.lower(), "user")
    said: list[parts.Part | str] = [
        text for text in (message.message, message.plan) if text is not None
    ]
    content = message.content or ()
    for block in [content] if isinstance(content, str) else content:
        said += [block] if isinstance(block, str) else _made_of(block, role)
    if message.results and not said:
        return [result_turn(message.results)]
    calls = message.calls or ()
    ids = [call.id or nameless_id(call.name, call.parameters) for call in calls]
    turns = parts.split_turns(role, said, ids, map(_arguments, calls))
    return [*turns, result_turn(message.results)] if message.results else turns


def result_turn(results: list[Result]) -> Turn:
    """Return what tools returned as one turn."""
    return Turn("tool", "\n".join(aside(result.outputs) for result in results))


def document_turn(documents: list[msgspec.Raw]) -> Turn:
    """Return what was found for the question as one turn: nobody who asks wrote it."""
    return Turn("tool", tools_aside(documents))


def _arguments(call: Call) -> str:
    called = call.parameters if call.function is None else call.function.arguments
    return aside_of(called)


def _made_of(block: Block, role: Role) -> Iterator[parts.Part | str]:
    """Yield the parts that the chat dialects would have for a block."""
    if block.text is not None:
        yield block.text
    elif block.type == "image_url":
        yield parts.Part("image")
    elif block.document:
        yield aside(block.document)
    elif block.thinking is not None:
        yield parts.Part("thinking") if role == "assistant" else block.thinking
    else:
        message = "a block of an unknown kind"
        raise msgspec.ValidationError(message)


def _mend(data: dict[str, object], budget: Budget) -> dict[str, object]:
    """Return a block, one of an unknown kind as a text."""
    if data.get("type") == "image_url" or any(name in data for name in _NAMES):
        return data
    return {"text": "\n".join(strings_in(data, budget))}


_NAMES = frozenset(Block.__struct_encode_fields__) - {"type"}
MENDERS: Menders = {Block: _mend}
