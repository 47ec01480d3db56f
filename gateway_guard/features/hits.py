"""Tie each cue to the words around it: one in a constant template recurs with them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gateway_guard.features.types import CueHit
from gateway_guard.features.windows import WINDOW, Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gateway_guard.features.cues import CueBook, CueMatch
    from gateway_guard.features.reading import Piece, Reading
    from gateway_guard.features.survey import Text

MOST_HITS_IN_A_TEXT = 8
_SENTENCE_END = re.compile(rb"[.!?:;\n]")


def cue_hits(
    reading: Reading, texts: Sequence[Text], book: CueBook, seeds: Sequence[int]
) -> dict[int, tuple[CueHit, ...]]:
    """Return the cue hits of each text that has any, at most ``MOST_HITS_IN_A_TEXT`` of each.

    ``texts`` are those that were read. ``seeds`` hold one per family: a window hashes to another
    value in each, and to another than its shingle, so that none is counted twice in one request.
    """
    suspects = book.suspects(reading.buffer)
    found: dict[int, tuple[CueHit, ...]] = {}
    for number, text in enumerate(texts if suspects else ()):
        matches = _matches(reading, number, book, suspects)
        hits: dict[CueHit, None] = {}
        for piece, match in matches:
            shingle = reading.words.stretch(_around(reading, piece, match), seeds[match.family])
            hits[CueHit(match.family, shingle, text.role == "tool")] = None
            if len(hits) == MOST_HITS_IN_A_TEXT:
                break
        if hits:
            found[number] = tuple(hits)
    return found


def _matches(
    reading: Reading, text: int, book: CueBook, suspects: Sequence[int]
) -> Iterator[tuple[Piece, CueMatch]]:
    """Yield the places of cues in the pieces of a text."""
    alone = len(reading.pieces) == len(reading.pieces[0]) == 1
    for piece in reading.pieces[text]:
        content = reading.buffer[piece.begin : piece.end]
        for match in book.find(content, suspects if alone else None):
            yield piece, match


def _around(reading: Reading, piece: Piece, match: CueMatch) -> Span:
    """Return the window of the match, moved towards its sentence's beginning where it is shorter.

    It does not leave the sentence, so that a slot filled anew each time does not change it.
    """
    buffer, starts = reading.buffer, reading.words.starts
    begin, end = piece.begin + match.start, piece.begin + match.end
    rest = _SENTENCE_END.search(buffer, end, piece.end)
    head = max(
        buffer.rfind(mark, piece.begin, begin) for mark in (b".", b"!", b"?", b":", b";", b"\n")
    )
    edges = (max(head, piece.begin - 1), begin - 1, end - 1, rest.start() if rest else piece.end)
    sentence, first, stop, last = starts.searchsorted(edges).tolist()
    if stop - first < WINDOW:
        first = max(sentence, stop - WINDOW)
    return first, max(first, min(first + WINDOW, last))
