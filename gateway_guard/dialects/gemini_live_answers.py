"""Read the messages of a Gemini Live server: what is answered, and where it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from gateway_guard.dialects.decoding import decoder_of
from gateway_guard.dialects.gemini_answers import Content
from gateway_guard.dialects.gemini_contents import Call, call_id
from gateway_guard.dialects.lenient import parse
from gateway_guard.dialects.loose import loosely

if TYPE_CHECKING:
    from gateway_guard.dialects.sessions import Asking
    from gateway_guard.dialects.tally import Tally

INTERRUPTED = "interrupted"
_UNNUMBERED = -1


class Transcription(msgspec.Struct, gc=False):
    """What was spoken, in words."""

    text: str | None = None


class Served(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A piece of an answer, or what is said about it."""

    model_turn: Content | None = None
    generation_complete: bool | None = None
    turn_complete: bool | None = None
    interrupted: bool | None = None
    input_transcription: Transcription | None = None
    output_transcription: Transcription | None = None


class Calls(msgspec.Struct, gc=False, rename="camel"):
    """The calls of functions that the model waits for."""

    function_calls: list[Call] | None = None


class Usage(msgspec.Struct, gc=False, rename="camel"):
    """Tokens of an answer: the prompt's with the cached ones, the answer's without its thoughts."""

    prompt_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    response_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None


class Reply(msgspec.Struct, gc=False, rename="camel"):
    """A message of the server."""

    server_content: Served = Served()
    tool_call: Calls | None = None
    usage_metadata: Usage | None = None
    error: Any = None

    @property
    def says(self) -> bool:
        """Tell whether it is a piece of an answer."""
        served = self.server_content
        said = served.model_turn is not None or served.output_transcription is not None
        return said or self.tool_call is not None or self.complete

    @property
    def complete(self) -> bool:
        """Tell whether the answer ends with it."""
        return self.server_content.turn_complete is True

    @property
    def heard(self) -> str:
        """Return what the server understood of the client's speech."""
        heard = self.server_content.input_transcription
        return (heard.text or "") if heard is not None else ""


_DECODER = decoder_of(Reply)


def read_reply(message: bytes) -> Reply:
    """Return a message; raises one of ``lenient.UNREADABLE`` where it is no JSON."""
    try:
        return _DECODER.decode(message)
    except msgspec.ValidationError:
        return loosely(parse(message), Reply) or Reply()


def absorb(reply: Reply, asking: Asking) -> None:
    """Add what a message says to the answer that is under way."""
    served, tally = reply.server_content, asking.tally
    if served.model_turn is not None:
        _absorb_content(served.model_turn, asking)
    if served.output_transcription is not None and served.output_transcription.text:
        asking.say(served.output_transcription.text)
    for slot, call in enumerate(reply.tool_call.function_calls or () if reply.tool_call else ()):
        tally.call(0, slot, call_id(call))
    if served.interrupted:
        tally.finish = INTERRUPTED
    elif served.generation_complete and tally.finish is None:
        tally.finish = "stop"
    if reply.usage_metadata is not None:
        _absorb_usage(reply.usage_metadata, tally)
    if reply.error:
        tally.failed = True


def _absorb_content(content: Content, asking: Asking) -> None:
    for slot, part in enumerate(content.parts or ()):
        if part.text and part.thought:
            asking.tally.think(part.text)
        elif part.text:
            asking.say(part.text)
        elif part.call is not None:
            asking.tally.call(0, slot, call_id(part.call))
        elif part.code:
            asking.tally.call(0, _UNNUMBERED, None)


def _absorb_usage(usage: Usage, tally: Tally) -> None:
    prompt, output = usage.prompt_token_count, usage.response_token_count
    output = usage.candidates_token_count if output is None else output
    if prompt is not None:
        prompt += usage.tool_use_prompt_token_count or 0
    if usage.thoughts_token_count is not None:
        output = (output or 0) + usage.thoughts_token_count
    tally.count(prompt, output, usage.thoughts_token_count)
