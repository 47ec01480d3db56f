"""Measures: what one exchange adds to every profile, whatever the subject."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from gateway_guard.profile import LABEL_PLACES

if TYPE_CHECKING:
    from gateway_guard.exchange import Answer, Sampling

FloatArray = npt.NDArray[np.float32]

_ENOUGH_WINDOWS = 8
_LABELS = len(LABEL_PLACES)
_NO_LABEL = (0.0,) * _LABELS
_LABELLED = tuple(
    tuple(float(place == label) for place in range(_LABELS)) for label in range(_LABELS)
)
_TRUNCATED = frozenset({"length", "max_tokens", "max_output_tokens"})
_HELD_BACK = frozenset(
    {"content_filter", "content_filtered", "refusal", "safety", "prohibited_content", "blocklist"}
    | {"spii", "recitation", "guardrail_intervened", "error_toxic"}
)
_UNSPACED_WEIGHT = 2.0
# A character of a script without spaces says about as much as three Latin letters.


def ceiling(sampling: Sampling) -> float:
    """Return how near an output budget is to a ceiling: 0 up to 2,900 tokens, 1 from 16,384."""
    return _ramp_of_tokens(sampling.max_tokens, 11.5, 14.0)


def thinking(sampling: Sampling) -> float:
    """Return how near a thinking budget is to the ceiling: 0 to 4,096 tokens, 1 from 16,384.

    A high effort without a budget stands half way.
    """
    if sampling.thinking_tokens is not None:
        return _ramp_of_tokens(sampling.thinking_tokens, 12.0, 14.0)
    return 0.5 if sampling.effort in {"high", "xhigh", "max"} else 0.0


def logits(sampling: Sampling) -> float:
    """Return how much of the model's distribution a request asks for.

    Log-probabilities begin at 0.25 and reach 1 with the five best tokens; so does logit bias, with
    20 tokens.
    """
    asked = 0.25 + 0.15 * min(max(sampling.top_logprobs, 0), 5) if sampling.logprobs else 0.0
    bias = max(0.25, sampling.logit_bias / 20.0) if sampling.logit_bias > 0 else 0.0
    return min(1.0, max(asked, bias))


def latin_letters(chars: float, unspaced: float) -> float:
    """Return a text's length in Latin-letter equivalents, given its share of unspaced script."""
    return chars * (1.0 + _UNSPACED_WEIGHT * unspaced)


def answer_length(answer: Answer, sampling: Sampling, unspaced: float) -> float:
    """Return the mean length of the answers drawn, reasoning included, in Latin letters."""
    chars = (answer.output_chars + answer.reasoning_chars) / max(1, sampling.answers)
    return latin_letters(chars, unspaced)


def log2_1p(value: float) -> float:
    """Return log2(1 + value) for a value that is not negative."""
    return math.log2(1.0 + value)


def containment(found: int, comparable: int) -> tuple[float, float]:
    """Return how much of an answer was found in the request, and how much could be looked for.

    Both in answers: one of which eight windows could be compared is one, and more are no more.
    """
    if not comparable:
        return 0.0, 0.0
    compared = min(1.0, comparable / _ENOUGH_WINDOWS)
    return compared * found / comparable, compared


def label(answer: Answer, sampling: Sampling) -> tuple[float, ...]:
    """Return 1 in the place that the one visible answer has among the labels, 0 in the others."""
    if not answer.digests or not answer.output_chars or answer.tool_calls or sampling.answers > 1:
        return _NO_LABEL
    return _LABELLED[answer.digests[0][0] % _LABELS]


def truncated(answer: Answer) -> bool:
    """Tell whether an answer ran into its output budget."""
    return answer.finish is not None and answer.finish.lower() in _TRUNCATED


def held_back(answer: Answer) -> bool:
    """Tell whether the upstream held an answer back for what it says, or for what was asked."""
    return answer.finish is not None and answer.finish.lower() in _HELD_BACK


def yields(answer_logs: FloatArray, question_logs: FloatArray) -> FloatArray:
    """Return how much answer each question drew, 0 to 1, from log2 of 1 + lengths, shape (n,).

    It is 0 for answers under 90 letters or not longer than their question, and 1 for those over 720
    letters and 2.8 times their question.
    """
    length = _clipped((answer_logs - 6.5) / 3.0)
    return length * _clipped((answer_logs - question_logs) / 1.5)


def _clipped(values: FloatArray) -> FloatArray:
    return np.minimum(1.0, np.maximum(0.0, values))


def _ramp_of_tokens(tokens: int | None, low: float, high: float) -> float:
    if tokens is None or tokens <= 0:
        return 0.0
    return min(1.0, max(0.0, (math.log2(tokens) - low) / (high - low)))
