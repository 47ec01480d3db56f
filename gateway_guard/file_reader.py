"""Read the file of one upload as it arrives: from its lines to elements without a word."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gateway_guard.dialects.batch_lines import cut_line, read_line
from gateway_guard.dialects.lists import portions
from gateway_guard.dialects.multipart import Multipart
from gateway_guard.lines import LONGEST_LINE, Lines
from gateway_guard.subjects import hash_of

if TYPE_CHECKING:
    from gateway_guard.buffers import HeldBody
    from gateway_guard.dialects.multipart import Part
    from gateway_guard.elements import Element
    from gateway_guard.engine import Engine
    from gateway_guard.exchange import Exchange
    from gateway_guard.features import CueHit
    from gateway_guard.lines import Chance
    from gateway_guard.principal import Principal
    from gateway_guard.timeline import Timeline

_BATCH = b"batch"
_PURPOSE, _FILE = b"purpose", b"file"
_MOST_PURPOSE_BYTES = 64
_MOST_PURPOSES = 8
_MOST_SHOWN = 4096


class FileReader:
    """Draws lines of one file, reads them, and forgets them at once."""

    def __init__(
        self,
        engine: Engine,
        timeline: Timeline,
        principal: Principal,
        chance: Chance,
        room: HeldBody,
    ) -> None:
        """Read for ``principal``; ``room`` holds one line at a time."""
        self._engine = engine
        self._timeline = timeline
        self._principal = principal
        self._chance = chance
        self._known = engine.memory.history.known(hash_of(principal.claimed or principal.key))
        self._shown: dict[int, tuple[CueHit, ...]] = {}
        self._lines = Lines(chance, _Room(room), self._read, self._keep)
        self._latest: tuple[Element, float] | None = None
        self._drawn: list[tuple[Element, float]] = []
        self._form: Multipart | None = None
        self._purposes: list[_Value] = []
        self._complete = False

    def of_form(self, boundary: bytes) -> FileReader:
        """Look for the file among the parts of a form."""
        self._form = Multipart(boundary, self._part)
        return self

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        if self._form is not None:
            self._form.feed(data)
        else:
            self._lines.feed(data)

    def work(self) -> bool:
        """Read some lines; return whether there are more to be read at once."""
        return self._lines.work()

    def end(self) -> None:
        """Take note that the body is complete; the file of a form was if its last boundary came."""
        if self._form is None:
            self.end_file()

    def end_file(self) -> None:
        """Take note that the file is complete."""
        self._lines.end()
        self._complete = True

    def feed_file(self, data: bytes) -> None:
        """Take the next bytes of the file."""
        self._lines.feed(data)

    def let_go(self) -> None:
        """Give the room of a line back; may be called again."""
        self._lines.let_go()

    def elements(self) -> list[Element]:
        """Return the exchanges of the file, nothing where it is incomplete or for other purposes.

        Those that were drawn stand for all.
        """
        if not self._complete or not (self._form is None or self._is_batch()):
            return []
        times = portions(self._lines.asked, len(self._drawn)) if self._drawn else []
        return [
            msgspec.structs.replace(element, times=max(1, round(each * scale)))
            for (element, scale), each in zip(self._drawn, times, strict=True)
        ]

    def _part(self, name: bytes, *, is_file: bool) -> Part | None:
        if name == _PURPOSE and not is_file and len(self._purposes) < _MOST_PURPOSES:
            self._purposes.append(_Value())
            return self._purposes[-1]
        if name != _FILE and not is_file:
            return None
        return _File(self) if not self._purposes or self._is_batch() else None

    def _is_batch(self) -> bool:
        return any(value.text.strip() == _BATCH for value in self._purposes)

    def _read(self, line: bytes, *, cut: bool) -> bool:
        """Read a line; tell whether there was a request in it."""
        exchange = cut_line(line) if cut else read_line(line)
        if exchange is None:
            return False
        parts = (exchange, *exchange.others)
        part = parts[self._chance.below(len(parts))] if exchange.others else exchange
        now = self._timeline.now()
        element = self._engine.read_ahead(self._principal, part, self._look_up, now)
        for text, hits in element.features.new_hits:
            if len(self._shown) < _MOST_SHOWN:
                self._shown[text] = hits
        self._latest = (element, _answers(*parts) / _answers(part))
        return True

    def _look_up(self, text: int) -> tuple[CueHit, ...] | None:
        """Return the hits of a text that the key has shown, in this file or before."""
        hits = self._shown.get(text)
        return self._known(text) if hits is None else hits

    def _keep(self, place: int) -> None:
        """Have the line that was read last take a place among those drawn."""
        if self._latest is None:
            return
        if place < len(self._drawn):
            self._drawn[place] = self._latest
        else:
            self._drawn.append(self._latest)


def _answers(*exchanges: Exchange) -> int:
    return sum([max(1, one.sampling.answers) for one in exchanges])


class _Room:
    """Room for one line in the budget of buffers."""

    __slots__ = ("_body",)

    def __init__(self, body: HeldBody) -> None:
        self._body = body

    def take(self, chunk: bytes) -> bool:
        return self._body.take(chunk) and self._body.counted_bytes <= LONGEST_LINE

    def let_go(self) -> bytes:
        return self._body.let_go()


class _File:
    """The part of a form that holds the file."""

    __slots__ = ("_reader",)

    def __init__(self, reader: FileReader) -> None:
        self._reader = reader

    def feed(self, data: bytes) -> None:
        self._reader.feed_file(data)

    def end(self) -> None:
        self._reader.end_file()


class _Value:
    """A part of a form that holds a short text."""

    __slots__ = ("text",)

    def __init__(self) -> None:
        self.text = b""

    def feed(self, data: bytes) -> None:
        self.text = (self.text + data)[:_MOST_PURPOSE_BYTES]

    def end(self) -> None:
        """Nothing is to be done."""
