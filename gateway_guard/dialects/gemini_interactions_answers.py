"""Read the answers of Gemini's interactions, whole or as the events of a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from gateway_guard.dialects.gemini_steps import Item, is_call, texts_of
from gateway_guard.dialects.loose import loosely
from gateway_guard.dialects.readers import Grammar

if TYPE_CHECKING:
    from gateway_guard.dialects.tally import Tally

_UNSETTLED = frozenset({"", "in_progress", "queued"})


class Delta(msgspec.Struct, gc=False):
    """A piece of a step."""

    type: str = ""
    text: str | None = None
    content: list[Item | str] | Item | str | None = None


class Usage(msgspec.Struct, gc=False):
    """Tokens; what was thought is not in the output's."""

    input: int | None = msgspec.field(default=None, name="total_input_tokens")
    tools: int | None = msgspec.field(default=None, name="total_tool_use_tokens")
    output: int | None = msgspec.field(default=None, name="total_output_tokens")
    thoughts: int | None = msgspec.field(default=None, name="total_thought_tokens")


class Event(msgspec.Struct, gc=False):
    """An event of a stream, or an interaction, whole or inside an event."""

    kind: str = msgspec.field(default="", name="event_type")
    index: int = 0
    delta: Delta | None = None
    step: Item | None = None
    interaction: Event | None = None
    status: str = ""
    id: str | None = None
    steps: list[Item] | None = None
    usage: Usage | None = None
    error: Any = None


def absorb(event: Event, tally: Tally) -> None:
    """Add what an event or a whole interaction says."""
    if event.delta is not None:
        _absorb_delta(event.delta, tally)
    if event.step is not None:
        _absorb_step(event.index, event.step, tally)
    if event.interaction is not None:
        # It repeats what the other events said.
        _absorb_end(event.interaction, tally)
    for index, step in enumerate(event.steps or ()):
        _absorb_step(index, step, tally)
    _absorb_end(event, tally)


def _absorb_delta(delta: Delta, tally: Tally) -> None:
    if delta.type == "thought_summary":
        tally.think("".join(texts_of(delta.content)))
    elif delta.text:
        tally.say(0, delta.text)


def _absorb_step(index: int, step: Item, tally: Tally) -> None:
    if is_call(step.type):
        tally.call(0, index, step.id)
    elif step.type == "thought":
        tally.think("".join(texts_of(step.summary)))
    elif step.type == "model_output":
        tally.say(0, "".join(texts_of(step.content)))


def _absorb_end(event: Event, tally: Tally) -> None:
    if event.status not in _UNSETTLED:
        tally.finish = event.status
    if event.id and event.status:
        tally.name(event.id)
        _absorb_name(event.id, event.status, tally)
    if event.error or event.kind == "error" or event.status == "failed":
        tally.failed = True
    if event.usage is not None:
        _absorb_usage(event.usage, tally)


def _absorb_name(name: str, status: str, tally: Tally) -> None:
    tally.awaited = name if status in _UNSETTLED else None
    if status not in _UNSETTLED:
        tally.refer("interaction", name)


def _absorb_usage(usage: Usage, tally: Tally) -> None:
    prompt, output = usage.input, usage.output
    if prompt is not None:
        prompt += usage.tools or 0
    if usage.thoughts is not None:
        output = (output or 0) + usage.thoughts
    tally.count(prompt, output, usage.thoughts)


GRAMMAR = Grammar(Event, lambda data: loosely(data, Event), absorb)
