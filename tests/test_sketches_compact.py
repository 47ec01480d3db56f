"""Compact memories: the oldest instants survive, sets forget what is old, both stay small."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.sketches.compact import InstantTable, TwoPaneMap, TwoPaneSet

LARGEST = 2**64 - 1
WAYS = 8
BYTES_AN_ENTRY = 12


def flood(table: InstantTable, first: int, count: int) -> bool:
    """Add hashes, all with the same late instant; tell whether the table has overflowed."""
    for hash_ in range(first, first + count):
        table.add(hash_, 5000.0)
    return table.overflowed


def test_the_first_instant_of_a_hash_is_kept() -> None:
    """A key never gets younger."""
    table = InstantTable(4096)
    assert table.get(7) is None
    assert table.add(7, 1000.9) == 1000.0
    assert table.add(7, 2000.0) == 1000.0
    assert table.add(7, 500.0) == 1000.0
    assert table.get(7) == 1000.0
    assert not table.overflowed


def test_the_hash_that_marks_empty_places_is_a_hash_like_any_other() -> None:
    """An unknown key whose hash is 0 does not pass for one seen in 1970."""
    table = InstantTable(4096)
    assert table.get(0) is None
    assert table.add(0, 1_700_000_000.0) == 1_700_000_000.0
    assert table.get(0) == 1_700_000_000.0
    assert table.add(0, 1_800_000_000.0) == 1_700_000_000.0


def test_the_largest_hash_and_instants_beyond_the_range_fit() -> None:
    """Whatever the clock says, an entry is made."""
    table = InstantTable(4096)
    assert table.add(LARGEST, -5.0) == 0.0
    assert table.get(LARGEST) == 0.0
    assert table.add(LARGEST - 1, 1e12) == 2.0**32 - 1


@given(st.dictionaries(st.integers(0, LARGEST), st.integers(1, 2**32 - 1), max_size=50))
def test_a_table_with_room_is_an_exact_dictionary(entries: dict[int, int]) -> None:
    """Until the first overflow every entry is there."""
    table = InstantTable(1 << 16)
    entries.pop(1, None)  # shares its entry with 0
    for hash_, at in entries.items():
        table.add(hash_, at)
    assert table.overflowed or all(table.get(hash_) == at for hash_, at in entries.items())


def test_old_entries_survive_a_flood_of_new_ones() -> None:
    """A full bucket gives up its youngest, and the table says that it has lost something."""
    table = InstantTable(WAYS * BYTES_AN_ENTRY)
    for hash_ in range(1, WAYS + 1):
        table.add(hash_, 100.0 + hash_)
    assert flood(table, first=1000, count=1000)
    assert [table.get(hash_) for hash_ in range(1, WAYS)] == [
        100.0 + hash_ for hash_ in range(1, WAYS)
    ]
    assert table.get(WAYS) is None


def test_a_table_that_has_lost_an_entry_says_so() -> None:
    """From then on, an unknown key is not a young one."""
    table = InstantTable(WAYS * BYTES_AN_ENTRY)
    assert not flood(table, first=1, count=WAYS)
    assert not flood(table, first=1, count=WAYS)
    assert flood(table, first=WAYS + 1, count=1)


def test_a_table_keeps_its_size() -> None:
    """As many entries as fit into the bytes given, and never fewer than one bucket."""
    for size_bytes, capacity in ((0, 8), (96, 8), (192, 16), (96 * 100, 8 * 64)):
        table = InstantTable(size_bytes)
        for hash_ in range(1, 4 * capacity):
            table.add(hash_, 50.0)
        kept = sum(table.get(hash_) is not None for hash_ in range(1, 4 * capacity))
        assert kept == capacity
        assert table.overflowed


def test_an_element_is_remembered_for_a_pane_at_least() -> None:
    """And for two panes at most, while elements keep coming."""
    seen = TwoPaneSet(1000, pane_seconds=10.0)
    seen.add(1, at=9.0)
    for at in range(10, 40):
        seen.add(1000 + at, at=float(at))
        if at < 19:
            assert 1 in seen
        if at >= 29:
            assert 1 not in seen


def test_an_element_added_again_is_remembered_anew() -> None:
    """What a key keeps showing stays known."""
    seen = TwoPaneSet(1000, pane_seconds=10.0)
    for at in range(0, 100, 9):
        seen.add(1, at=float(at))
        assert 1 in seen


def test_a_long_silence_is_forgotten_as_a_whole() -> None:
    """What is older than two panes goes with the next addition, in whichever pane it was."""
    seen = TwoPaneSet(1000, pane_seconds=10.0)
    seen.add(1, at=0.0)
    seen.add(2, at=12.0)
    seen.add(3, at=500.0)
    assert [hash_ in seen for hash_ in (1, 2, 3)] == [False, False, True]


def test_a_full_pane_turns_early_but_not_for_what_it_holds_already() -> None:
    """Repetition costs nobody their memory."""
    seen = TwoPaneSet(4, pane_seconds=1e9)
    for hash_ in (1, 2, 3, 4):
        seen.add(hash_, at=0.0)
    for _ in range(10):
        seen.add(3, at=0.0)
        seen.add(4, at=0.0)
    assert all(hash_ in seen for hash_ in (1, 2, 3, 4))
    seen.add(5, at=0.0)
    assert [hash_ in seen for hash_ in (1, 2, 3, 4, 5)] == [False, False, True, True, True]


@given(
    st.integers(2, 20),
    st.lists(st.tuples(st.integers(0, 40), st.floats(0.0, 4.0)), max_size=200),
)
def test_a_set_keeps_its_bound_and_what_it_promises(
    capacity: int, steps: list[tuple[int, float]]
) -> None:
    """A list of everything that came is the oracle."""
    seen, at = TwoPaneSet(capacity, pane_seconds=10.0), 0.0
    came: list[tuple[int, float]] = []
    for hash_, pause in steps:
        at += pause
        seen.add(hash_, at)
        came.append((hash_, at))
        assert len(seen) <= capacity
        assert hash_ in seen
    for place, (hash_, added_at) in enumerate(came):
        others = {other for other, _ in came[place + 1 :]} - {hash_}
        if at - added_at < 10.0 and len(others) <= capacity // 2:
            assert hash_ in seen
    last_at = dict(came)
    assert all(at - last_at[hash_] <= 20.0 for hash_ in last_at if hash_ in seen)


@given(
    st.lists(st.tuples(st.lists(st.integers(0, 30), max_size=6), st.floats(0, 12)), max_size=40),
    st.integers(2, 24),
)
def test_many_elements_are_remembered_as_one_by_one(
    batches: list[tuple[list[int], float]], capacity: int
) -> None:
    """Whatever comes when: a batch is no more than its elements in a row."""
    together, apart = TwoPaneSet(capacity, 10.0), TwoPaneSet(capacity, 10.0)
    at = 0.0
    for batch, seconds in batches:
        at += seconds
        together.update(batch, at)
        for element in batch:
            apart.add(element, at)
        if batch:
            assert together.panes == apart.panes


def test_a_map_forgets_what_is_not_asked_for() -> None:
    """And keeps what is, within its bound."""
    kept: TwoPaneMap[str] = TwoPaneMap(8)
    kept[0] = "in use"
    for number in range(1, 100):
        kept[number] = str(number)
        assert kept.get(0) == "in use"
        assert len(kept) <= 8
    assert kept.get(1) is None
    assert kept.get(99) == "99"


HALF = st.sets(st.integers(0, 3))
HASHES = st.lists(st.tuples(st.integers(0, 3), st.integers(2, 99)), unique=True, max_size=40)


@given(HASHES, HALF)
def test_what_has_one_upper_half_can_be_forgotten(
    found: list[tuple[int, int]], halves: set[int]
) -> None:
    """And nothing else, wherever it is, or was noted for others."""
    hashes = [upper << 32 | lower for upper, lower in found]
    kept = {hash_ for hash_ in hashes if hash_ >> 32 not in halves}
    table, panes, mapped = InstantTable(12 * 8 * 1024), TwoPaneSet(200, 10.0), TwoPaneMap[int](200)
    table.added, panes.added = {}, []
    for number, hash_ in enumerate(hashes):
        table.add(hash_, 5.0)
        panes.add(hash_, 11.0 * (number > 20))
        mapped[hash_] = number
    table.remove(halves_of(halves), upper_halves=True)
    panes.remove_halves(halves)
    mapped.remove_halves(halves)
    assert {hash_ for hash_ in hashes if table.get(hash_) is not None} == kept
    assert {hash_ for hash_ in hashes if hash_ in panes} == kept
    assert {hash_ for hash_ in hashes if mapped.get(hash_) is not None} == kept
    assert set(table.added) == set(panes.added) == kept


def halves_of(halves: set[int]) -> list[int]:
    """Return hashes with these upper halves."""
    return [upper << 32 | 0xABC for upper in halves]


def test_single_hashes_can_be_forgotten() -> None:
    """Those that are given, if they are there; their places are free again."""
    table, mapped = InstantTable(12 * 8), TwoPaneMap[str](8)
    for hash_ in range(1, 9):
        table.add(hash_, 5.0)
        mapped[hash_] = "known"
    table.remove([3, 77])
    mapped.remove(3)
    mapped.remove(77)
    assert [table.get(hash_) for hash_ in (2, 3, 4)] == [5.0, None, 5.0]
    assert (mapped.get(3), mapped.get(8)) == (None, "known")
    table.add(99, 7.0)
    assert not table.overflowed
