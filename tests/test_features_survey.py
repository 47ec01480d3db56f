"""Known texts are told from new ones, and very long conversations are looked at in groups."""

from __future__ import annotations

from gateway_guard.exchange import Turn
from gateway_guard.features.reading import Reading
from gateway_guard.features.seeds import Seeds
from gateway_guard.features.survey import MOST_TURNS, joined, survey
from gateway_guard.features.windows import WindowHasher


def conversation(count: int) -> list[Turn]:
    """Return turns of a user and an assistant, in turn, the user's first."""
    return [Turn(("user", "assistant")[at % 2], f"This is line {at}.") for at in range(count)]


def test_a_long_conversation_is_joined_to_a_bounded_number_of_turns() -> None:
    """No text is lost, and the newer half stays turn by turn."""
    for count in (MOST_TURNS + 1, 5_000, 50_000):
        turns = conversation(count)
        kept = joined(turns)

        assert len(kept) <= MOST_TURNS + 1
        assert "\n".join(turn.text for turn in kept) == "\n".join(turn.text for turn in turns)
        assert kept[-MOST_TURNS // 2 :] == turns[-MOST_TURNS // 2 :]


def test_groups_stay_what_they_are_as_the_conversation_grows() -> None:
    """A key that has shown a long history shows few new texts with its next request."""
    seen = set(survey(conversation(3_000), 1, lambda _: None).hashes)
    grown = survey(conversation(3_002), 1, lambda text: () if text in seen else None)

    assert len(grown.others) <= 3


def test_groups_have_a_role_only_where_all_turns_share_it() -> None:
    """What tools fetched stays apart; users' words in the past are history, not the question."""
    tools = joined([Turn("tool", f"{at}") for at in range(MOST_TURNS * 2)])
    users = joined([Turn("user", f"{at}") for at in range(MOST_TURNS * 2)])

    assert {turn.role for turn in tools} == {"tool"}
    assert [turn.role for turn in users].count("user") == MOST_TURNS // 2
    assert {turn.role for turn in joined(conversation(MOST_TURNS * 2))[:-512]} == {"assistant"}


def test_the_newest_user_turn_stays_by_itself() -> None:
    """An agent that has worked for a thousand turns still has its task."""
    task = Turn("user", "Please tidy up.")
    turns = [*conversation(10), task, *(Turn("tool", f"{at}") for at in range(4_000))]

    assert task in joined(turns)
    found = survey(turns, 1, lambda _: None)
    assert found.body is not None
    assert found.body.content == task.text
    assert (found.turns, found.tool_turns) == (4_011, 4_000)


def test_a_text_that_swells_beyond_the_buffer_is_cut() -> None:
    """The tables of the hasher are never read past their end."""
    hasher = WindowHasher(Seeds.derive(b"").numbers, longest=64)

    assert len(Reading(hasher, b"word " * 100, ()).buffer) == 64
