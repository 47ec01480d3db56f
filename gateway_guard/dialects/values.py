"""Read bodies that are many JSON values as they pass by: lines of JSON, or one array of objects.

A document without end is read value by value, and one that broke off as far as it came.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Generic, TypeVar

from gateway_guard.dialects.lenient import UNREADABLE
from gateway_guard.dialects.readers import BATCH_BYTES, MOST_BODY_BYTES
from gateway_guard.dialects.tally import Tally

if TYPE_CHECKING:
    from gateway_guard.dialects.readers import Grammar
    from gateway_guard.exchange import Answer, Hear

T = TypeVar("T")

MOST_DEPTH = 1000
"""No parser goes deeper."""

_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_EMPTY = rb"\{[ \r\n\t]*+\}|\[[ \r\n\t]*+\]"
_NEXT_BRACKET = re.compile(rb'(?:[^"{}\[\]]++|%b|%b)*+([{}\[\]])' % (_STRING, _EMPTY), re.DOTALL)
_OPENING = frozenset({b"{", b"["})
_EMPTY_BYTES = 2
_MANY, _FEW = 64, 4
"""Values that are read together, and that are read one by one where one is not as expected."""


def read_values(grammar: Grammar[T], values: list[bytes], tally: Tally) -> None:
    """Absorb JSON values; one that is not as expected is read as far as it makes sense."""
    for begin in range(0, len(values), _MANY):
        _read_parts(grammar, values[begin : begin + _MANY], tally)
    if values:
        tally.settle()


def _read_parts(grammar: Grammar[T], values: list[bytes], tally: Tally) -> None:
    """Absorb JSON values of which few are other than expected: halves are tried, and theirs."""
    try:
        grammar.read(b"\n".join(values), tally)
    except UNREADABLE:
        half = len(values) // 2
        if half < _FEW:
            for value in values:
                grammar.read_loosely(value, tally)
        else:
            _read_parts(grammar, values[:half], tally)
            _read_parts(grammar, values[half:], tally)


class ValuesReader(Generic[T]):
    """Reads the objects of a body, whether it is one, has one after the other, or lists them."""

    __slots__ = ("_buffer", "_digest_key", "_grammar", "_mark", "_overflown", "_splitter", "_tally")

    def __init__(self, grammar: Grammar[T], digest_key: bytes) -> None:
        self._grammar = grammar
        self._digest_key = digest_key
        self._tally = Tally()
        self._buffer = bytearray()
        self._mark = BATCH_BYTES
        self._splitter = _Splitter()
        self._overflown = False

    @property
    def held_bytes(self) -> int:
        """Return how many bytes are held that have not been read yet."""
        return len(self._buffer)

    def feed(self, chunk: bytes) -> None:
        """Keep the next bytes; read once there are enough, and no more after a huge value."""
        if self._overflown:
            return
        self._buffer += chunk
        if len(self._buffer) >= self._mark:
            self._drain()
            self._mark = min(max(BATCH_BYTES, 2 * len(self._buffer)), MOST_BODY_BYTES + 1)
            if len(self._buffer) > MOST_BODY_BYTES or self._splitter.lost:
                self._overflown = True
                self._buffer = bytearray()

    def finish(self, hear: Hear | None = None) -> Answer:
        """Read the rest, broken values line by line, and return what was seen."""
        self._drain()
        rest = bytes(self._buffer).strip(b" \t\r\n,]")
        if rest:
            self._grammar.read_loosely_by_lines(rest.splitlines(), self._tally)
        return self._tally.answer(self._digest_key, hear)

    def _drain(self) -> None:
        """Read the values that are complete and keep the rest."""
        values = self._splitter.split(self._buffer)
        read_values(self._grammar, values, self._tally)


class _Splitter:
    """Finds where objects end, and remembers how far it has looked."""

    __slots__ = ("_at", "_depth")

    def __init__(self) -> None:
        self._at = 0
        self._depth = 0

    @property
    def lost(self) -> bool:
        """Whether it is deeper inside something than any answer goes."""
        return self._depth > MOST_DEPTH

    def split(self, buffer: bytearray) -> list[bytes]:
        """Cut the complete objects out of the front of a buffer, which only grew since.

        What stands around objects, such as a list that they are in, is dropped.
        """
        values: list[bytes] = []
        start, at, depth = 0, self._at, self._depth
        while depth <= MOST_DEPTH:
            if depth == 0:
                start = buffer.find(b"{", at)
                if start < 0:
                    start = at = len(buffer)
                    break
                depth, at = 1, start + 1
            end, step = _next_bracket(buffer, at)
            if not step:
                break
            at, depth = end, depth + step
            if depth == 0 and at - start > _EMPTY_BYTES:
                values.append(bytes(buffer[start:at]))
        del buffer[:start]
        self._at, self._depth = at - start, depth
        return values


def _next_bracket(buffer: bytearray, at: int) -> tuple[int, int]:
    """Return where the next bracket ends, and 1 if it opens, -1 if it closes, 0 without one.

    No match outlives this: while one does, a buffer cannot be cut.
    """
    found = _NEXT_BRACKET.match(buffer, at)
    if found is None:
        return at, 0
    return found.end(), 1 if found[1] in _OPENING else -1
