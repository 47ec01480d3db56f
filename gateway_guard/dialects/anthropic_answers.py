"""Read the answers of Anthropic messages, whole or as events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from gateway_guard.dialects.loose import loosely
from gateway_guard.dialects.parts import CALLS
from gateway_guard.dialects.readers import Grammar

if TYPE_CHECKING:
    from gateway_guard.dialects.tally import Tally


class Details(msgspec.Struct, gc=False):
    """How the tokens of an answer divide."""

    thinking_tokens: int | None = None


class Usage(msgspec.Struct, gc=False):
    """Tokens; those read from or written to the cache come on top of ``input_tokens``."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens_details: Details | None = None


class Block(msgspec.Struct, gc=False):
    """A block of content, or the beginning of one."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    id: str | None = None


class Delta(msgspec.Struct, gc=False):
    """A piece of a block, or how the message ends."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    stop_reason: str | None = None


class Message(msgspec.Struct, gc=False):
    """The message that a stream starts with."""

    id: msgspec.Raw = msgspec.Raw()
    content: list[Block] | None = None
    usage: Usage | None = None
    stop_reason: str | None = None


class Event(msgspec.Struct, gc=False):
    """An event of a stream; a whole message and an error have fields of the same names."""

    type: str = ""
    id: msgspec.Raw = msgspec.Raw()
    delta: Delta | None = None
    content_block: Block | None = None
    message: Message | None = None
    content: list[Block] | None = None
    usage: Usage | None = None
    stop_reason: str | None = None
    error: Any = None


def absorb(event: Event, tally: Tally) -> None:
    """Add what an event or a whole message says."""
    delta = event.delta
    if delta is not None:
        _absorb_delta(delta, tally)
    if event.content_block is not None:
        _absorb_block(event.content_block, tally)
    if event.message is not None:
        _absorb_message(event.message, tally)
    if event.content is not None or event.usage is not None:
        _absorb_message(Message(event.id, event.content, event.usage, event.stop_reason), tally)
    if event.type == "error" or event.error:
        tally.failed = True


def _absorb_delta(delta: Delta, tally: Tally) -> None:
    if delta.text:
        tally.say(0, delta.text)
    elif delta.thinking:
        tally.think(delta.thinking)
    elif delta.stop_reason:
        tally.finish = delta.stop_reason


def _absorb_block(block: Block, tally: Tally) -> None:
    if block.type in CALLS:
        tally.call(0, -1, block.id)
    elif block.thinking:
        tally.think(block.thinking)
    elif block.text:
        tally.say(0, block.text)


def _absorb_message(message: Message, tally: Tally) -> None:
    tally.name(message.id)
    for block in message.content or ():
        _absorb_block(block, tally)
    if message.stop_reason:
        tally.finish = message.stop_reason
    if message.usage is not None:
        _absorb_usage(message.usage, tally)


def _absorb_usage(usage: Usage, tally: Tally) -> None:
    cached = (usage.cache_creation_input_tokens or 0) + (usage.cache_read_input_tokens or 0)
    fresh = usage.input_tokens
    details = usage.output_tokens_details
    tally.count(
        None if fresh is None else fresh + cached,
        usage.output_tokens,
        None if details is None else details.thinking_tokens,
    )


GRAMMAR = Grammar(Event, lambda data: loosely(data, Event), absorb)
