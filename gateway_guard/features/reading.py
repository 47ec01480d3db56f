"""Lay the texts of a request side by side, within a budget, and find their words in one go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gateway_guard.features.normalise import normalise
from gateway_guard.features.sampling import places, shares
from gateway_guard.features.windows import PREFIX, Span, WindowHasher, Words, unspaced_share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway_guard.features.survey import Text
    from gateway_guard.features.windows import Hashes

_BETWEEN = b"\n\0\n"
"""No pattern reaches across it, and to an anchored one it is the end of the text."""
_END = b"\n"
_SPARE = 1 << 14


def longest_buffer(budget: int) -> int:
    """Return how long the buffer for a budget can become: compatibility forms can double a text."""
    return 2 * budget + _SPARE


class Piece(msgspec.Struct, frozen=True, gc=False):
    """A stretch of the buffer that was contiguous in its text, in bytes and in words."""

    begin: int
    end: int
    span: Span


class Reading:
    """What was read: the buffer, its words, and the pieces of each text."""

    __slots__ = ("_hasher", "_whole", "buffer", "pieces", "spaced", "words")

    def __init__(
        self, hasher: WindowHasher, content: bytes, parts: Sequence[Sequence[_Part]]
    ) -> None:
        """Find the words of ``content``, the parts joined."""
        buffer = PREFIX + content + _END
        if len(buffer) > hasher.longest:
            buffer = buffer[: hasher.longest - 1] + _END
        self._hasher = hasher
        self.buffer = buffer
        self.spaced = content.isascii()
        self.words = hasher.words(buffer, spaced=self.spaced)
        self._whole = [
            not any(part.cut_before or part.cut_after for part in text) for text in parts
        ]
        if parts:
            self.pieces = _pieces(parts, self.words)
        else:
            self.pieces = [[Piece(len(PREFIX), len(buffer) - 1, (0, self.words.count))]]

    @property
    def unspaced(self) -> float:
        """Return the share of characters in scripts without spaces."""
        return 0.0 if self.spaced else unspaced_share(self.buffer)

    def shingles(self) -> Hashes:
        """Return the smallest window hashes of all texts."""
        if len(self.pieces) == len(self.pieces[0]) == 1:
            return self._hasher.shingles(self.words)
        return self._hasher.shingles(
            self.words, [piece.span for text in self.pieces for piece in text]
        )

    def is_whole(self, text: int) -> bool:
        """Tell whether a text was read from beginning to end."""
        return not self._whole or self._whole[text]

    def span(self, text: int) -> Span:
        """Return a text's first word and the one after its last."""
        pieces = self.pieces[text]
        return pieces[0].span[0], pieces[-1].span[1]


class _Part(msgspec.Struct, frozen=True, gc=False):
    """Bytes to read; words at a cut edge are not whole and do not count."""

    content: bytes
    cut_before: bool = False
    cut_after: bool = False


def read_texts(texts: Sequence[Text], hasher: WindowHasher, *, budget: int, seed: int) -> Reading:
    """Read texts, newest first, within ``budget`` bytes of UTF-8."""
    if len(texts) == 1 and len(texts[0].raw) <= budget:
        return Reading(hasher, _whole(texts[0]), ())
    given = shares([len(text.raw) for text in texts], budget)
    parts = [_parts(text, share, seed) for text, share in zip(texts, given, strict=True)]
    content = _BETWEEN.join([part.content for text in parts for part in text])
    return Reading(hasher, content, parts)


def _whole(text: Text) -> bytes:
    return text.raw if text.content.isascii() else normalise(text.content)


def _parts(text: Text, share: int, seed: int) -> list[_Part]:
    """Return a text normalised: whole, or its head, its tail and samples."""
    size = len(text.raw)
    if share >= size:
        return [_Part(_whole(text))]
    return [
        _Part(
            normalise(text.raw[begin:end].decode("utf-8", "ignore")),
            cut_before=begin > 0,
            cut_after=end < size,
        )
        for begin, end in places(size, share, seed ^ text.hash)
    ]


def _pieces(parts: Sequence[Sequence[_Part]], words: Words) -> list[list[Piece]]:
    """Return where the parts stand in the buffer and which words they hold."""
    begins, position = [], len(PREFIX)
    for text in parts:
        for part in text:
            begins.append(position)
            position += len(part.content) + len(_BETWEEN)
    firsts = words.starts.searchsorted([begin - 1 for begin in begins]).tolist()
    bounds = iter(zip(begins, firsts, [*firsts[1:], words.count], strict=True))
    return [[_piece(part, *next(bounds)) for part in text] for text in parts]


def _piece(part: _Part, begin: int, first: int, stop: int) -> Piece:
    """Return a piece without the words that its edges cut."""
    first = min(first + part.cut_before, stop)
    span = (first, max(first, stop - part.cut_after))
    return Piece(begin, begin + len(part.content), span)
