"""Population: how far what a subject asks is from what people ask."""

from __future__ import annotations

import math
from random import Random
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.corpora import Row, Source
from gateway_guard.exceptions import ConfigurationError
from gateway_guard.exchange import Exchange, Turn
from gateway_guard.features import FeatureReader
from gateway_guard.lab.population import directions_of, fit_population
from gateway_guard.model import SHIPPED, Population, dump_population, parse_population
from gateway_guard.model.words import WIDTH
from gateway_guard.profile import Slot
from tests.driving import Caller, Driver, contribution_of, play
from tests.peopled import PEOPLE
from tests.traffic import prose

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from gateway_guard.corpora import TextClass
    from gateway_guard.exchange import Role
    from gateway_guard.features import Features

PEOPLES = [prose(Random(number), 300) for number in range(240)]
OTHERS = [f"Qxv zzyk {number} jjuw qoxq kwyj vvuz xqqz wujk" for number in range(240)]


def source(name: str, texts: Iterable[str], text_class: TextClass = "human") -> Source:
    """Return a source of texts."""
    return Source(text_class, name, tuple(Row(text) for text in texts))


def read(text: str, *, secret: bytes = b"a secret", role: Role = "user") -> Features:
    """Return the features of one text."""
    return FeatureReader(secret).read(Exchange("", "", (Turn(role, text),)), lambda _: None)


def shift_of(
    directions: npt.NDArray[np.float64], reference: Population, weight: float = 1.0
) -> float:
    """Return the statistic of texts that each count with the same weight."""
    total = (weight * directions).sum(axis=0).tolist()
    count = len(directions)
    return reference.shift(total, weight * count, weight * weight * count)


# --- directions -----------------------------------------------------------------------------------


def test_a_text_counts_once_be_it_long_or_short() -> None:
    """Directions have the length 1, and a text without words has none."""
    texts = ["Hello", prose(Random(1), 4000), "你好，请问今天天气怎么样？", "a " * 500]
    lengths = np.linalg.norm(directions_of([Row(text) for text in texts], SHIPPED.seed), axis=1)
    assert lengths == pytest.approx(1.0)
    assert read("?! ...").direction == b""


def test_directions_are_the_same_under_every_secret_and_for_every_spelling() -> None:
    """They are compared with what ships, and letter case or spacing change nothing."""
    told = read("Where do the herons nest in winter?", secret=b"one").direction
    assert told == read("where  do THE herons\nnest in winter", secret=b"two").direction


def test_another_model_seed_gives_other_directions() -> None:
    """An operator's own model has nothing in common with the published one."""
    row = [Row(PEOPLES[0])]
    assert not np.array_equal(directions_of(row, 1), directions_of(row, 2))


@pytest.mark.parametrize("role", ["system", "tool", "assistant"])
def test_only_what_callers_write_themselves_has_a_direction(role: Role) -> None:
    """System texts, results of tools and answers say nothing of who asks what."""
    assert read(PEOPLES[0], role=role).direction == b""


def test_what_was_said_before_has_no_direction_a_second_time() -> None:
    """Asking the same again says nothing new."""
    driver, asked = Driver(), play(PEOPLES[0])
    first = driver.ask(Caller("alice"), asked)
    driver.flush()
    again = driver.ask(Caller("alice"), asked)
    driver.flush()
    directions = [contribution_of(ticket).features.direction for ticket in (first, again)]
    assert [len(each) for each in directions] == [WIDTH, 0]


@given(st.lists(st.text(max_size=60), max_size=5))
def test_texts_read_together_are_what_each_is_alone(texts: list[str]) -> None:
    """Whatever stands beside a text in a batch leaves it as it is."""
    together = directions_of([Row(text) for text in texts], SHIPPED.seed)
    alone = [directions_of([Row(text)], SHIPPED.seed) for text in dict.fromkeys(texts)]
    assert np.array_equal(together, np.concatenate([np.zeros((0, WIDTH)), *alone]))


# --- the statistic --------------------------------------------------------------------------------


def test_the_statistic_is_unbiased_for_draws_of_the_reference() -> None:
    """On average it is 0, however few are drawn, where a plain distance is about 1/n."""
    directions = directions_of([Row(text) for text in PEOPLES], SHIPPED.seed)
    reference = Population(SHIPPED.seed, tuple(directions.mean(axis=0)))
    rng = np.random.default_rng(5)
    for size in (8, 40):
        draws = [directions[rng.integers(0, len(directions), size)] for _ in range(600)]
        found = [shift_of(draw, reference) for draw in draws]
        plain = [np.sum((draw.mean(axis=0) - reference.mean) ** 2) for draw in draws]
        error = np.std(found) / math.sqrt(len(found))
        assert abs(np.mean(found)) < 4 * error
        assert np.mean(plain) > 10 * error


@given(st.integers(2, 60), st.floats(0.5, 8.0))
def test_texts_that_each_stand_for_several_are_no_surer_than_one_each(
    count: int, weight: float
) -> None:
    """What was drawn to stand for four others is one look all the same."""
    directions = directions_of([Row(text) for text in PEOPLES[:count]], SHIPPED.seed)
    once = shift_of(directions, PEOPLE.population)
    assert shift_of(directions, PEOPLE.population, weight) == pytest.approx(once, abs=1e-9)


def test_a_profile_sums_directions_and_weights() -> None:
    """The row holds all that the statistic needs."""
    driver = Driver()
    tickets = [driver.ask(Caller("alice"), play(text), seconds=60) for text in PEOPLES[:30]]
    driver.flush()
    sums = driver.reading(tickets[-1].key).slow
    assert sums[Slot.DIRECTED] == pytest.approx(30, rel=0.01)
    assert sums[Slot.DIRECTED_SQUARES] == pytest.approx(30, rel=0.01)
    total = np.array(sums[Slot.DIRECTION : Slot.DIRECTION + WIDTH])
    expected = directions_of([Row(text) for text in PEOPLES[:30]], SHIPPED.seed).sum(axis=0)
    assert total == pytest.approx(expected, abs=0.2)


# --- the reference --------------------------------------------------------------------------------


def test_a_reference_is_fitted_on_people_alone_each_source_weighing_the_same() -> None:
    """Neither how much there is of a source nor what harvesters ask moves it."""
    few, many = source("few", PEOPLES[:20]), source("many", PEOPLES[20:])
    harvest = source("harvested", OTHERS, "harvest")
    fitted = fit_population([few, many, harvest], 3)
    means = [directions_of(each.rows, 3).mean(axis=0) for each in (few, many)]
    assert fitted.mean == pytest.approx(np.mean(means, axis=0), abs=1e-6)
    assert (fitted.sources, fitted.texts) == (("few", "many"), len(PEOPLES))
    assert fitted == fit_population([few, many], 3)


def test_a_source_that_is_left_out_leaves_no_trace() -> None:
    """What judges a source is the same whatever stands in it."""
    kept, one, other = (
        source("kept", PEOPLES[:50]),
        source("left_out", PEOPLES[50:90]),
        source("left_out", OTHERS),
    )
    fits = [
        fit_population([each for each in sources if each.name != "left_out"], 3)
        for sources in ([kept, one], [kept, other])
    ]
    assert fits[0] == fits[1]
    assert fit_population([kept, one], 3) != fit_population([kept, other], 3)


def test_without_people_there_is_no_reference() -> None:
    """And the error says how files are named."""
    with pytest.raises(ConfigurationError, match="human_"):
        fit_population([source("harvested", OTHERS, "harvest")], 3)


def test_a_population_is_written_and_read_back() -> None:
    """As text that people can look at."""
    fitted = fit_population([source("people", PEOPLES)], 3)
    assert parse_population(dump_population(fitted).encode()) == fitted


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"format = 2",
        b"\xff",
        b"format = 1\nseed = 1\ntexts = 1\nsources = []\nmean = [0.1]",
        dump_population(PEOPLE.population).replace("format = 1", "format = 2").encode(),
        dump_population(PEOPLE.population).replace("0.", "9.").encode(),
        dump_population(PEOPLE.population).replace("seed = ", "seed = -").encode(),
    ],
)
def test_what_is_no_population_is_refused(wrong: bytes) -> None:
    """Damaged, of another format, or with numbers that no mean of directions has."""
    with pytest.raises(ValueError, match=r"."):
        parse_population(wrong)


def test_the_shipped_reference_is_of_the_shipped_seed() -> None:
    """And was made from thousands of texts."""
    assert SHIPPED.population.seed == SHIPPED.seed
    assert SHIPPED.population.texts > 10_000
    assert len(SHIPPED.population.sources) > 1
