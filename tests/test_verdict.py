"""The ladder: who is watched, throttled and blocked, from when, until when, and on what grounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.actions import Action
from gateway_guard.scoring import Score
from gateway_guard.standing import Standing
from gateway_guard.verdict import THROTTLE_HOLD_SECONDS, Ladder, jitter, judge, lapse

NOW = 1_800_000_000.0
HOUR = 3600.0
LADDER = Ladder(
    watch=-2.0,
    throttle=0.0,
    block=2.0,
    throttle_sample=12.0,
    block_sample=40.0,
    step_exchanges=30,
    block_first_seconds=HOUR,
    block_longest_seconds=30 * 24 * HOUR,
    block_jitter=0.0,
    secret=b"secret",
)
FIRST_STEP_SERVED = 30
NO_SCORE = -9.0


def score(
    logit: float, *families: str, exchanges: float = 100.0, corroborated: bool | None = None
) -> Score:
    """Return a score of a sample; two families corroborate each other."""
    agreed = len(families) >= 2 if corroborated is None else corroborated
    return Score(logit, (), frozenset(families), corroborated=agreed, exchanges=exchanges)


GUILTY = score(5.0, "template", "yield")
INNOCENT = score(NO_SCORE)


def judged(
    by: Score,
    standing: Standing | None = None,
    *,
    most: Action = Action.BLOCK,
    now: float = NOW,
    warming: bool = False,
) -> Standing:
    """Return the standing after one judgement, a new one where none is given."""
    standing = Standing() if standing is None else standing
    most = min(most, Action.THROTTLE) if warming else most
    judge(standing, by, LADDER, most=most, now=now)
    return standing


def throttled(*, above: int = FIRST_STEP_SERVED) -> Standing:
    """Return the standing of a subject that went on under a throttle."""
    standing = judged(score(1.0, "template"))
    standing.above = above
    return standing


def lapsed(standing: Standing, now: float) -> Action:
    """Return the action of a standing that nobody has judged until now."""
    lapse(standing, now)
    return standing.action


@pytest.mark.parametrize(
    ("logit", "action"),
    [
        (-2.01, Action.PASS),
        (-2.0, Action.WATCH),
        (-0.01, Action.WATCH),
        (0.0, Action.THROTTLE),
        (1.99, Action.THROTTLE),
        (9.0, Action.THROTTLE),
    ],
)
def test_thresholds_lead_up_the_ladder_but_nobody_is_blocked_at_first_sight(
    logit: float, action: Action
) -> None:
    """A block needs a throttle that was served before it."""
    assert judged(score(logit, "template", "yield")).action == action


def test_two_families_and_a_first_step_gone_through_bring_a_block() -> None:
    """The offence is counted and has its time."""
    standing = judged(GUILTY, throttled())
    assert standing.action == Action.BLOCK
    assert standing.until_at == NOW + HOUR
    assert standing.offences == 1


@pytest.mark.parametrize(
    ("by", "above"),
    [
        (score(5.0, "template"), FIRST_STEP_SERVED),
        (score(5.0, "template", "yield", exchanges=39.0), FIRST_STEP_SERVED),
        (score(1.9, "template", "yield"), FIRST_STEP_SERVED),
        (score(5.0, "template", "yield"), FIRST_STEP_SERVED - 1),
    ],
)
def test_without_any_of_what_a_block_needs_there_is_a_throttle(by: Score, above: int) -> None:
    """One family, too small a sample, too low a score, a first step not yet served."""
    assert judged(by, throttled(above=above)).action == Action.THROTTLE


def test_a_published_phrase_counts_as_two_families() -> None:
    """Scoring says so, the ladder follows."""
    by = score(5.0, "elicitation", corroborated=True)
    assert judged(by, throttled()).action == Action.BLOCK


def test_a_small_sample_is_watched_at_most() -> None:
    """From the twelfth exchange on it may be throttled."""
    assert judged(score(9.0, "template", "yield", exchanges=11.9)).action == Action.WATCH
    assert judged(score(9.0, "template", "yield", exchanges=12.0)).action == Action.THROTTLE


def test_pacing_alone_brings_nothing() -> None:
    """It is no family: however loud, it convicts nobody."""
    assert judged(score(9.0)).action == Action.PASS
    assert judged(score(9.0), throttled()).action == Action.THROTTLE  # for as long as it holds
    later = NOW + THROTTLE_HOLD_SECONDS
    assert judged(score(9.0), throttled(), now=later).action == Action.PASS


def test_while_the_guard_is_warming_a_throttle_is_the_most() -> None:
    """The same evidence blocks afterwards."""
    standing = judged(GUILTY, throttled(), warming=True)
    assert standing.action == Action.THROTTLE
    assert standing.offences == 0
    assert judged(GUILTY, standing).action == Action.BLOCK


@pytest.mark.parametrize("most", [Action.PASS, Action.WATCH, Action.THROTTLE])
def test_no_subject_gets_further_than_its_kind_may_impose(most: Action) -> None:
    """Networks are watched, organisations throttled, whatever the score."""
    standing = judged(GUILTY, most=most)
    standing.above = FIRST_STEP_SERVED
    assert judged(GUILTY, standing, most=most).action == most


def test_a_score_must_fall_well_below_a_threshold_to_lose_what_it_brought() -> None:
    """Hysteresis: half a logit, at each rung."""
    watched = judged(score(-2.0, "template"))
    assert judged(score(-2.5, "template"), watched).action == Action.WATCH
    assert judged(score(-2.51, "template"), watched).action == Action.PASS
    assert judged(score(-2.5, "template"), watched).action == Action.PASS


def test_a_score_just_below_the_threshold_keeps_a_throttle_going() -> None:
    """Each such judgement is held for the whole time again; a fresh subject is only watched."""
    standing = throttled()
    for number in range(1, 5):
        now = NOW + number * (THROTTLE_HOLD_SECONDS - 1)
        assert judged(score(-0.5, "template"), standing, now=now).action == Action.THROTTLE
    assert judged(score(-0.5, "template")).action == Action.WATCH


def test_a_throttle_holds_for_a_while_after_the_score_has_fallen() -> None:
    """Then it ends, and its steps begin anew with the next one."""
    standing = throttled()
    assert judged(INNOCENT, standing, now=NOW + THROTTLE_HOLD_SECONDS - 1).above > 0
    assert standing.action == Action.THROTTLE
    assert judged(INNOCENT, standing, now=NOW + THROTTLE_HOLD_SECONDS).action == Action.PASS
    assert standing.above == 0


def test_a_running_block_is_neither_cut_short_nor_made_longer() -> None:
    """Exchanges that were under way when it began change nothing."""
    for by in (INNOCENT, score(1.0, "template"), GUILTY):
        standing = judged(GUILTY, throttled())
        judged(by, standing, now=NOW + HOUR / 2)
        assert (standing.action, standing.until_at) == (Action.BLOCK, NOW + HOUR)
        assert standing.offences == 1
        assert standing.score == by.logit


def test_each_offence_is_blocked_four_times_as_long_up_to_the_longest() -> None:
    """And never beyond what numbers can hold."""
    lengths = []
    for offences in (0, 1, 2, 3, 4, 5, 6, 10_000):
        standing = throttled()
        standing.offences = offences
        lengths.append((judged(GUILTY, standing).until_at - NOW) / HOUR)
        assert standing.offences == offences + 1
    assert lengths == [1.0, 4.0, 16.0, 64.0, 256.0, 720.0, 720.0, 720.0]


def test_block_times_are_jittered_within_their_width() -> None:
    """Nobody can set an alarm for the end of one."""
    ladder = Ladder(
        **{
            name: getattr(LADDER, name)
            for name in Ladder.__struct_fields__
            if name != "block_jitter"
        },
        block_jitter=0.25,
    )
    lengths = set()
    for number in range(60):
        standing = throttled()
        now = NOW + number
        judge(standing, GUILTY, ladder, most=Action.BLOCK, now=now)
        lengths.add((standing.until_at - now) / HOUR)
    assert all(0.75 <= length <= 1.25 for length in lengths)
    assert len(lengths) > 50
    assert max(lengths) - min(lengths) > 0.1


def test_a_block_lapses_into_a_throttle_on_probation_and_that_into_a_watch() -> None:
    """Nobody goes from a block to a clean slate in one step."""
    standing = judged(GUILTY, throttled())
    assert lapsed(standing, NOW + HOUR - 1) == Action.BLOCK
    assert lapsed(standing, NOW + HOUR) == Action.THROTTLE
    assert standing.above == 0
    assert standing.until_at == NOW + HOUR + THROTTLE_HOLD_SECONDS
    assert lapsed(standing, standing.until_at - 1) == Action.THROTTLE
    assert lapsed(standing, standing.until_at) == Action.WATCH
    assert lapsed(standing, NOW + 1e9) == Action.WATCH
    assert standing.offences == 1


def test_who_goes_on_after_a_block_serves_the_first_step_again() -> None:
    """A judgement does not skip probation, whether or not anybody looked in between."""
    standing = judged(GUILTY, throttled())
    after = NOW + HOUR + 1
    assert judged(GUILTY, standing, now=after).action == Action.THROTTLE
    standing.above = FIRST_STEP_SERVED - 1
    assert judged(GUILTY, standing, now=after).action == Action.THROTTLE
    standing.above = FIRST_STEP_SERVED
    assert judged(GUILTY, standing, now=after).action == Action.BLOCK
    assert standing.until_at == after + 4 * HOUR


def test_a_standing_says_since_when_it_has_been_watched() -> None:
    """Keys that came before its evidence began answer only for themselves."""
    standing = judged(score(-1.0, "template"))
    assert standing.watched_at == NOW
    judged(GUILTY, standing, now=NOW + 100.0)
    assert standing.watched_at == NOW
    judged(INNOCENT, standing, now=NOW + 200.0)
    assert standing.watched_at == NOW  # the throttle still holds
    judged(INNOCENT, standing, now=NOW + 100.0 + THROTTLE_HOLD_SECONDS)
    assert standing.watched_at == 0.0
    judged(GUILTY, standing, now=NOW + 5000.0)
    assert standing.watched_at == NOW + 5000.0


def test_score_and_families_are_always_the_last_ones_and_reasons_the_last_that_weighed() -> None:
    """An operator can see on what grounds a throttle holds that no evidence renews."""
    standing = throttled()
    standing.reasons = ("teacher_yield=0.80",)
    judged(INNOCENT, standing, now=NOW + 1.0)
    assert standing.score == NO_SCORE
    assert standing.families == frozenset()
    assert standing.reasons == ("teacher_yield=0.80",)
    renewed = judged(score(1.0, "yield"), standing, now=NOW + 2.0)
    assert renewed.families == {"yield"}
    assert renewed.reasons == ()


SCORES = st.builds(
    score,
    st.floats(-5.0, 5.0),
    st.sampled_from(["template", "yield"]),
    exchanges=st.floats(0.0, 200.0),
    corroborated=st.booleans(),
)


@given(
    st.lists(
        st.tuples(SCORES, st.floats(0.0, 2000.0), st.integers(0, 20), st.booleans()),
        max_size=40,
    ),
    st.sampled_from([Action.WATCH, Action.THROTTLE, Action.BLOCK]),
)
def test_no_sequence_of_scores_breaks_the_rules_of_the_ladder(
    steps: list[tuple[Score, float, int, bool]], most: Action
) -> None:
    """A block comes from a throttle that was served, and only with what a block needs."""
    standing, now = Standing(), NOW
    for by, pause, admitted, warming in steps:
        now += pause
        standing.above += admitted if standing.action == Action.THROTTLE else 0
        before, offences = standing.action, standing.offences
        judged(by, standing, most=most, now=now, warming=warming)
        assert standing.action <= most
        assert (standing.action > Action.PASS) is (standing.watched_at > 0.0)
        if standing.offences > offences:
            assert before == Action.THROTTLE
            assert by.corroborated
            assert by.exchanges >= LADDER.block_sample
            assert standing.above >= LADDER.step_exchanges
            assert not warming
        if standing.action > Action.WATCH:
            assert standing.until_at > now


@given(st.binary(min_size=1, max_size=64), st.text(max_size=20), st.floats(0.0, 10.0))
def test_jitter_is_the_same_for_the_same_secret_and_within_its_width(
    secret: bytes, name: str, width: float
) -> None:
    """A restart moves no threshold."""
    moved = jitter(secret, name, width)
    assert -width <= moved <= width
    assert jitter(secret, name, width) == moved


def test_jitter_differs_by_secret_and_by_name_and_uses_its_width() -> None:
    """What one deployment's thresholds are says nothing about another's."""
    moved = [jitter(b"secret", str(number), 1.0) for number in range(200)]
    others = [jitter(b"another", str(number), 1.0) for number in range(200)]
    assert len({*moved, *others}) == 400
    assert min(moved) < -0.9
    assert max(moved) > 0.9
    assert abs(sum(moved) / 200) < 0.2
