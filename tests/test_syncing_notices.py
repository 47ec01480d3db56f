"""Notices: of what several writers say of one subject, the same is true for all of them."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.actions import Action
from gateway_guard.memory import Memory
from gateway_guard.standing import Standing
from gateway_guard.stores.base import STANDING
from gateway_guard.syncing.clocks import Shift
from gateway_guard.syncing.news import News, Notice, decode, decode_notice, encode
from gateway_guard.syncing.notices import Notices, kept
from gateway_guard.syncing.rows import Rows
from gateway_guard.timeline import Instant

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = 1_900_000_000.0
SUBJECT = b"\x01" + bytes(15)
NONE = Shift(0.0, 0.0)


class Writer:
    """Standings, and what is told of them."""

    def __init__(self, shift: Shift = NONE) -> None:
        """Know nothing; ``shift`` is what the store's clock is ahead of this writer's."""
        self.shift, self.at = shift, NOW - shift.wall_seconds
        self.memory = Memory(2**20, b"secret", shared=True)
        self.memory.share()
        rows = Rows(self.memory.subjects, alone=False)
        self.notices = Notices(self.memory, rows, lambda: Instant(self.at, self.at))

    def finds(self, action: Action, **fields: object) -> Notice:
        """Come to a verdict; return what is told of it."""
        standing = self.memory.standings.get(SUBJECT) or Standing()
        standing.action = action
        for name, value in fields.items():
            setattr(standing, name, value)
        self.memory.standings.keep(SUBJECT, standing)
        [notice] = self.told()
        return notice

    def told(self) -> list[Notice]:
        """Return what is to be told."""
        return self.notices.collect(self.shift)

    def hears(self, *notices: Notice, again: bool = False) -> None:
        """Hear notices in turns."""
        for notice in notices:
            self.notices.hear(notice, self.shift, again=again)

    @property
    def standing(self) -> Standing:
        """What is known now."""
        return self.memory.standings.get(SUBJECT) or Standing()


def test_what_is_told_is_taken_over_and_not_told_on() -> None:
    """With its reasons, its end and what led to it."""
    one, two = Writer(), Writer()
    block = one.finds(
        Action.BLOCK,
        until_at=NOW + 3600,
        offences=2,
        reasons=("because",),
        families=frozenset({"yield"}),
    )
    two.hears(block)
    standing = two.standing
    assert (standing.action, standing.until_at, standing.offences) == (4, NOW + 3600, 2)
    assert (standing.reasons, standing.families) == (("because",), frozenset({"yield"}))
    assert two.told() == []


def test_the_newer_verdict_is_true_for_who_knew_the_older_one() -> None:
    """A block that has run its time is over for everybody."""
    one, two = Writer(), Writer()
    two.hears(one.finds(Action.BLOCK, until_at=NOW + 10))
    one.hears(two.finds(Action.THROTTLE, until_at=NOW + 900, probation=True))
    assert one.standing.action == two.standing.action == Action.THROTTLE
    assert one.standing.probation
    two.hears(one.finds(Action.PASS, probation=False, offences=0))
    assert two.memory.standings.get(SUBJECT) is None


def test_who_is_watched_each_finds_out_for_himself() -> None:
    """A worker that knows little of a subject does not clear it for those who know more."""
    one = Writer()
    one.memory.standings.keep(SUBJECT, Standing(Action.WATCH, score=-1.0))
    assert one.told() == []
    assert one.finds(Action.THROTTLE, until_at=NOW + 900).watched_at == 0.0
    assert one.finds(Action.WATCH).action == Action.WATCH
    one.memory.standings.forget(SUBJECT)
    assert one.told() == []


def test_a_throttle_that_goes_on_goes_on_everywhere() -> None:
    """Its end moves as long as the evidence stands; that is told once a minute."""
    one, two = Writer(), Writer()
    two.hears(one.finds(Action.THROTTLE, until_at=NOW + 900))
    one.standing.until_at += 30
    one.memory.standings.note(SUBJECT, one.standing)
    told = one.told()
    one.standing.until_at += 30
    one.memory.standings.note(SUBJECT, one.standing)
    told += one.told()
    assert len(told) == 1
    two.hears(*told)
    assert two.standing.until_at in {NOW + 930, NOW + 960}
    assert two.told() == []


@pytest.mark.parametrize("late", [0.0, 5.0, -5.0])
def test_of_verdicts_found_at_the_same_time_the_more_severe_is_true(late: float) -> None:
    """Whoever has the faster clock; and all come to know it."""
    one, two, three = Writer(), Writer(), Writer()
    two.at += late
    throttle, block = two.finds(Action.THROTTLE), one.finds(Action.BLOCK, until_at=NOW + 3600)
    one.hears(throttle)
    two.hears(block)
    three.hears(throttle, block)
    again = [notice for writer in (one, two, three) for notice in writer.told()]
    for writer in (one, two, three):
        writer.hears(*again)
        assert writer.standing.action == Action.BLOCK
        assert writer.standing.until_at == NOW + 3600
    # What a store keeps is what was told of last.
    assert max([throttle, block, *again], key=lambda notice: notice.rank).action == Action.BLOCK


def test_what_an_operator_said_is_not_taken_back_by_what_was_found() -> None:
    """Neither an earlier nor a later verdict; only he does, or a pardon."""
    one, two = Writer(), Writer()
    said = one.finds(Action.BLOCK, until_at=NOW + 3600, operator=True)
    two.hears(said)
    two.at += 60
    found = Notice(SUBJECT, revision=int(NOW) + 99, seen=int(NOW) + 50, action=Action.WATCH)
    two.hears(found)
    assert two.standing.operator
    two.hears(one.notices.pardon(SUBJECT, NONE))
    assert two.standing.action == Action.PASS


def test_a_pardon_beats_whatever_was_said_before_it() -> None:
    """In whatever order it is heard; what is found afterwards counts again."""
    one, two = Writer(), Writer()
    block = one.finds(Action.BLOCK, until_at=NOW + 3600)
    pardon = two.notices.pardon(SUBJECT, NONE)
    for order in permutations([block, pardon]):
        three = Writer()
        three.hears(*order)
        assert three.standing.action == Action.PASS
        assert three.told() == []
    one.hears(pardon)
    one.at += 10
    two.hears(one.finds(Action.THROTTLE, until_at=NOW + 900))
    assert two.standing.action == Action.THROTTLE


def test_exchanges_above_the_threshold_add_up() -> None:
    """Each writer's own, those not yet told included."""
    one, two = Writer(), Writer()
    two.hears(one.finds(Action.THROTTLE, until_at=NOW + 900, above=4))
    assert two.standing.above == 4
    one.standing.above += 3
    two.standing.above += 2
    for writer in (one, two):
        writer.memory.standings.note(SUBJECT, writer.standing)
    [of_one], [of_two] = one.told(), two.told()
    assert (of_one.added, of_two.added) == (3, 2)
    one.hears(of_two)
    two.hears(of_one)
    assert one.standing.above == two.standing.above == 9
    two.hears(of_one, again=True)
    assert two.standing.above == 9


def test_what_was_not_told_yet_is_told_after_something_was_heard() -> None:
    """Two writers find the next step at once."""
    one, two = Writer(), Writer()
    two.hears(one.finds(Action.THROTTLE, until_at=NOW + 900, above=1))
    two.standing.above += 5
    two.memory.standings.note(SUBJECT, two.standing)
    two.hears(one.finds(Action.THROTTLE, above=3))
    assert two.standing.above == 8
    [notice] = two.told()
    assert notice.added == 5


def test_the_pace_of_a_throttle_is_that_of_all() -> None:
    """A request that one lets pass makes everybody wait."""
    one, two = Writer(), Writer(Shift(0.0, 500.0))
    two.hears(one.finds(Action.THROTTLE, until_at=NOW + 900, paced_at=NOW + 6))
    assert two.standing.paced_at == NOW + 6 - 500.0


@given(st.floats(-3600, 3600))
def test_instants_travel_in_the_stores_time(ahead: float) -> None:
    """A writer whose clock is wrong says what it means."""
    one, two = Writer(), Writer(Shift(ahead, ahead))
    fields = {"until_at": NOW + 3600, "watched_at": NOW - 60, "penalty_until_at": NOW + 60}
    two.hears(one.finds(Action.BLOCK, **fields))
    for name, value in fields.items():
        assert getattr(two.standing, name) == pytest.approx(value - ahead)
    back = two.finds(Action.BLOCK, offences=3)
    assert back.until_at == pytest.approx(NOW + 3600)


@given(st.permutations(range(4)), st.lists(st.integers(0, 3), max_size=4))
def test_the_order_of_what_one_writer_said_does_not_matter_in_the_end(
    order: Sequence[int], twice: list[int]
) -> None:
    """Nor does what is heard twice."""
    one = Writer()
    steps = (Action.THROTTLE, Action.WATCH, Action.BLOCK, Action.THROTTLE)
    said = [one.finds(action, until_at=NOW + 100 * at) for at, action in enumerate(steps)]
    two = Writer()
    two.hears(*(said[at] for at in (*order, *twice, 3)))
    two.hears(*two.told())
    assert two.standing.action in {Action.THROTTLE, Action.BLOCK}
    three = Writer()
    three.hears(max(said, key=lambda notice: notice.rank), again=True)
    assert three.standing.action == Action.THROTTLE


def test_a_store_keeps_a_standing_under_its_rank_until_it_ends() -> None:
    """A watch and a pardon refuse nothing, so nobody has to look for them."""
    one = Writer()
    block = one.finds(Action.BLOCK, until_at=NOW + 3600)
    part = kept(block)
    assert (part.slot, part.version, part.until_at) == (STANDING, block.rank, NOW + 3600)
    assert decode_notice(part.data) == block
    assert kept(Notice(SUBJECT, action=int(Action.WATCH))).until_at == 0.0
    assert kept(one.notices.pardon(SUBJECT, NONE)).until_at == 0.0
    assert decode_notice(part.data[:-1]) is None


@given(st.binary(max_size=80))
def test_entries_that_nobody_can_read_are_passed_over(data: bytes) -> None:
    """A later version may say other things."""
    assert decode(data) is None or isinstance(decode(data), News)
    assert decode_notice(data) is None or isinstance(decode_notice(data), Notice)


def test_an_entry_grows_as_far_as_there_is_room() -> None:
    """What may be forgotten makes room; verdicts and ages never do."""
    grown = News()
    for number in range(3):
        at, hashes = (bytes(4 * 30_000), bytes((number,)) * 8 * 30_000)
        notice = Notice(SUBJECT, revision=number)
        later = News(notices=[notice], ages=(hashes, at), texts=hashes, pairs=hashes)
        grown.extend(msgspec.structs.replace(later, sightings=[(SUBJECT, b"key", 1)] * 30_000))
    assert [notice.revision for notice in grown.notices] == [0, 1, 2]
    assert len(grown.ages[0]) == 8 * 90_000
    assert len(grown.texts) == len(grown.pairs) == 8 * 65_536
    assert len(grown.sightings) == 65_536
    read = decode(encode(grown))
    assert read is not None
    assert read.learned.texts[-1] == int.from_bytes(bytes((2,)) * 8)


def test_a_block_that_is_not_told_yet_is_not_lost_to_a_throttle() -> None:
    """Who tells of the throttle cannot have known of it, though he knew all that had been told."""
    one, two = Writer(), Writer()
    two.hears(one.finds(Action.THROTTLE, until_at=NOW + 900))
    one.memory.standings.keep(SUBJECT, blocked(one.standing))
    later = two.finds(Action.THROTTLE, provisional=True)
    assert later.seen >= one.standing.revision
    one.hears(later)
    assert one.standing.action == Action.BLOCK
    two.hears(*one.told())
    assert (two.standing.action, two.standing.until_at) == (Action.BLOCK, NOW + 3600)


def blocked(standing: Standing) -> Standing:
    """Block somebody, and tell nobody."""
    standing.action, standing.until_at = Action.BLOCK, NOW + 3600
    return standing
