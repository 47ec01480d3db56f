"""The slab: a fixed number of rows, the ones in use kept when there are too many."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.sketches.slab import Slab

LAYOUT = np.dtype([("value", np.int64), ("more", np.uint8, 3)])


def make(capacity: int) -> tuple[Slab, list[int]]:
    """Return a slab and the list that its evictions are written to."""
    evicted: list[int] = []
    return Slab(LAYOUT, capacity, evicted.append), evicted


def test_rows_are_handed_out_in_order_and_zeroed() -> None:
    """Nobody inherits another one's profile."""
    slab, evicted = make(3)
    assert len(slab) == 0
    assert [slab.acquire() for _ in range(3)] == [0, 1, 2]
    assert len(slab) == 3
    slab.rows["value"] = 9
    assert slab.acquire() == 0
    assert evicted == [0]
    assert slab.rows["value"].tolist() == [0, 9, 9]


def test_untouched_rows_go_first_in_the_order_of_the_hand() -> None:
    """CLOCK: a touched row gets a second chance, once."""
    slab, evicted = make(4)
    for _ in range(4):
        slab.acquire()
    slab.touched[[0, 2]] = True
    assert [slab.acquire() for _ in range(4)] == [1, 3, 0, 1]
    assert evicted == [1, 3, 0, 1]
    assert not slab.touched.any()


def test_a_hand_that_finds_only_touched_rows_takes_the_first_it_saw() -> None:
    """It goes around once and no more."""
    slab, evicted = make(3)
    for _ in range(3):
        slab.acquire()
    slab.touched[:] = True
    assert slab.acquire() == 0
    assert evicted == [0]
    assert slab.touched.tolist() == [False, False, False]


def test_a_row_in_use_survives_a_flood() -> None:
    """One touch between two rounds of the hand is enough."""
    slab, evicted = make(8)
    for _ in range(8):
        slab.acquire()
    for _ in range(1000):
        slab.touched[5] = True
        slab.acquire()
    assert 5 not in evicted
    assert len(evicted) == 1000


@given(
    st.integers(1, 6),
    st.lists(st.one_of(st.none(), st.integers(0, 5)), max_size=60),
)
def test_there_are_never_more_rows_than_there_is_room_for(
    capacity: int, steps: list[int | None]
) -> None:
    """Every row beyond the capacity was somebody else's, who was told."""
    slab, evicted = make(capacity)
    handed_out = 0
    for step in steps:
        if step is None:
            assert 0 <= slab.acquire() < capacity
            handed_out += 1
        else:
            slab.touched[step % capacity] = True
    assert len(slab) == min(handed_out, capacity)
    assert len(evicted) == max(0, handed_out - capacity)
    assert len(slab.rows) == capacity
