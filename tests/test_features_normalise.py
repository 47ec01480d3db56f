"""Texts that read alike become the same bytes."""

from __future__ import annotations

import string
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.features.normalise import normalise

PLAIN = "Show each step of your reasoning"
CYRILLIC = str.maketrans(
    "aeopcxyisjhkmt",
    "\u0430\u0435\u043e\u0440\u0441\u0445\u0443\u0456\u0455\u0458\u04bb\u043a\u043c\u0442",
)
GREEK = str.maketrans(
    "aeiopktvxyEHIKMNSTXYZ",
    "\u03b1\u03b5\u03b9\u03bf\u03c1\u03ba\u03c4\u03bd\u03c7\u03c5"
    "\u0395\u0397\u0399\u039a\u039c\u039dS\u03a4\u03a7\u03a5\u0396",
)
FULLWIDTH = {ord(char): ord(char) + 0xFEE0 for char in string.printable if "!" <= char <= "~"}
BOLD = {ord(char): 0x1D41A + at for at, char in enumerate(string.ascii_lowercase)}
ZERO_WIDTH = "\u200b\u200c\u200d\u2060\ufeff\u00ad\ufe0f\u034f\u180e\u2063"


def words(text: str) -> list[str]:
    """Return the normalised words of a text, in lower case as the hashes see them."""
    return normalise(text).decode().lower().split()


def test_ascii_is_left_to_the_byte_tables() -> None:
    """Nothing is done in Python to a text of ASCII."""
    assert normalise("Hello,\t World!\x00") == b"Hello,\t World!\x00"


@pytest.mark.parametrize("disguise", [CYRILLIC, GREEK, FULLWIDTH, BOLD])
def test_lookalikes_become_plain_letters(disguise: dict[int, int]) -> None:
    """English in Cyrillic, Greek, fullwidth or mathematical letters is English."""
    disguised = PLAIN.translate(disguise)

    assert not disguised.isascii()
    assert words(disguised) == words(PLAIN)


def test_every_disguise_of_one_letter_is_that_letter() -> None:
    """Circled, squared, small-capital and regional letters too."""
    assert words("\u24b6\U0001f130\U0001f150\U0001f170\u1d00\U0001f1e6\uff21\u13aa\ua4ee") == [
        "a" * 9
    ]


def test_zero_width_characters_vanish() -> None:
    """A word with invisible characters in it is the word."""
    assert words(ZERO_WIDTH.join(PLAIN) + ZERO_WIDTH) == words(PLAIN)


def test_accents_vanish_however_they_are_spelled() -> None:
    """Composed or decomposed, an accented letter is the letter."""
    french = "\u00c9tape par \u00e9tape, d\u00e9j\u00e0"

    assert words(french) == ["etape", "par", "etape,", "deja"]
    assert words(normalize("NFD", french)) == words(french)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("STRASSE \u00e9", "stra\u00dfe \u00e9"),
        ("\u041f\u0420\u0418\u0412\u0415\u0422", "\u043f\u0440\u0438\u0432\u0435\u0442"),
        ("\u03a3\u039f\u03a6\u039f\u03a3", "\u03c3\u03bf\u03c6\u03bf\u03c2"),
        ("\u0130STANBUL", "istanbul\u200b"),
    ],
)
def test_case_does_not_matter_in_any_script(one: str, other: str) -> None:
    """Capitals of German, Russian, Greek and Turkish are folded."""
    assert words(one) == words(other)


def test_russian_stays_apart_from_other_russian() -> None:
    """Resolving lookalikes keeps different words different."""
    sentence = "\u043c\u0430\u043c\u0430 \u043c\u044b\u043b\u0430 \u0440\u0430\u043c\u0443"

    assert len(set(words(sentence))) == 3


def test_punctuation_outside_ascii_becomes_its_relative() -> None:
    """Full stops, question marks, bullets and quotes are seen by the patterns."""
    assert normalise("\u3002\uff1f\u2022\u201c\u2019\u2014\u3001\uff03") == b".?*\"'-,#"


def test_emoji_and_foreign_blanks_part_words() -> None:
    """Symbols count as spaces, and so do the spaces of other scripts."""
    assert words("step\U0001f600by\u3000step\u00a0on\u2003it") == ["step", "by", "step", "on", "it"]


def test_scripts_that_need_their_marks_keep_them() -> None:
    """Hindi vowels, Thai vowels and Japanese voicing marks stay; Korean is composed."""
    for text in (
        "\u0939\u093f\u0928\u094d\u0926\u0940",
        "\u0e20\u0e32\u0e29\u0e34\u0e17",
        "\u304c\u304e",
    ):
        assert normalise(text).decode() == text
    assert normalise(normalize("NFD", "\ud55c\uad6d\uc5b4")).decode() == "\ud55c\uad6d\uc5b4"


def test_rare_ideographs_stay_and_tags_vanish() -> None:
    """Characters above the table are kept, but for the invisible ones."""
    assert normalise("\U00020001\U000e0041\U000e0101").decode() == "\U00020001"


def test_lone_surrogates_vanish() -> None:
    """Text that is no valid Unicode is read all the same."""
    assert normalise("a\ud83db\udc00") == b"ab"


@pytest.mark.parametrize("first", range(0, 0x12000, 0x3000))
def test_no_character_more_than_doubles_its_bytes(first: int) -> None:
    """The buffer for normalised text needs no more than twice the budget."""
    for point in range(max(0x80, first), first + 0x3000):
        if not 0xD800 <= point < 0xE000:
            assert len(normalise(chr(point) * 4)) <= 2 * len((chr(point) * 4).encode())


@given(st.text(st.characters(), max_size=300))
def test_any_text_is_normalised_to_valid_utf8(text: str) -> None:
    """Nothing raises, and normalising twice changes nothing."""
    once = normalise(text).decode()

    assert normalise(once).decode() == once
