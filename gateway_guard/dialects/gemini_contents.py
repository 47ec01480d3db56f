"""The contents that Gemini is given, and the turns they make.

Google's servers take every field under two names, ``inlineData`` and ``inline_data``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from gateway_guard.dialects import parts
from gateway_guard.dialects.asides import ABSENT, aside
from gateway_guard.dialects.calls import nameless_id
from gateway_guard.dialects.loose import Menders, strings_in
from gateway_guard.exchange import Role, Turn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway_guard.dialects.bounds import Budget

T = TypeVar("T", "Part", "Content")

ROLES: dict[str, Role] = {
    "model": "assistant",
    "assistant": "assistant",
    "system": "system",
    "function": "tool",
    "tool": "tool",
}
"""The role a turn gets for the role on the wire; every other one is a ``user``."""


class Call(msgspec.Struct, gc=False):
    """A call of a function."""

    id: str | None = None
    name: str = ""
    args: msgspec.Raw = ABSENT


class Result(msgspec.Struct, gc=False):
    """What a function returned."""

    response: msgspec.Raw = ABSENT
    parts: list[Any] | None = None


class Code(msgspec.Struct, gc=False):
    """Code that the model had run, or what came out of it."""

    code: str | None = None
    output: str | None = None


class Data(msgspec.Struct, gc=False):
    """Something that is no text; all that counts is that it is there."""


class Part(msgspec.Struct, gc=False):
    """One part of a content."""

    text: str | None = None
    thought: bool | None = None
    function_call: Call | None = msgspec.field(default=None, name="functionCall")
    function_response: Result | None = msgspec.field(default=None, name="functionResponse")
    inline_data: Data | None = msgspec.field(default=None, name="inlineData")
    file_data: Data | None = msgspec.field(default=None, name="fileData")
    code: Code | None = msgspec.field(default=None, name="executableCode")
    result: Code | None = msgspec.field(default=None, name="codeExecutionResult")
    signature: str | None = msgspec.field(default=None, name="thoughtSignature")
    function_call_: Call | None = msgspec.field(default=None, name="function_call")
    function_response_: Result | None = msgspec.field(default=None, name="function_response")
    inline_data_: Data | None = msgspec.field(default=None, name="inline_data")
    file_data_: Data | None = msgspec.field(default=None, name="file_data")
    code_: Code | None = msgspec.field(default=None, name="executable_code")
    result_: Code | None = msgspec.field(default=None, name="code_execution_result")
    signature_: str | None = msgspec.field(default=None, name="thought_signature")


Parts = list[Part | str] | Part | str | None


class Content(msgspec.Struct, gc=False):
    """One message; ``content`` is what a body that is too dense to be read is cut down to."""

    role: str = "user"
    parts: Parts = None
    content: str | None = None


Contents = list[Content | str] | Content | str | None


def contents_turns(contents: Contents, role: Role | None = None) -> list[Turn]:
    """Return the turns of contents, all in one role if it is given.

    Raises:
        msgspec.ValidationError: a part is of an unknown shape; ``loosely`` with ``MENDERS`` reads
            it.

    """
    turns: list[Turn] = []
    for content in _listed(contents):
        if isinstance(content, str):
            turns.append(Turn(role or "user", content))
        else:
            turns += content_turns(content, role or ROLES.get(content.role, "user"))
    return turns


def content_turns(content: Content, role: Role) -> list[Turn]:
    """Return the turns of one content."""
    said = _listed(content.parts)
    if content.content is not None:
        said = [content.content, *said]
    if len(said) == 1 and isinstance(said[0], Part) and _is_said(said[0], role):
        return [Turn(role, said[0].text or "")]
    return parts.split_turns(role, [made for part in said for made in _made_of(part, role)])


def called(part: Part) -> Call | None:
    """Return the call that a part is."""
    return part.function_call or part.function_call_


def call_id(call: Call) -> str:
    """Return what a call is recognised by when it comes back: its id, or else what it says.

    Vertex and models before Gemini 3 give calls no ids.
    """
    return call.id or nameless_id(call.name, call.args)


def _listed(value: list[T | str] | T | str | None) -> list[T | str]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _is_said(part: Part, role: Role) -> bool:
    """Tell whether a part is text that the model reads; only its own thoughts are passed over."""
    return part.text is not None and not (part.thought and role == "assistant")


def _made_of(part: Part | str, role: Role) -> Iterator[parts.Part | str]:
    """Yield the parts that the chat dialects would have for a part."""
    if isinstance(part, str):
        yield part
    elif _is_said(part, role):
        yield part.text or ""
    elif part.thought:
        yield parts.Part("thinking")
    else:
        yield from _made_of_uncommon(part)


def _made_of_uncommon(part: Part) -> Iterator[parts.Part]:
    call, result = called(part), part.function_response or part.function_response_
    code, output = part.code or part.code_, part.result or part.result_
    if call is not None:
        yield parts.Part("tool_use", id=call_id(call), input=call.args)
    elif result is not None:
        yield _result_part(result)
    elif part.inline_data or part.file_data or part.inline_data_ or part.file_data_:
        yield parts.Part("image")
    elif code is not None:
        yield parts.Part("tool_use", input=msgspec.Raw(msgspec.json.encode(code.code)))
    elif output is not None:
        yield parts.Part("tool_result", content=output.output)
    elif part.signature is None and part.signature_ is None:
        message = "a part of an unknown kind"
        raise msgspec.ValidationError(message)


def _result_part(result: Result) -> parts.Part:
    pictures: list[parts.Part | str] = [parts.Part("image") for _ in result.parts or ()]
    return parts.Part("tool_result", content=[aside(result.response), *pictures])


def _mend(data: dict[str, object], budget: Budget) -> dict[str, object]:
    """Return a part, one of an unknown kind as a text part."""
    if any(name in data for name in _NAMES):
        return data
    return {"text": "\n".join(strings_in(data, budget))}


_NAMES = frozenset(Part.__struct_encode_fields__) - {"thought"}
MENDERS: Menders = {Part: _mend}
