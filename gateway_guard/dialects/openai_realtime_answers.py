"""Read the events of an OpenAI realtime server: what is answered, and where it begins and ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gateway_guard.dialects.decoding import decoder_of
from gateway_guard.dialects.lenient import parse
from gateway_guard.dialects.loose import loosely

if TYPE_CHECKING:
    from gateway_guard.dialects.sessions import Asking
    from gateway_guard.dialects.tally import Tally

ENDED = frozenset({"response.done", "response.cancelled"})
_SAID = frozenset(
    {
        "response.audio_transcript.delta",
        "response.output_audio_transcript.delta",
        "response.output_text.delta",
        "response.text.delta",
    }
)
# What the other dialects call an answer that ran into its limit.
_REASONS = {"max_output_tokens": "length"}


class Piece(msgspec.Struct, gc=False):
    """A piece of a message; what is spoken is transcribed."""

    text: str | None = None
    transcript: str | None = None


class Item(msgspec.Struct, gc=False):
    """An item of a conversation."""

    type: str = ""
    role: str | None = None
    id: str | None = None
    call_id: str | None = None
    content: list[Piece] | None = None


class Usage(msgspec.Struct, gc=False):
    """Tokens of text and audio together; those of a cached prefix are in ``input_tokens``."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    details: Details | None = msgspec.field(default=None, name="output_token_details")


class Details(msgspec.Struct, gc=False):
    """How the tokens of an answer divide."""

    reasoning_tokens: int | None = None


class Status(msgspec.Struct, gc=False):
    """Why an answer ended as it did."""

    reason: str | None = None


class Response(msgspec.Struct, gc=False):
    """An answer, or what there is of it so far."""

    id: str | None = None
    status: str | None = None
    status_details: Status | None = None
    output: list[Item] | None = None
    usage: Usage | None = None


class Fault(msgspec.Struct, gc=False):
    """What went wrong, and with which event of the client."""

    event_id: str | None = None


class Event(msgspec.Struct, gc=False):
    """An event of the server."""

    type: str = ""
    delta: str | None = None
    response_id: str | None = None
    item_id: str | None = None
    transcript: str | None = None
    item: Item | None = None
    response: Response | None = None
    error: Fault | None = None

    @property
    def answer_id(self) -> str:
        """Return the id of the answer that it is about."""
        named = self.response.id if self.response is not None else self.response_id
        return named or ""


_DECODER = decoder_of(Event)


def read_event(message: bytes) -> Event:
    """Return an event; raises one of ``lenient.UNREADABLE`` where it is no JSON."""
    try:
        return _DECODER.decode(message)
    except msgspec.ValidationError:
        return loosely(parse(message), Event) or Event()


def absorb(event: Event, asking: Asking) -> None:
    """Add what an event says to the answer that it is about."""
    if event.type in _SAID and event.delta:
        asking.say(event.delta)
    elif event.type in ENDED and event.response is not None:
        _absorb_response(event.response, asking.tally)


def _absorb_response(response: Response, tally: Tally) -> None:
    said = []
    for slot, item in enumerate(response.output or ()):
        if item.type == "function_call":
            tally.call(0, slot, item.call_id or item.id)
        said += [piece.text or piece.transcript or "" for piece in item.content or ()]
    tally.say_all(0, "".join(said))
    reason = response.status_details.reason if response.status_details is not None else None
    tally.finish = _REASONS.get(reason, reason) if reason else response.status
    tally.failed = response.status == "failed"
    usage = response.usage
    if usage is not None:
        thought = usage.details.reasoning_tokens if usage.details is not None else None
        tally.count(usage.input_tokens, usage.output_tokens, thought)
