"""The blocks that Bedrock's converse is given and answers with, and the turns they make."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from gateway_guard.dialects import parts
from gateway_guard.dialects.asides import ABSENT, aside
from gateway_guard.dialects.loose import Menders, strings_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway_guard.dialects.bounds import Budget
    from gateway_guard.exchange import Role, Turn


class Data(msgspec.Struct, gc=False):
    """Something that is no text; all that counts is that it is there."""


class Text(msgspec.Struct, gc=False):
    """A text inside something else."""

    text: str | None = None


class Call(msgspec.Struct, gc=False):
    """A call of a tool."""

    id: str | None = msgspec.field(default=None, name="toolUseId")
    input: msgspec.Raw = ABSENT


class Texts(msgspec.Struct, gc=False):
    """Something that was found, or cited."""

    title: str | None = None
    content: list[Text] | None = None


class Guarded(msgspec.Struct, gc=False):
    """What a guardrail looks at."""

    text: Text | None = None
    image: Data | None = None


class Source(msgspec.Struct, gc=False):
    """Where a document comes from, if it is text."""

    text: str | None = None
    content: list[Text] | None = None


class Document(msgspec.Struct, gc=False):
    """A document."""

    name: str | None = None
    context: str | None = None
    source: Source | None = None


class Thoughts(msgspec.Struct, gc=False):
    """What the model thought."""

    text: Text | None = msgspec.field(default=None, name="reasoningText")


class Block(msgspec.Struct, gc=False):
    """One block of content: one of its fields is there."""

    text: str | None = None
    call: Call | None = msgspec.field(default=None, name="toolUse")
    result: Result | None = msgspec.field(default=None, name="toolResult")
    json: msgspec.Raw = ABSENT
    image: Data | None = None
    document: Document | None = None
    video: Data | None = None
    audio: Data | None = None
    guarded: Guarded | None = msgspec.field(default=None, name="guardContent")
    cited: Texts | None = msgspec.field(default=None, name="citationsContent")
    found: Texts | None = msgspec.field(default=None, name="searchResult")
    thoughts: Thoughts | None = msgspec.field(default=None, name="reasoningContent")
    cache: Data | None = msgspec.field(default=None, name="cachePoint")
    addition: Data | None = msgspec.field(default=None, name="toolAddition")
    removal: Data | None = msgspec.field(default=None, name="toolRemoval")


Blocks = list[Block | str] | str | None
T = TypeVar("T", bound=msgspec.Struct)


class Result(msgspec.Struct, gc=False):
    """What a tool returned."""

    content: Blocks = None


def block_turns(role: Role, content: Blocks) -> list[Turn]:
    """Return the turns that the content of one message makes.

    Raises:
        msgspec.ValidationError: a block is of an unknown kind; ``loosely`` with ``MENDERS`` reads
            it.

    """
    if isinstance(content, str):
        return parts.split_turns(role, content)
    return parts.split_turns(
        role, [made for block in content or () for made in _made_of(block, role)]
    )


def spoken_texts(block: Block) -> Iterator[str]:
    """Yield the visible texts of a block that the model made."""
    if block.text is not None:
        yield block.text
    elif block.cited is not None:
        yield from _texts_of(block.cited)


def _made_of(block: Block | str, role: Role) -> Iterator[parts.Part | str]:
    """Yield the parts that the chat dialects would have for a block."""
    if isinstance(block, str):
        yield block
    elif block.text is not None:
        yield block.text
    elif block.call is not None:
        yield parts.Part("tool_use", id=block.call.id, input=block.call.input)
    elif block.result is not None:
        yield parts.Part("tool_result", content=_inside(block.result))
    elif block.image is not None or block.video is not None or block.audio is not None:
        yield parts.Part("image")
    else:
        yield from _made_of_uncommon(block, role)


def _made_of_uncommon(block: Block, role: Role) -> Iterator[parts.Part | str]:
    if block.json:
        yield aside(block.json)
    elif block.document is not None:
        yield _document_part(block.document)
    elif block.guarded is not None:
        inner = block.guarded.text
        yield parts.Part("image") if inner is None else inner.text or ""
    elif block.cited is not None:
        yield from _texts_of(block.cited)
    elif block.found is not None:
        texts: list[parts.Part | str] = list(_texts_of(block.found))
        yield parts.Part("search_result", title=block.found.title, content=texts)
    elif block.thoughts is not None:
        # Only the model's own thoughts are passed over.
        thought = None if role == "assistant" else block.thoughts.text
        yield parts.Part("thinking") if thought is None else thought.text or ""
    elif block.cache is None and block.addition is None and block.removal is None:
        message = "a block of an unknown kind"
        raise msgspec.ValidationError(message)


def _inside(result: Result) -> list[parts.Part | str]:
    content = [result.content] if isinstance(result.content, str) else result.content or ()
    return [made for block in content for made in _made_of(block, "tool")]


def _document_part(document: Document) -> parts.Part:
    source = document.source or Source()
    if source.text is not None:
        made = parts.Source("text", data=source.text)
    elif source.content is not None:
        made = parts.Source(content=[text.text or "" for text in source.content])
    else:
        made = parts.Source()
    return parts.Part("document", title=document.name, context=document.context, source=made)


def _texts_of(found: Texts) -> Iterator[str]:
    return (text.text for text in found.content or () if text.text is not None)


def _mend(data: dict[str, object], budget: Budget) -> dict[str, object]:
    """Return a block, one of an unknown kind as a text."""
    if any(name in data for name in _NAMES):
        return data
    return {"text": "\n".join(strings_in(data, budget))}


_NAMES = frozenset(Block.__struct_encode_fields__)
MENDERS: Menders = {Block: _mend}
