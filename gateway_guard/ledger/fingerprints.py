"""Fingerprints of texts: a few of the hashes of all their word k-grams, chosen by winnowing.

Schleimer, Wilkerson and Aiken (2003): of every ``window`` consecutive hashes the smallest is kept.
Two texts that share a run of ``window + k - 1`` words share a window of hashes, and so a
fingerprint. Of that guarantee N the rest follows: k is a third of N, the window what remains. The
hashes are those of ``features.windows``, under a key of their own, so that case, punctuation and
lookalikes do not count and every character is a word in scripts without spaces.

Where an answer would have more fingerprints than are kept of one, its window is widened until it
has about as many. A text with a narrower window chooses the same hash of a run that fills the wider
one, so that whatever is looked for is fingerprinted with the narrowest.
"""

from __future__ import annotations

from hashlib import blake2b, shake_256
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from gateway_guard.features.normalise import normalise, prepare
from gateway_guard.features.windows import PREFIX, WindowHasher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway_guard.features.windows import Hashes

GUARANTEE: Final = 24
"""Every verbatim run of so many words is found, unless an answer is too long for that."""
BYTES_A_FINGERPRINT: Final = 8
METHOD: Final = 1
"""Goes up when the same text has other fingerprints than before."""

_WORDS_A_GRAM: Final = 3  # of the guarantee one third is the gram
_BUFFER: Final = 1 << 16
_SEAM: Final = 1 << 12
_NUMBERS: Final = 258
_WORD: Final = 8
_SHIFTS: Final = (np.uint64(32), np.uint64(29))
_SIGN: Final = np.uint64(1)
_SPREAD: Final = np.uint64(0x9E3779B97F4A7C15)
_CONTINUATION_MASK, _CONTINUATION = 0xC0, 0x80

Integers = npt.NDArray[np.int64]


class Fingerprints(NamedTuple):
    """Those of several texts.

    ``hashes`` are positive, those of text ``i`` at ``bounds[i]`` to ``bounds[i + 1]``, ascending
    and distinct. ``words`` and ``guarantees`` have one entry for each text.
    """

    hashes: Integers
    bounds: Integers
    words: Integers
    guarantees: Integers

    def of(self, text: int) -> Integers:
        """Return the fingerprints of one text."""
        return self.hashes[self.bounds[text] : self.bounds[text + 1]]


def gram_of(guarantee: int) -> int:
    """Return the words in a gram, by the guarantee."""
    return max(2, guarantee // _WORDS_A_GRAM)


def scheme_name(key: bytes, gram: int) -> str:
    """Name what two fingerprints must have in common to be comparable: method, k and key."""
    return f"v{METHOD}-k{gram}-{blake2b(key, digest_size=4, person=b'scheme').hexdigest()}"


class Winnower:
    """Fingerprints texts under one key."""

    def __init__(self, key: bytes, guarantee: int = GUARANTEE, *, most: int | None = None) -> None:
        """Find runs of ``guarantee`` words; keep about ``most`` fingerprints of a text."""
        self.gram = gram_of(guarantee)
        self.window = guarantee - self.gram + 1
        self.scheme = scheme_name(key, self.gram)
        self._most = most
        stream = shake_256(b"gateway-guard ledger 1\0" + key).digest(_WORD * _NUMBERS)
        numbers = [int.from_bytes(stream[at : at + _WORD]) for at in range(0, len(stream), _WORD)]
        self._hasher = WindowHasher(numbers, longest=_BUFFER + _SEAM)
        prepare()

    def fingerprint(self, texts: Sequence[str]) -> Fingerprints:
        """Return the fingerprints of texts; doing many at a time costs each a fraction."""
        hashes, grams, words = self._grams(texts)
        windows = self._windows(grams)
        chosen, owners = _winnowed(hashes, grams, windows)
        for begin, end in pairwise(owners.searchsorted(np.arange(len(texts) + 1)).tolist()):
            chosen[begin:end].sort()
        new = np.ones(len(chosen), np.bool_)
        new[1:] = (chosen[1:] != chosen[:-1]) | (owners[1:] != owners[:-1])
        chosen, owners = chosen[new], owners[new]
        bounds = owners.searchsorted(np.arange(len(texts) + 1))
        return Fingerprints(chosen, bounds, words, windows + (self.gram - 1))

    def _windows(self, grams: Integers) -> Integers:
        """Return the window of each text: a wider one where there would be too many."""
        if self._most is None:
            return np.full(len(grams), self.window, np.int64)
        return np.maximum(self.window, -(-2 * grams // self._most) - 1)

    def _grams(self, texts: Sequence[str]) -> tuple[Integers, Integers, Integers]:
        """Return the hashes of all grams, and how many grams and words each text has."""
        found: list[tuple[Hashes, Integers, Integers]] = []
        held: list[bytes] = []
        size = 0
        for text in texts:
            content = normalise(text)
            if held and size + len(content) >= _BUFFER:
                found.append(self._joint(held))
                held, size = [], 0
            if len(content) >= _BUFFER:
                found.append(self._long(content))
            else:
                held.append(content)
                size += len(content) + 1
        if held or not found:
            found.append(self._joint(held))
        hashes, grams, words = zip(*found, strict=True)
        return _mixed(np.concatenate(hashes)), np.concatenate(grams), np.concatenate(words)

    def _joint(self, contents: Sequence[bytes]) -> tuple[Hashes, Integers, Integers]:
        """Hash short texts side by side, without the grams that reach across their seams."""
        content = b"\n".join(contents)
        found = self._hasher.words(PREFIX + content + b"\n", spaced=content.isascii())
        sizes = np.fromiter(map(len, contents), np.int64, len(contents)) + 1
        begins = np.cumsum(sizes) - sizes + len(PREFIX)
        firsts = np.append(found.starts.searchsorted(begins - 1), found.count)
        words = np.diff(firsts)
        grams = np.maximum(0, words - self.gram + 1)
        raw = self._hasher.windows(found, self.gram)
        return raw.take(ranges(firsts[:-1], grams)), grams, words

    def _long(self, content: bytes) -> tuple[Hashes, Integers, Integers]:
        """Hash a long text piece by piece, each beginning with the words that ended the last."""
        hashes, count, begin = [], self.gram - 1, 0
        while True:
            end = _cut(content, begin + _BUFFER)
            piece = content[begin:end]
            found = self._hasher.words(PREFIX + piece + b"\n", spaced=piece.isascii())
            hashes.append(self._hasher.windows(found, self.gram))
            count += max(0, found.count - self.gram + 1)
            if end == len(content):
                break
            begin = self._next(begin, end, found.starts)
        whole = np.concatenate(hashes)
        words = count if len(whole) else found.count
        return whole, np.array([len(whole)]), np.array([words])

    def _next(self, begin: int, end: int, starts: npt.NDArray[np.intp]) -> int:
        """Return where the next piece begins; where words are endless, it shares none."""
        if len(starts) < self.gram:
            return end
        again = begin + int(starts[1 - self.gram]) + 1 - len(PREFIX)
        return again if again > begin else end


def _cut(content: bytes, at: int) -> int:
    """Return where a piece may end: between words if possible, between characters at least."""
    if at >= len(content):
        return len(content)
    space = max(content.rfind(b" ", at - _SEAM, at), content.rfind(b"\n", at - _SEAM, at))
    if space > 0:
        return space
    while content[at] & _CONTINUATION_MASK == _CONTINUATION:
        at -= 1
    return at


def _mixed(raw: Hashes) -> Integers:
    """Spread what is in the high half over all bits; leave out the sign, which engines read."""
    raw ^= raw >> _SHIFTS[0]
    raw *= _SPREAD
    raw ^= raw >> _SHIFTS[1]
    return (raw >> _SIGN).astype(np.int64)


def ranges(firsts: Integers, sizes: Integers) -> Integers:
    """Return ``first, first + 1, ...`` of each range, one range after the other."""
    before = np.cumsum(sizes) - sizes
    places: Integers = np.arange(int(sizes.sum())) + np.repeat(firsts - before, sizes)
    return places


def _winnowed(hashes: Integers, grams: Integers, windows: Integers) -> tuple[Integers, Integers]:
    """Return the chosen hashes, text by text, and whose they are; some stand there twice."""
    befores = np.cumsum(grams) - grams
    owners = np.arange(len(grams))
    picks, whose = [], []
    for window in np.unique(windows).tolist():
        mine = windows == window
        width = np.minimum(window, grams[mine])
        for size in np.unique(width[width > 0]).tolist():
            same = owners[mine][width == size]
            starts = ranges(befores[same], grams[same] - size + 1)
            least = _sliding_least(hashes, size).take(starts)
            owner = np.repeat(same, grams[same] - size + 1)
            new = np.ones(len(least), np.bool_)
            new[1:] = (least[1:] != least[:-1]) | (owner[1:] != owner[:-1])
            picks.append(least[new])
            whose.append(owner[new])
    if not picks:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    chosen, owners = np.concatenate(picks), np.concatenate(whose)
    if len(picks) > 1:
        order = np.argsort(owners, kind="stable")
        chosen, owners = chosen[order], owners[order]
    return chosen, owners


def _sliding_least(hashes: Integers, size: int) -> Integers:
    """Return the smallest of every ``size`` consecutive values, by doubling."""
    least, width = hashes, 1
    while 2 * width <= size:
        least = np.minimum(least[:-width], least[width:])
        width *= 2
    rest = size - width
    if rest:
        least = np.minimum(least[:-rest], least[rest:])
    return least
