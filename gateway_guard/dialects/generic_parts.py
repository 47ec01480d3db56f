"""Read messages and their parts in the shapes of Gemini, Bedrock, Cohere, Ollama, OpenAI responses.

They are brought into the shape of the chat dialects, so that turns are made in one place.
"""

from __future__ import annotations

from gateway_guard.dialects.bounds import MOST_PARTS, Budget, check_bound
from gateway_guard.dialects.loose import loosely, strings_in
from gateway_guard.dialects.names import first, folded
from gateway_guard.dialects.parts import MENDERS, Part, split_turns
from gateway_guard.exchange import Role, Turn

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
    return read_parts(_ROLES.get(str(role).lower(), "user"), said, _call_ids_of(data))


def read_parts(role: Role, parts: list[object], call_ids: tuple[str, ...] = ()) -> list[Turn]:
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
    return split_turns(role, made, call_ids)


def _read_item(kind: str, data: dict[str, object]) -> list[Turn] | None:
    """Return the turns of an item of OpenAI's responses that is no message."""
    if kind.endswith("_call_output"):
        return [Turn("tool", "\n".join(strings_in(data.get("output"), Budget())))]
    call_id = data.get("call_id") or data.get("id")
    if kind.endswith("_call") and isinstance(call_id, str):
        return [Turn("assistant", "", 0, (call_id,))]
    return [] if kind == "reasoning" else None


def _call_ids_of(data: dict[str, object]) -> tuple[str, ...]:
    calls = data.get("tool_calls")
    if not isinstance(calls, list):
        return ()
    ids = (call.get("id") for call in calls if isinstance(call, dict))
    return tuple(call_id for call_id in ids if isinstance(call_id, str))


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
        call_id = first(folded(call), _CALL_IDS)
        return Part("tool_use", id=call_id if isinstance(call_id, str) else None)
    for name, inner in _RESULTS.items():
        result = fields.get(name)
        if isinstance(result, dict):
            return Part("tool_result", content="\n".join(strings_in(result.get(inner), Budget())))
    return None
