"""Read what OpenAI's threads return: what was put there, runs whole or as events, messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zlib import crc32

import msgspec

from gateway_guard.dialects.loose import loosely
from gateway_guard.dialects.readers import Grammar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway_guard.dialects.tally import Tally

_UNDER_WAY = frozenset({"queued", "in_progress", "cancelling"})
_FAILED = frozenset({"failed", "expired"})
_PLACES = frozenset({"thread", "conversation"})


class Text(msgspec.Struct, gc=False):
    """A text with its annotations."""

    value: str | None = None


class Piece(msgspec.Struct, gc=False):
    """A piece of a message."""

    text: Text | str | None = None
    refusal: str | None = None


class Delta(msgspec.Struct, gc=False):
    """What a message grows by."""

    content: list[Piece] | None = None


class Named(msgspec.Struct, gc=False):
    """What is known by an id."""

    id: str | None = None


class Outputs(msgspec.Struct, gc=False):
    """The calls whose outputs a run waits for."""

    tool_calls: list[Named] | None = None


class Action(msgspec.Struct, gc=False):
    """What a run waits for."""

    outputs: Outputs | None = msgspec.field(default=None, name="submit_tool_outputs")


class Usage(msgspec.Struct, gc=False):
    """Tokens of a run."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Thing(msgspec.Struct, gc=False):
    """A thread, a run, a message, a piece of one, or a list of them."""

    object: str = ""
    id: str | None = None
    status: str | None = None
    run: str | None = msgspec.field(default=None, name="run_id")
    thread: str | None = msgspec.field(default=None, name="thread_id")
    content: list[Piece] | None = None
    delta: Delta | None = None
    data: list[Thing] | None = None
    action: Action | None = msgspec.field(default=None, name="required_action")
    usage: Usage | None = None
    error: Any = None


def absorb(thing: Thing, tally: Tally) -> None:
    """Add what an event or a whole object says."""
    kind = thing.object
    if kind == "thread.message.delta":
        tally.name(thing.id)
        pieces = thing.delta.content if thing.delta is not None else None
        tally.say(_index(thing), _text(pieces or ()))
    elif kind == "thread.message":
        _absorb_message(thing, tally)
    elif kind == "thread.run":
        _absorb_run(thing, tally)
    elif kind == "list":
        _absorb_list(thing.data or [], tally)
    elif kind in _PLACES and thing.id:
        tally.refer(kind, thing.id)
    elif thing.error:
        tally.failed = True


def _absorb_message(message: Thing, tally: Tally) -> None:
    """Add a message of a run, or the name of one that was put into the thread."""
    if message.run is not None:
        tally.name(message.id)
        tally.say_all(_index(message), _text(message.content or ()))
        if message.status == "in_progress":
            tally.awaited = message.run
            return
    _refer(message.id, message.id, tally)
    _refer("run", message.run, tally)
    _refer("thread", message.run and message.thread, tally)


def _absorb_run(run: Thing, tally: Tally) -> None:
    status = run.status or ""
    tally.awaited = run.id if status in _UNDER_WAY else None
    calls = run.action and run.action.outputs and run.action.outputs.tool_calls
    for slot, call in enumerate(calls or ()):
        tally.call(0, slot, call.id)
    if run.usage is not None:
        tally.count(run.usage.prompt_tokens, run.usage.completion_tokens)
    if status not in _UNDER_WAY:
        tally.finish = status
        tally.failed = tally.failed or status in _FAILED
        _refer("call", calls[0].id if calls else None, tally)
        _refer("run", run.id, tally)
        _refer("thread", run.thread, tally)


def _refer(kind: str | None, name: str | None, tally: Tally) -> None:
    if kind and name:
        tally.refer(kind, name)


def _absorb_list(things: list[Thing], tally: Tally) -> None:
    """Add the messages of runs, each an answer of its own; others are only named."""
    for thing in things:
        if thing.run is None and thing.object != "thread.message" and thing.id:
            tally.refer("item", thing.id)
        elif thing.run is not None and thing.object == "thread.message":
            _absorb_message(thing, tally.part())


def _index(message: Thing) -> int:
    """Return a number for the message, which its pieces and the whole of it share."""
    return crc32((message.id or "").encode("utf-8", "surrogatepass"))


def _text(pieces: Iterable[Piece]) -> str:
    said = []
    for piece in pieces:
        text = piece.text.value if isinstance(piece.text, Text) else piece.text
        said.append(text or piece.refusal or "")
    return "".join(said)


GRAMMAR = Grammar(Thing, lambda data: loosely(data, Thing), absorb)
