"""Read answers of unknown shape: OpenAI's and Anthropic's wherever they come from, and others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from gateway_guard.dialects import anthropic_answers, cohere_answers, openai_answers
from gateway_guard.dialects.bounds import Budget
from gateway_guard.dialects.generic_parts import read_message, read_parts
from gateway_guard.dialects.generic_usage import absorb_usage
from gateway_guard.dialects.loose import strings_in
from gateway_guard.dialects.names import first, folded
from gateway_guard.dialects.readers import Grammar
from gateway_guard.dialects.tally import Tally

if TYPE_CHECKING:
    from gateway_guard.exchange import Turn

Handler = Callable[[object, int, Tally], None]

_MOST_ITEMS = 10_000
_FINISHES = ("finishreason", "stopreason", "donereason", "completionreason", "stoptype")
_ANTHROPIC = frozenset(
    {
        "content_block_delta",
        "content_block_start",
        "error",
        "message",
        "message_delta",
        "message_start",
    },
)
_IDS = ("id", "generation_id", "response_id", "responseId", "message_id", "request_id")
_NAMED = ("response", "message", "meta_info", "metadata")
_SAID_DELTAS = frozenset({"response.output_text.delta", "response.refusal.delta"})
_THOUGHT_DELTAS = frozenset(
    {"response.reasoning_summary_text.delta", "response.reasoning_text.delta"},
)


def absorb(data: object, tally: Tally) -> None:
    """Add what a plain JSON value says: a whole answer, a piece of one, or a list of either."""
    items = data[:_MOST_ITEMS] if isinstance(data, list) else [data]
    for index, item in enumerate(items):
        if isinstance(item, dict) and item:
            _absorb_object(item, index, tally)
    if len(items) > 1:
        _absorb_sum(items, tally)


def _absorb_sum(items: list[object], tally: Tally) -> None:
    """Add up the tokens where each answer of a list reports its own, as SGLang's do."""
    reports = [item.get("meta_info") for item in items if isinstance(item, dict)]
    for name, place in (("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens")):
        numbers = [report.get(name) for report in reports if isinstance(report, dict)]
        counts = [number for number in numbers if isinstance(number, int)]
        if counts:
            tally.count(**{place: sum(counts)})


def _absorb_object(data: dict[str, object], index: int, tally: Tally) -> None:
    if tally.id is None:
        _absorb_id(data, tally)
    kind = data.get("type")
    if "choices" in data:
        openai_answers.GRAMMAR.absorb_plain(data, tally)
    elif isinstance(kind, str) and kind in _ANTHROPIC:
        anthropic_answers.GRAMMAR.absorb_plain(data, tally)
    elif cohere_answers.absorb_if_known(data, tally):
        return
    elif isinstance(kind, str) and kind.startswith("response."):
        _absorb_response_event(kind, data, tally)
    else:
        _absorb_fields(folded(data), index, tally)


def _absorb_fields(fields: dict[str, object], index: int, tally: Tally) -> None:
    index = _place(fields, index)
    known = [name for name in fields if name in _HANDLERS]
    for name in sorted(known, key=_ORDER.__getitem__) if len(known) > 1 else known:
        value = fields[name]
        if value:
            _HANDLERS[name](value, index, tally)
    _absorb_end(fields, tally)
    absorb_usage(fields, tally)
    if fields.get("object") == "response":
        _absorb_status(fields, tally)
    if fields.get("error"):
        tally.failed = True


def _absorb_id(data: dict[str, object], tally: Tally) -> None:
    """Take the id of an answer, which may stand in what the answer is in."""
    inner = [data.get(name) for name in _NAMED]
    for named in (data, *(value for value in inner if isinstance(value, dict))):
        for name in _IDS:
            tally.name(named.get(name))


def _place(fields: dict[str, object], index: int) -> int:
    """Return which prompt of a list is answered: SGLang says it in each piece of a stream."""
    place = fields.get("index") if "metainfo" in fields else None
    return place if isinstance(place, int) else index


def _absorb_end(fields: dict[str, object], tally: Tally) -> None:
    finish = first(fields, _FINISHES)
    if isinstance(finish, dict):
        finish = finish.get("type")
    if isinstance(finish, str):
        tally.finish = finish


def _absorb_response_event(kind: str, data: dict[str, object], tally: Tally) -> None:
    """Read an event of OpenAI's responses; the last one repeats all that the others said."""
    delta = data.get("delta")
    if isinstance(delta, str) and kind in _SAID_DELTAS:
        tally.say(0, delta)
    elif isinstance(delta, str) and kind in _THOUGHT_DELTAS:
        tally.think(delta)
    elif kind == "response.output_item.done":
        item = data.get("item")
        if isinstance(item, dict) and item.get("type") != "message":
            _hear(read_message(item), 0, tally)
    response = data.get("response")
    if isinstance(response, dict):
        _absorb_status(response, tally)
        absorb_usage(response, tally)


def _absorb_status(response: dict[str, object], tally: Tally) -> None:
    status = response.get("status")
    if isinstance(status, str) and status != "in_progress":
        tally.finish = status
    if response.get("error") or status == "failed":
        tally.failed = True


def _hear(turns: Iterable[Turn] | None, index: int, tally: Tally) -> None:
    for turn in turns or ():
        if turn.text and turn.role != "tool":
            tally.say(index, turn.text)
        for slot, call_id in enumerate(turn.call_ids):
            tally.call(index, slot, call_id)


def _hear_each(value: object, index: int, tally: Tally) -> None:
    """Read what a model said: a text, a message, parts, or a list of these."""
    if isinstance(value, str):
        tally.say(index, value)
    elif isinstance(value, list):
        for item in value[:_MOST_ITEMS]:
            _hear_each(item, index, tally)
    elif isinstance(value, dict):
        _hear_object(value, index, tally)


def _hear_object(data: dict[str, object], index: int, tally: Tally) -> None:
    tally.think("".join(_thoughts_in(data)))
    fields = folded(data)
    _absorb_end(fields, tally)
    inner = first(fields, ("message", "delta", "content", "outputtext"))
    if isinstance(inner, dict):
        _hear_object(inner, index, tally)
        return
    _hear(read_message(data) or read_parts("assistant", [data]), index, tally)


def _thoughts_in(data: dict[str, object]) -> Iterable[str]:
    """Yield the reasoning that a message or part serves."""
    kind = data.get("type")
    if kind == "reasoning":
        yield from strings_in([data.get("summary"), data.get("content")], Budget())
    parts = data.get("parts")
    for part in parts if isinstance(parts, list) else ():
        if isinstance(part, dict) and part.get("thought") is True:
            yield from strings_in(part.get("text"), Budget())
    yield from strings_in(data.get("thinking"), Budget())


def _hear_choices(value: object, index: int, tally: Tally) -> None:
    """Read a list of answers, each of which is a choice of its own."""
    del index
    for position, item in enumerate(value[:_MOST_ITEMS] if isinstance(value, list) else ()):
        _hear_each(item, position, tally)


def _hear_whole(value: object, index: int, tally: Tally) -> None:
    """Read the whole text of an answer, or of each, which may have been streamed before."""
    if isinstance(value, str):
        tally.say_all(index, value)
    elif isinstance(value, list):
        for position, text in enumerate(value[:_MOST_ITEMS]):
            _hear_whole(text, index + position, tally)


def _absorb_stop(value: object, index: int, tally: Tally) -> None:
    del index
    if isinstance(value, dict):
        _absorb_end(folded(value), tally)


_HANDLERS: dict[str, Handler] = {
    "candidates": _hear_choices,
    "generations": _hear_choices,
    "predictions": _hear_choices,
    "results": _hear_choices,
    "outputs": _hear_choices,
    "content": _hear_each,
    "contentblockdelta": _hear_each,
    "delta": _hear_each,
    "message": _hear_each,
    "output": _hear_each,
    "token": _hear_each,
    "completion": _hear_each,
    "generation": _hear_each,
    "response": _hear_each,
    "outputtext": _hear_each,
    "messagestop": _absorb_stop,
    "metainfo": _absorb_stop,
    "details": _absorb_stop,
    "text": _hear_whole,
    "generatedtext": _hear_whole,
}

_ORDER = {name: rank for rank, name in enumerate(_HANDLERS)}

GRAMMAR = Grammar(object, lambda data: data, absorb)
