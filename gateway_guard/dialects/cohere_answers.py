"""Read the answers of Cohere's chat, of both versions, whole or as the events of a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway_guard.dialects.calls import nameless_id
from gateway_guard.dialects.generic_usage import absorb_usage
from gateway_guard.dialects.names import folded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gateway_guard.dialects.tally import Tally

Fields = dict[str, object]

_FIRST = frozenset(
    {
        "citation-generation",
        "search-queries-generation",
        "search-results",
        "stream-end",
        "stream-start",
        "text-generation",
        "tool-calls-chunk",
        "tool-calls-generation",
    },
)
_FAILURES = frozenset({"ERROR", "ERROR_TOXIC", "ERROR_LIMIT"})


def absorb_if_known(data: Fields, tally: Tally) -> bool:
    """Add what an event or a whole answer says; tell whether it was one of Cohere's."""
    first, second = data.get("event_type"), data.get("type")
    if isinstance(first, str) and first in _FIRST:
        _absorb_first(first, data, tally)
    elif isinstance(data.get("is_finished"), bool):
        # The older generate streams pieces without saying what they are.
        _absorb_first("stream-end" if data["is_finished"] else "text-generation", data, tally)
    elif isinstance(second, str) and second in _SECOND:
        _SECOND[second](_within(data, "delta"), data, tally)
    elif "generation_id" in data and isinstance(data.get("text"), str):
        _absorb_whole(data, tally)
    elif isinstance(data.get("message"), dict) and isinstance(data.get("finish_reason"), str):
        _absorb_message(_within(data, "message"), tally)
        _absorb_end(data, tally)
        absorb_usage(folded(data), tally)
    else:
        return False
    return True


def _absorb_first(kind: str, event: Fields, tally: Tally) -> None:
    """Read an event of the first version; the last one repeats all that the others said."""
    if kind == "text-generation":
        tally.say(0, _text(event, "text"))
    elif kind == "tool-calls-generation":
        tally.say(0, _text(event, "text"))
        _absorb_calls(event, tally)
    elif kind == "stream-end":
        _absorb_end(event, tally)
        absorb_usage(folded(_within(event, "response")), tally)


def _absorb_whole(answer: Fields, tally: Tally) -> None:
    tally.say(0, _text(answer, "text"))
    _absorb_calls(answer, tally)
    _absorb_end(answer, tally)
    absorb_usage(folded(answer), tally)


def _absorb_message(message: Fields, tally: Tally) -> None:
    """Take the message of a whole answer of the second version."""
    tally.say(0, _text(message, "tool_plan"))
    content = message.get("content")
    for block in _objects([{"text": content}] if isinstance(content, str) else content):
        tally.say(0, _text(block, "text"))
        tally.think(_text(block, "thinking"))
    for slot, call in enumerate(_objects(message.get("tool_calls"))):
        tally.call(0, slot, _text(call, "id") or None)


def _absorb_calls(fields: Fields, tally: Tally) -> None:
    """Take calls, which have no ids in the first version."""
    for slot, call in enumerate(_objects(fields.get("tool_calls"))):
        tally.call(0, slot, nameless_id(_text(call, "name"), call.get("parameters")))


def _absorb_content(delta: Fields, event: Fields, tally: Tally) -> None:
    del event
    content = _within(_within(delta, "message"), "content")
    tally.say(0, _text(content, "text"))
    tally.think(_text(content, "thinking"))


def _absorb_plan(delta: Fields, event: Fields, tally: Tally) -> None:
    del event
    tally.say(0, _text(_within(delta, "message"), "tool_plan"))


def _absorb_call(delta: Fields, event: Fields, tally: Tally) -> None:
    calls = _within(delta, "message").get("tool_calls")
    call = calls if isinstance(calls, dict) else next(_objects(calls), {})
    index = event.get("index")
    tally.call(0, index if isinstance(index, int) else -1, _text(call, "id") or None)


def _absorb_message_end(delta: Fields, event: Fields, tally: Tally) -> None:
    del event
    _absorb_end(delta, tally)
    absorb_usage(folded(delta), tally)
    if delta.get("error"):
        tally.failed = True


def _absorb_end(fields: Fields, tally: Tally) -> None:
    finish = fields.get("finish_reason")
    if isinstance(finish, str):
        tally.finish = finish
        tally.failed = tally.failed or finish in _FAILURES


def _pass_over(delta: Fields, event: Fields, tally: Tally) -> None:
    del delta, event, tally


_SECOND: dict[str, Callable[[Fields, Fields, Tally], None]] = {
    "content-start": _absorb_content,
    "content-delta": _absorb_content,
    "tool-plan-delta": _absorb_plan,
    "tool-call-start": _absorb_call,
    "message-end": _absorb_message_end,
    "message-start": _pass_over,
    "content-end": _pass_over,
    "tool-call-delta": _pass_over,
    "tool-call-end": _pass_over,
    "citation-start": _pass_over,
    "citation-end": _pass_over,
}


def _text(fields: Fields, name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def _within(fields: Fields, name: str) -> Fields:
    value = fields.get(name)
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> Iterator[Fields]:
    return (
        (item for item in value if isinstance(item, dict)) if isinstance(value, list) else iter(())
    )
