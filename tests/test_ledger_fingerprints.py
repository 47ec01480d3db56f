"""Fingerprints find every run of words that is long enough, whatever stands around it."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_guard.ledger.fingerprints import GUARANTEE, Winnower

KEY = b"k" * 32
WINNOWER = Winnower(KEY)
THRIFTY = Winnower(KEY, most=64)
CHINESE = "".join(map(chr, range(0x4E00, 0x4E00 + 600)))
KANA = "".join(map(chr, range(0x3042, 0x3092)))


def prose(random: Random, count: int) -> str:
    """Return random words."""
    return " ".join(
        "".join(random.choices("abcdefghijklmnop", k=random.randint(2, 9))) for _ in range(count)
    )


def prints(text: str, winnower: Winnower = WINNOWER) -> set[int]:
    """Return the fingerprints of one text."""
    return set(winnower.fingerprint([text]).hashes.tolist())


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), before=st.integers(0, 60), after=st.integers(0, 60))
def test_every_run_of_the_guaranteed_length_is_found(seed: int, before: int, after: int) -> None:
    """Two texts with nothing else in common share a fingerprint of what they do."""
    random = Random(seed)
    shared = prose(random, GUARANTEE)
    one = f"{prose(random, before)} {shared} {prose(random, after)}"
    other = f"{prose(random, after)}\n\n{shared.upper()}, {prose(random, before)}"
    assert prints(one) & prints(other)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), length=st.integers(800, 3000))
def test_of_long_answers_every_run_of_the_stored_length_is_found(seed: int, length: int) -> None:
    """The guarantee that is kept with a long answer holds for what is looked for densely."""
    random = Random(seed)
    words = prose(random, length).split()
    found = THRIFTY.fingerprint([" ".join(words)])
    guarantee = int(found.guarantees[0])
    assert guarantee > GUARANTEE
    begin = random.randint(0, length - guarantee)
    quoted = f"{prose(random, 30)} {' '.join(words[begin : begin + guarantee])} {prose(random, 30)}"
    assert prints(quoted) & set(found.hashes.tolist())


@pytest.mark.parametrize("length", [100, 700, 3000, 20_000])
def test_an_answer_has_no_more_fingerprints_than_it_may(length: int) -> None:
    """About as many are kept as were allowed, however long the text is."""
    found = THRIFTY.fingerprint([prose(Random(length), length)])
    assert found.words[0] == length
    assert 0 < len(found.hashes) <= 64 * 1.5


@pytest.mark.parametrize("script", [CHINESE, KANA * 4])
def test_scripts_without_spaces_are_read_by_characters(script: str) -> None:
    """A run of as many characters is found in the middle of other text."""
    run = script[100 : 100 + GUARANTEE]
    assert prints(script) & prints(f"\u201c{run}\u201d \u4e00\u4e8c and words")
    assert not prints(script) & prints(script[::-1])


def test_code_is_found_under_another_layout() -> None:
    """Indentation and punctuation do not count, names do."""
    code = "def area(width, height):\n    total = 0\n" + "".join(
        f"    total += width * part_{n} - height / {n}\n" for n in range(12)
    )
    assert prints(code) == prints(code.replace("    ", "\t").replace(" * ", "*"))
    assert not prints(code) & prints(code.replace("part", "piece").replace("total", "sum_of"))


def test_texts_are_read_alike_alone_and_among_others() -> None:
    """Neighbours in a portion leave no trace, short and long, in any script."""
    random = Random(5)
    texts = ["", "one two", CHINESE[:200], prose(random, 9), prose(random, 20), prose(random, 500)]
    texts += [prose(random, 20_000), f"{prose(random, 40)} {CHINESE}", prose(random, 24)]
    together = WINNOWER.fingerprint(texts)
    for number, text in enumerate(texts):
        alone = WINNOWER.fingerprint([text])
        assert np.array_equal(together.of(number), alone.hashes)
        assert together.words[number] == alone.words[0]


def test_a_text_shorter_than_the_guarantee_still_has_a_fingerprint() -> None:
    """One gram is enough; less than that is nothing."""
    assert len(prints(prose(Random(1), 12))) == 1
    assert prints(prose(Random(1), 5)) == set()


def test_a_long_text_is_read_whole_whatever_it_is_made_of() -> None:
    """Pieces meet without a gap: between words, between characters, and in endless words."""
    random = Random(2)
    for long in (prose(random, 30_000), CHINESE * 150, "a" * 200_000, "x" * 90_000 + " y z" * 40):
        found = WINNOWER.fingerprint([long])
        assert found.words[0] == (len(long) if long[0] in CHINESE else len(long.split()))
    words = prose(random, 30_000).split()
    whole = prints(" ".join(words))
    assert all(whole & prints(" ".join(words[at : at + 24])) for at in range(0, 29_900, 97))


def test_another_key_makes_fingerprints_that_compare_with_nothing() -> None:
    """Nor does another length of grams, and both are in the scheme's name."""
    text = prose(Random(3), 200)
    other = Winnower(b"o" * 32)
    assert not prints(text) & prints(text, other)
    assert len({WINNOWER.scheme, other.scheme, Winnower(KEY, 40).scheme}) == 3


def test_fingerprints_are_positive_for_engines_without_unsigned_integers() -> None:
    """They fit a signed column, and are distinct and ascending in each text."""
    found = WINNOWER.fingerprint([prose(Random(4), 2000)] * 2)
    assert found.hashes.min() >= 0
    assert all(np.all(np.diff(found.of(text)) > 0) for text in (0, 1))
