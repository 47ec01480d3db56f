"""Read the answers of Gemini: whole, as events, or as the elements of an array."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from gateway_guard.dialects.gemini_contents import Call, call_id
from gateway_guard.dialects.loose import loosely
from gateway_guard.dialects.readers import Grammar, StreamReader

if TYPE_CHECKING:
    from gateway_guard.dialects.tally import Tally

_UNNUMBERED = -1
_BARE_ERROR = re.compile(rb'^\[?\{\s*"error"\s*:', re.MULTILINE)


class Part(msgspec.Struct, gc=False):
    """A part of a candidate, or a piece of one."""

    text: str | None = None
    thought: bool | None = None
    call: Call | None = msgspec.field(default=None, name="functionCall")
    code: Any = msgspec.field(default=None, name="executableCode")


class Content(msgspec.Struct, gc=False):
    """What a candidate says."""

    parts: list[Part] | None = None


class Candidate(msgspec.Struct, gc=False):
    """One of the answers drawn for a request, or a piece of one."""

    content: Content | None = None
    index: int | None = None
    finish: str | None = msgspec.field(default=None, name="finishReason")


class Usage(msgspec.Struct, gc=False):
    """Tokens so far: the prompt's with the cached ones, the candidates' without their thoughts."""

    prompt: int | None = msgspec.field(default=None, name="promptTokenCount")
    tools: int | None = msgspec.field(default=None, name="toolUsePromptTokenCount")
    candidates: int | None = msgspec.field(default=None, name="candidatesTokenCount")
    thoughts: int | None = msgspec.field(default=None, name="thoughtsTokenCount")


class Feedback(msgspec.Struct, gc=False):
    """Why a prompt was not answered."""

    reason: str | None = msgspec.field(default=None, name="blockReason")


class Chunk(msgspec.Struct, gc=False):
    """A response, a chunk of one, or an error; batches and some gateways put one into another."""

    candidates: list[Candidate] | None = None
    usage: Usage | None = msgspec.field(default=None, name="usageMetadata")
    feedback: Feedback | None = msgspec.field(default=None, name="promptFeedback")
    response: Chunk | None = None
    error: Any = None


class Named(Chunk):
    """One with its id, or with what has it."""

    response: Named | None = None
    own: msgspec.Raw = msgspec.field(default=msgspec.Raw(), name="responseId")

    @property
    def id(self) -> msgspec.Raw:
        """Return the id."""
        return self.own or (self.own if self.response is None else self.response.id)


def absorb(chunk: Chunk, tally: Tally) -> None:
    """Add what a response or a chunk says."""
    if chunk.feedback is not None and chunk.feedback.reason:
        tally.finish = chunk.feedback.reason
    for position, candidate in enumerate(chunk.candidates or ()):
        _absorb_candidate(position, candidate, tally)
    if chunk.usage is not None:
        _absorb_usage(chunk.usage, tally)
    if chunk.error:
        tally.failed = True
    if chunk.response is not None:
        absorb(chunk.response, tally)


def _absorb_candidate(position: int, candidate: Candidate, tally: Tally) -> None:
    index = position if candidate.index is None else candidate.index
    parts = None if candidate.content is None else candidate.content.parts
    for slot, part in enumerate(parts or ()):
        if part.text:
            if part.thought:
                tally.think(part.text)
            else:
                tally.say(index, part.text)
        elif part.call is not None:
            tally.call(index, slot, call_id(part.call))
        elif part.code:
            tally.call(index, _UNNUMBERED, None)
    if candidate.finish:
        tally.finish = candidate.finish


def _absorb_usage(usage: Usage, tally: Tally) -> None:
    prompt, output = usage.prompt, usage.candidates
    if prompt is not None:
        prompt += usage.tools or 0
    if usage.thoughts is not None:
        output = (output or 0) + usage.thoughts
    tally.count(prompt, output, usage.thoughts)


GRAMMAR = Grammar(Chunk, lambda data: loosely(data, Named), absorb, Named)


class EventsReader(StreamReader[Chunk]):
    """Reads events, among which Google sends an error as lines of bare JSON."""

    __slots__ = ()

    def _read(self, events: bytes) -> None:
        super()._read(events)
        if _BARE_ERROR.search(events):
            self._tally.failed = True
