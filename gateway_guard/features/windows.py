"""Hash every window of five words in a few passes over the text's bytes.

The letters of all words, case folded and separators left out, are read as the coefficients of a
polynomial in a secret odd number modulo 2^64 (Karp and Rabin, 1987). One cumulative sum gives the
hash of every stretch of words; multiplying by the inverse power of its first position makes it
independent of where the stretch stands. In scripts without spaces every character counts as a word,
so that the same windows are character n-grams.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from xxhash import xxh3_64_intdigest

if TYPE_CHECKING:
    from collections.abc import Sequence

Hashes = npt.NDArray[np.uint64]
Positions = npt.NDArray[np.intp]
Classes = npt.NDArray[np.uint8]
Span = tuple[int, int]
"""The first word of a stretch and the one after its last."""

WINDOW = 5
"""Words in a window."""
MOST_SHINGLES = 32
MOST_TERMS = 2
_TERM_LETTERS = 6
"""A spaced word of so many letters says what a text is about; function words are shorter."""
_PAIR = 2
MASK = (1 << 64) - 1
_HALF = np.array(32, np.uint64)
_CEILINGS = tuple(np.array(MASK >> halvings, np.uint64) for halvings in range(64))
"""Hashes up to the ceiling of index ``i`` are one in ``2**i``."""
_ENOUGH = 2 * MOST_SHINGLES
_TRUE = b"\1"
_SPREAD = 0x9E3779B97F4A7C15

_ASCII = 0x80
_WEIGHTLESS = 0xFF
SEPARATORS = bytes(byte for byte in range(_ASCII) if not chr(byte).isalnum())
_UNSPACED_LEAD = 0xE0
_SEPARATOR_CLASS = 0
_CLASSES = bytes(
    _SEPARATOR_CLASS if byte in SEPARATORS else 2 if _UNSPACED_LEAD <= byte < _WEIGHTLESS else 1
    for byte in range(0x100)
)
"""0 for separators, 1 for letters, 2 where a character begins that is a word of its own."""
_CONTINUATION_MASK, _CONTINUATION = 0xC0, 0x80

PREFIX = b"\n\xff\n"
"""What a buffer begins with: a letter without weight, so that sums and offsets begin with 0."""


class Words:
    """Where the words of a buffer stand.

    ``starts`` holds, for each word, the position of the byte before it. ``offsets`` and ``sums``,
    one longer, hold the number and the weighted sum of all letters before it. ``letters`` are all
    letters in their secret values.
    """

    __slots__ = ("count", "letters", "offsets", "starts", "sums")

    def __init__(self, starts: Positions, offsets: Positions, sums: Hashes, letters: bytes) -> None:
        """Keep the arrays."""
        self.starts = starts
        self.offsets = offsets
        self.sums = sums
        self.letters = letters
        self.count = len(starts)

    def stretch(self, span: Span, seed: int) -> int:
        """Return the 64-bit hash of a stretch of words, another one for each ``seed``."""
        begin, end = self.offsets.item(span[0]), self.offsets.item(span[1])
        return xxh3_64_intdigest(self.letters[begin + 1 : end + 1], seed)


class WindowHasher:
    """Turns bytes into words, and windows into hashes that only holders of the secret can make."""

    __slots__ = ("_inverses", "_letters", "_powers", "longest")

    def __init__(self, numbers: Sequence[int], *, longest: int) -> None:
        """Make the tables from 258 secret numbers, for buffers of up to ``longest`` bytes."""
        base = numbers[0] & ~7 | 5  # 5 modulo 8: its powers repeat only after 2^62 letters
        self.longest = longest
        self._letters = _letter_table(numbers[2:])
        self._powers = _powers(1, base, longest)
        self._inverses = _powers(numbers[1] | 1, pow(base, -1, MASK + 1), longest)

    def words(self, buffer: bytes, *, spaced: bool) -> Words:
        """Find the words of a buffer: ``PREFIX``, text and a separator, ``longest`` bytes at most.

        ``spaced`` promises that no character is a word of its own.
        """
        classes = np.frombuffer(buffer.translate(_CLASSES), np.uint8)
        starts, offsets = _spaced_words(classes) if spaced else _unspaced_words(classes)
        letters = buffer.translate(self._letters, SEPARATORS)
        weighted = np.frombuffer(letters, np.uint8) * self._powers[: len(letters)]
        return Words(starts, offsets, np.add.accumulate(weighted).take(offsets), letters)

    def windows(self, words: Words, size: int) -> Hashes:
        """Return the hash of every window of ``size`` words, in order; the low half is weak."""
        raw = words.sums[size:] - words.sums[:-size]
        raw *= self._inverses.take(words.offsets[:-size])
        return raw

    def shingles(self, words: Words, spans: Sequence[Span] | None = None) -> Hashes:
        """Return the ``MOST_SHINGLES`` smallest distinct hashes of all windows.

        The same hash is chosen wherever it occurs, so that texts with a part in common have chosen
        hashes in common (bottom-k sampling; Cohen and Kaplan, 2007). Where spans are given, windows
        lie inside them, and a span shorter than a window is one window by itself.
        """
        raw = self.windows(words, WINDOW)
        if words.count < WINDOW:
            spans = [(0, words.count)] if spans is None else spans
        if spans is not None:
            raw = self._inside(words, raw, spans)
        chosen = _smallest(raw)
        # The low half of a product of odd numbers is weak; the order is that of the high half.
        return chosen ^ (chosen >> _HALF)

    def terms(self, words: Words, span: Span, lot: int, *, pairs: bool) -> tuple[int, ...]:
        """Return the hashes of ``MOST_TERMS`` long words, or ``pairs`` of characters, or of none.

        Which ones is as good as random: it depends on ``lot``, 64 bits.
        """
        first, last = span
        width = _PAIR if pairs else 1
        before = words.offsets[first : last + 1 - width]
        if not len(before):
            return ()
        long = (words.offsets[first + width : last + 1] - before >= _TERM_LETTERS).nonzero()[0]
        count = len(long)
        if not count:
            return ()
        chosen = (long.item(lot % count), long.item((lot >> 32) % count))
        return tuple([self._term(words, first + place, width) for place in dict.fromkeys(chosen)])

    def _term(self, words: Words, word: int, width: int) -> int:
        """Return the hash of one word or a few; in each of its bits something of all."""
        total = words.sums.item(word + width) - words.sums.item(word)
        spread = total * self._inverses.item(words.offsets.item(word)) * _SPREAD & MASK
        return spread ^ (spread >> 32)

    def _inside(self, words: Words, raw: Hashes, spans: Sequence[Span]) -> Hashes:
        """Return the windows inside the spans, and short spans as windows of their own."""
        inside = np.zeros(raw.size, np.bool_)
        short = []
        for first, last in spans:
            if last - first >= WINDOW:
                inside[first : last - WINDOW + 1] = True
            elif last > first:
                total = words.sums.item(last) - words.sums.item(first)
                short.append(total * self._inverses.item(words.offsets.item(first)) & MASK)
        return np.append(raw[inside], np.array(short, np.uint64)) if short else raw[inside]


def unspaced_share(buffer: bytes) -> float:
    """Return the share of a buffer's characters that are words of their own."""
    values = np.frombuffer(buffer, np.uint8)[len(PREFIX) : -1]
    characters = np.count_nonzero(values & _CONTINUATION_MASK != _CONTINUATION)
    return float(np.count_nonzero(values >= _UNSPACED_LEAD)) / max(1, int(characters))


def _spaced_words(classes: Classes) -> tuple[Positions, Positions]:
    """Return where words start and how many letters stand before each, and before the end."""
    edges = (classes[1:] != classes[:-1]).nonzero()[0]
    starts = edges[0::2]
    lengths = edges[1::2] - starts
    lengths[0] = 0
    return starts[1:], np.add.accumulate(lengths)


def _unspaced_words(classes: Classes) -> tuple[Positions, Positions]:
    """Do the same where words can also start right after one another."""
    starts = (classes[1:] > classes[:-1]).nonzero()[0][1:]
    before = np.add.accumulate(classes != _SEPARATOR_CLASS, dtype=np.intp)
    offsets = np.append(before.take(starts), before[-1:])
    offsets -= 1
    return starts, offsets


def _smallest(hashes: Hashes) -> Hashes:
    """Return the at most ``MOST_SHINGLES`` smallest distinct values, ascending."""
    size = hashes.size
    candidates = hashes
    if size >= 2 * _ENOUGH:
        candidates = hashes[hashes <= _CEILINGS[(size // _ENOUGH).bit_length() - 1]]
    candidates.sort()
    chosen = candidates[:MOST_SHINGLES]
    if chosen.size < min(MOST_SHINGLES, size) or _TRUE in (chosen[1:] == chosen[:-1]).tobytes():
        return np.unique(hashes)[:MOST_SHINGLES]
    return chosen


def _powers(first: int, base: int, count: int) -> Hashes:
    """Return ``first`` times ``base`` to the power of 0, 1, ... modulo 2^64."""
    factors = np.full(count, base, np.uint64)
    factors[0] = first
    return np.multiply.accumulate(factors)


def _letter_table(numbers: Sequence[int]) -> bytes:
    """Give every byte a secret value of its own, but a capital that of its small letter."""
    order = [_WEIGHTLESS, *sorted(range(_WEIGHTLESS), key=numbers.__getitem__)]
    values = {byte: value for value, byte in enumerate(order)}
    return bytes(values[ord(chr(byte).lower()) if byte < _ASCII else byte] for byte in range(0x100))
