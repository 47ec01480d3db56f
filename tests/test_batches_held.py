"""What was read of files is held in bounds: of bytes, of number, of age, and for each key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.dialects.lists import portions
from gateway_guard.elements import Element, halved, pack, slimmed, unpack
from gateway_guard.exchange import Exchange, Sampling, Turn
from gateway_guard.features import FeatureReader
from gateway_guard.held_files import HeldFiles

SECRET = b"known to these tests alone"
KEY, OTHER = b"k" * 16, b"o" * 16
READER = FeatureReader(SECRET)
MEGABYTE = 2**20


def element(number: int, times: int = 1) -> Element:
    """Return an element that is another for each number."""
    text = f"Question {number}: please reason step by step about {number * 7} and what it is."
    turns = (Turn("user", text),)
    features = READER.read(Exchange("openai_chat", "m", turns), lambda _: None)
    flags = {"single": True, "claimed": False, "streamed": False, "tools": False}
    return Element("m", Sampling(max_tokens=9), features, **flags, end_user=b"e", times=times)


def elements(count: int, begin: int = 0) -> list[Element]:
    """Return so many elements."""
    return [element(begin + at) for at in range(count)]


def files_of(size: int = MEGABYTE) -> HeldFiles:
    """Return a table of a size."""
    return HeldFiles(size, SECRET)


def test_what_is_packed_comes_out_the_same() -> None:
    """Windows, cues and all."""
    made = elements(3)
    for before, after in zip(made, unpack(pack(made)), strict=True):
        assert (before.features.shingles == after.features.shingles).all()
        assert before.features.hits == after.features.hits != ()
        assert before.sampling == after.sampling
        assert pack([before]) == pack([after])


def test_a_conversation_of_many_turns_takes_no_more_room_than_others() -> None:
    """Its newest texts are remembered."""
    turns = tuple(Turn("user", f"turn {at}") for at in range(900))
    features = READER.read(Exchange("openai_chat", "m", turns), lambda _: None)
    slim = slimmed(features)
    assert len(features.text_hashes) > 100
    assert slim.text_hashes == features.text_hashes[-64:]
    assert slimmed(slim) is slim


@pytest.mark.parametrize("count", [1, 2, 7, 64])
def test_half_of_the_elements_stand_for_all(count: int) -> None:
    """None counts twice or is lost."""
    made = [element(at, times=at + 1) for at in range(count)]
    half = halved(made)
    assert len(half) == (count + 1) // 2
    assert sum(each.times for each in half) == sum(each.times for each in made)


@given(st.integers(0, 10**6), st.integers(1, 64))
def test_portions_are_even_and_make_up_the_whole(total: int, parts: int) -> None:
    """At least one for each."""
    made = portions(total, parts)
    assert len(made) == parts
    assert sum(made) == max(total, parts)
    assert max(made) - min(made) <= 1
    assert min(made) >= 1


def test_a_file_is_found_by_its_id() -> None:
    """And by no other."""
    files = files_of()
    files.hold("file-1", KEY, elements(3), 0.0)
    assert len(files.find("file-1", KEY, 1.0)) == 3
    assert files.find("file-2", KEY, 1.0) == []
    assert files.find("", KEY, 1.0) == []
    assert files.find("\ud800", KEY, 1.0) == []


def test_a_file_that_comes_again_takes_the_place_of_the_first() -> None:
    """The upstream gives no id twice, but a broken one may."""
    files = files_of()
    files.hold("file-1", KEY, elements(3), 0.0)
    files.hold("file-1", OTHER, elements(5), 0.0)
    assert len(files) == 1
    assert len(files.find("file-1", OTHER, 1.0)) == 5
    files.hold("file-1", OTHER, elements(1), 0.0)
    assert files.held_bytes < 2_000


def test_a_file_of_many_elements_is_held_with_fewer_where_there_is_little_room() -> None:
    """They stand for all."""
    files = files_of(32_768)
    files.hold("file-1", KEY, elements(64), 0.0)
    found = files.find("file-1", KEY, 1.0)
    assert 1 <= len(found) < 64
    assert sum(each.times for each in found) == 64
    assert files.held_bytes <= 4_096


def test_one_key_does_not_take_the_room_of_others() -> None:
    """However many files it uploads; and its first ones are not forgotten at once."""
    files, made = files_of(), elements(64)
    files.hold("theirs", OTHER, made, 0.0)
    for number in range(200):
        files.hold(f"file-{number}", KEY, made, 0.0)
        assert files.held_bytes <= MEGABYTE // 4
    assert len(files.find("theirs", OTHER, 1.0)) == 64
    counts = [len(files.find(f"file-{number}", KEY, 1.0)) for number in range(200)]
    assert counts[-1] >= 8
    assert sum(count > 0 for count in counts) >= 7


def test_all_keys_together_stay_within_the_bound() -> None:
    """The oldest files go first."""
    files, made = files_of(), elements(16)
    for number in range(400):
        files.hold(f"file-{number}", b"%016d" % number, made, 0.0)
        assert files.held_bytes <= MEGABYTE
    assert files.find("file-0", b"%016d" % 0, 1.0) == []
    assert len(files.find("file-399", b"%016d" % 399, 1.0)) == 16


def test_no_more_than_a_number_of_files_is_held() -> None:
    """Small as they may be."""
    files, made = files_of(64 * MEGABYTE), elements(1)
    for number in range(4_200):
        files.hold(f"file-{number}", b"%016d" % (number % 64), made, 0.0)
    assert len(files) == 4_096
