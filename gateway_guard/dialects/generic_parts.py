"""Read messages and their parts in the shapes of Gemini, Bedrock, Cohere, Ollama, OpenAI responses.

They are brought into the shape of the chat dialects, so that turns are made in one place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gateway_guard.dialects.asides import aside_of
from gateway_guard.dialects.bounds import MOST_PARTS, Budget, check_bound
from gateway_guard.dialects.loose import loosely, strings_in
from gateway_guard.dialects.names import first, folded
from gateway_guard.dialects.parts import MENDERS, Part, split_turns
from gateway_guard.exchange import Role, Turn

if TYPE_CHECKING:
    from collections.abc import Iterable

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "assistant": "assistant",
    "model": "assistant",
    "ai": "assistant",
    "bot": "assistant",
    "chatbot": "assistant",
    "gpt": "assistant",
    "tool": "tool",
    "function": "tool",
}
_ROLE_NAMES = ("role", "author", "from")
_SAID = ("content", "parts", "message", "text", "value")
_CALL_IDS = ("callid", "id", "tooluseid")
_ARGUMENTS = ("arguments", "args", "input", "action", "code")
_CALLS = ("functioncall", "tooluse")
_RESULTS = {"functionresponse": "response", "toolresult": "content"}
_MEDIA = ("inlinedata", "filedata", "image", "audio", "video")
_REASONING = ("reasoningcontent", "cachepoint")


def read_message(data: dict[str, object]) -> list[Turn] | None:
    """Return the turns of an object that is a message, ``None`` where it is none."""
    kind = data.get("type")
    if isinstance(kind, str):
        item = _read_item(kind, data)
        if item is not None:
            return item
    role = next((data[name] for name in _ROLE_NAMES if isinstance(data.get(name), str)), None)
    spoken = role is not None and any(name in data for name in (*_SAID, "tool_calls"))
    if not spoken and "parts" not in data:
        return None
    said = [data[name] for name in _SAID if data.get(name) is not None]
    call_ids, arguments = _calls_of(data)
    return read_parts(_ROLES.get(str(role).lower(), "user"), said, call_ids, arguments)


def read_parts(
    role: Role,
    parts: list[object],
    call_ids: Iterable[str] = (),
    arguments: Iterable[str] = (),
) -> list[Turn]:
    """Return the turns that a list of parts makes; lists inside it are flattened.

    Raises:
        TooLargeError: there are more parts than are looked at.

    """
    made: list[Part | str] = []
    for part in parts:
        pieces = part if isinstance(part, list) else [part]
        check_bound(len(made) + len(pieces), MOST_PARTS)
        for piece in pieces:
            made += _read_part(piece)
    return split_turns(role, made, call_ids, arguments)


def _read_item(kind: str, data: dict[str, object]) -> list[Turn] | None:
    """Return the turns of an item of OpenAI's responses that is no message."""
    if kind.endswith("_call_output"):
        return [Turn("tool", "\n".join(strings_in(data.get("output"), Budget())))]
    call_id = data.get("call_id") or data.get("id")
    if kind.endswith("_call") and isinstance(call_id, str):
        return split_turns("assistant", "", (call_id,), [_arguments_of(data)])
    return [] if kind == "reasoning" else None


def _calls_of(data: dict[str, object]) -> tuple[list[str], list[str]]:
    """Return the ids of a message's calls of tools, and their arguments."""
    listed = data.get("tool_calls")
    calls = [call for call in listed if isinstance(call, dict)] if isinstance(listed, list) else []
    ids = [call_id for call in calls if isinstance(call_id := call.get("id"), str)]
    called = [
        call.get("function") or call for call in (*calls, {"function": data.get("function_call")})
    ]
    return ids, [_arguments_of(function) for function in called if isinstance(function, dict)]


def _arguments_of(called: dict[str, object]) -> str:
    return aside_of(first(called, _ARGUMENTS))


def _read_part(part: object) -> list[Part | str]:
    if isinstance(part, str):
        return [part]
    if not isinstance(part, dict):
        return []
    made = None if "type" in part else _read_untyped(folded(part))
    made = made or loosely(part, Part, MENDERS)
    return [] if made is None else [made]


def _read_untyped(fields: dict[str, object]) -> Part | None:
    """Return a part whose kind is told by the name of its field."""
    if fields.get("thought") is True or first(fields, _REASONING) is not None:
        return Part("thinking")
    if first(fields, _MEDIA) is not None:
        return Part("image")
    call = first(fields, _CALLS)
    if isinstance(call, dict):
        call = folded(call)
        call_id = first(call, _CALL_IDS)
        raw = msgspec.Raw(msgspec.json.encode(first(call, _ARGUMENTS)))
        return Part("tool_use", id=call_id if isinstance(call_id, str) else None, input=raw)
    for name, inner in _RESULTS.items():
        result = fields.get(name)
        if isinstance(result, dict):
            return Part("tool_result", content="\n".join(strings_in(result.get(inner), Budget())))
    return None
