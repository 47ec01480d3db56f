"""Content encodings of observed bodies: any split, and no bomb goes off."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.dialects import decoder_for
from gateway_guard.dialects.encoding import MOST_DECODED_AT_ONCE, MOST_MEMBERS, Decoder

BODY = b'data: {"choices":[{"delta":{"content":"hello"}}]}\n\n' * 40


def raw_deflate(body: bytes) -> bytes:
    """Compress without a header."""
    squeeze = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return squeeze.compress(body) + squeeze.flush()


ENCODED = {
    "": BODY,
    "identity": BODY,
    "gzip": gzip.compress(BODY),
    "X-GZip": gzip.compress(BODY),
    "identity, gzip": gzip.compress(BODY[:100]) + gzip.compress(BODY[100:]),
    "deflate": zlib.compress(BODY),
    " deflate ": raw_deflate(BODY),
}


def decoder(name: bytes | str, most_bytes: int | None = None) -> Decoder:
    """Return a decoder that there is."""
    made = decoder_for(name) if most_bytes is None else decoder_for(name, most_bytes)
    assert made is not None
    return made


@pytest.mark.parametrize("name", ["br", "zstd", "gzip, gzip", "deflate, gzip", "compress", "ä"])
def test_other_encodings_are_not_read(name: str) -> None:
    """The answer is then observed without its text."""
    assert decoder_for(name) is None
    assert decoder_for(name.encode()) is None


@pytest.mark.parametrize("name", ENCODED)
@pytest.mark.parametrize("size", [1, 2, 7, 1000, 10_000])
def test_a_body_decodes_the_same_in_pieces_of_any_size(name: str, size: int) -> None:
    """By the header as bytes as well."""
    made, data = decoder(name.encode()), ENCODED[name]
    pieces = [made.decode(data[at : at + size]) for at in range(0, len(data), size)]
    assert b"".join(pieces) == BODY
    assert not made.stopped


def test_padding_after_a_member_is_no_error() -> None:
    """Zeroes may follow."""
    made = decoder("gzip")
    assert made.decode(gzip.compress(BODY) + bytes(10)) == BODY
    assert not made.stopped


@pytest.mark.parametrize("name", ["gzip", "deflate"])
def test_garbage_after_the_end_is_not_read(name: str) -> None:
    """What came before it is."""
    made = decoder(name)
    assert made.decode(ENCODED[name] + b"garbage") == BODY
    assert made.decode(b"more") == b""
    assert made.stopped


@pytest.mark.parametrize("name", ["gzip", "deflate"])
@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6))
def test_arbitrary_bytes_raise_nothing(name: str, pieces: list[bytes]) -> None:
    """They are no longer read as soon as they make no sense."""
    made = decoder(name)
    for piece in pieces:
        assert isinstance(made.decode(piece), bytes)


def test_a_bomb_in_one_piece_is_cut_off() -> None:
    """At what may be decoded at once."""
    made = decoder("gzip")
    assert len(made.decode(gzip.compress(bytes(50_000_000)))) == MOST_DECODED_AT_ONCE
    assert made.stopped
    assert made.decode(b"more") == b""


def test_a_bomb_in_many_pieces_is_cut_off() -> None:
    """At what may be decoded in all."""
    made = decoder("gzip", most_bytes=1_000_000)
    bomb = gzip.compress(bytes(5_000_000))
    assert (
        sum(len(made.decode(bomb[at : at + 100])) for at in range(0, len(bomb), 100)) == 1_000_000
    )
    assert made.stopped


def test_a_body_of_exactly_the_cap_is_read_to_its_end() -> None:
    """Nothing of it is missing."""
    made = decoder("deflate", most_bytes=len(BODY))
    assert made.decode(zlib.compress(BODY)) == BODY
    assert not made.stopped


def test_a_flood_of_empty_members_is_cut_off() -> None:
    """They cost time and give nothing."""
    made = decoder("gzip")
    made.decode(gzip.compress(b"") * (MOST_MEMBERS + 1))
    assert made.stopped


def test_a_request_decodes_in_one_piece_up_to_the_cap_it_is_given() -> None:
    """What stands behind the first mebibytes is read as well."""
    body = b" " * (9 << 20) + BODY
    made = decoder("gzip", most_bytes=16 << 20)
    assert made.decode(gzip.compress(body, 1)) == body
    assert not made.stopped


@pytest.mark.parametrize("missing", [1, 100, 5000])
def test_a_request_that_was_cut_off_can_be_told(missing: int) -> None:
    """However little is missing, it is refused or counted rather than half read."""
    body = bytes(range(256)) * 40 + bytes(10_000)
    made = decoder("gzip", most_bytes=len(body) - missing)
    assert made.decode(gzip.compress(body)) == body[:-missing]
    assert made.stopped


def test_many_members_before_a_large_one_cost_no_copies_of_it() -> None:
    """What follows a member is copied by zlib, so only a little of it is shown to zlib."""
    body = BODY * 1000
    made = decoder("gzip", most_bytes=len(body))
    assert made.decode(gzip.compress(b"") * (MOST_MEMBERS - 1) + gzip.compress(body)) == body
    assert not made.stopped
