"""Recurrence: the constant part of a subject is told from the variable one, and cues by it."""

from __future__ import annotations

import numpy as np
import pytest

from gateway_guard import profile, recurrence
from gateway_guard.features.types import Cue, CueHit
from gateway_guard.sketches import countmin
from tests.contributions import features, random_hash

SKELETON = [random_hash(number) for number in range(20)]
TEMPLATE_CUE = CueHit(Cue.REASONING, SKELETON[3])


def body(number: int, count: int = 12) -> list[int]:
    """Return windows that no other exchange has."""
    return [random_hash(1000 * (number + 1) + place) for place in range(count)]


def count(row: profile.RowArray, windows: list[int], *hits: CueHit) -> tuple[float, list[float]]:
    """Count one exchange; return its constant share and the weight of each cue family."""
    packed = recurrence.pack(features(windows, hits=hits))
    read = recurrence.update(row, [packed], np.array([0]), np.array([0]))
    return float(read.shares[0]), read.cues[0].tolist()


def weight(row: profile.RowArray, windows: list[int], *hits: CueHit) -> float:
    """Count one exchange; return the weight of its cues of reasoning."""
    return count(row, windows, *hits)[1][Cue.REASONING]


def test_the_constant_share_of_a_template_is_near_the_truth() -> None:
    """Twenty windows of thirty-two come each time; the first exchange has nothing to recur."""
    row = profile.empty()
    shares = [count(row, SKELETON + body(number))[0] for number in range(400)]
    assert shares[0] == 0.0
    assert shares[1] == pytest.approx(20 / 32)
    assert sum(shares[1:]) / 399 == pytest.approx(20 / 32, abs=0.02)


def test_bodies_that_vary_have_no_constant_share() -> None:
    """Not after a thousand exchanges either: halving keeps collisions rare."""
    row = profile.empty()
    shares = [count(row, body(number, 32))[0] for number in range(1200)]
    assert sum(shares[:100]) / 100 <= 0.02
    assert sum(shares) / 1200 <= 0.02


def test_a_part_of_the_exchanges_is_constant_from_half_on() -> None:
    """A wording in one of three exchanges is not, in two of three it is."""
    for share, constant in ((3, False), (2, True)):
        row = profile.empty()
        for number in range(60):
            is_rare = number % 3 != 0 if share == 3 else number % 3 == 0
            count(row, body(number) + ([] if is_rare else SKELETON))
        read = count(row, body(99) + SKELETON)[0]
        assert (read > 0.5) is constant


def test_two_exchanges_are_the_fewest_that_recur() -> None:
    """One exchange has no constant part, however often a window was found in it."""
    row = profile.empty()
    repeated = (
        CueHit(Cue.REASONING, 5),
        CueHit(Cue.SYNTHESIS, 5),
        CueHit(Cue.REASONING, 5, from_tool=True),
    )
    assert count(row, [5, 6], *repeated) == (0.0, [pytest.approx(0.1), pytest.approx(0.1), 0, 0])
    assert count(row, [5, 7], *repeated) == (0.5, [1.0, 1.0, 0.0, 0.0])


def test_an_exchange_without_windows_has_no_constant_share() -> None:
    """Nor does it stop others of its batch from having one."""
    row = profile.empty()
    packed = [recurrence.pack(features(windows)) for windows in ([], [1, 2], [], [1, 3], [])]
    read = recurrence.update(row, packed, np.zeros(5, dtype=np.intp), np.arange(5))
    assert read.shares.tolist() == [0.0, 0.0, 0.0, 0.0, 0.0]  # two of five are less than half
    read = recurrence.update(row, packed[1:4:2], np.zeros(2, dtype=np.intp), np.arange(2))
    assert read.shares.tolist() == [0.5, 0.5]  # one of the windows came in four of seven


@pytest.mark.parametrize("which", [[0, 0, 0, 0], [0, 1, 2, 3], [3, 0, 0, 1]])
def test_rows_do_not_see_each_other(which: list[int]) -> None:
    """The same exchange is new to one subject and old to another, given once or once for each."""
    rows = profile.empty(3)
    packed = recurrence.pack(features([1, 2]))
    read = recurrence.update(rows, [packed] * 4, np.array([2, 0, 2, 2]), np.array(which))
    assert read.shares.tolist() == [1.0, 0.0, 1.0, 1.0]
    assert rows["shingled"].tolist() == [1.0, 0.0, 3.0]
    assert rows["shingles"].sum(axis=(1, 2)).tolist() == [4, 0, 12]


def test_a_cue_of_the_constant_part_has_full_weight_once_it_recurs() -> None:
    """The first time it weighs a tenth."""
    row = profile.empty()
    weights = [weight(row, SKELETON + body(number), TEMPLATE_CUE) for number in range(50)]
    assert weights == [pytest.approx(0.1)] + [1.0] * 49


def test_a_cue_in_the_variable_body_weighs_a_tenth() -> None:
    """A victim may have been fed it, a new one each time."""
    row = profile.empty()
    for number in range(50):
        windows = body(number)
        in_text = CueHit(Cue.REASONING, windows[0])
        beside = CueHit(Cue.REASONING, random_hash(500_000 + number))
        assert weight(row, SKELETON + windows, in_text, beside) == pytest.approx(0.1)


def test_a_cue_that_a_tool_fetched_weighs_a_tenth_however_often_it_recurs() -> None:
    """The same web page may come back a hundred times."""
    row = profile.empty()
    fetched = CueHit(Cue.REASONING, SKELETON[3], from_tool=True)
    weights = [weight(row, SKELETON + body(number), fetched) for number in range(20)]
    assert weights == [pytest.approx(0.1)] * 20


def test_a_cue_whose_window_was_not_chosen_recurs_all_the_same() -> None:
    """Windows of cues are counted beside the sample of all windows."""
    row = profile.empty()
    beside = CueHit(Cue.EXTRACTION, random_hash(77))
    shares = [count(row, SKELETON + body(number), beside) for number in range(10)]
    assert shares[9][1] == [0.0, 0.0, 0.0, 1.0]
    assert shares[9][0] == pytest.approx(20 / 32)


def test_the_weightiest_hit_of_a_family_counts() -> None:
    """In whatever order they come, and each family by itself."""
    row, read = profile.empty(), [0.0]
    for number in range(5):
        windows = body(number)
        loud, quiet = TEMPLATE_CUE, CueHit(Cue.REASONING, windows[1])
        other = CueHit(Cue.RUBRIC, windows[2])
        order = [loud, quiet, other] if number % 2 else [other, quiet, loud]
        read = count(row, SKELETON + windows, *order)[1]
    assert read == [1.0, 0.0, pytest.approx(0.1), 0.0]


def test_hits_of_a_batch_stay_with_their_exchange() -> None:
    """Some have none, some have several."""
    row = profile.empty()
    windows = [SKELETON + body(number) for number in range(4)]
    hits: list[tuple[CueHit, ...]] = [
        (),
        (TEMPLATE_CUE, CueHit(Cue.SYNTHESIS, windows[1][25])),
        (),
        (CueHit(Cue.EXTRACTION, random_hash(77)),),
    ]
    packed = [
        recurrence.pack(features(chosen, hits=found))
        for chosen, found in zip(windows, hits, strict=True)
    ]
    read = recurrence.update(row, packed, np.zeros(4, dtype=np.intp), np.arange(4))
    tenth = pytest.approx(0.1)
    assert read.cues.tolist() == [[0] * 4, [1.0, tenth, 0, 0], [0] * 4, [0, 0, 0, tenth]]
    assert read.shares.tolist() == pytest.approx([20 / 32] * 4, abs=0.05)


def test_counters_are_halved_on_schedule_and_the_constant_part_stays_constant() -> None:
    """A template that is given up is forgotten within as many exchanges again."""
    row = profile.empty()
    for number in range(countmin.HALVE_AT - 1):
        count(row, SKELETON + body(number))
    assert row["shingled"].tolist() == [countmin.HALVE_AT - 1]
    share, _ = count(row, SKELETON + body(5000))
    assert share == pytest.approx(20 / 32, abs=0.05)
    assert row["shingled"].tolist() == [countmin.HALVE_AT / 2]
    assert count(row, SKELETON + body(5001))[0] == pytest.approx(20 / 32, abs=0.05)
    for number in range(countmin.HALVE_AT):
        count(row, body(6000 + number))
    assert count(row, SKELETON)[0] <= 0.1


def test_no_counter_comes_around_however_many_writers_were_combined() -> None:
    """Saturated counters stay saturated, and are halved."""
    row = profile.empty()
    row["shingles"], row["shingled"] = 65_535, 100.0
    assert count(row, SKELETON)[0] == 1.0
    assert row["shingles"].min() == row["shingles"].max() == 65_535
    row["shingled"] = countmin.HALVE_AT
    count(row, SKELETON)
    assert row["shingles"].max() == 65_535 // 2
