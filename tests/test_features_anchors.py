"""Anchors: requests of one template meet by the ends of their texts, and little is looked at."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.exchange import Exchange, Turn
from gateway_guard.features import Anchors, FeatureReader
from gateway_guard.features.anchors import AnchorReader, ends
from gateway_guard.features.reading import Reading, longest_buffer, read_texts
from gateway_guard.features.seeds import Seeds
from gateway_guard.features.windows import WindowHasher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway_guard.features.survey import Text

READER = FeatureReader(b"a secret")
SYSTEM = "You are the patient night porter of a small hotel by the sea."
HEAD, TAIL = "In one word or two answer", "Keep it short and polite please"
CHINESE = "".join(map(chr, range(0x4E10, 0x4E40)))
BUDGET = 65536
MANY = 10_000


def prose(seed: int, count: int) -> str:
    """Return random words."""
    random = Random(seed)
    return " ".join(
        "".join(random.choices("abcdefghij", k=random.randint(2, 8))) for _ in range(count)
    )


def user(text: str) -> Turn:
    """Return a user's turn."""
    return Turn("user", text)


def system(text: str) -> Turn:
    """Return a system text."""
    return Turn("system", text)


def anchors(*turns: Turn, reader: FeatureReader = READER) -> Anchors:
    """Return the anchors of a request of these turns."""
    return reader.anchors(Exchange("openai_chat", "a-model", turns))


def words(text: str, budget: int = BUDGET) -> tuple[str, str]:
    """Return the words at both ends of a text, joined by spaces."""
    head, tail = ends(text, budget)
    return b" ".join(head).decode(), b" ".join(tail).decode()


# --- the ends of the newest user text -------------------------------------------------------------


@pytest.mark.parametrize("between", [0, 1, 20, 60, 100, 1000, 200_000])
def test_six_words_at_either_end_are_looked_at(between: int) -> None:
    """However long the text is, whatever its case, spacing and punctuation."""
    text = f"{HEAD.upper()}:\n{prose(1, between)}.\t{TAIL.replace(' ', '  ')}!"
    assert words(text) == (HEAD.lower(), TAIL.lower())


def test_anchors_identify_the_ends_of_the_newest_user_text() -> None:
    """Head and tail are told apart, and older texts do not matter."""
    one = anchors(user("Hello?"), user(f"{HEAD}: {prose(1, 20)}. {TAIL}"))
    other = anchors(user(f"{HEAD.upper()}  {prose(2, 900)}\n{TAIL}!"), Turn("assistant", "Well,"))
    same = anchors(user(f"{HEAD} {HEAD}"))
    assert one == other
    assert None not in {one.head, one.tail}
    assert same.head == one.head
    assert same.tail not in {same.head, one.tail}


@pytest.mark.parametrize(
    ("text", "long_enough"),
    [
        ("", False),
        (prose(1, 11), False),
        (prose(1, 12), True),
        (CHINESE[:11], False),
        (CHINESE[:12], True),
        (f"{CHINESE[:6]} {prose(1, 5)}", False),
        (f"{CHINESE[:6]} {prose(1, 6)}", True),
        ("x" * MANY, False),
        (" ".join(["x" * 300] * 11), False),
        (" ".join(["x" * 300] * 12), True),
        (" \n" * MANY, False),
        ("?!" * 300, False),
    ],
)
def test_short_texts_have_no_anchors(text: str, *, long_enough: bool) -> None:
    """Twelve words, or characters of a script without spaces, are needed."""
    found = anchors(user(text))
    assert (found.head is not None) is (found.tail is not None) is long_enough


def test_a_request_without_a_users_text_has_neither_head_nor_tail() -> None:
    """Tools and assistants are not those who wrap; an empty question is not the one before."""
    long = prose(1, 40)
    assert anchors() == anchors(Turn("tool", long), Turn("assistant", long)) == Anchors()
    assert anchors(user(long), Turn("user", "", images=1)) == Anchors()


def test_in_scripts_without_spaces_every_character_is_a_word() -> None:
    """Six of them at either end, of short texts and of long ones."""
    for text in (CHINESE, CHINESE * 400):
        assert words(text) == (" ".join(text[:6]), " ".join(text[-6:]))
    assert words(f"abc {CHINESE}{CHINESE} xyz") == (
        f"abc {' '.join(CHINESE[:5])}",
        f"{' '.join(CHINESE[-5:])} xyz",
    )


def test_texts_that_read_alike_have_the_same_anchors() -> None:
    """Accents, lookalikes and characters of no width are no disguise."""
    plain = anchors(user(f"{HEAD} {prose(1, 30)}"))
    for head in (HEAD.replace("o", "\u00f6"), HEAD.replace("o", "\u043e"), f"\u200b{HEAD}"):
        assert anchors(user(f"{head} {prose(1, 30)}")) == plain


def test_words_that_are_cut_at_the_edge_of_a_slice_do_not_count() -> None:
    """Where the sixth word may go on, more of the text is looked at."""
    for first in range(180, 262):
        begin = f"{'x' * first} one two three four"
        for last in ("five", "fivefivefivefivefivefivefivefivefivefive"):
            text = f"{begin} {last} {prose(first, 300)} {last} {begin}"
            assert words(text) == (f"{begin} {last}", f"{last} {begin}"[-len(f"{begin} {last}") :])


def test_only_the_budget_is_looked_at_where_words_are_longer_than_it() -> None:
    """A text of a million characters without a space has no words to go by."""
    assert words("x" * 1_000_000) == ("", "")
    long = "x" * 1_000_000
    assert words(f"{HEAD} {long} {TAIL}") == (HEAD.lower(), TAIL.lower())
    assert words(f"{HEAD}{long} {TAIL}") == words(f"{HEAD} {long}{TAIL}") == ("", "")


@given(st.text(max_size=700), st.text(max_size=700))
def test_a_text_begins_with_the_same_anchor_whatever_follows(one: str, other: str) -> None:
    """So does its end, whatever stands before it; no text raises."""
    filler = prose(1, 12)
    for rest in (one, other):
        assert words(f"{HEAD} {rest} {filler}")[0] == HEAD.lower()
        assert words(f"{filler} {rest} {TAIL}")[1] == TAIL.lower()


@given(st.text(st.characters(), max_size=900), st.integers(0, 4096))
def test_any_text_has_six_words_at_each_end_or_none_at_all(text: str, budget: int) -> None:
    """Surrogates and controls included, within whatever budget."""
    head, tail = ends(text, budget)
    assert (len(head), len(tail)) in {(6, 6), (0, 0)}
    assert all([*head, *tail]) if head else True


# --- system texts ---------------------------------------------------------------------------------


def test_the_system_anchor_needs_eight_words() -> None:
    """A helpful assistant is not a template."""
    assert anchors(system("You are a helpful assistant."), user("a")).system is None
    assert anchors(system(prose(1, 7))).system is None
    assert anchors(system(prose(1, 8))).system is not None


def test_the_system_anchor_is_that_of_its_words() -> None:
    """Case and spacing do not matter, words do."""
    anchor = anchors(system(SYSTEM), user("a")).system
    assert anchor is not None
    assert anchors(system(SYSTEM.upper().replace(" ", "\n ")), user("b")).system == anchor
    assert anchors(system(f"{SYSTEM} Indeed."), user("c")).system != anchor


def test_only_system_texts_before_all_others_are_anchors() -> None:
    """Those that lead count together and in their order, a later one does not."""
    halves = system(SYSTEM[:30]), system(SYSTEM[30:])
    together = anchors(*halves, user("a")).system
    assert together not in {None, anchors(*halves[::-1]).system, anchors(system(SYSTEM)).system}
    assert anchors(halves[0], system(""), halves[1], user("a")).system == together
    assert anchors(*halves, user("a"), system(SYSTEM)).system == together
    assert anchors(user("a"), system(SYSTEM), user("b")).system is None


def test_of_many_system_texts_the_first_four_count() -> None:
    """A thousand of them cost no more."""
    leading = [system(prose(seed, 9)) for seed in range(1000)]
    assert anchors(*leading).system == anchors(*leading[:4]).system
    assert anchors(*leading[:4]).system != anchors(*leading[:3]).system


def test_a_very_long_system_text_has_an_anchor_too() -> None:
    """It is the same every time, with whoever reads it, and another one for another text."""
    long = prose(3, 40_000)
    anchor = anchors(system(long)).system
    assert anchor is not None
    assert anchors(system(long), reader=FeatureReader(b"a secret")).system == anchor
    assert anchors(system(f"{long} end")).system != anchor


class Desk:
    """Reads anchors, and counts the system texts that it had to read."""

    def __init__(self) -> None:
        seeds = Seeds.derive(b"a secret")
        self._hasher = WindowHasher(seeds.numbers, longest=longest_buffer(BUDGET))
        self._seed = seeds.place
        self.read: list[int] = []
        self.reader = AnchorReader(seeds, self._read, BUDGET)

    def _read(self, texts: Sequence[Text], budget: int) -> Reading:
        self.read.append(budget)
        return read_texts(texts, self._hasher, budget=budget, seed=self._seed)


def test_a_system_text_is_read_once() -> None:
    """Then its anchor comes from memory, whoever shows it, and that of one too short as well."""
    desk, short = Desk(), system("Be brief.")
    first = desk.reader.find([system(SYSTEM), user("a")])
    assert desk.read == [BUDGET // 4]
    for number in range(9):
        assert desk.reader.find([system(SYSTEM), user(f"{number}")]) == first
        assert desk.reader.find([short, user(f"{number}")]) == Anchors()
    assert len(desk.read) == 2


def test_anchors_of_system_texts_are_kept_within_a_bound() -> None:
    """The oldest are forgotten, read again when they come back, and the same as before."""
    desk = Desk()
    anchor = desk.reader.find([system(SYSTEM)])
    for number in range(2100):
        desk.reader.find([system(f"{number}")])
    assert len(desk.read) == 2101
    desk.reader.find([system("2099")])
    assert len(desk.read) == 2101
    assert desk.reader.find([system(SYSTEM)]) == anchor
    assert len(desk.read) == 2102


# --- secrets --------------------------------------------------------------------------------------


def test_two_secrets_give_unrelated_anchors() -> None:
    """No anchor of one deployment means anything in another."""
    turns = system(SYSTEM), user(f"{HEAD} {TAIL}")
    one, other = (anchors(*turns, reader=FeatureReader(secret)) for secret in (b"a secret", b""))
    found = {one.system, one.head, one.tail, other.system, other.head, other.tail}
    assert None not in found
    assert len(found) == 6


def test_the_features_of_a_request_have_its_anchors() -> None:
    """Whether its texts are known or not: nothing of them need be read anew."""
    exchange = Exchange("openai_chat", "a-model", (system(SYSTEM), user(f"{HEAD} {TAIL}")))
    new, known = READER.read(exchange, lambda _: None), READER.read(exchange, lambda _: ())
    assert new.anchors == known.anchors == READER.anchors(exchange)
    assert (new.constant_chars, known.constant_chars) == (0, len(SYSTEM))
