"""Profiles: read as they are now, forgotten pane by pane, joined and combined in any order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard import profile
from gateway_guard.profile import Cardinality, Reading, RowArray, Slot
from tests.contributions import NOON, add, contribution, features, random_hash

if TYPE_CHECKING:
    from collections.abc import Callable

DAY = 86400.0
PANE = profile.pane_of(NOON)
LARGEST_ROW = 4096
FEW_STEPS = st.lists(st.floats(0.0, 3 * DAY), min_size=1, max_size=6)


def random_row(seed: int) -> RowArray:
    """Return a row that some writer may have left, every part of it filled."""
    rng = np.random.default_rng(seed)
    row = profile.empty()
    row["linear"][:, :, : profile.USED] = rng.random((1, 2, profile.USED)) * 100
    row["shingles"] = rng.choice([0, 3, 200, 40_000, 65_535], row["shingles"].shape)
    row["shingled"] = rng.integers(0, 512)
    for pane in (PANE - rng.integers(0, 3), PANE - rng.integers(0, 3)):
        row["panes"][0, pane & 1] = pane
    row["registers"] = rng.integers(0, 20, row["registers"].shape)
    row["counts"] = rng.integers(0, 1000, row["counts"].shape)
    for field in ("first_seen_at", "last_seen_at", "updated_at", "until_at", "paced_at"):
        row[field] = NOON - rng.integers(0, int(3 * DAY))
    row["offences"], row["action"] = rng.integers(0, 9), rng.integers(0, 5)
    row["sequence"], row["epoch"] = rng.integers(0, 99), rng.integers(0, 3)
    row["reset_epoch"] = rng.integers(0, 2)
    return row


ROWS = st.integers(0, 2**32 - 1).map(random_row)


def same(left: RowArray, right: RowArray) -> bool:
    """Tell whether two rows are the same, but for float32 rounding of what is summed."""
    rest = [name for name in profile.ROW.names or () if name not in {"linear", "shingled"}]
    exact = all(np.array_equal(left[name], right[name]) for name in rest)
    summed = [np.allclose(left[name], right[name], rtol=1e-4) for name in ("linear", "shingled")]
    return exact and all(summed)


def life(steps: list[float]) -> list[RowArray]:
    """Return one writer's row after each of a few exchanges, steps apart."""
    row, at, snapshots = profile.empty(), NOON, []
    row["first_seen_at"] = at
    for number, step in enumerate(steps):
        at += step
        item = contribution(features([number, 77], body=random_hash(number)))
        add(row, [item], at=at, elapsed_seconds=step)
        row["updated_at"] = row["last_seen_at"] = at
        row["sequence"] += 1
        snapshots.append(row.copy())
    return snapshots


def bodies_at(row: RowArray, wall_at: float) -> tuple[float, int]:
    """Return the estimated number of different bodies and the number of bodies."""
    return profile.read(row, 0.0, wall_at).bodies


def test_a_row_is_no_larger_than_a_page() -> None:
    """Memory is counted in these."""
    assert profile.ROW.itemsize == 4008
    assert profile.ROW.itemsize <= LARGEST_ROW
    assert max(Slot) < profile.USED <= profile.WIDTH


def test_fields_begin_where_flat_views_look_for_them() -> None:
    """Whoever writes to bytes writes to the field meant."""
    for field in ("registers", "counts", "shingles"):
        row = profile.empty()
        row[field].flat[0] = 1
        [changed] = np.flatnonzero(row.view(np.uint8) != profile.empty().view(np.uint8))
        assert changed == profile.offset_of(field)


def test_an_empty_row_says_nothing() -> None:
    """No exchanges, no values, no division by zero."""
    nothing = (0.0, 0)
    read = profile.read(profile.empty(), 0.0, NOON)
    assert read == Reading(
        [0.0] * profile.USED, [0.0] * profile.USED, nothing, nothing, nothing, nothing
    )


def test_a_reading_is_decayed_to_its_instant() -> None:
    """An hour halves the fast slice and leaves the slow one nearly as it was."""
    row = add(profile.empty(), [contribution()] * 8)
    read = profile.read(row, 3600.0, NOON)
    assert read.fast[Slot.EXCHANGES] == pytest.approx(4.0)
    assert read.slow[Slot.EXCHANGES] == pytest.approx(8.0, rel=0.01)
    assert row["linear"][0, :, Slot.EXCHANGES].tolist() == [8.0, 8.0]


def test_a_reading_has_the_size_of_each_set() -> None:
    """Bodies, keys, young keys, and networks with clients are told apart."""
    items = [
        contribution(
            features(body=random_hash(number)),
            key_hash=random_hash(100 + number % 4),
            place_hashes=(random_hash(200 + number % 3), random_hash(300)),
            young=number % 4 == 0,
        )
        for number in range(24)
    ]
    read = profile.read(add(profile.empty(), items), 0.0, NOON)
    assert [counted for _, counted in (read.bodies, read.keys, read.young_keys, read.places)] == [
        24,
        24,
        6,
        48,
    ]
    assert read.bodies[0] == pytest.approx(24, rel=0.4)
    assert read.keys[0] == pytest.approx(4, rel=0.4)
    assert read.young_keys[0] == pytest.approx(1, rel=0.4)
    assert read.places[0] == pytest.approx(4, rel=0.4)


def test_there_are_never_more_different_values_than_values() -> None:
    """An estimate that errs upward is cut at the number counted."""
    for count in range(1, 40):
        hashes = [random_hash(1000 * count + number) for number in range(count)]
        row = add(profile.empty(), [contribution(features(body=hash_)) for hash_ in hashes])
        distinct, counted = bodies_at(row, NOON)
        assert distinct <= counted == count


def test_what_is_older_than_two_panes_is_forgotten() -> None:
    """The pane before the present one still counts, the one before that does not."""
    row = profile.empty()
    add(row, [contribution(features(body=1))] * 10, at=NOON)
    assert bodies_at(row, NOON)[1] == 10
    assert bodies_at(row, NOON + DAY)[1] == 10
    assert bodies_at(row, NOON + 2 * DAY) == (0.0, 0)


def test_a_ratio_uses_the_registers_and_the_number_of_the_same_panes() -> None:
    """Many repeated bodies of long ago do not hide that the present ones are all different."""
    row = add(profile.empty(), [contribution(features(body=1))] * 500, at=NOON)
    for days in (1, 2):
        fresh = [random_hash(100 * days + number) for number in range(40)]
        items = [contribution(features(body=hash_)) for hash_ in fresh]
        add(row, items, at=NOON + days * DAY)
        distinct, counted = bodies_at(row, NOON + days * DAY)
        assert counted == (540 if days == 1 else 80)
        assert distinct == pytest.approx(41 if days == 1 else 80, rel=0.4)


def test_a_pane_of_a_clock_that_was_wrong_is_replaced() -> None:
    """A wall clock set back does not leave values of the future behind for ever."""
    row = add(profile.empty(), [contribution()] * 5, at=NOON + 1000 * DAY)
    add(row, [contribution()] * 2, at=NOON)
    assert bodies_at(row, NOON)[1] == 2


def test_rows_turn_their_panes_one_by_one() -> None:
    """A batch of rows may hold some that turned before."""
    rows = profile.empty(2)
    rows["counts"][:, Cardinality.BODIES, PANE & 1] = 7
    rows["registers"][:, Cardinality.BODIES, PANE & 1] = 3
    rows["panes"][0, PANE & 1] = PANE
    rows["panes"][1, PANE & 1] = PANE - 2
    profile.turn_panes(rows, PANE)
    assert rows["counts"][:, Cardinality.BODIES, PANE & 1].tolist() == [7, 0]
    assert rows["registers"][:, Cardinality.BODIES, PANE & 1].max(axis=1).tolist() == [3, 0]
    assert rows["panes"][:, PANE & 1].tolist() == [PANE, PANE]


@given(ROWS)
def test_a_row_survives_being_serialised(row: RowArray) -> None:
    """Its bytes are its snapshot."""
    data = profile.serialize(row)
    read = profile.deserialize(data)
    assert len(data) == profile.ROW.itemsize
    assert read is not None
    assert read.shape == (1,)
    assert profile.serialize(read) == data
    read["linear"] += 1.0  # a copy that may be written to


def test_bytes_of_another_size_or_version_are_no_row() -> None:
    """A store may hold anything."""
    row = profile.empty()
    data = profile.serialize(row)
    row["version"] = profile.LAYOUT_VERSION + 1
    wrong = [b"", data[:-1], data + b"\0", bytes(len(data)), profile.serialize(row)]
    assert [profile.deserialize(item) for item in wrong] == [None] * len(wrong)


@given(FEW_STEPS, st.data())
def test_joining_copies_of_one_writer_gives_the_newest(
    steps: list[float], data: st.DataObject
) -> None:
    """Retries, duplicates and late arrivals change nothing."""
    snapshots = life(steps)
    order = data.draw(st.permutations([*range(len(snapshots)), *range(len(snapshots))]))
    joined = snapshots[order[0]]
    for number in order:
        joined = profile.join(joined, snapshots[number])
    assert profile.serialize(joined) == profile.serialize(snapshots[-1])


@given(ROWS, ROWS)
def test_join_is_idempotent_and_commutative(left: RowArray, right: RowArray) -> None:
    """The newer writer's term wins, then its longer sequence."""
    assert profile.serialize(profile.join(left, left)) == profile.serialize(left)
    right["sequence"] = left["sequence"] + 1  # no writer leaves two rows under one number
    one, two = profile.join(left, right), profile.join(right, left)
    assert profile.serialize(one) == profile.serialize(two)


@pytest.mark.parametrize("merge", [profile.join, profile.combine])
def test_a_part_of_an_older_reset_counts_as_zero(
    merge: Callable[[RowArray, RowArray], RowArray],
) -> None:
    """Forgiven is forgiven, whichever way the rows come together."""
    guilty, forgiven = random_row(1), profile.empty()
    guilty["reset_epoch"], forgiven["reset_epoch"] = 3, 4
    guilty["epoch"], guilty["sequence"] = 9, 9
    for merged in (merge(guilty, forgiven), merge(forgiven, guilty)):
        for field in ("linear", "shingles", "registers", "counts", "offences", "action"):
            assert not merged[field].any()
        assert merged["reset_epoch"][0] == 4


@given(ROWS, ROWS, ROWS)
def test_combine_is_associative_and_commutative(
    one: RowArray, two: RowArray, three: RowArray
) -> None:
    """Parts of three writers come in any order, some of them from before a reset."""
    combine = profile.combine
    assert same(combine(one, two), combine(two, one))
    assert same(combine(one, combine(two, three)), combine(combine(one, two), three))


@given(ROWS)
def test_an_empty_part_changes_nothing(row: RowArray) -> None:
    """A writer that has seen nothing of a subject is no witness."""
    row["reset_epoch"] = 0
    assert same(profile.combine(row, profile.empty()), row)


@given(ROWS, ROWS, st.floats(0.0, 10 * DAY))
def test_combining_commutes_with_decaying(left: RowArray, right: RowArray, later: float) -> None:
    """The sums of two parts read at some instant are the sum of both readings."""
    right["reset_epoch"] = left["reset_epoch"]
    together = profile.combine(left, right)
    now = NOON + later

    def read(row: RowArray) -> Reading:
        return profile.read(row, now - float(row["updated_at"][0]), now)

    parts = [read(left), read(right)]
    assert read(together).fast == pytest.approx(
        [a + b for a, b in zip(parts[0].fast, parts[1].fast, strict=True)], rel=1e-3, abs=1e-4
    )
    assert read(together).slow == pytest.approx(
        [a + b for a, b in zip(parts[0].slow, parts[1].slow, strict=True)], rel=1e-3, abs=1e-4
    )


def test_values_of_two_writers_combine_to_their_union() -> None:
    """The same body on two replicas is one body that came twice."""
    bodies = [contribution(features(body=random_hash(number))) for number in range(300)]
    left, right = add(profile.empty(), bodies[:200]), add(profile.empty(), bodies[100:])
    distinct, counted = bodies_at(profile.combine(left, right), NOON)
    assert counted == 400
    assert distinct == pytest.approx(300, rel=0.3)


def test_a_newer_pane_of_one_writer_replaces_an_older_one_of_another() -> None:
    """Two days apart share a place, and only the later counts."""
    old = add(profile.empty(), [contribution()] * 9, at=NOON)
    new = add(profile.empty(), [contribution()] * 4, at=NOON + 2 * DAY)
    for combined in (profile.combine(old, new), profile.combine(new, old)):
        assert bodies_at(combined, NOON + 2 * DAY)[1] == 4


def test_combined_instants_and_standing_are_the_ones_that_matter() -> None:
    """First seen is the earliest known, the standing the more severe, the later of equal ones."""
    left, right = profile.empty(), profile.empty()
    left["first_seen_at"], right["last_seen_at"] = 50.0, 90.0
    left["action"], left["until_at"], left["offences"] = 2, 100.0, 1
    right["action"], right["until_at"], right["offences"] = 2, 200.0, 3
    combined = profile.combine(left, right)
    assert combined["first_seen_at"][0] == 50.0  # an unknown instant is not the earliest
    assert combined["last_seen_at"][0] == 90.0
    assert (combined["action"][0], combined["until_at"][0]) == (2, 200.0)
    assert combined["offences"][0] == 3
    left["action"] = 4
    assert profile.combine(left, right)["until_at"][0] == 100.0
