"""Measures of one exchange: budgets, distributions asked for, lengths and yields."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard import measures
from gateway_guard.exchange import Answer, Sampling

TOKENS = st.one_of(st.none(), st.integers(-10, 2**40))


def yielded(answer: float, question: float) -> float:
    """Return the yield of one answer to one question, lengths in letters."""
    logs = np.log2(1.0 + np.array([[answer], [question]], dtype=np.float32))
    return float(measures.yields(logs[0], logs[1])[0])


@pytest.mark.parametrize(
    ("max_tokens", "value"),
    [
        (None, 0.0),
        (0, 0.0),
        (-1, 0.0),
        (1, 0.0),
        (2896, 0.0),
        (6889, 0.5),
        (16384, 1.0),
        (10**9, 1),
    ],
)
def test_an_output_budget_saturates_near_the_ceiling(max_tokens: int | None, value: float) -> None:
    """A budget that people ask for says nothing, one for a data set everything."""
    assert measures.ceiling(Sampling(max_tokens=max_tokens)) == pytest.approx(value, abs=1e-3)


@pytest.mark.parametrize(
    ("sampling", "value"),
    [
        (Sampling(), 0.0),
        (Sampling(thinking_tokens=0), 0.0),
        (Sampling(thinking_tokens=4096), 0.0),
        (Sampling(thinking_tokens=8192), 0.5),
        (Sampling(thinking_tokens=18_000), 1.0),
        (Sampling(effort="low"), 0.0),
        (Sampling(effort="high"), 0.5),
        (Sampling(effort="max"), 0.5),
        (Sampling(thinking_tokens=1024, effort="high"), 0.0),
    ],
)
def test_a_thinking_budget_counts_and_a_high_effort_half(sampling: Sampling, value: float) -> None:
    """A budget in tokens says more than a word."""
    assert measures.thinking(sampling) == pytest.approx(value)


@pytest.mark.parametrize(
    ("sampling", "value"),
    [
        (Sampling(), 0.0),
        (Sampling(top_logprobs=5), 0.0),
        (Sampling(logprobs=True), 0.25),
        (Sampling(logprobs=True, top_logprobs=1), 0.4),
        (Sampling(logprobs=True, top_logprobs=5), 1.0),
        (Sampling(logprobs=True, top_logprobs=20), 1.0),
        (Sampling(logprobs=True, top_logprobs=-3), 0.25),
        (Sampling(logit_bias=1), 0.25),
        (Sampling(logit_bias=2), 0.25),
        (Sampling(logit_bias=10), 0.5),
        (Sampling(logit_bias=300), 1.0),
        (Sampling(logprobs=True, top_logprobs=2, logit_bias=1), 0.55),
    ],
)
def test_log_probabilities_and_logit_bias_open_the_distribution(
    sampling: Sampling, value: float
) -> None:
    """The more of either, the more is asked for; two biased tokens are no less than one."""
    assert measures.logits(sampling) == pytest.approx(value)


@given(
    st.builds(
        Sampling,
        max_tokens=TOKENS,
        thinking_tokens=TOKENS,
        logprobs=st.booleans(),
        top_logprobs=st.integers(-5, 300),
        logit_bias=st.integers(-5, 300),
    )
)
def test_whatever_a_request_asks_for_is_between_nothing_and_everything(sampling: Sampling) -> None:
    """No parameter makes a measure negative or raises."""
    for measure in (measures.ceiling, measures.thinking, measures.logits):
        assert 0.0 <= measure(sampling) <= 1.0


def test_a_character_of_a_script_without_spaces_says_as_much_as_three_letters() -> None:
    """Lengths compare across scripts."""
    assert measures.latin_letters(100, 0.0) == 100.0
    assert measures.latin_letters(100, 1.0) == 300.0
    assert measures.latin_letters(100, 0.5) == 200.0


def test_an_answer_is_as_long_as_the_mean_of_what_was_drawn() -> None:
    """Eight answers of 100 letters are no long answer; reasoning is part of one."""
    answer = Answer(output_chars=600, reasoning_chars=200)
    assert measures.answer_length(answer, Sampling(), 0.0) == 800.0
    assert measures.answer_length(answer, Sampling(answers=8), 0.0) == 100.0
    assert measures.answer_length(answer, Sampling(), 1.0) == 2400.0


def test_a_yield_needs_a_long_answer_that_its_question_does_not_explain() -> None:
    """Translations, summaries and labels yield nothing; essays for a sentence yield everything."""
    assert yielded(answer=5, question=2) == 0.0
    assert yielded(answer=1000, question=20_000) == 0.0
    assert yielded(answer=1000, question=1000) == 0.0
    assert yielded(answer=2000, question=100) == 1.0
    assert yielded(answer=0, question=0) == 0.0
    assert 0.0 < yielded(answer=256, question=10) < 1.0


@given(st.floats(0, 1e7), st.floats(0, 1e7), st.floats(0, 1e7))
def test_a_yield_grows_with_the_answer_and_shrinks_with_the_question(
    answer: float, question: float, more: float
) -> None:
    """And it stays between nothing and everything."""
    value = yielded(answer, question)
    assert 0.0 <= value <= 1.0
    assert yielded(answer + more, question) >= value - 1e-6
    assert yielded(answer, question + more) <= value + 1e-6


@pytest.mark.parametrize(
    ("finish", "truncated", "held_back"),
    [
        (None, False, False),
        ("stop", False, False),
        ("length", True, False),
        ("MAX_TOKENS", True, False),
        ("content_filter", False, True),
        ("PROHIBITED_CONTENT", False, True),
        ("refusal", False, True),
    ],
)
def test_the_end_of_an_answer_tells_how_it_came_to_it(
    finish: str | None, *, truncated: bool, held_back: bool
) -> None:
    """By its own budget, by the upstream's policy, or neither."""
    answer = Answer(finish=finish)
    assert measures.truncated(answer) is truncated
    assert measures.held_back(answer) is held_back


@pytest.mark.parametrize(
    ("found", "comparable", "expected"),
    [(0, 0, (0.0, 0.0)), (1, 4, (0.125, 0.5)), (8, 8, (1.0, 1.0)), (8, 32, (0.25, 1.0))],
)
def test_eight_windows_make_an_answer(
    found: int, comparable: int, expected: tuple[float, float]
) -> None:
    """Fewer are a part of one, and more are no more than one."""
    assert measures.containment(found, comparable) == expected
