"""Find the tokens that an upstream reports, under any of the names they go by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway_guard.dialects.loose import coerced
from gateway_guard.dialects.names import folded

if TYPE_CHECKING:
    from gateway_guard.dialects.tally import Tally

_MOST_DEPTH = 4
_NESTED = (
    "billedunits",
    "completiontokensdetails",
    "delta",
    "details",
    "message",
    "messagestop",
    "meta",
    "metadata",
    "metainfo",
    "outputtokensdetails",
    "response",
    "results",
    "tokens",
    "usage",
    "usagemetadata",
)
_INPUTS = (
    "inputtextttokencount",
    "inputtexttokencount",
    "inputtokencount",
    "inputtokens",
    "promptevalcount",
    "prompttokencount",
    "prompttokens",
    "tokensevaluated",
)
_OUTPUTS = (
    "candidatestokencount",
    "completiontokens",
    "evalcount",
    "generatedtokens",
    "generationtokencount",
    "outputtokencount",
    "outputtokens",
    "tokencount",
    "tokenspredicted",
)
_THOUGHTS = "thoughtstokencount"
_REASONING = ("reasoningtokens", "thinkingtokens", _THOUGHTS)
_PLACES = frozenset(_NESTED)
_REPORTS = frozenset({*_NESTED, *_INPUTS, *_OUTPUTS, *_REASONING})
"""Most pieces of a stream have none of these."""


def absorb_usage(fields: dict[str, object], tally: Tally, depth: int = _MOST_DEPTH) -> None:
    """Count what an object under folded names reports, and the objects in it that may."""
    reported = _REPORTS.intersection(fields)
    if not reported:
        return
    if not reported <= _PLACES:
        _count(fields, tally)
    for name in _NESTED if depth > 0 else ():
        inner = fields[name] if name in reported else None
        if isinstance(inner, dict):
            absorb_usage(folded(inner), tally, depth - 1)


def _count(fields: dict[str, object], tally: Tally) -> None:
    thoughts = _number(fields, (_THOUGHTS,))
    output = _number(fields, _OUTPUTS)
    # Gemini's candidates come without their thoughts; everyone else's output has them in it.
    total = output if output is None or thoughts is None else output + thoughts
    tally.count(_number(fields, _INPUTS), total, _number(fields, _REASONING))


def _number(fields: dict[str, object], names: tuple[str, ...]) -> int | None:
    for name in names:
        value = fields.get(name)
        if value is not None:
            number = coerced(value, int)
            if number is not None:
                return number
    return None
