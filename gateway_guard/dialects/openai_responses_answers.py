"""Read the answers of OpenAI responses, whole or as events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from gateway_guard.dialects.loose import loosely
from gateway_guard.dialects.openai_items import is_call
from gateway_guard.dialects.readers import Grammar

if TYPE_CHECKING:
    from gateway_guard.dialects.tally import Tally

_SAID = frozenset({"response.output_text.delta", "response.refusal.delta"})
_THOUGHT = frozenset({"response.reasoning_summary_text.delta", "response.reasoning_text.delta"})
_ENDED = frozenset({"completed", "incomplete"})
_UNDER_WAY = frozenset({"queued", "in_progress"})
# What the other dialects call an answer that ran into its limit.
_REASONS = {"max_output_tokens": "length"}


class Details(msgspec.Struct, gc=False):
    """How the tokens of an answer divide."""

    reasoning_tokens: int | None = None


class Usage(msgspec.Struct, gc=False):
    """Tokens; those of a cached prefix are in ``input_tokens`` already."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    output_tokens_details: Details | None = None


class Piece(msgspec.Struct, gc=False):
    """A piece of a message, or of served reasoning."""

    text: str | None = None
    refusal: str | None = None


class Item(msgspec.Struct, gc=False):
    """An item of the output."""

    type: str = ""
    id: str | None = None
    call_id: str | None = None
    content: list[Piece] | None = None
    summary: list[Piece] | None = None


class Named(msgspec.Struct, gc=False):
    """What is known by an id."""

    id: str | None = None


class Incomplete(msgspec.Struct, gc=False):
    """Why an answer ended before it was complete."""

    reason: str | None = None


class Response(msgspec.Struct, gc=False):
    """A response, or what there is of it so far."""

    id: str | None = None
    status: str | None = None
    output: list[Item] | None = None
    usage: Usage | None = None
    incomplete_details: Incomplete | None = None
    conversation: Named | None = None
    error: Any = None


class Event(Response):
    """An event of a stream; a whole response has fields of other names."""

    type: str = ""
    delta: str | None = None
    item: Item | None = None
    output_index: int = -1
    response: Response | None = None


def absorb(event: Event, tally: Tally) -> None:
    """Add what an event or a whole response says."""
    if event.delta:
        if event.type in _SAID:
            tally.say(0, event.delta)
        elif event.type in _THOUGHT:
            tally.think(event.delta)
    elif event.item is not None:
        _absorb_call(event.output_index, event.item, tally)
    elif event.response is not None:
        _absorb_response(event.response, tally)
    else:
        _absorb_response(event, tally)
        if event.type == "error":
            tally.failed = True


def _absorb_response(response: Response, tally: Tally) -> None:
    """Add a response, of which a stream may have told everything before but how it ended."""
    tally.name(response.id)
    items = response.output or []
    if items:
        _absorb_output(items, tally)
    if response.status in _ENDED:
        _refer(response, items, tally)
    if response.status is not None:
        tally.awaited = response.id if response.status in _UNDER_WAY else None
    if response.status is not None and response.status != "in_progress":
        _absorb_status(response.status, response.incomplete_details, tally)
    if response.usage is not None:
        _absorb_usage(response.usage, tally)
    if response.error:
        tally.failed = True


def _absorb_output(items: list[Item], tally: Tally) -> None:
    said, thought = [], []
    for position, item in enumerate(items):
        pieces = item.content or ()
        if item.type == "message":
            said += [piece.text or piece.refusal or "" for piece in pieces]
        elif item.type == "reasoning":
            thought += [piece.text or "" for piece in (*(item.summary or ()), *pieces)]
        else:
            _absorb_call(position, item, tally)
    tally.say_all(0, "".join(said))
    if not tally.reasoning_chars:
        tally.think("".join(thought))


def _absorb_call(slot: int, item: Item, tally: Tally) -> None:
    if is_call(item.type):
        tally.call(0, slot, item.call_id or item.id)


def _refer(response: Response, items: list[Item], tally: Tally) -> None:
    """Take the ids by which the next request may refer to this answer."""
    last = next((item for item in reversed(items) if item.type != "reasoning"), None)
    for kind, named in (
        ("response", response),
        ("conversation", response.conversation),
        ("item", last),
    ):
        if named is not None and named.id:
            tally.refer(kind, named.id)


def _absorb_status(status: str, incomplete: Incomplete | None, tally: Tally) -> None:
    reason = None if incomplete is None else incomplete.reason
    tally.finish = _REASONS.get(reason, reason) if reason else status
    if status == "failed":
        tally.failed = True


def _absorb_usage(usage: Usage, tally: Tally) -> None:
    details = usage.output_tokens_details
    reasoning = None if details is None else details.reasoning_tokens
    tally.count(usage.input_tokens, usage.output_tokens, reasoning)


GRAMMAR = Grammar(Event, lambda data: loosely(data, Event), absorb)
