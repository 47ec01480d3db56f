"""Read the answers of Bedrock's converse and invoke, whole or as the events of a stream."""

from __future__ import annotations

from base64 import b64decode
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from gateway_guard.dialects import anthropic_answers, generic_answers
from gateway_guard.dialects.bedrock_contents import Block, Call, Text, spoken_texts
from gateway_guard.dialects.decoding import decoder_of
from gateway_guard.dialects.lenient import UNREADABLE
from gateway_guard.dialects.loose import loosely
from gateway_guard.dialects.readers import Grammar

if TYPE_CHECKING:
    from gateway_guard.dialects.tally import Tally


class Start(msgspec.Struct, gc=False):
    """How a block begins."""

    call: Call | None = msgspec.field(default=None, name="toolUse")


class Delta(msgspec.Struct, gc=False):
    """A piece of a block."""

    text: str | None = None
    thoughts: Text | None = msgspec.field(default=None, name="reasoningContent")


class Usage(msgspec.Struct, gc=False):
    """Tokens; those read from or written to the cache come on top of ``inputTokens``."""

    input: int | None = msgspec.field(default=None, name="inputTokens")
    output: int | None = msgspec.field(default=None, name="outputTokens")
    cache_read: int | None = msgspec.field(default=None, name="cacheReadInputTokens")
    cache_written: int | None = msgspec.field(default=None, name="cacheWriteInputTokens")


class Message(msgspec.Struct, gc=False):
    """The message of a whole answer."""

    content: list[Block] | None = None


class Output(msgspec.Struct, gc=False):
    """What a whole answer is in."""

    message: Message | None = None


class Event(msgspec.Struct, gc=False):
    """An event of a stream; a whole answer has fields of the same names."""

    delta: Delta | None = None
    start: Start | None = None
    index: int = msgspec.field(default=0, name="contentBlockIndex")
    stop: str | None = msgspec.field(default=None, name="stopReason")
    usage: Usage | None = None
    output: Output | None = None


class Chunk(msgspec.Struct, gc=False):
    """A piece of what a model answers in words of its own, in base64 on the wire."""

    said: bytes | None = msgspec.field(default=None, name="bytes")


class Metrics(msgspec.Struct, gc=False):
    """Tokens, in the last piece of a stream."""

    input: int | None = msgspec.field(default=None, name="inputTokenCount")
    output: int | None = msgspec.field(default=None, name="outputTokenCount")


class Metered(msgspec.Struct, gc=False):
    """The last piece of a stream."""

    metrics: Metrics | None = msgspec.field(default=None, name="amazon-bedrock-invocationMetrics")


def absorb(event: Event, tally: Tally) -> None:
    """Add what an event or a whole answer of converse says."""
    delta = event.delta
    if delta is not None:
        if delta.text:
            tally.say(0, delta.text)
        elif delta.thoughts is not None:
            tally.think(delta.thoughts.text or "")
    if event.start is not None and event.start.call is not None:
        tally.call(0, event.index, event.start.call.id)
    if event.output is not None and event.output.message is not None:
        for slot, block in enumerate(event.output.message.content or ()):
            _absorb_block(slot, block, tally)
    if event.stop:
        tally.finish = event.stop
    if event.usage is not None:
        _absorb_usage(event.usage, tally)


def _absorb_block(slot: int, block: Block, tally: Tally) -> None:
    for text in spoken_texts(block):
        tally.say(0, text)
    if block.call is not None:
        tally.call(0, slot, block.call.id)
    elif block.thoughts is not None and block.thoughts.text is not None:
        tally.think(block.thoughts.text.text or "")


def _absorb_usage(usage: Usage, tally: Tally) -> None:
    fresh = usage.input
    cached = (usage.cache_read or 0) + (usage.cache_written or 0)
    tally.count(None if fresh is None else fresh + cached, usage.output)


def absorb_chunk(chunk: Chunk, tally: Tally) -> None:
    """Add what a piece of an invoked model's answer says, in Anthropic's words or in others'."""
    said = chunk.said
    if not said:
        return
    try:
        event = _ANTHROPIC.decode(said)
    except UNREADABLE:
        generic_answers.GRAMMAR.read_loosely(said, tally)
        return
    if event.type in _ANTHROPIC_TYPES:
        anthropic_answers.absorb(event, tally)
        return
    generic_answers.GRAMMAR.read_loosely(said, tally)
    if event.type != "message_stop" and _METRICS_FIELD in said:
        _absorb_metrics(said, tally)


def _loose_chunk(data: object) -> Chunk | None:
    said = data.get("bytes") if isinstance(data, dict) else None
    try:
        return Chunk(b64decode(said, validate=True)) if isinstance(said, str) else None
    except ValueError:
        return None


def _absorb_metrics(said: bytes, tally: Tally) -> None:
    """Count what Amazon counted, which the words of most models do not say."""
    with suppress(*UNREADABLE):
        metrics = _METERED.decode(said).metrics
        if metrics is not None:
            tally.count(metrics.input, metrics.output)


_ANTHROPIC = decoder_of(anthropic_answers.Event)
_METERED = decoder_of(Metered, strict=True)
_METRICS_FIELD = b'"amazon-bedrock-invocationMetrics"'
_ANTHROPIC_TYPES = frozenset(
    {
        "content_block_delta",
        "content_block_start",
        "content_block_stop",
        "error",
        "message_delta",
        "message_start",
    },
)

CONVERSE = Grammar(Event, lambda data: loosely(data, Event), absorb)
INVOKE = Grammar(Chunk, _loose_chunk, absorb_chunk)
