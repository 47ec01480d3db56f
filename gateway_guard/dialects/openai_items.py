"""The items of OpenAI responses: messages, calls and their results, references, and their turns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from gateway_guard.dialects import parts
from gateway_guard.dialects.asides import aside_of
from gateway_guard.dialects.bounds import Budget, check_bound
from gateway_guard.dialects.loose import Menders, strings_in
from gateway_guard.dialects.parts import ROLES, Content, Part, split_turns
from gateway_guard.exchange import Turn

if TYPE_CHECKING:
    from collections.abc import Sequence


class Reasoning(msgspec.Struct, gc=False):
    """How much is thought before the answer, and whether that is shown."""

    effort: str | None = None
    max_tokens: int | None = None


class Item(msgspec.Struct, gc=False):
    """One item: the fields that carry text or ids, whatever the type."""

    type: str | None = None
    role: str | None = None
    content: Content = None
    id: str | None = None
    call_id: str | None = None
    arguments: Any = None
    input: Any = None
    code: Any = None
    action: Any = None
    actions: Any = None
    operation: Any = None
    queries: Any = None
    output: Any = None
    outputs: Any = None
    results: Any = None
    result: Any = None
    reason: Any = None
    tools: Any = None
    reasoning: Reasoning | None = None

    def asked(self) -> str:
        """Return what a call asks for, as text."""
        if isinstance(self.arguments, str):
            return aside_of(self.arguments)
        code = (self.arguments, self.input, self.code, self.action)
        fields = (*code, self.actions, self.operation, self.queries)
        return aside_of(next((field for field in fields if field is not None), None))

    def found(self) -> object:
        """Return what came of a call, ``None`` where nothing is there."""
        if isinstance(self.output, str):
            return self.output
        fields = (self.output, self.outputs, self.results, self.result, self.reason, self.tools)
        return next((field for field in fields if field is not None), None)


MOST_ITEMS = 2**15

_FIELDS_A_NODE = len(Item.__struct_fields__) // 8
"""Making an item takes as long as making so many smaller things."""

_CALLS = frozenset({"mcp_approval_request", "program"})
_CLIENTS = frozenset({"custom_tool_call", "function_call"})
_PICTURE = "image_generation_call"
_APPROVAL = "mcp_approval_response"
_LISTED = "mcp_list_tools"
_REFERENCES = frozenset({"compaction", "item_reference"})
_SILENT = frozenset({"compaction_trigger", "configuration_update", "reasoning"})
_TOOLS = "additional_tools"
_KNOWN = _REFERENCES | _SILENT | {"message", _APPROVAL, _LISTED, _TOOLS}
_MEDIA = frozenset({"computer_screenshot", "image", "input_audio", "input_file", "input_image"})


def is_call(kind: str) -> bool:
    """Tell whether an item of a type calls a tool, be it the client's or the server's."""
    return kind.endswith("_call") or kind in _CALLS


def _is_known(kind: str) -> bool:
    return is_call(kind) or kind.endswith("_output") or kind in _KNOWN


def turns_of(items: Sequence[Item | str]) -> list[Turn]:
    """Return the turns that items make.

    What a model said and called between two items of somebody else is one answer and becomes one
    turn: that is what the digest of the answer was made of. Arguments and results of its calls
    follow.

    Raises:
        msgspec.ValidationError: an item is of an unknown shape; ``loosely`` with ``MENDERS`` reads
            it.
        TooLargeError: there are more items, or more in one of them, than are looked at.

    """
    check_bound(len(items), MOST_ITEMS)
    conversation = _Conversation()
    for item in items:
        if isinstance(item, str):
            conversation.say("user", item)
        elif item.type in {None, "message"}:
            conversation.add_message(item)
        else:
            conversation.add(item.type or "", item)
    conversation.flush()
    return conversation.turns


class _Conversation:
    """The turns of some items in the making, and the answer that is being gathered."""

    __slots__ = ("_answering", "_arguments", "_calls", "_parts", "_reference", "_results", "turns")

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self._answering = False
        self._parts: list[Part | str] = []
        self._calls: list[str] = []
        self._arguments: list[str] = []
        self._results: list[Turn] = []
        self._reference: str | None = None

    def say(self, role: str, content: Content) -> None:
        """Take what somebody said."""
        speaker = ROLES.get(role, "user")
        if speaker == "assistant":
            self._answering = True
            self._parts += content if isinstance(content, list) else [content or ""]
            return
        if self._answering or self._results:
            self.flush()
        if content is None or isinstance(content, str):
            self.turns.append(Turn(speaker, content or ""))
        else:
            self.turns += split_turns(speaker, content)

    def add_message(self, item: Item) -> None:
        """Take a message, or a reference, which needs no type."""
        if item.content is None and item.role is None and item.id is not None:
            self._refer(item)
        else:
            self.say(item.role or "user", item.content)

    def add(self, kind: str, item: Item) -> None:
        """Take an item of any other type."""
        if is_call(kind):
            self._call(item)
        elif kind == _LISTED:
            self._results.append(_result(item.tools))
        elif kind.endswith("_output") or kind == _APPROVAL:
            self.flush()
            self.turns.append(_result(item.found()))
        elif kind in _REFERENCES:
            self._refer(item)
        elif kind == _TOOLS:
            self.say("system", aside_of(item.tools))
        elif kind not in _SILENT:
            self._say_unknown(kind, item)

    def _say_unknown(self, kind: str, item: Item) -> None:
        if not item.content:
            message = f"an item of the unknown type {kind[:40]!r}"
            raise msgspec.ValidationError(message)
        self.say(item.role or "user", item.content)

    def _refer(self, item: Item) -> None:
        self._answering = True
        self._reference = item.id

    def _call(self, item: Item) -> None:
        self._answering = True
        self._calls.append(item.call_id or item.id or "")
        self._arguments.append(item.asked())
        if item.type not in _CLIENTS:
            self._results += _picture(item) if item.type == _PICTURE else _found(item)

    def flush(self) -> None:
        """End the answer that is being gathered."""
        if self._answering:
            said: Content = self._parts[0] if len(self._parts) == 1 else self._parts
            named = self._calls or [self._reference or ""]
            self.turns += split_turns("assistant", said or "", filter(None, named), self._arguments)
            self._answering, self._reference = False, None
            self._parts, self._calls, self._arguments = [], [], []
        if self._results:
            self.turns += self._results
            self._results = []


def _picture(item: Item) -> list[Turn]:
    return [Turn("tool", "", 1)] if item.result else []


def _found(item: Item) -> list[Turn]:
    """Return what came of a call of the server's own tools, if that is told with it."""
    found = item.found()
    return [] if found is None else [_result(found)]


def _result(value: object) -> Turn:
    """Return the turn of a tool whose result is a text, a part, or a list of these."""
    if isinstance(value, str):
        return Turn("tool", value)
    texts: list[str] = []
    images, budget = 0, Budget()
    for part in value if isinstance(value, list) else [value]:
        fields = part if isinstance(part, dict) else {}
        text, kind = fields.get("text"), fields.get("type")
        if isinstance(kind, str) and kind in _MEDIA:
            images += 1
        else:
            texts += [text] if isinstance(text, str) else strings_in(part, budget)
    return Turn("tool", "\n".join(texts), images)


def _mend(data: dict[str, object], budget: Budget) -> dict[str, object]:
    """Return what is read of an item; one of an unknown shape becomes a message."""
    budget.spend(_FIELDS_A_NODE)
    kind = data.get("type")
    if not isinstance(kind, str):
        return {**data, "type": None}
    if data.get("content") or _is_known(kind):
        return data
    said = {name: value for name, value in data.items() if name != "role"}
    return {"role": data.get("role"), "content": "\n".join(strings_in(said, budget))}


MENDERS: Menders = {**parts.MENDERS, Item: _mend}
