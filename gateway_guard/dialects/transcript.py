"""What was said on one websocket so far: the newest of it, since servers keep the rest."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import msgspec

from gateway_guard.exchange import Turn

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_BYTES = 2**16
"""Of texts; nothing longer is read for features either."""

MOST_ENTRIES = 256


class _Entry:
    """What one message said."""

    __slots__ = ("id", "number", "size", "turns")

    def __init__(self, turns: tuple[Turn, ...], id_: str | None, number: int) -> None:
        self.turns = turns
        self.id = id_
        self.number = number
        self.size = sum([size_of(turn.text) for turn in turns])


class Transcript:
    """The newest turns of one conversation, 64 KiB of text at most."""

    __slots__ = ("_asked", "_bytes", "_count", "_entries")

    def __init__(self) -> None:
        """Begin with nothing said."""
        self._entries: deque[_Entry] = deque()
        self._bytes = 0
        self._count = 0
        self._asked = 0

    def add(self, turns: Iterable[Turn], id_: str | None = None) -> None:
        """Take what one message says, which is known by an id if that is given."""
        entry = _Entry(clipped(turns), id_, self._count)
        if entry.turns:
            self._count += 1
            self._entries.append(entry)
            self._bytes += entry.size
            self._forget()

    def name_oldest(self, id_: str) -> None:
        """Give the first entry without an id the one that the server has chosen for it."""
        if not any(entry.id == id_ for entry in self._entries):
            nameless = (entry for entry in self._entries if entry.id is None)
            entry = next(nameless, None)
            if entry is not None:
                entry.id = id_

    def remove(self, id_: str) -> None:
        """Forget what is known by an id."""
        for entry in [entry for entry in self._entries if entry.id == id_]:
            self._entries.remove(entry)
            self._bytes -= entry.size

    def word(self, id_: str, text: str) -> None:
        """Put words to what was spoken, unless an answer was asked for without them already."""
        for entry in self._entries:
            if entry.id == id_ and entry.number >= self._asked:
                self._bytes -= entry.size
                entry.turns = clipped([Turn("user", text)])
                entry.size = sum([size_of(turn.text) for turn in entry.turns])
                self._bytes += entry.size
        self._forget()

    def find(self, id_: str) -> tuple[Turn, ...]:
        """Return the turns that are known by an id."""
        return next((entry.turns for entry in self._entries if entry.id == id_), ())

    def asked(self) -> list[Turn]:
        """Return all turns, for which an answer is asked now."""
        self._asked = self._count
        return [turn for entry in self._entries for turn in entry.turns]

    def _forget(self) -> None:
        entries = self._entries
        while len(entries) > 1 and (self._bytes > MOST_BYTES or len(entries) > MOST_ENTRIES):
            self._bytes -= entries.popleft().size


def clipped(turns: Iterable[Turn]) -> tuple[Turn, ...]:
    """Return the newest turns that there is room for, both ends of the one that is too long."""
    kept: list[Turn] = []
    room = MOST_BYTES
    for turn in reversed(list(turns)):
        if room <= 0 or len(kept) >= MOST_ENTRIES:
            break
        text = _ends(turn.text, room)
        kept.append(turn if text == turn.text else msgspec.structs.replace(turn, text=text))
        room -= size_of(text)
    return tuple(reversed(kept))


def _ends(text: str, most: int) -> str:
    if size_of(text) <= most:
        return text
    half = text.encode("utf-8", "replace")
    return (half[: most // 2] + half[-(most // 2) :]).decode("utf-8", "ignore")


def size_of(text: str) -> int:
    """Return the bytes of a text."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
