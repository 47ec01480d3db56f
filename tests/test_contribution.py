"""Contributions: what an exchange adds, to however many rows and in whatever batches."""

from __future__ import annotations

import random

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_guard import profile
from gateway_guard.contribution import Contribution, Share, apply
from gateway_guard.exchange import Answer, Sampling
from gateway_guard.features.types import Cue, CueHit
from gateway_guard.profile import Cardinality, Slot
from tests.contributions import NOON, add, contribution, features, random_hash

HOUR = 3600.0
SKELETON = [random_hash(number) for number in range(20)]
RELATIVE = [
    *(Slot.CONSTANT, Slot.QUESTION_LOG, Slot.YIELD, Slot.REASONING_CUE),
    *(Slot.SYNTHESIS_CUE, Slot.RUBRIC_CUE, Slot.EXTRACTION_CUE),
]
"""Slots that depend on what else has been counted in the row."""
LONG_ANSWER = Answer(output_chars=4000, finish="stop")


def random_contribution(seed: int) -> Contribution:
    """Return an exchange with everything in it that may differ."""
    rng = random.Random(seed)
    windows = rng.sample(SKELETON, rng.randrange(20)) + [rng.getrandbits(64) for _ in range(9)]
    hits = tuple(
        CueHit(Cue(rng.randrange(4)), rng.choice(windows), rng.random() < 0.3)
        for _ in range(rng.randrange(3))
    )
    answer = Answer(rng.randrange(9000), rng.randrange(900), finish="length")
    sampling = Sampling(
        temperature=rng.choice([None, 0.0, 1.0]),
        max_tokens=rng.choice([None, 100, 4000]),
        logit_bias=rng.randrange(9),
        answers=rng.randrange(1, 4),
    )
    return contribution(
        features(windows, hits=hits, body=rng.getrandbits(64)),
        sampling=sampling,
        answer=rng.choice([None, answer]),
        single=rng.random() < 0.7,
        young=rng.random() < 0.5,
        key_hash=rng.getrandbits(64),
        place_hashes=(rng.getrandbits(64), rng.getrandbits(64)),
    )


SEVERAL = [random_contribution(seed) for seed in range(6)]
SHARES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), min_size=1, max_size=20).map(
    lambda pairs: [
        Share(row, SEVERAL[seed], number % 5 + 1, number % 3 == 0, seed % 3 + 1)
        for number, (row, seed) in enumerate(pairs)
    ]
)


def used_rows(count: int) -> profile.RowArray:
    """Return rows that have seen something already."""
    rows = profile.empty(count)
    shares = [
        Share(row, random_contribution(100 + number), 1, refilled=False)
        for row in range(count)
        for number in range(6)
    ]
    apply(rows, shares, elapsed_seconds=np.zeros(count), wall_at=NOON)
    return rows


def slots(row: profile.RowArray) -> dict[Slot, float]:
    """Return what the slow slice of a row holds."""
    return {slot: float(row["linear"][0, 1, slot]) for slot in Slot}


def mean(row: profile.RowArray, slot: Slot) -> float:
    """Return a slot's mean over the exchanges."""
    return slots(row)[slot] / slots(row)[Slot.EXCHANGES]


def test_every_slot_gets_what_it_is_named_for() -> None:
    """One exchange with nothing at its default."""
    item = contribution(
        features([1, 2, 3], hits=(CueHit(Cue.RUBRIC, 2),)),
        sampling=Sampling(
            temperature=0.0,
            max_tokens=6889,
            thinking_tokens=8192,
            answers=2,
            logprobs=True,
            top_logprobs=1,
        ),
        answer=Answer(output_chars=5000, reasoning_chars=1000, finish="max_tokens"),
        claimed=True,
        young=True,
        streamed=True,
        tools=True,
    )
    row = profile.empty()
    apply(row, [Share(0, item, 3, refilled=True)], elapsed_seconds=np.zeros(1), wall_at=NOON)
    expected = dict.fromkeys(Slot, 0.0) | {
        Slot.EXCHANGES: 1.0,
        Slot.SINGLE: 1.0,
        Slot.CLAIMED: 1.0,
        Slot.ANSWERED: 1.0,
        Slot.ANSWER_LOG: np.log2(3001.0),
        Slot.QUESTION_LOG: np.log2(1001.0),
        Slot.YIELD: 1.0,
        Slot.CEILING: 0.5,
        Slot.THINKING: 0.5,
        Slot.RUBRIC_CUE: 0.1,
        Slot.LOGITS: 0.4,
        Slot.MULTIPLE: 1.0,
        Slot.TOOLS: 1.0,
        Slot.INFLIGHT: 3.0,
        Slot.INFLIGHT_SQUARED: 9.0,
        Slot.REFILL: 1.0,
        Slot.YOUNG: 1.0,
        Slot.ITEMS_LOG: 1.0,
        Slot.STREAMED: 1.0,
        Slot.SHINGLED: 1.0,
        Slot.DETERMINISTIC: 1.0,
        Slot.REASONED: 1.0,
        Slot.TRUNCATED: 1.0,
    }
    found = slots(row)
    expected[Slot.YIELD] = pytest.approx(expected[Slot.YIELD], abs=0.2)
    assert found == {
        slot: value if slot == Slot.YIELD else pytest.approx(value, abs=1e-3)
        for slot, value in expected.items()
    }


def test_a_bare_exchange_adds_next_to_nothing() -> None:
    """No answer seen, no parameters, a conversation that was observed."""
    row = add(profile.empty(), [contribution(single=False)])
    found = {slot for slot, value in slots(row).items() if value}
    assert found == {
        *(Slot.EXCHANGES, Slot.OBSERVED, Slot.ITEMS_LOG, Slot.QUESTION_LOG),
        *(Slot.INFLIGHT, Slot.INFLIGHT_SQUARED),
    }


def test_observed_history_is_not_held_against_anybody() -> None:
    """Long answers and large budgets count in single exchanges only."""
    sampling = Sampling(max_tokens=16_384, thinking_tokens=16_384)
    for single, value in ((True, 1.0), (False, 0.0)):
        item = contribution(sampling=sampling, answer=LONG_ANSWER, single=single)
        found = slots(add(profile.empty(), [item]))
        assert found[Slot.CEILING] == found[Slot.THINKING] == value
        assert (found[Slot.YIELD] > 0.5) is single
        assert found[Slot.ANSWERED] == 1.0


def test_text_of_a_script_without_spaces_weighs_three_letters_a_character() -> None:
    """Questions and answers both."""
    text = msgspec.structs.replace(features(), unspaced=1.0)
    unspaced = contribution(text, answer=Answer(output_chars=1000))
    found = slots(add(profile.empty(), [unspaced]))
    assert found[Slot.QUESTION_LOG] == pytest.approx(np.log2(3001.0), abs=1e-3)
    assert found[Slot.ANSWER_LOG] == pytest.approx(np.log2(3001.0), abs=1e-3)
    assert found[Slot.UNSPACED] == 1.0


@settings(max_examples=40)
@given(SHARES)
def test_a_batch_counts_what_its_shares_count_one_by_one(shares: list[Share]) -> None:
    """To several rows, with the same exchange in several of them and twice in one.

    All but what depends on the rest of the row: a batch is counted before any of it is read.
    """
    batch, single = used_rows(4), used_rows(4)
    elapsed = np.array([0.0, 60.0, 7200.0, 1e6])
    apply(batch, shares, elapsed_seconds=elapsed, wall_at=NOON)
    for number, share in enumerate(shares):
        once = elapsed if number == 0 else np.zeros(4)
        apply(single, [share], elapsed_seconds=once, wall_at=NOON)
    for field in profile.ROW.names or ():
        if field != "linear":
            assert np.array_equal(batch[field], single[field])
    absolute = [slot for slot in range(profile.USED) if slot not in RELATIVE]
    assert np.allclose(batch["linear"][..., absolute], single["linear"][..., absolute], rtol=1e-4)


@settings(max_examples=40)
@given(st.integers(1, 12))
def test_a_batch_reads_what_one_by_one_reads_where_the_row_has_settled(size: int) -> None:
    """With a skeleton that everybody knows and bodies that nobody does, batches change nothing."""
    items = [
        contribution(
            features(
                SKELETON + [random_hash(1000 * (number + 1) + place) for place in range(1, 13)],
                hits=(CueHit(Cue.SYNTHESIS, SKELETON[0]),),
            ),
            answer=LONG_ANSWER,
        )
        for number in range(20 + size)
    ]
    batch, single = add(profile.empty(), items[:20]), add(profile.empty(), items[:20])
    add(batch, items[20:])
    for item in items[20:]:
        add(single, [item])
    assert np.allclose(batch["linear"], single["linear"], rtol=1e-4)


def test_a_batch_is_its_own_history() -> None:
    """The first of several like exchanges is constant in a batch and new one by one."""
    items = [contribution(features(SKELETON)) for _ in range(4)]
    batch, single = add(profile.empty(), items), profile.empty()
    for item in items:
        add(single, [item])
    assert slots(batch)[Slot.CONSTANT] == 4.0
    assert slots(single)[Slot.CONSTANT] == 3.0


def test_further_answers_to_one_request_are_exchanges_but_no_template() -> None:
    """One person's request for sixteen answers does not recur; sixteen like requests do."""
    item = contribution(
        features(SKELETON, hits=(CueHit(Cue.SYNTHESIS, SKELETON[0]),), body=random_hash(7)),
        sampling=Sampling(answers=16),
        answer=Answer(output_chars=16 * 500),
    )
    before = Share(0, contribution(), 1, refilled=False)
    share = Share(0, item, 2, refilled=True, answers=16)
    row = profile.empty()
    apply(row, [before, share], elapsed_seconds=np.zeros(1), wall_at=NOON)
    found = slots(row)
    assert [found[slot] for slot in (Slot.EXCHANGES, Slot.ANSWERED, Slot.REFILL)] == [17, 16, 16]
    assert found[Slot.INFLIGHT_SQUARED] == 16 * 4 + 1
    assert found[Slot.SYNTHESIS_CUE] == pytest.approx(1.6)
    assert found[Slot.CONSTANT] == 0.0
    assert row["shingled"].tolist() == [2.0]
    distinct, counted = profile.read(row, 0.0, NOON).bodies
    assert counted == 17
    assert distinct == pytest.approx(2.0, rel=0.1)
    repeated = slots(add(profile.empty(), [item] * 16))
    assert repeated[Slot.CONSTANT] == repeated[Slot.SYNTHESIS_CUE] == 16.0


def test_rows_that_get_nothing_decay_all_the_same() -> None:
    """The elapsed time is that of each row."""
    rows = used_rows(3)
    before = rows["linear"].copy()
    share = Share(1, contribution(), 1, refilled=False)
    apply(rows, [share], elapsed_seconds=np.array([HOUR, 0.0, 2 * HOUR]), wall_at=NOON)
    assert np.allclose(rows["linear"][0, 0], before[0, 0] / 2)
    assert np.allclose(rows["linear"][2, 0], before[2, 0] / 4)
    assert rows["linear"][1, 0, Slot.EXCHANGES] == before[1, 0, Slot.EXCHANGES] + 1.0


def test_a_constant_skeleton_with_varying_bodies_has_a_constant_share_near_the_truth() -> None:
    """And bodies that have nothing in common have none."""
    template, varied = profile.empty(), profile.empty()
    for number in range(200):
        windows = [random_hash(1000 * (number + 1) + place) for place in range(1, 33)]
        add(template, [contribution(features(SKELETON + windows[:12]))])
        add(varied, [contribution(features(windows))])
    assert mean(template, Slot.CONSTANT) == pytest.approx(20 / 32, abs=0.02)
    assert mean(varied, Slot.CONSTANT) <= 0.02
    assert mean(varied, Slot.QUESTION_LOG) == pytest.approx(np.log2(1001), abs=0.1)
    slot_alone = np.log2(1 + 1000 * 12 / 32)
    assert slot_alone < mean(template, Slot.QUESTION_LOG) < mean(varied, Slot.QUESTION_LOG) - 0.5


def test_a_long_answer_to_a_short_slot_in_a_long_template_is_a_yield() -> None:
    """What recurs explains little of an answer; the same text as a new question each time does."""
    template, varied = profile.empty(), profile.empty()
    answer = Answer(output_chars=800)
    for number in range(100):
        windows = [random_hash(1000 * (number + 1) + place) for place in range(1, 33)]
        add(template, [contribution(features(SKELETON + windows[:4]), answer=answer)])
        add(varied, [contribution(features(windows), answer=answer)])
    assert mean(varied, Slot.YIELD) <= 0.15
    assert mean(template, Slot.YIELD) >= 3 * mean(varied, Slot.YIELD)


def test_cues_weigh_by_where_they_stand() -> None:
    """Each family has its slot: full weight in the constant part, a tenth elsewhere."""
    row = profile.empty()
    for number in range(50):
        windows = [random_hash(1000 * (number + 1) + place) for place in range(1, 13)]
        hits = (
            CueHit(Cue.REASONING, SKELETON[1]),
            CueHit(Cue.SYNTHESIS, windows[0]),
            CueHit(Cue.RUBRIC, SKELETON[2], from_tool=True),
        )
        add(row, [contribution(features(SKELETON + windows, hits=hits))])
    found = slots(row)
    assert found[Slot.REASONING_CUE] == pytest.approx(49.1)
    assert found[Slot.SYNTHESIS_CUE] == pytest.approx(5.0, abs=2.0)  # windows may collide
    assert found[Slot.RUBRIC_CUE] == pytest.approx(5.0)
    assert found[Slot.EXTRACTION_CUE] == 0.0


def test_a_pending_exchange_is_counted_anew_with_its_answer() -> None:
    """What was packed for a score is not what is committed once the answer has been seen."""
    item = contribution()
    pending = slots(add(profile.empty(), [item]))
    item.answer = LONG_ANSWER
    settled = slots(add(profile.empty(), [item]))
    assert pending[Slot.ANSWERED] == pending[Slot.YIELD] == 0.0
    assert settled[Slot.ANSWERED] == 1.0
    assert settled[Slot.YIELD] > 0.5


def test_every_value_goes_to_its_set_in_the_pane_of_the_present() -> None:
    """Networks and clients share one set, and only young keys are young."""
    items = [random_contribution(seed) for seed in range(30)]
    row = add(profile.empty(), items)
    place = profile.pane_of(NOON) & 1
    young = sum(item.young for item in items)
    assert row["counts"][0, :, place].tolist() == [30, 60, 30, young, 0]
    assert not row["counts"][0, :, 1 - place].any()
    read = profile.read(row, 0.0, NOON)
    for which, distinct in (
        (Cardinality.BODIES, read.bodies),
        (Cardinality.KEYS, read.keys),
        (Cardinality.YOUNG_KEYS, read.young_keys),
        (Cardinality.NETWORKS_AND_CLIENTS, read.places),
    ):
        assert distinct[0] == pytest.approx(row["counts"][0, which, place], rel=0.4)


@pytest.mark.parametrize("terms", [(), (7,), (7, 8)])
def test_a_body_has_up_to_two_terms(terms: tuple[int, ...]) -> None:
    """One that has none adds nothing to their set."""
    of = msgspec.structs.replace(features(), terms=tuple(map(random_hash, terms)))
    row = add(profile.empty(), [contribution(of)] * 3)
    distinct, counted = profile.read(row, 0.0, NOON).terms
    assert counted == 3 * len(terms)
    assert distinct == pytest.approx(len(terms), rel=0.1)


def labels_of(row: profile.RowArray) -> list[float]:
    """Return the eight places of labels."""
    places: list[float] = row["linear"][0, 0, list(profile.LABEL_PLACES)].tolist()
    return places


def labelled(digest: int, **changes: object) -> list[float]:
    """Return where an exchange with an answer of one digest is counted."""
    answer = Answer(output_chars=5, digests=(bytes([digest]) * 16,))
    item = contribution(answer=msgspec.structs.replace(answer, **changes))
    return labels_of(add(profile.empty(), [item]))


def test_answers_are_counted_by_the_remainder_of_their_hash() -> None:
    """Each in one of eight places."""
    assert [labelled(digest).index(1.0) for digest in range(10)] == [*range(8), 0, 1]
    assert sum(labelled(3)) == 1.0


def test_what_is_no_single_visible_answer_is_no_label() -> None:
    """Nor is a call of a tool, whose id is always another one."""
    assert not any(labelled(3, digests=()))
    assert not any(labelled(3, output_chars=0))
    assert not any(labelled(3, tool_calls=1))
    twice = contribution(
        answer=Answer(output_chars=5, digests=(bytes(16),)), sampling=Sampling(answers=2)
    )
    assert not any(labels_of(add(profile.empty(), [twice])))


@pytest.mark.parametrize(
    ("contained", "expected"),
    [((0, 0), (0, 0)), ((2, 4), (0.25, 0.5)), ((0, 32), (0, 1)), ((16, 32), (0.5, 1))],
)
def test_an_answer_counts_as_compared_by_how_much_of_it_could_be(
    contained: tuple[int, int], expected: tuple[float, float]
) -> None:
    """A few windows are less than an answer, and many no more."""
    item = contribution(answer=LONG_ANSWER, contained=contained)
    row = slots(add(profile.empty(), [item]))
    assert (row[Slot.CONTAINED], row[Slot.COMPARED]) == expected


@pytest.mark.parametrize("finish", ["content_filter", "refusal", "SAFETY", "guardrail_intervened"])
def test_an_answer_that_was_held_back_counts_as_declined(finish: str) -> None:
    """So does one whose words decline, and no other."""
    held_back = contribution(answer=Answer(finish=finish))
    worded = contribution(answer=Answer(output_chars=30, finish="stop"), declined=True)
    plain = contribution(answer=Answer(output_chars=30, finish="stop"))
    row = slots(add(profile.empty(), [held_back, worded, plain]))
    assert row[Slot.DECLINED] == 2.0


def test_what_comes_early_or_reworded_is_counted() -> None:
    """Before there is an answer."""
    row = slots(add(profile.empty(), [contribution(early=True), contribution(reworded=True)]))
    assert (row[Slot.EARLY], row[Slot.REWORDED]) == (1.0, 1.0)


def test_a_row_of_the_slab_can_be_written_in_place() -> None:
    """A slice of a larger array is a view, and its neighbours are left alone."""
    rows = used_rows(3)
    before = rows.copy()
    add(rows[1:2], [random_contribution(1)], elapsed_seconds=5.0)
    assert rows[0] == before[0]
    assert rows[2] == before[2]
    assert rows[1] != before[1]
