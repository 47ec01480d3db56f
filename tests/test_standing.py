"""Standings: bounded, and those that matter least go first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.actions import Action
from gateway_guard.standing import Standing, Standings


def subject(number: int) -> bytes:
    """Return the id of a subject."""
    return number.to_bytes(16)


def kept(standings: Standings, count: int) -> list[int]:
    """Return which of the first subjects still have a standing."""
    return [number for number in range(count) if standings.get(subject(number)) is not None]


def test_a_standing_is_kept_until_it_is_forgotten() -> None:
    """The same object comes back, changes and all."""
    standings, standing = Standings(10), Standing(action=Action.THROTTLE)
    assert standings.get(subject(1)) is None
    standings.keep(subject(1), standing)
    standing.above = 7
    assert standings.get(subject(1)) is standing
    standings.forget(subject(1))
    standings.forget(subject(2))
    assert standings.get(subject(1)) is None
    assert len(standings) == 0


def test_a_new_standing_holds_nothing_against_anybody() -> None:
    """It passes, and shares no state with another one."""
    standing = Standing()
    assert standing.action == Action.PASS
    assert not standing.reasons
    assert not standing.families
    assert standing.offences == standing.above == 0


def test_the_oldest_of_equal_standings_makes_room() -> None:
    """A standing that changes is young again."""
    standings = Standings(3)
    for number in range(3):
        standings.keep(subject(number), Standing(action=Action.WATCH))
    standings.keep(subject(0), Standing(action=Action.WATCH))
    standings.keep(subject(3), Standing(action=Action.WATCH))
    assert kept(standings, 4) == [0, 2, 3]


def test_a_block_survives_a_flood_of_watches() -> None:
    """Nobody is forgotten because many others are suspected."""
    standings = Standings(20)
    for number in range(5):
        standings.keep(subject(number), Standing(action=Action.BLOCK))
    for number in range(5, 500):
        standings.keep(subject(number), Standing(action=Action.WATCH))
    assert kept(standings, 5) == [0, 1, 2, 3, 4]
    assert len(standings) == 20


def test_blocks_make_room_for_blocks_when_there_is_nothing_milder_among_the_oldest() -> None:
    """The bound holds whatever is kept."""
    standings = Standings(4)
    for number in range(8):
        standings.keep(subject(number), Standing(action=Action.BLOCK))
    assert kept(standings, 8) == [4, 5, 6, 7]


def test_standings_of_templates_that_only_show_in_the_texts_are_told_apart() -> None:
    """Where there is none, no text has to be read for a verdict; what has made room is none."""
    standings = Standings(3, content=b"\7\7")
    shown, hidden = b"\7\1" + bytes(14), [b"\7\7" + subject(number)[2:] for number in range(2)]
    standings.keep(shown, Standing(action=Action.WATCH))
    assert not standings.by_content
    for each in hidden:
        standings.keep(each, Standing(action=Action.WATCH))
    assert standings.by_content == set(hidden)
    standings.forget(hidden[1])
    assert standings.by_content == {hidden[0]}
    for number in range(3):
        standings.keep(b"\7\1" + subject(number)[2:], Standing(action=Action.BLOCK))
    assert not standings.by_content


def test_of_blocks_alone_the_one_goes_that_ends_first() -> None:
    """It is the one that will be missed for the shortest time."""
    standings = Standings(5)
    for number, until_at in enumerate((50.0, 20.0, 90.0, 30.0, 70.0, 99.0)):
        standings.keep(subject(number), Standing(action=Action.BLOCK, until_at=until_at))
    assert kept(standings, 6) == [0, 2, 3, 4, 5]


def test_a_flood_of_one_kind_takes_no_room_of_another() -> None:
    """Made-up end users do not make anybody forget who is blocked."""
    standings = Standings(20)
    for number in range(6):
        standings.keep(b"\1" + subject(number)[1:], Standing(action=Action.BLOCK, until_at=1.0))
    for number in range(300):
        standings.keep(b"\2" + subject(number)[1:], Standing(action=Action.BLOCK, until_at=9.0))
    found = [standings.get(b"\1" + subject(number)[1:]) is not None for number in range(6)]
    assert all(found)
    assert len(standings) == 20


@given(
    st.integers(1, 30),
    st.lists(st.tuples(st.integers(0, 60), st.sampled_from(list(Action))), max_size=120),
)
def test_there_are_never_more_standings_than_there_is_room_for(
    capacity: int, steps: list[tuple[int, Action]]
) -> None:
    """Whatever comes in whatever order."""
    standings = Standings(capacity)
    for number, action in steps:
        standings.keep(subject(number), Standing(action=action))
        assert len(standings) <= capacity
    assert len(kept(standings, 61)) == len(standings)
