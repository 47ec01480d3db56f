"""Find how an answer shall be drawn, under any of the names that parameters go by."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from gateway_guard.dialects import sampling
from gateway_guard.dialects.asides import aside_of
from gateway_guard.dialects.loose import coerced
from gateway_guard.dialects.names import first, folded
from gateway_guard.exchange import Sampling

if TYPE_CHECKING:
    from collections.abc import Iterator

N = TypeVar("N", int, float)

_MOST_DEPTH = 4
_NESTED = (
    "additionalmodelrequestfields",
    "config",
    "generationconfig",
    "inferenceconfig",
    "options",
    "outputconfig",
    "parameters",
    "reasoning",
    "reasoningconfig",
    "samplingparams",
    "textgenerationconfig",
    "thinking",
    "thinkingconfig",
)
_LIMITS = (
    "maxcompletiontokens",
    "maxtokens",
    "maxoutputtokens",
    "maxnewtokens",
    "maxtokenstosample",
    "maxtokencount",
    "maxgenlen",
    "npredict",
    "numpredict",
)
_BUDGETS = ("budgettokens", "thinkingbudget")
_EFFORTS = ("reasoningeffort", "effort", "thinkinglevel")
_ANSWERS = (
    "n",
    "bestof",
    "candidatecount",
    "numgenerations",
    "numreturnsequences",
    "numcompletions",
)
_STOPS = ("stop", "stopsequences", "stopstrings")
_LOGPROBS = ("logprobs", "responselogprobs", "returnlogprob", "returnlikelihoods")
_TOP_LOGPROBS = ("toplogprobs", "toplogprobsnum", "logprobs")
_STRUCTURES = ("responseschema", "responsejsonschema", "guidedjson", "guidedregex", "jsonschema")

_ASIDES = (
    "tools",
    "functions",
    "toolconfig",
    "responseformat",
    "format",
    "outputformat",
    "responseschema",
    "responsejsonschema",
    "jsonschema",
)


def find_sampling(fields: dict[str, object], answers: int) -> Sampling:
    """Return the parameters among flat fields; ``answers`` is the number of prompts."""
    drawn = sampling.answer_count(*(coerced(fields.get(name), int) for name in _ANSWERS))
    stops = first(fields, _STOPS)
    bias = fields.get("logitbias")
    return Sampling(
        temperature=sampling.finite(fields.get("temperature")),
        top_p=sampling.finite(fields.get("topp")),
        max_tokens=_tokens(fields, _LIMITS),
        thinking_tokens=_tokens(fields, _BUDGETS),
        effort=sampling.known_effort(first(fields, _EFFORTS)),
        answers=sampling.answer_count(drawn * answers),
        stops=sampling.stop_count(stops if isinstance(stops, str | list) else None),
        logprobs=bool(first(fields, _LOGPROBS)),
        top_logprobs=_tokens(fields, _TOP_LOGPROBS) or 0,
        logit_bias=len(bias) if isinstance(bias, dict) else 0,
        seeded=fields.get("seed") is not None,
        structured=_is_structured(fields),
    )


def flatten(data: dict[str, object], depth: int = _MOST_DEPTH) -> dict[str, object]:
    """Return the fields of an object and of the configurations inside it, the outer ones first."""
    fields = folded(data)
    for name in _NESTED if depth > 0 else ():
        inner = fields.get(name)
        if isinstance(inner, dict):
            for key, value in flatten(inner, depth - 1).items():
                fields.setdefault(key, value)
    return fields


def find_asides(fields: dict[str, object]) -> Iterator[str]:
    """Yield what the model is shown beside the conversation: tools, and the form of its answer."""
    for value in (*map(fields.get, _ASIDES), _form_of_text(fields)):
        if isinstance(value, list) or (isinstance(value, dict) and set(value) != {"type"}):
            yield aside_of(value)


def _form_of_text(fields: dict[str, object]) -> object:
    text = fields.get("text")
    return text.get("format") if isinstance(text, dict) else None


def _tokens(fields: dict[str, object], names: tuple[str, ...]) -> int | None:
    numbers = (sampling.token_count(coerced(fields.get(name), int)) for name in names)
    return next((number for number in numbers if number is not None), None)


def _is_structured(fields: dict[str, object]) -> bool:
    if first(fields, _STRUCTURES) or fields.get("responsemimetype") == "application/json":
        return True
    form = first(fields, ("responseformat", "format")) or _form_of_text(fields)
    return bool(form) and not (isinstance(form, dict) and form.get("type") == "text")
