"""Read the answers of OpenAI embeddings: megabytes of numbers, and the tokens they took.

The numbers are let go as they come. What is reported stands before or after them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from gateway_guard.dialects.lenient import UNREADABLE
from gateway_guard.dialects.loose import loosely
from gateway_guard.dialects.openai_answers import Usage
from gateway_guard.dialects.readers import Grammar
from gateway_guard.dialects.tally import Tally

if TYPE_CHECKING:
    from gateway_guard.exchange import Answer, Hear

_END_BYTES = 2**13
_USAGE = b'"usage"'
_REPORT = re.compile(_USAGE + rb"\s*:\s*\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}")


class Vectors(msgspec.Struct, gc=False):
    """What comes with the numbers, or instead of them."""

    usage: Usage | None = None
    error: Any = None


def absorb(vectors: Vectors, tally: Tally) -> None:
    """Add what is reported."""
    if vectors.usage is not None:
        tally.count(vectors.usage.prompt_tokens, vectors.usage.completion_tokens)
    if vectors.error:
        tally.failed = True


GRAMMAR = Grammar(Vectors, lambda data: loosely(data, Vectors), absorb)


class VectorsReader:
    """Reads a body of which no more than its two ends are kept."""

    __slots__ = ("_end", "_size", "_start")

    def __init__(self) -> None:
        self._start = bytearray()
        self._end = bytearray()
        self._size = 0

    @property
    def held_bytes(self) -> int:
        """Return how many bytes are held that have not been read yet."""
        return len(self._start) + len(self._end)

    def feed(self, chunk: bytes) -> None:
        """Keep the next bytes as long as they are near the start or the end."""
        self._size += len(chunk)
        room = _END_BYTES - len(self._start)
        if room > 0:
            self._start += chunk[:room]
            chunk = chunk[room:]
        self._end += chunk[-_END_BYTES:]
        if len(self._end) > 2 * _END_BYTES:
            del self._end[:-_END_BYTES]

    def finish(self, hear: Hear | None = None) -> Answer:
        """Return the tokens, or an empty answer; numbers say nothing that could be heard."""
        del hear
        tally = Tally()
        text = self._reported()
        try:
            GRAMMAR.read(text, tally)
        except UNREADABLE:
            GRAMMAR.read_loosely(text, tally)
        return tally.answer(bytes(16))

    def _reported(self) -> bytes:
        """Return the whole body where it was kept, and what is reported in it where it was not."""
        if self._size <= 2 * _END_BYTES:
            return bytes(self._start + self._end)
        ends = self._end[-_END_BYTES:], self._start
        reports = (_REPORT.match(end, max(0, end.rfind(_USAGE))) for end in ends)
        return next((b"{%b}" % report[0] for report in reports if report), b"{}")
