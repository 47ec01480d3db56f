"""Hashes of words that mean the same in every deployment that has the same model.

The deployment's own hashes are keyed by its secret, so nothing that ships can be compared with
them. These are keyed by the published seed of a model. A word is read as its first eight bytes,
case folded: that is cheap to fetch, and leaves most endings off.
"""

from __future__ import annotations

import math
from hashlib import shake_256
from operator import mul
from typing import Final

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]
Hashes = npt.NDArray[np.uint64]
Positions = npt.NDArray[np.intp]

WIDTH: Final = 32
"""Dimensions of a projected text."""
WINDOW: Final = 5
"""Words in a window."""
PADDING: Final = bytes(8)
"""What must follow a buffer whose words are fetched."""

_BYTES: Final = 8
_FOLD: Final = np.uint64(0x2020202020202020)
_MASKS: Final = np.array([(1 << (8 * size)) - 1 for size in range(9)], np.uint64)
_SHIFTS: Final = np.array([[0], [8], [16], [24]], np.uint64)
_TRIGRAM: Final = np.uint64(0xFFFFFF)
_BUCKET_SHIFT: Final = np.uint64(64 - 6)  # 2 * WIDTH buckets
_HALF: Final = np.uint64(32)
_UNIT: Final = 8
_MOST: Final = 127


def fetch(buffer: bytes, starts: Positions, lengths: Positions) -> Words:
    """Return the first bytes of words, shape (n,), case folded.

    ``starts`` are the places of their first bytes, ``lengths`` their numbers of bytes. ``buffer``
    ends in ``PADDING``.
    """
    size = len(buffer) - _BYTES + 1
    view: Words = np.ndarray((size,), "<u8", buffer=buffer, strides=(1,))
    words = view.take(starts)
    words |= _FOLD
    words &= _MASKS.take(lengths, mode="clip")
    return words


class Hashing:
    """The hash functions of one model seed."""

    __slots__ = ("_factors", "_multiplier", "seed")

    def __init__(self, seed: int) -> None:
        """Derive them from ``seed``, 0 to 2^64 - 1."""
        stream = shake_256(b"gateway-guard model 1\0" + seed.to_bytes(_UNIT))
        numbers = np.frombuffer(stream.digest((1 + WINDOW) * _UNIT), "<u8") | np.uint64(1)
        self.seed = seed
        self._multiplier: np.uint64 = numbers[0]
        self._factors: Hashes = numbers[1:].astype(np.uint64)

    def project(self, words: Words, owners: Positions, count: int) -> npt.NDArray[np.int8]:
        """Return ``count`` texts as vectors, shape (count, WIDTH); one without words is 0.

        ``owners`` says whose each word is. Each word counts with the three bytes at its first four
        places, hashed to a place and a sign (feature hashing, Weinberger et al., 2009).
        """
        buckets = words >> _SHIFTS
        buckets &= _TRIGRAM
        buckets *= self._multiplier
        buckets >>= _BUCKET_SHIFT
        places = buckets.view(np.int64)
        if count > 1:
            places += owners * (2 * WIDTH)
        counts = np.bincount(places.ravel(), minlength=2 * WIDTH * count).reshape(count, 2, WIDTH)
        clipped: npt.NDArray[np.int8] = (counts[:, 0] - counts[:, 1]).clip(-_MOST, _MOST)
        return clipped.astype(np.int8)

    def windows(self, words: Words) -> Hashes:
        """Return the hashes of all windows of n words, shape (n - WINDOW + 1,), n at least WINDOW.

        Multilinear in the words of a window, modulo 2^64, with the bits of the sum mixed.
        """
        last = len(words) - WINDOW + 1
        each = np.ndarray((last, WINDOW), np.uint64, words, 0, words.strides * 2)
        hashes: Hashes = each @ self._factors
        hashes ^= hashes >> _HALF
        hashes *= self._multiplier
        hashes ^= hashes >> _HALF
        return hashes


def length(vector: bytes) -> float:
    """Return the length of a projected text, 0 where there is none."""
    numbers = memoryview(vector).cast("b")
    return math.sqrt(sum(map(mul, numbers, numbers)))
