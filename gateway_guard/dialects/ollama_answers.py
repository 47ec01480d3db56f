"""Read the answers of Ollama, whole or line by line; what is not Ollama's is read as any other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway_guard.dialects import generic_answers
from gateway_guard.dialects.calls import nameless_id
from gateway_guard.dialects.generic_usage import absorb_usage
from gateway_guard.dialects.names import folded
from gateway_guard.dialects.readers import Grammar

if TYPE_CHECKING:
    from gateway_guard.dialects.tally import Tally

Fields = dict[str, object]


def absorb(data: object, tally: Tally) -> None:
    """Add what an answer, a line of one or an error says."""
    if isinstance(data, dict) and isinstance(data.get("done"), bool):
        _absorb_line(data, tally)
    else:
        generic_answers.absorb(data, tally)


def _absorb_line(line: Fields, tally: Tally) -> None:
    message = line.get("message")
    if isinstance(message, dict):
        _absorb_said(message, "content", tally)
        _absorb_calls(message.get("tool_calls"), tally)
    _absorb_said(line, "response", tally)
    if line.get("error"):
        tally.failed = True
    if line["done"]:
        finish = line.get("done_reason")
        tally.finish = finish if isinstance(finish, str) else tally.finish
        absorb_usage(folded(line), tally, 0)


def _absorb_said(fields: Fields, name: str, tally: Tally) -> None:
    said, thought = fields.get(name), fields.get("thinking")
    if isinstance(said, str) and said:
        tally.say(0, said)
    if isinstance(thought, str):
        tally.think(thought)


def _absorb_calls(calls: object, tally: Tally) -> None:
    for slot, call in enumerate(calls if isinstance(calls, list) else ()):
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            id_ = call.get("id")
            known = nameless_id(str(function.get("name") or ""), function.get("arguments"))
            tally.call(0, slot, id_ if isinstance(id_, str) and id_ else known)


GRAMMAR = Grammar(object, lambda data: data, absorb)
