"""The parts of a message's content, shared by the chat dialects, and the turns they make.

Gateways translate between dialects, so that each kind of part is read wherever it stands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gateway_guard.dialects.asides import ABSENT, aside
from gateway_guard.dialects.loose import Menders, strings_in
from gateway_guard.exchange import Role, Turn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway_guard.dialects.bounds import Budget


class Source(msgspec.Struct, gc=False):
    """Where a document or image comes from; ``data`` is text or base64 by ``type``."""

    type: str = ""
    data: str | None = None
    content: str | list[Part | str] | Part | None = None


class Part(msgspec.Struct, gc=False):
    """One part (block) of a content list: the fields that carry text, whatever the type."""

    type: str = "text"
    text: str | None = None
    refusal: str | None = None
    id: str | None = None
    title: str | None = None
    context: str | None = None
    source: Source | str | None = None
    content: str | list[Part | str] | Part | None = None
    input: msgspec.Raw = ABSENT


Content = str | list[Part | str] | Part | None

ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
"""The role a turn gets for the role on the wire; every other one is a ``user``."""

CALLS = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})
# Reasoning that comes back is no part of the visible text that the answer's digest was made of.
_HIDDEN = CALLS | {"thinking", "redacted_thinking", "reasoning", "reasoning_text", "tool_reference"}
_PICTURES = frozenset({"image", "image_url", "input_image", "video", "video_url"})
_MEDIA = _PICTURES | {
    "audio",
    "audio_url",
    "container_upload",
    "file",
    "input_audio",
    "input_file",
}
_UNWORDED = ("type", "id", "text", "input")
# Compacted history is none of the speaker's own words either.
_RESULTS = frozenset({"tool_result", "search_result", "compaction"})
_WORDED = frozenset({"document", "web_search_result", "web_fetch_result"})


def split_turns(
    role: Role,
    content: Content,
    call_ids: Iterable[str] = (),
    arguments: Iterable[str] = (),
) -> list[Turn]:
    """Return the turns of one message.

    Results of tools become turns of their own. Those in a user's message stand in the order of its
    parts; those in an assistant's follow its one turn, because the answer that this turn repeats
    was one text. So do the arguments of its calls, in a turn of the assistant: they are its words,
    but no part of the text or ids by which the answer is recognised.

    Raises:
        msgspec.ValidationError: a part is of an unknown shape; ``loosely`` with ``MENDERS`` reads
            it.

    """
    if isinstance(content, str):
        return [Turn(role, content, 0, tuple(call_ids)), *_argued(arguments)]
    gathered = _Gathered(role, list(call_ids), list(arguments))
    texts = gathered.texts
    for part in _listed(content):
        if isinstance(part, str):
            texts.append(part)
        elif part.type == "text" and part.text is not None:
            texts.append(part.text)
        else:
            gathered.add(part)
    return gathered.finish()


def _argued(arguments: Iterable[str]) -> list[Turn]:
    text = "\n".join(filter(None, arguments))
    return [Turn("assistant", text)] if text else []


def spoken_text(content: Content) -> str:
    """Return the visible text of a model's content, as its turn will have it when it comes back."""
    texts = []
    for part in _listed(content):
        text = part if isinstance(part, str) else _spoken(part)
        if text is not None:
            texts.append(text)
    return "\n".join(texts)


def _spoken(part: Part) -> str | None:
    if part.type in _HIDDEN:
        return None
    return part.refusal if part.text is None else part.text


class _Gathered:
    """The turns of a message in the making."""

    __slots__ = ("_arguments", "_calls", "_images", "_results", "_role", "_turns", "texts")

    def __init__(self, role: Role, calls: list[str], arguments: list[str]) -> None:
        self.texts: list[str] = []
        self._role: Role = role
        self._calls = calls
        self._arguments = arguments
        self._images = 0
        self._turns: list[Turn] = []
        self._results: list[Turn] = []

    def add(self, part: Part) -> None:
        kind = part.type
        if kind in CALLS:
            self._calls += [] if part.id is None else [part.id]
            self._arguments.append(aside(part.input))
        elif (kind in _RESULTS or kind.endswith("_tool_result")) and self._role != "tool":
            self._add_result(part)
        else:
            self._images += _add_visible(part, self.texts)

    def _add_result(self, part: Part) -> None:
        texts: list[str] = []
        images = _add_visible_within(part, texts)
        result = Turn("tool", "\n".join(texts), images)
        if self._role == "assistant":
            self._results.append(result)
            return
        self._flush()
        self._turns.append(result)

    def _flush(self) -> None:
        if self.texts or self._images or self._calls:
            text = "\n".join(self.texts)
            self._turns.append(Turn(self._role, text, self._images, tuple(self._calls)))
            self.texts.clear()
            self._calls.clear()
            self._images = 0

    def finish(self) -> list[Turn]:
        self._flush()
        if not self._turns:
            self._turns.append(Turn(self._role, ""))
        return [*self._turns, *_argued(self._arguments), *self._results]


def _listed(content: Content) -> list[Part | str]:
    if content is None:
        return []
    if not isinstance(content, list):
        return [content]
    return content


def _is_worded(kind: str) -> bool:
    return kind in _RESULTS or kind in _WORDED or kind.endswith("_tool_result")


def _add_visible(part: Part, texts: list[str]) -> int:
    """Add the texts of a part and return how many parts in it are no text."""
    kind = part.type
    if kind in _HIDDEN:
        return 0
    if part.text is not None:
        texts.append(part.text)
        return 0
    if kind in _MEDIA:
        return 1
    if part.refusal is not None:
        texts.append(part.refusal)
        return 0
    if _is_worded(kind):
        return _add_visible_within(part, texts)
    message = f"a part of the unknown type {kind[:40]!r}"
    raise msgspec.ValidationError(message)


def _add_visible_within(part: Part, texts: list[str]) -> int:
    if part.title is not None or part.context is not None or part.text is not None:
        texts += [text for text in (part.title, part.context, part.text) if text is not None]
    images = 0
    for inner in _inner_parts(part):
        if isinstance(inner, str):
            texts.append(inner)
        else:
            images += _add_visible(inner, texts)
    return images


def _inner_parts(part: Part) -> list[Part | str]:
    parts = _listed(part.content)
    return _sourced(part.source) + parts if isinstance(part.source, Source) else parts


def _sourced(source: Source) -> list[Part | str]:
    if source.type == "text" and source.data is not None:
        return [source.data]
    return [Part("file")] if source.content is None else _listed(source.content)


def _mend(data: dict[str, object], budget: Budget) -> dict[str, object]:
    """Return what is read of a part, whose unread fields may be of any size.

    One of an unknown shape becomes a text part.
    """
    kind = data.get("type", "text")
    if isinstance(kind, str) and _is_worded(kind):
        return data
    if isinstance(kind, str) and (kind in _HIDDEN or kind in _MEDIA):
        return {name: data[name] for name in _UNWORDED if name in data}
    for name in ("text", "refusal"):
        if isinstance(data.get(name), str):
            return {"type": kind, name: data[name]}
    return {"type": "text", "text": "\n".join(strings_in(data, budget))}


MENDERS: Menders = {Part: _mend}
