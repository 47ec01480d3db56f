"""Content encodings of observed bodies: any split, and no bomb goes off."""

from __future__ import annotations

import gzip
import importlib
import sys
import zlib
from itertools import permutations
from typing import TYPE_CHECKING

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.dialects import decoder_for
from gateway_guard.dialects.encoding import MOST_DECODED_AT_ONCE, Decoder, available
from gateway_guard.dialects.inflating import MOST_MEMBERS

if TYPE_CHECKING:
    from collections.abc import Callable

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

BODY = b'data: {"choices":[{"delta":{"content":"hello"}}]}\n\n' * 40


def raw_deflate(body: bytes) -> bytes:
    """Compress without a header."""
    squeeze = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return squeeze.compress(body) + squeeze.flush()


def brotlied(body: bytes) -> bytes:
    """Compress by Brotli."""
    squeezed: bytes = brotli.compress(body)
    return squeezed


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotlied,
    "zstd": zstd.compress,
}
ENCODED = {
    "": BODY,
    "identity": BODY,
    "gzip": gzip.compress(BODY),
    "X-GZip": gzip.compress(BODY),
    "identity, gzip": gzip.compress(BODY[:100]) + gzip.compress(BODY[100:]),
    "deflate": zlib.compress(BODY),
    " deflate ": raw_deflate(BODY),
    "br": brotlied(BODY),
    "ZSTD": zstd.compress(BODY[:100]) + zstd.compress(BODY[100:]),
    "deflate, gzip": gzip.compress(zlib.compress(BODY)),
    "gzip,identity, br": brotlied(gzip.compress(BODY)),
}


def decoder(name: bytes | str, most_bytes: int | None = None) -> Decoder:
    """Return a decoder that there is."""
    made = decoder_for(name) if most_bytes is None else decoder_for(name, most_bytes)
    assert made is not None
    return made


@pytest.mark.parametrize("name", ["compress", "gzip, compress", "dcb", "gzip" + ", gzip" * 4, "ä"])
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


@pytest.mark.parametrize("name", ["gzip", "deflate", "br"])
def test_garbage_after_the_end_is_not_read(name: str) -> None:
    """What came before it is."""
    made = decoder(name)
    assert made.decode(ENCODED[name]) == BODY
    assert made.decode(b"garbage") == b""
    assert made.decode(b"more") == b""
    assert made.stopped


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd", "br, zstd"])
@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6))
def test_arbitrary_bytes_raise_nothing(name: str, pieces: list[bytes]) -> None:
    """They are no longer read as soon as they make no sense."""
    made = decoder(name)
    for piece in pieces:
        assert isinstance(made.decode(piece), bytes)


@pytest.mark.parametrize("name", COMPRESS)
def test_a_bomb_in_one_piece_is_cut_off(name: str) -> None:
    """At what may be decoded at once."""
    made = decoder(name)
    assert len(made.decode(COMPRESS[name](bytes(10_000_000)))) == MOST_DECODED_AT_ONCE
    assert made.stopped
    assert made.decode(b"more") == b""


@pytest.mark.parametrize("name", COMPRESS)
def test_a_bomb_in_many_pieces_is_cut_off(name: str) -> None:
    """At what may be decoded in all."""
    made = decoder(name, most_bytes=1_000_000)
    bomb = COMPRESS[name](bytes(5_000_000))
    assert sum(len(made.decode(bomb[at : at + 9])) for at in range(0, len(bomb), 9)) == 1_000_000
    assert made.stopped


@pytest.mark.parametrize(("inner", "outer"), list(permutations(COMPRESS, 2)))
def test_a_bomb_inside_a_bomb_is_cut_off(inner: str, outer: str) -> None:
    """Each layer is held to the cap."""
    made = decoder(f"{inner}, {outer}", most_bytes=1_000_000)
    bomb = COMPRESS[outer](COMPRESS[inner](bytes(10_000_000)))
    assert len(made.decode(bomb)) == 1_000_000
    assert made.stopped


@pytest.mark.parametrize("name", COMPRESS)
def test_a_body_of_exactly_the_cap_is_read_to_its_end(name: str) -> None:
    """Nothing of it is missing."""
    made = decoder(name, most_bytes=len(BODY))
    assert made.decode(COMPRESS[name](BODY)) == BODY
    assert not made.stopped


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_a_flood_of_empty_members_is_cut_off(name: str) -> None:
    """They cost time and give nothing."""
    made = decoder(name)
    made.decode(COMPRESS[name](b"") * (MOST_MEMBERS + 1))
    assert made.stopped


def test_a_request_decodes_in_one_piece_up_to_the_cap_it_is_given() -> None:
    """What stands behind the first mebibytes is read as well."""
    body = b" " * (9 << 20) + BODY
    made = decoder("gzip", most_bytes=16 << 20)
    assert made.decode(gzip.compress(body, 1)) == body
    assert not made.stopped


@pytest.mark.parametrize("missing", [1, 100, 5000])
@pytest.mark.parametrize("name", COMPRESS)
def test_a_request_that_was_cut_off_can_be_told(name: str, missing: int) -> None:
    """However little is missing, it is refused or counted rather than half read."""
    body = bytes(range(256)) * 40 + bytes(10_000)
    made = decoder(name, most_bytes=len(body) - missing)
    assert made.decode(COMPRESS[name](body)) == body[:-missing]
    assert made.stopped


def test_many_members_before_a_large_one_cost_no_copies_of_it() -> None:
    """What follows a member is copied by zlib, so only a little of it is shown to zlib."""
    body = BODY * 1000
    made = decoder("gzip", most_bytes=len(body))
    assert made.decode(gzip.compress(b"") * (MOST_MEMBERS - 1) + gzip.compress(body)) == body
    assert not made.stopped


def test_a_window_larger_than_http_allows_is_not_kept() -> None:
    """One request would hold 128 MiB otherwise."""
    level = {int(zstd.CompressionParameter.window_log): 27}
    made = decoder("zstd")
    squeeze = zstd.ZstdCompressor(options=level)
    assert made.decode(squeeze.compress(BODY) + squeeze.flush()) == b""
    assert made.stopped


@pytest.mark.parametrize(
    ("name", "package", "module"), [("br", "brotli", "unbrotli"), ("zstd", zstd.__name__, "unzstd")]
)
def test_without_its_package_an_encoding_is_not_read(
    name: str, package: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All others are."""
    monkeypatch.delattr(sys.modules[package.partition(".")[0]], "zstd", raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, f"gateway_guard.dialects.{module}")
    assert {*COMPRESS, "x-gzip"} - set(available()) == {name}


def test_a_brotli_that_does_not_bound_what_it_decodes_is_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its bombs would go off."""

    class Old:
        """The decoder before 1.2."""

    monkeypatch.setattr(brotli, "Decompressor", Old)
    monkeypatch.delitem(sys.modules, "gateway_guard.dialects.unbrotli")
    with pytest.raises(ImportError, match=r"before 1\.2"):
        importlib.import_module("gateway_guard.dialects.unbrotli")
