"""Read the answers of OpenAI chat completions, whole or in chunks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from gateway_guard.dialects.loose import loosely
from gateway_guard.dialects.parts import Content, spoken_text
from gateway_guard.dialects.readers import Grammar

if TYPE_CHECKING:
    from gateway_guard.dialects.tally import Tally

_UNNUMBERED = -1


class Call(msgspec.Struct, gc=False):
    """A tool call, or a piece of one."""

    index: int | None = None
    id: str | None = None


class Message(msgspec.Struct, gc=False):
    """A message of the model, or a piece (delta) of one."""

    content: Content = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[Call] | None = None
    function_call: Any = None


class Choice(msgspec.Struct, gc=False):
    """One of the answers drawn for a request; ``text`` is that of the older completions."""

    index: int = 0
    delta: Message | None = None
    message: Message | None = None
    text: str | None = None
    finish_reason: str | None = None


class Details(msgspec.Struct, gc=False):
    """How the tokens of an answer divide."""

    reasoning_tokens: int | None = None


class Usage(msgspec.Struct, gc=False):
    """Tokens; those of a cached prefix are in ``prompt_tokens`` already."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    completion_tokens_details: Details | None = None


class Chunk(msgspec.Struct, gc=False):
    """A completion, a chunk of one, or an error."""

    choices: list[Choice] | None = None
    usage: Usage | None = None
    error: Any = None


class Named(Chunk):
    """One with its id."""

    id: msgspec.Raw = msgspec.Raw()


def absorb(chunk: Chunk, tally: Tally) -> None:
    """Add what a completion or a chunk says."""
    for choice in chunk.choices or ():
        message = choice.delta or choice.message
        if message is not None:
            _absorb_message(choice.index, message, tally)
        if choice.text:
            tally.say(choice.index, choice.text)
        if choice.finish_reason:
            tally.finish = choice.finish_reason
    if chunk.usage is not None:
        _absorb_usage(chunk.usage, tally)
    if chunk.error:
        tally.failed = True


def _absorb_message(index: int, message: Message, tally: Tally) -> None:
    content = message.content
    if content:
        tally.say(index, content if isinstance(content, str) else spoken_text(content))
    if message.refusal:
        tally.say(index, message.refusal)
    reasoning = message.reasoning_content or message.reasoning
    if reasoning:
        tally.think(reasoning)
    for position, call in enumerate(message.tool_calls or ()):
        tally.call(index, position if call.index is None else call.index, call.id)
    if message.function_call:
        tally.call(index, _UNNUMBERED, None)


def _absorb_usage(usage: Usage, tally: Tally) -> None:
    details = usage.completion_tokens_details
    reasoning = None if details is None else details.reasoning_tokens
    tally.count(usage.prompt_tokens, usage.completion_tokens, reasoning)


GRAMMAR = Grammar(Chunk, lambda data: loosely(data, Named), absorb, Named)
