"""The timeline: two clocks read as one, of which only the steady one measures."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.timeline import STEP_SECONDS, Instant, Timeline

START = 1_800_000_000.0


class Clocks:
    """A wall clock and a monotonic timer that a test sets."""

    def __init__(self) -> None:
        """Begin at different numbers, as real ones do."""
        self.wall, self.timer = START, 5000.0
        self.timeline = Timeline(lambda: self.wall, lambda: self.timer)

    def pass_time(self, seconds: float, *, wall_steps: float = 0.0) -> Instant:
        """Let both clocks run, step the wall clock, and return the present."""
        self.timer += seconds
        self.wall += seconds + wall_steps
        return self.timeline.now()


def test_both_clocks_begin_together_and_run_together() -> None:
    """Without steps, wall and steady time are the same."""
    clocks = Clocks()
    assert clocks.timeline.now() == Instant(START, START)
    assert clocks.pass_time(10.0) == Instant(START + 10.0, START + 10.0)


@pytest.mark.parametrize("step", [-STEP_SECONDS, -1.0, 1.0, STEP_SECONDS])
def test_a_small_drift_is_ignored(step: float) -> None:
    """Time servers nudge clocks all the time."""
    now = Clocks().pass_time(10.0, wall_steps=step)
    assert now == Instant(START + 10.0, START + 10.0)


@pytest.mark.parametrize("step", [-1e9, -86400.0, -60.5, 60.5, 3600.0, 1e9])
def test_a_step_of_the_wall_clock_moves_what_is_shown_and_decays_nothing(step: float) -> None:
    """Forward or back: the wall time follows at once, elapsed time does not see it."""
    clocks = Clocks()
    before = clocks.pass_time(10.0)
    after = clocks.pass_time(10.0, wall_steps=step)
    assert after.wall == pytest.approx(START + 20.0 + step)
    assert after.steady - before.steady == pytest.approx(10.0)
    later = clocks.pass_time(5.0)
    assert later.wall - after.wall == pytest.approx(5.0)


def test_a_slow_drift_is_taken_over_once_it_has_become_a_step() -> None:
    """Wall time is never further from the clock than a step."""
    clocks = Clocks()
    for number in range(1, 501):
        now = clocks.pass_time(10.0, wall_steps=1.0)
        assert abs(now.wall - clocks.wall) <= STEP_SECONDS
        assert now.steady == pytest.approx(START + 10.0 * number)


@given(st.lists(st.tuples(st.floats(0.0, 1e4), st.floats(-1e5, 1e5)), max_size=30))
def test_steady_time_is_the_timer_whatever_the_wall_clock_does(
    moves: list[tuple[float, float]],
) -> None:
    """It never runs backwards, and wall time stays within a step of the clock."""
    clocks, elapsed = Clocks(), 0.0
    for seconds, step in moves:
        elapsed += seconds
        now = clocks.pass_time(seconds, wall_steps=step)
        assert now.steady == pytest.approx(START + elapsed)
        assert abs(now.wall - clocks.wall) <= STEP_SECONDS + 1e-3
