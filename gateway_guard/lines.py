"""Lines of a file as it streams by: some are drawn and read, all are counted.

A file is not held, and a line only while it is being read. Nobody can foretell which lines will be
drawn; each that is stands for as many as there are to one that was drawn, so that every sum is what
it would be if all had been read.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Protocol

from xxhash import xxh3_64_intdigest

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_DRAWN = 64
"""Lines that a file is represented by; a file of no more is read as a whole."""

LONGEST_LINE = 2**20
"""Of a longer line only the beginning is read."""

_READ_AT_ONCE = 16
_CREDIT = 256
_BYTES_A_CREDIT = 2**11
_BYTES_A_READING = 2**12
_SHORT_SECONDS = 0.002
_SECONDS_A_CREDIT = 0.0001  # charged for what takes longer than is usual
_MISSES = 4
_SCALE = float(1 << 64)


class Room(Protocol):
    """Holds what has arrived of a line, as far as there is room for it."""

    def take(self, chunk: bytes) -> bool:
        """Hold the next bytes too; return false where there is no room."""
        ...

    def let_go(self) -> bytes:
        """Return the bytes, and hold nothing."""
        ...


class Chance:
    """Numbers that only holders of the secret could foretell."""

    def __init__(self, secret: bytes) -> None:
        """Begin a sequence of numbers."""
        self._seed = int.from_bytes(secret[:8])
        self._drawn = 0

    def share(self) -> float:
        """Return a number over 0 and up to 1."""
        self._drawn += 1
        return (xxh3_64_intdigest(self._drawn.to_bytes(8), self._seed) + 1) / _SCALE

    def below(self, count: int) -> int:
        """Return a whole number under ``count``."""
        return min(count - 1, int(count * self.share()))


class Read(Protocol):
    """Reads a line, of which there may be only the beginning."""

    def __call__(self, line: bytes, *, cut: bool) -> bool:
        """Tell whether there was a request in it."""
        ...


class Lines:
    """The lines of one file.

    ``read`` tells whether there was a request in a line; ``keep`` is then told which of
    ``MOST_DRAWN`` places it takes. What is no request takes no request's place, and the more
    of it there is the fewer of it are tried. The work that an upload may cause grows with its
    bytes, whatever its lines.
    """

    __slots__ = (
        "_chance",
        "_credit",
        "_cut",
        "_data",
        "_ends_line",
        "_in_line",
        "_keep",
        "_missed",
        "_passed",
        "_read",
        "_room",
        "_skip",
        "found",
        "lines",
        "tried",
    )

    def __init__(
        self,
        chance: Chance,
        room: Room,
        read: Read,
        keep: Callable[[int], None],
    ) -> None:
        """Begin before the first line; a line that is read is held in ``room``."""
        self._chance = chance
        self._room = room
        self._read = read
        self._keep = keep
        self._data = b""
        self._skip = self._passed = self._missed = 0
        self._credit = float(_CREDIT)
        self._in_line = self._cut = False
        self._ends_line = True
        self.lines = self.tried = self.found = 0

    @property
    def asked(self) -> int:
        """Return how many requests there are about, judged by those that were read."""
        return round(self.lines * self.found / self.tried) if self.tried else 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes; ``work`` reads them."""
        if not data:
            return
        self._credit = min(_CREDIT, self._credit + len(data) / _BYTES_A_CREDIT)
        self.lines += data.count(b"\n") - data.count(b"\n\n") - data.count(b"\n\r\n")
        self._ends_line = data.endswith(b"\n")
        self._data = self._data + data if self._data else data

    def work(self) -> bool:
        """Read some lines; return whether there are more to be read at once."""
        before = self.tried
        while self._data and self.tried - before < _READ_AT_ONCE:
            if self._skip:
                self._pass_over()
            elif self._credit < 1:
                self._skip = 1 + self._data.count(b"\n")
                self.let_go()
            else:
                self._take()
        return bool(self._data)

    def end(self) -> None:
        """Take note that the file is over, with or without a line's end."""
        if not self._ends_line:
            self.feed(b"\n")

    def let_go(self) -> None:
        """Give the room of a line back that has begun."""
        self._room.let_go()
        self._in_line = self._cut = False

    def _pass_over(self) -> None:
        """Pass over lines; the rest of one that has begun counts as one."""
        parts = self._data.split(b"\n", self._skip)
        self._skip -= len(parts) - 1
        self._passed += len(parts) - 1
        self._data = b"" if self._skip else parts[-1]

    def _take(self) -> None:
        if not self._in_line:
            self._data = self._data.lstrip()
        line, end, self._data = self._data.partition(b"\n")
        if not (line or end):
            return
        self._in_line = True
        self._hold(line)
        if end:
            self._line()

    def _hold(self, data: bytes) -> None:
        if self._cut:
            return
        self._cut = not self._room.take(data)

    def _line(self) -> None:
        """Read a line that is complete, and choose the next one."""
        line, cut = self._room.let_go(), self._cut
        self._in_line = self._cut = False
        if not line.strip():
            return
        self.tried += 1
        self._passed += 1
        begun = perf_counter()
        is_request = self._read(line, cut=cut)
        longer = max(0.0, perf_counter() - begun - _SHORT_SECONDS)
        self._credit -= 1 + len(line) / _BYTES_A_READING + longer / _SECONDS_A_CREDIT
        if not is_request:
            self._missed += 1
            self._skip = self._chance.below(1 + self._missed // _MISSES)
            return
        self._missed = 0
        place = self.found if self.found < MOST_DRAWN else self._chance.below(MOST_DRAWN)
        self.found += 1
        self._keep(place)
        if self.found >= MOST_DRAWN:
            self._skip = self._gap()

    def _gap(self) -> int:
        """Return how many lines to pass over, as Vitter's algorithm X does, 1985, in the limit."""
        seen = max(self._passed, MOST_DRAWN)
        return int(seen * (self._chance.share() ** (-1.0 / MOST_DRAWN) - 1.0))
