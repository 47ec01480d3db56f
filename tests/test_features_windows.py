"""Windows of words hash alike wherever they stand, and a few of them are chosen."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.features.normalise import normalise
from gateway_guard.features.seeds import Seeds
from gateway_guard.features.windows import (
    MOST_SHINGLES,
    PREFIX,
    WINDOW,
    WindowHasher,
    unspaced_share,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

HASHER = WindowHasher(Seeds.derive(b"a secret").numbers, longest=1 << 18)
CHINESE = "\u5c71\u6c34\u98ce\u4e91\u65e5\u6708\u661f\u8fb0\u5927\u5730\u6c5f\u6cb3"


def buffer(text: str) -> bytes:
    """Return a text as the hasher wants it."""
    return PREFIX + normalise(text) + b"\n"


def shingles(text: str, hasher: WindowHasher = HASHER) -> set[int]:
    """Return the hashes chosen of a text."""
    return set(hasher.shingles(hasher.words(buffer(text), spaced=text.isascii())).tolist())


def prose(random: Random, count: int) -> str:
    """Return random words."""
    return " ".join(
        "".join(random.choices("abcdefghij", k=random.randint(1, 9))) for _ in range(count)
    )


@pytest.mark.parametrize(
    "variant",
    [
        "ONE two Three four five six",
        "one two  three\n\n\tfour five six",
        "one, two; three -- four! (five) 'six'.",
        "  one/two_three*four#five=six ",
        "one\u00a0two\u3000three\u2014four\u3001five\u2026six",
    ],
)
def test_case_spacing_and_punctuation_do_not_change_hashes(variant: str) -> None:
    """Only letters, digits and where words begin count."""
    assert shingles(variant) == shingles("one two three four five six")


def test_a_window_hashes_alike_wherever_it_stands() -> None:
    """The five words in the middle are found again behind any number of others."""
    random = Random(1)
    window = shingles("alpha beta gamma delta epsilon")

    for count in (0, 1, 7, 20):
        assert window <= shingles(f"{prose(random, count)} alpha beta gamma delta epsilon omega")


def test_other_letters_or_another_order_hash_differently() -> None:
    """Changing, swapping or moving a letter changes the hash."""
    texts = ["one two three four five", "one two three four fife", "two one three four five"]

    assert len(set.union(*map(shingles, texts))) == 3


def test_every_word_begins_a_window() -> None:
    """A text of n words has n - 4 windows."""
    assert len(shingles(prose(Random(2), 20))) == 20 - WINDOW + 1


def test_a_text_shorter_than_a_window_is_one_window() -> None:
    """Of two words there is one hash, of none there is none."""
    assert len(shingles("go on")) == 1
    assert shingles("go on") != shingles("go on on")
    assert shingles(" ...!\n") == shingles("") == set()


def test_scripts_without_spaces_are_cut_into_characters() -> None:
    """Twelve ideographs have eight windows, found again in other surroundings."""
    assert len(shingles(CHINESE)) == len(CHINESE) - WINDOW + 1
    assert shingles(CHINESE) < shingles(f"abc {CHINESE[::-1]}{CHINESE}")


def test_both_ways_of_finding_words_agree() -> None:
    """What is read as spaced text may be read as unspaced text too."""
    text = buffer(prose(Random(3), 100))
    spaced, unspaced = (HASHER.words(text, spaced=spaced) for spaced in (True, False))

    assert np.array_equal(spaced.starts, unspaced.starts)
    assert np.array_equal(spaced.offsets, unspaced.offsets)
    assert np.array_equal(spaced.sums, unspaced.sums)


def test_the_same_windows_of_a_template_are_chosen_under_any_body() -> None:
    """Bottom-k sampling: windows of the template are chosen again under other bodies."""
    random = Random(4)
    template = prose(random, 150)
    chosen = [shingles(f"{template} {prose(random, 150)}") for _ in range(20)]
    often = [hash_ for hash_ in shingles(template) if sum(hash_ in each for each in chosen) >= 15]

    assert all(len(each) == MOST_SHINGLES for each in chosen)
    assert len(often) >= 8
    assert min(shingles(template)) in set.intersection(*chosen) | {
        min(min(each) for each in chosen)
    }


@pytest.mark.parametrize("count", [40, 500, 5000])
def test_the_smallest_of_all_hashes_are_chosen(count: int) -> None:
    """The chosen are those that sorting all of them would give."""
    text = prose(Random(5), count)
    words = HASHER.words(buffer(text), spaced=True)
    every = {
        int(HASHER.shingles(words, [(first, first + WINDOW)])[0])
        for first in range(words.count - WINDOW + 1)
    }

    assert sorted(shingles(text)) == sorted(every)[:MOST_SHINGLES]


def test_a_repetitive_text_has_few_hashes() -> None:
    """Each hash is chosen once, however often its window occurs."""
    assert len(shingles("tick tock " * 3000)) == 2
    assert len(shingles("na " * 20 + prose(Random(6), 10))) <= 1 + WINDOW + 10


def test_windows_do_not_leave_their_spans() -> None:
    """Of two spans of six words there are four windows, none of them across."""
    words = HASHER.words(buffer(prose(Random(7), 12)), spaced=True)

    assert len(HASHER.shingles(words, [(0, 6), (6, 12)])) == 4
    assert len(HASHER.shingles(words, [(0, 3), (3, 3)])) == 1
    assert len(HASHER.shingles(words, [(5, 5)])) == 0


def test_hashes_are_spread_evenly() -> None:
    """Every bit of the hashes, the lowest included, is set about half of the time."""
    random = Random(8)
    words = HASHER.words(buffer(prose(random, 4000)), spaced=True)
    hashes = np.concatenate(
        [HASHER.shingles(words, [(at, at + WINDOW)]) for at in range(words.count - WINDOW)]
    )
    bits = (hashes[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)

    assert np.all(np.abs(bits.mean(axis=0) - 0.5) < 0.04)


def test_hashes_of_two_secrets_have_nothing_in_common() -> None:
    """Who does not know the secret cannot tell which windows are chosen."""
    other = WindowHasher(Seeds.derive(b"another secret").numbers, longest=1 << 12)
    text = prose(Random(9), 100)

    assert not shingles(text) & shingles(text, other)


def test_stretches_of_another_kind_hash_differently() -> None:
    """The same words have another hash under another seed."""
    words = HASHER.words(buffer("one two three one two three"), spaced=True)

    assert words.stretch((0, 3), 1) == words.stretch((3, 6), 1)
    assert words.stretch((0, 3), 1) != words.stretch((0, 3), 2)


@pytest.mark.parametrize(
    ("text", "share"), [("abc", 0.0), (CHINESE, 1.0), (CHINESE + "a" * 12, 0.5)]
)
def test_the_unspaced_share_counts_characters(text: str, share: float) -> None:
    """Bytes do not count, characters do."""
    assert unspaced_share(buffer(text)) == share


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=40), max_size=8))
def test_any_text_has_words_in_step_with_its_letters(texts: Sequence[str]) -> None:
    """Offsets rise from nothing to the number of letters, one step a word."""
    words = HASHER.words(buffer(" ".join(texts)), spaced=False)

    assert words.offsets[0] == 0
    assert words.offsets[-1] == len(words.letters) - 1
    assert np.all(np.diff(words.offsets) > 0)
    assert len(words.sums) == words.count + 1


def terms(text: str, lot: int, *, pairs: bool = False) -> tuple[int, ...]:
    """Return the hashes of words drawn from a text."""
    words = HASHER.words(buffer(text), spaced=text.isascii())
    return HASHER.terms(words, (0, words.count), lot, pairs=pairs)


def test_a_word_hashes_alike_wherever_it_is_drawn() -> None:
    """Whatever its case, and another word to another value."""
    [one] = terms("one two Meadows three", 5)
    assert terms("of MEADOWS in an", 77) == (one,)
    assert terms("of meadow's in an", 77) != (one,)
    assert terms("of pastures", 77) != (one,)


def test_two_words_are_drawn_and_none_of_the_short_ones() -> None:
    """In the end every long one, whatever the lot says."""
    text = "the meadows and the pastures in the twilight of a day"
    drawn = {term for lot in range(40) for term in terms(text, lot * 0x1_0000_0003)}
    assert drawn == {
        term for word in ("meadows", "pastures", "twilight") for term in terms(word, 0)
    }
    assert {len(terms(text, lot * 0x1_0000_0003)) for lot in range(40)} <= {1, 2}


@pytest.mark.parametrize("text", ["", "one", "one two three", CHINESE[:1]])
def test_a_text_without_long_words_has_no_terms(text: str) -> None:
    """Nor has one of a single character."""
    assert terms(text, 1, pairs=not text.isascii()) == ()


def test_pairs_of_characters_are_terms_where_no_spaces_part_words() -> None:
    """The same pair wherever it stands."""
    [pair] = terms(CHINESE[:2], 9, pairs=True)
    assert terms(f"{CHINESE[:2]}", 3, pairs=True) == (pair,)
    drawn = {term for lot in range(200) for term in terms(CHINESE, lot * 0x1_0000_0007, pairs=True)}
    assert pair in drawn
    assert len(drawn) == len(CHINESE) - 1
