"""Scoring: log-odds that anybody can add up, and families that have to agree."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.scoring import PACING, SHIPPED, Weights, load_weights, score
from gateway_guard.signals import SIGNALS, Evidence

WEIGHTS = Weights(version=1, bias=-3.0, weights={"one": 2.0, "two": 1.0, "extraction_phrase": 3.0})


def says(signal: str, value: float, family: str = "template") -> Evidence:
    """Return what a signal says."""
    return Evidence(signal, family, value, f"{signal} says so")


def test_a_score_is_the_bias_and_what_each_signal_adds() -> None:
    """The largest share comes first, with its reason."""
    found = score([says("two", 1.0), says("one", 0.8)], 40.0, WEIGHTS)
    assert found.logit == pytest.approx(-3.0 + 1.6 + 1.0)
    assert [round(share, 6) for _, share in found.shares] == [1.6, 1.0]
    assert found.reasons == (
        "one=0.80 (+1.60): one says so",
        "two=1.00 (+1.00): two says so",
    )
    assert found.exchanges == 40.0


def test_silence_is_no_evidence() -> None:
    """Neither for nor against anybody."""
    found = score([], 9.0, WEIGHTS)
    assert (found.logit, found.reasons, found.families) == (-3.0, (), frozenset())
    assert not found.corroborated


def test_a_signal_without_a_weight_says_nothing() -> None:
    """One that is switched off neither adds nor corroborates."""
    found = score([says("unknown", 1.0, "yield"), says("one", 1.0)], 9.0, WEIGHTS)
    assert found.logit == pytest.approx(-1.0)
    assert found.families == {"template"}


@given(st.lists(st.floats(0, 1), max_size=8), st.floats(0, 1))
def test_more_evidence_never_lowers_a_score(values: list[float], more: float) -> None:
    """No evidence speaks for a subject."""
    evidence = [says("one", value) for value in values]
    before = score(evidence, 9.0, WEIGHTS).logit
    assert score([*evidence, says("two", more)], 9.0, WEIGHTS).logit >= before


def test_two_families_corroborate_and_two_signals_of_one_do_not() -> None:
    """They could be two looks at the same thing."""
    same = [says("one", 1.0), says("two", 1.0)]
    assert not score(same, 9.0, WEIGHTS).corroborated
    other = [says("one", 1.0), says("two", 1.0, "yield")]
    assert score(other, 9.0, WEIGHTS).corroborated


def test_a_whisper_does_not_count_as_a_family() -> None:
    """It adds to the score all the same."""
    found = score([says("one", 1.0), says("two", 0.1, "yield")], 9.0, WEIGHTS)
    assert found.families == {"template"}
    assert found.logit == pytest.approx(-0.9)


def test_pacing_is_no_family_that_convicts() -> None:
    """Being fast is not an offence, nor does it confirm one."""
    found = score([says("one", 1.0, PACING)], 9.0, WEIGHTS)
    assert found.families == frozenset()
    assert not score([says("one", 1.0, PACING), says("two", 1.0)], 9.0, WEIGHTS).corroborated


def test_a_published_phrase_counts_as_two_families() -> None:
    """It is known word for word."""
    assert score([says("extraction_phrase", 0.9, "elicitation")], 9.0, WEIGHTS).corroborated
    assert not score([says("extraction_phrase", 0.1, "elicitation")], 9.0, WEIGHTS).corroborated


def test_the_shipped_weights_are_versioned_and_of_known_sign() -> None:
    """A subject of which nothing is known is far from every threshold."""
    assert SHIPPED.version >= 1
    assert SHIPPED.bias < -2.0
    assert all(weight > 0 for weight in SHIPPED.weights.values())


def test_every_shipped_weight_belongs_to_a_signal_and_every_signal_has_one() -> None:
    """A name that was mistyped would switch a signal off."""
    assert {signal.__name__ for signal in SIGNALS} == set(SHIPPED.weights)


@pytest.mark.parametrize(
    "text",
    [
        "version = 1",
        "version = 1\nbias = 'x'\n[weights]",
        "version = 1\nbias = 1\nx = 2\n[weights]",
    ],
)
def test_weights_that_cannot_be_used_are_refused(text: str) -> None:
    """With a field missing, unknown or of the wrong type."""
    with pytest.raises(msgspec.ValidationError):
        load_weights(text.encode())
