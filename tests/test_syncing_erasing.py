"""Erasing: of what is told, what is about erased subjects is left out, and nothing else is."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.principal import SubjectKind
from gateway_guard.subjects import half_of, hash_of, under_key
from gateway_guard.syncing.erasing import Erasure
from gateway_guard.syncing.news import News, Notice

KEYS = [bytes((SubjectKind.KEY,)) + bytes((number,)) * 15 for number in range(4)]
SHOWN = st.lists(st.tuples(st.sampled_from(KEYS), st.integers(0, 2**64 - 1)), max_size=12)


def packed(hashes: list[int]) -> bytes:
    """Return hashes as entries have them."""
    return np.array(hashes, "<u8").tobytes()


def told(shown: list[tuple[bytes, int]], at: float = 0.0) -> News:
    """Return an entry that says of keys what they have shown, and everything else."""
    places = [under_key(hash_, hash_of(key)) for key, hash_ in shown]
    keys = [key for key, _ in shown]
    instants = np.arange(len(shown), dtype="<u4").tobytes()
    return News(
        at=at,
        notices=[Notice(key, reset=5) for key in keys],
        ages=(packed([hash_of(key) for key in keys]), instants),
        uses=(packed(places), instants),
        texts=packed(places),
        pairs=packed(places),
        hits=[(place, ()) for place in places],
        sightings=[(KEYS[0][:15] + b"t", key[-8:], 1) for key in keys],
    )


@given(SHOWN, st.sets(st.sampled_from(KEYS)))
def test_an_entry_says_nothing_more_of_erased_keys(
    shown: list[tuple[bytes, int]], erased: set[bytes]
) -> None:
    """All that it says of others it still says, in the same order."""
    erasure = Erasure(dict.fromkeys(erased, 9))
    left = erasure.without(told(shown))
    kept = [each for each in shown if each[0] not in erased]
    instants = [at for at, (key, _) in enumerate(shown) if key not in erased]
    expected = told(kept)
    of_kept = np.array(instants, "<u4").tobytes()
    expected.ages = expected.ages[0], of_kept
    expected.uses = expected.uses[0], of_kept
    assert left == expected
    assert erasure.without(left) == left


def test_what_was_told_afterwards_is_new() -> None:
    """Verdicts by their reset, everything else by when it was told."""
    shown = [(KEYS[1], 7), (KEYS[2], 8)]
    erasure = Erasure({KEYS[1]: 5})
    assert erasure.without(told(shown, at=5.5)) == told(shown, at=5.5)
    assert erasure.without(told(shown, at=5.0)).texts == told(shown[1:]).texts
    old = News(at=5.5, notices=[Notice(KEYS[1], reset=4), Notice(KEYS[1], reset=5, erased=True)])
    assert [notice.reset for notice in erasure.without(old).notices] == [5]


def test_templates_within_an_erased_key_are_erased() -> None:
    """Those of other keys are not."""
    within = bytes((SubjectKind.TEMPLATE_IN_KEY,)) + bytes(8)
    erasure = Erasure({KEYS[1]: 5})
    assert erasure.reset(within + KEYS[1][-7:]) == 5
    assert erasure.reset(within + KEYS[2][-7:]) == 0
    assert erasure.reset(KEYS[1]) == 5


def test_erased_end_users_are_seen_by_nobody() -> None:
    """Though no key is erased."""
    end_user = bytes((SubjectKind.END_USER,)) + bytes(15)
    news = News(sightings=[(end_user, KEYS[1][-8:], 2), (KEYS[1], KEYS[1][-8:], 2)])
    assert Erasure({end_user: 5}).without(news).sightings == news.sightings[1:]


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_what_a_key_has_shown_is_found_by_its_upper_half(shown: int, key_hash: int) -> None:
    """And by the rest two things are told apart."""
    place = under_key(shown, key_hash)
    assert half_of(place) == half_of(key_hash)
    assert under_key(shown ^ 1, key_hash) != place
