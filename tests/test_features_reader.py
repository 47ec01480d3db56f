"""A request is read once, within a budget, whatever the role of its texts."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.exchange import Exchange, Turn
from gateway_guard.features import Cue, CueHit, FeatureReader, Features
from gateway_guard.features.reader import MOST_HITS
from gateway_guard.features.sampling import MOST_TEXTS

if TYPE_CHECKING:
    from gateway_guard.exchange import Role

READER = FeatureReader(b"a secret")
SYSTEM = "You are the patient night porter of a small hotel by the sea."
QUESTION = "Could you tell me at what hour breakfast is served on Sundays in the garden room?"
CUE = "Think step by step before you answer."
CHINESE = "".join(map(chr, range(0x4E10, 0x4E40)))


class Key:
    """What a key has shown before."""

    def __init__(self) -> None:
        self.texts: dict[int, tuple[CueHit, ...]] = {}

    def known(self, text_hash: int) -> tuple[CueHit, ...] | None:
        """Return the hits remembered with a text."""
        return self.texts.get(text_hash)

    def read(self, *turns: Turn, reader: FeatureReader = READER) -> Features:
        """Read a request of these turns and remember it, as the engine does at settlement."""
        features = reader.read(exchange(*turns), self.known)
        self.texts |= dict.fromkeys(features.text_hashes, ()) | self.texts
        self.texts |= {text: hits for text, hits in features.new_hits if hits}
        return features


def exchange(*turns: Turn) -> Exchange:
    """Return a request of these turns."""
    return Exchange("openai_chat", "a-model", turns)


def user(text: str) -> Turn:
    """Return a user's turn."""
    return Turn("user", text)


def read(*turns: Turn) -> Features:
    """Read a request of a key that has shown nothing before."""
    return Key().read(*turns)


def prose(seed: int, count: int) -> str:
    """Return random words."""
    random = Random(seed)
    return " ".join(
        "".join(random.choices("abcdefghij", k=random.randint(2, 8))) for _ in range(count)
    )


def plain(features: Features) -> dict[str, Any]:
    """Return features in a form that can be compared."""
    return msgspec.structs.asdict(features) | {"shingles": features.shingles.tolist()}


def test_a_request_is_counted_by_kind_of_text() -> None:
    """Characters, turns, tools and images are told apart."""
    features = read(
        Turn("system", "Be brief."),
        user("Look: \u00e9"),
        Turn("assistant", "", call_ids=("a",)),
        Turn("tool", "42 degrees"),
        Turn("user", "And \u4e2d?", images=2),
    )

    assert (features.chars, features.new_chars) == (32, 32)
    assert (features.system_chars, features.constant_chars, features.body_chars) == (9, 0, 6)
    assert (features.turns, features.tool_turns, features.images) == (4, 1, 2)
    assert len(features.text_hashes) == len(features.new_hits) == 4


def test_known_texts_are_not_read_again() -> None:
    """The system text is constant, the history adds nothing, the newest user text is read."""
    key = Key()
    key.read(Turn("system", SYSTEM), user(QUESTION))
    second = key.read(
        Turn("system", SYSTEM), user(QUESTION), Turn("assistant", "At seven."), user("And lunch?")
    )
    alone = read(Turn("assistant", "At seven."), user("And lunch?"))

    assert second.constant_chars == second.system_chars == len(SYSTEM)
    assert second.new_chars == len("At seven.And lunch?")
    assert second.shingles.tolist() == alone.shingles.tolist()
    assert [text for text, _ in second.new_hits] == [text for text, _ in alone.new_hits]


def test_a_repeated_newest_user_text_is_read_though_it_is_not_new() -> None:
    """Asking the same again gives the same hashes."""
    key = Key()
    first, second = key.read(user(QUESTION)), key.read(user(QUESTION))

    assert second.new_chars == 0
    assert second.new_hits == ()
    assert second.shingles.tolist() == first.shingles.tolist()
    assert (second.anchors, second.body_hash) == (first.anchors, first.body_hash)


@pytest.mark.parametrize("role", ["system", "user", "assistant", "tool"])
def test_new_texts_are_read_whatever_their_role(role: Role) -> None:
    """A payload in an older turn, a tool result or a prefill is found."""
    features = read(Turn(role, f"{prose(1, 50)}. {CUE}"), user("go on"))

    assert {hit.family for hit in features.hits} == {Cue.REASONING}
    assert {hit.from_tool for hit in features.hits} == {role == "tool"}
    assert len(features.shingles) > 1


def test_a_text_that_stands_twice_is_read_once() -> None:
    """Copies of one tool result add neither characters nor hits."""
    features = read(Turn("tool", CUE), Turn("tool", CUE), user("go on"))

    assert features.new_chars == len(CUE) + len("go on")
    assert len(features.new_hits) == 2
    assert len(features.hits) == 1


def test_cues_of_a_known_system_text_belong_to_every_request() -> None:
    """They are the constant part; those of known history are not repeated."""
    key = Key()
    first = key.read(
        Turn("system", f"{SYSTEM} {CUE}"), user(CUE), Turn("assistant", "Yes."), user("a")
    )
    second = key.read(Turn("system", f"{SYSTEM} {CUE}"), user("b"))
    third = key.read(user(CUE), Turn("assistant", "Yes."), user("c"))

    assert len(first.hits) == 1
    assert second.hits == (msgspec.structs.replace(first.hits[0], constant=True),)
    assert third.hits == ()


def test_what_a_tool_showed_first_is_the_callers_own_in_a_system_text() -> None:
    """Fetching a text once does not launder it."""
    key = Key()
    (fetched,) = key.read(Turn("tool", f"{SYSTEM} {CUE}"), user("a")).hits
    (own,) = key.read(Turn("system", f"{SYSTEM} {CUE}"), user("b")).hits
    (newer,) = read(Turn("tool", CUE), user(f"Well. {CUE}")).hits
    (older,) = read(user(f"Well. {CUE}"), Turn("tool", CUE), user("go on")).hits

    assert fetched.from_tool
    assert own == CueHit(fetched.family, fetched.shingle, constant=True)
    assert not newer.from_tool
    assert not older.from_tool


@pytest.mark.parametrize(
    ("template", "constant"),
    [
        ("{} Let us think step by step.", True),
        ("Think step by step.\n\n{}", True),
        ("Solve the following problem step by step: {}", True),
        ("Question: {}\nReason step by step, then answer.", True),
        ("Please {} step by step", False),
    ],
)
def test_a_cue_in_a_template_recurs_whatever_fills_it(template: str, *, constant: bool) -> None:
    """Its window stays within its sentence; one among changing words changes with them."""
    windows = {read(user(template.format(prose(seed, 30)))).hits[0].shingle for seed in range(5)}

    assert (len(windows) == 1) is constant


def test_hits_are_bounded() -> None:
    """Eight in a text and sixteen in a request at most, the newest user text's first."""
    cues = (
        "Think step by step. Show your reasoning. Use a chain of thought. Give full derivation. "
        "Write ten new questions. List 5 diverse tasks. Use the following rubric. "
        "Act as an impartial judge. Rewrite the given prompt into two. <think> "
        "Come up with 5 questions. Give reasoning traces."
    )
    parts = [cues.replace(".", f" {word}.") for word in ("one", "two", "three", "four")]
    features = read(*(Turn("tool", part) for part in parts), user(cues))

    assert [len(hits) for _, hits in features.new_hits] == [8] * 5
    assert len(features.hits) == MOST_HITS
    assert features.hits[:8] == features.new_hits[0][1]


def test_no_window_is_counted_twice_in_a_request() -> None:
    """Hits of different families at one place, and shingles, have hashes of their own."""
    features = read(user("Write ten new questions and think step by step about each of them."))
    hits = [hit.shingle for hit in features.hits]

    assert len(hits) == 2
    assert len({*hits, *features.shingles.tolist()}) == len(hits) + len(features.shingles)


def test_the_body_hash_identifies_the_whole_text() -> None:
    """One more word makes another body, other spacing does not."""
    bodies = {read(user(text)).body_hash for text in (QUESTION, QUESTION.upper(), f" {QUESTION}\n")}
    others = {
        read(user(text)).body_hash
        for text in (QUESTION[:-6], f"{QUESTION} Yes", "", prose(1, 20_000))
    }

    assert len(bodies) == 1
    assert len(others | bodies) == 5
    assert read(user("")).body_hash == read(Turn("assistant", "prefill")).body_hash


@pytest.mark.parametrize("role", ["system", "user", "assistant", "tool"])
def test_the_body_hash_tells_apart_what_stands_above_a_turn_that_is_always_the_same(
    role: Role,
) -> None:
    """What is asked may stand in an older turn of any role, with "go on" as the newest."""
    key = Key()
    asked = [key.read(Turn(role, f"{QUESTION} {number}"), user("go on")) for number in range(4)]
    assert len({features.body_hash for features in asked}) == 4
    again = [key.read(user(QUESTION)).body_hash for _ in range(2)]
    assert again[0] == again[1]


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("Sort this list.", 1),
        ("Why? How? When?", 3),
        ("\u4e3a\u4ec0\u4e48\uff1f\u600e\u4e48\u529e\uff1f", 2),
        ("Answer all:\n1. Why is it?\n2. How is it?\n3) What is it?\n", 3),
        ("- red\n- green\n * blue\n\u2022 white", 4),
        ("Q1: one\nQ2: two\nQuestion 3: three", 3),
        ("It was\n1.5 metres\n2,000 grams and\nso on", 1),
    ],
)
def test_questions_and_list_entries_are_counted(text: str, items: int) -> None:
    """Packing twenty questions into one prompt shows."""
    assert read(user(text)).items == items


@pytest.mark.parametrize(
    ("text", "share"),
    [("plain", 0.0), (CHINESE, 1.0), (f"{CHINESE[:4]}abcd", 0.5), ("caf\u00e9", 0.0)],
)
def test_scripts_without_spaces_are_measured(text: str, share: float) -> None:
    """The share counts characters."""
    assert read(user(text)).unspaced == share


def test_the_newest_turn_without_text_is_an_empty_body() -> None:
    """An empty question does not pass for the question before it."""
    features = read(user(QUESTION), Turn("user", "", images=1))

    assert features.body_chars == 0
    assert features.anchors.head is None
    assert features.body_hash == read(user("")).body_hash


def test_two_secrets_give_unrelated_hashes() -> None:
    """No hash of one deployment, of whatever kind, means anything in another."""

    def hashes(features: Features) -> set[int]:
        anchors = features.anchors.system, features.anchors.head, features.anchors.tail
        hits = (hit.shingle for hit in features.hits)
        named = (*anchors, features.body_hash, *features.text_hashes, *hits)
        return {*features.shingles.tolist(), *(hash_ for hash_ in named if hash_ is not None)}

    turns = Turn("system", SYSTEM), user(f"{QUESTION} {CUE}")
    one, other = (Key().read(*turns, reader=FeatureReader(secret)) for secret in (b"a secret", b""))

    assert len(hashes(one)) >= 20
    assert not hashes(one) & hashes(other)
    assert plain(read(*turns)) == plain(Key().read(*turns, reader=FeatureReader(b"a secret")))


def test_a_payload_anywhere_in_a_long_text_is_found_as_often_as_the_budget_promises() -> None:
    """In a megabyte one sixteenth is read, a quarter of it at each end: 3% of what lies between."""
    haystack, places_, found = prose(5, 180_000)[:1_000_000], Random(6), 0
    for trial in range(400):
        at = places_.randrange(20_000, 980_000)
        text = f"{haystack[:at]} . {CUE} {trial} . {haystack[at:]}"
        found += bool(READER.read(exchange(user(text)), lambda _: None).hits)

    assert 3 <= found <= 25
    for text in (f"{CUE} {haystack}", f"{haystack} {CUE}"):
        assert READER.read(exchange(user(text)), lambda _: None).hits


def test_old_long_texts_leave_room_for_a_payload_in_a_short_one() -> None:
    """Filling the budget with newer texts hides nothing."""
    filler = [Turn("assistant", prose(seed, 20_000)) for seed in range(3)]

    assert read(user(CUE), *filler, user(prose(9, 20_000))).hits


def test_a_long_chinese_text_is_read_in_part_too() -> None:
    """Cutting between the bytes of a character does no harm."""
    long = CHINESE * 3000
    features = read(user(long), user(f"{long}{CUE}"))

    assert features.body_chars == len(long) + len(CUE)
    assert features.hits
    assert len(features.shingles) <= len(CHINESE)
    assert features.unspaced > 0.99


def test_texts_too_many_to_be_read_are_not_remembered() -> None:
    """What was passed over is read another time; what was read and what is known is named."""
    key, turns = Key(), [Turn("tool", f"{number} {CUE}") for number in range(300)]
    seen = [len(key.read(*turns, user(f"go on {round_}")).text_hashes) for round_ in range(3)]

    assert seen == [MOST_TEXTS, 2 * MOST_TEXTS - 1, 301]
    assert len(key.texts) == 303


@given(
    st.lists(
        st.builds(
            Turn,
            st.sampled_from(["system", "user", "assistant", "tool"]),
            st.text(st.characters(), max_size=200) | st.binary(max_size=200).map(bytes.hex),
            st.integers(0, 3),
        ),
        max_size=12,
    ),
    st.integers(1, 400),
    st.sampled_from([(), None]),
)
def test_any_request_is_read_within_bounds(
    turns: list[Turn], budget: int, shown: tuple[()] | None
) -> None:
    """No text raises, surrogates and controls included, and every field keeps to its bounds."""
    reader = FeatureReader(b"", budget=budget)
    features = reader.read(exchange(*turns), lambda _: shown)

    assert 0 <= features.new_chars <= features.chars == sum(len(turn.text) for turn in turns)
    assert 0 <= features.constant_chars <= features.system_chars <= features.chars
    assert features.items >= 1
    assert 0.0 <= features.unspaced <= 1.0
    assert features.shingles.dtype == np.uint64
    assert len(features.shingles) <= 32
    assert np.all(features.shingles[1:] != features.shingles[:-1])
    assert len(features.hits) <= MOST_HITS
    assert all(0 <= text < 1 << 64 for text in features.text_hashes)
    assert not features.new_hits or shown is None
