"""Bring the parameters that requests share into the ranges that the rest of the guard counts on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from gateway_guard.dialects.asides import ABSENT
from gateway_guard.dialects.loose import coerced

if TYPE_CHECKING:
    from collections.abc import Iterable

Number = Any
"""The type of fields that hold fractions: declared as ``float`` they are slow, see decoding."""

_MOST_TOKENS = 2**31 - 1
_MOST_ANSWERS = 2**14
_LARGEST_NUMBER = 1e6
_MOST_NAME_CHARS = 256
_MOST_END_USER_CHARS = 512
_EFFORTS = frozenset({"none", "minimal", "low", "medium", "high", "xhigh", "max"})
_MOST_EFFORT_CHARS = max(map(len, _EFFORTS))


class Metadata(msgspec.Struct, gc=False):
    """What a request says about itself; only Anthropic's end user is of use here."""

    user_id: str | None = None


class Thinking(msgspec.Struct, gc=False):
    """Anthropic's thinking, which gateways take in other dialects too."""

    type: str = "enabled"
    budget_tokens: int | None = None


class Format(msgspec.Struct, gc=False):
    """The form an answer must have, whose schema the model may be shown."""

    type: str = "text"
    json_schema: msgspec.Raw = ABSENT
    schema: msgspec.Raw = ABSENT


def finite(value: object) -> float | None:
    """Return a number within a million of zero, ``None`` for everything else."""
    number = None if value is None else coerced(value, float)
    return number if number is None or abs(number) <= _LARGEST_NUMBER else None


def token_count(number: int | None) -> int | None:
    """Return a limit on tokens, at most 2^31 - 1; a negative one is no limit."""
    return None if number is None or number < 0 else min(number, _MOST_TOKENS)


def tool_count(tools: Iterable[msgspec.Raw]) -> int:
    """Return how many tools are defined; what is no object is none."""
    return sum([bytes(tool)[:1] == b"{" for tool in tools])


def known_effort(effort: object) -> str | None:
    """Return one of the efforts that servers know, in lower case, ``None`` for everything else."""
    if not isinstance(effort, str) or len(effort) > _MOST_EFFORT_CHARS:
        return None
    effort = effort.lower()
    return effort if effort in _EFFORTS else None


def model_name(name: str) -> str:
    """Return the name of a model, cut where no name is longer: it outlives the request."""
    return name[:_MOST_NAME_CHARS]


def end_user_name(name: str | None) -> str | None:
    """Return whom a request names, cut likewise, ``None`` where it names nobody."""
    return name[:_MOST_END_USER_CHARS] if name else None


def answer_count(*numbers: int | None) -> int:
    """Return how many answers are drawn: the largest of the numbers given, 1 to 16384."""
    return min(max(1, *(number or 1 for number in numbers)), _MOST_ANSWERS)


def thinking_budget(thinking: Thinking | None, other: int | None = None) -> int | None:
    """Return the tokens that thinking may take, ``None`` where it is off or left to the model.

    ``other`` is the budget that a request may give elsewhere.
    """
    if thinking is not None and thinking.type != "disabled" and thinking.budget_tokens is not None:
        return token_count(thinking.budget_tokens)
    return token_count(other)


def is_structured(form: Format | None) -> bool:
    """Tell whether the answer must be JSON or follow a grammar."""
    return form is not None and form.type != "text"


def stop_count(stop: str | list[str] | None) -> int:
    """Return how many strings end the answer."""
    if isinstance(stop, str):
        return 1
    return 0 if stop is None else len(stop)
