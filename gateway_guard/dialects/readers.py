"""Read response bodies as they pass by: as events of a stream, or as one JSON document.

Reading is put off: bytes are collected and read many events at a time, which costs a fraction of
what reading each chunk would.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from gateway_guard.dialects.decoding import decoder_of
from gateway_guard.dialects.lenient import UNREADABLE, parse
from gateway_guard.dialects.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable

    import msgspec

    from gateway_guard.exchange import Answer, Hear

T = TypeVar("T")

BATCH_BYTES = 16 * 1024
MOST_EVENT_BYTES = 2**20
MOST_BODY_BYTES = 2**23
MOST_LINES = 100_000
MOST_BROKEN_LINES = 1_000

_BOM = b"\xef\xbb\xbf"
_DATA = re.compile(rb"\ndata:([^\n]*)")
_ERROR_EVENT = b"\nevent: error\n"
_DONE = b"[DONE]"
_SPEAKS = re.compile(rb'["{\[]')
"""Without one of these a line holds a number or a name, which say nothing."""
_ID = "id"


class Grammar(Generic[T]):
    """How a dialect's response bodies are read: what a chunk is, and what it adds to a tally.

    Where every chunk repeats the answer's id, ``naming`` is a chunk with it, as raw JSON in ``id``:
    chunks are read so until one has told it.
    """

    __slots__ = ("_decoder", "_mend", "_naming", "absorb")

    def __init__(
        self,
        kind: type[T],
        mend: Callable[[object], T | None],
        absorb: Callable[[T, Tally], None],
        naming: type[Any] | None = None,
    ) -> None:
        self._decoder = decoder_of(kind)
        self._naming = None if naming is None else decoder_of(naming)
        self._mend = mend
        self.absorb = absorb

    def read(self, text: bytes, tally: Tally) -> None:
        """Absorb JSON values separated by white space.

        Raises one of ``UNREADABLE``, with nothing absorbed, where one of them is not as expected.
        """
        if tally.id is None and self._naming is not None:
            chunks = self._named(self._naming, text, tally)
        else:
            chunks = self._decoder.decode_lines(text)
        for chunk in chunks:
            self.absorb(chunk, tally)

    def _named(self, naming: msgspec.json.Decoder[Any], text: bytes, tally: Tally) -> list[Any]:
        """Return what ``read`` absorbs, having looked for the answer's id: mostly it comes first.

        The first value may stand on several lines, or come before there is an id, as with Azure.
        """
        first, _, rest = text.partition(b"\n")
        try:
            chunks = naming.decode_lines(first)
        except UNREADABLE:
            rest, chunks = text, []
        for chunk in chunks:
            tally.name(chunk.id)
        if not rest:
            return chunks
        if tally.id is not None:
            return chunks + self._decoder.decode_lines(rest)
        others = naming.decode_lines(rest)
        for chunk in others:
            tally.name(chunk.id)
        return chunks + others

    def read_loosely(self, text: bytes, tally: Tally) -> bool:
        """Absorb one JSON value as far as it makes sense; tell whether it was JSON at all."""
        try:
            self.absorb_plain(parse(text), tally)
        except UNREADABLE:
            return False
        return True

    def read_loosely_by_lines(self, lines: list[bytes], tally: Tally) -> None:
        """Absorb the JSON value that the lines make up, or those that each of them is."""
        # Two parsers turn down what is blank, which takes them longer than it takes to see that.
        lines = [line for line in lines if line and not line.isspace()]
        if lines and not self.read_loosely(b"\n".join(lines), tally) and len(lines) > 1:
            broken = 0
            for line in filter(_SPEAKS.search, lines[:MOST_LINES]):
                broken += not self.read_loosely(line, tally)
                if broken > MOST_BROKEN_LINES:
                    break

    def absorb_plain(self, data: object, tally: Tally) -> None:
        """Absorb what a JSON parser returned, as far as it makes sense.

        A list is taken for several answers: of LiteLLM, where several models were asked.
        """
        chunk = self._mend(data)
        values = data[:MOST_LINES] if chunk is None and isinstance(data, list) else ()
        for found in (chunk, *map(self._mend, values)):
            if found is not None:
                self.absorb(found, tally)
                if self._naming is not None:
                    tally.name(getattr(found, _ID, None))


class JsonReader(Generic[T]):
    """Reads a body that is one JSON document, or several separated by white space."""

    __slots__ = ("_body", "_digest_key", "_grammar", "_overflown")

    def __init__(self, grammar: Grammar[T], digest_key: bytes) -> None:
        self._grammar = grammar
        self._digest_key = digest_key
        self._body = bytearray()
        self._overflown = False

    @property
    def held_bytes(self) -> int:
        """Return how many bytes are held that have not been read yet."""
        return len(self._body)

    def feed(self, chunk: bytes) -> None:
        """Keep the next bytes; a body over the bound is let go and not read."""
        if self._overflown:
            return
        self._body += chunk
        if len(self._body) > MOST_BODY_BYTES:
            self._overflown = True
            self._body = bytearray()

    def finish(self, hear: Hear | None = None) -> Answer:
        """Return what the body says, or an empty answer."""
        tally = Tally()
        body = bytes(self._body)
        try:
            self._grammar.read(body, tally)
        except UNREADABLE:
            self._grammar.read_loosely_by_lines(body.splitlines(), tally)
        return tally.answer(self._digest_key, hear)


class StreamReader(Generic[T]):
    """Reads server-sent events (WHATWG HTML, section 9.2.6) whose data are JSON."""

    __slots__ = ("_buffer", "_digest_key", "_grammar", "_mark", "_skipping", "_started", "_tally")

    def __init__(self, grammar: Grammar[T], digest_key: bytes) -> None:
        self._grammar = grammar
        self._digest_key = digest_key
        self._tally = Tally()
        self._buffer = bytearray()
        self._mark = BATCH_BYTES
        self._skipping = False
        self._started = False

    @property
    def held_bytes(self) -> int:
        """Return how many bytes are held that have not been read yet."""
        return len(self._buffer)

    def feed(self, chunk: bytes) -> None:
        """Keep the next bytes; read once there are enough."""
        buffer = self._buffer
        buffer += chunk
        if len(buffer) >= self._mark:
            self._drain()

    def finish(self, hear: Hear | None = None) -> Answer:
        """Read the rest, an event without its blank line included, and return what was seen."""
        text = self._without_mark(_with_newlines(bytes(self._buffer)))
        self._buffer = bytearray()
        if self._skipping:
            text = text.partition(b"\n\n")[2]
        self._read(text)
        if text.lstrip()[:1] in (b"{", b"["):
            # No event begins like this: it is the JSON error body of a server that did not stream.
            self._grammar.read_loosely(text, self._tally)
        return self._tally.answer(self._digest_key, hear)

    def _drain(self) -> None:
        """Read the events that are complete and keep the rest."""
        text = bytes(self._buffer)
        # A carriage return at the very end may be the first half of a line end.
        held = b"\r" if text.endswith(b"\r") else b""
        text = self._without_mark(_with_newlines(text[:-1] if held else text))
        if self._skipping:
            text = self._skip(text)
        complete, end, rest = text.rpartition(b"\n\n")
        if end:
            self._read(complete)
        if len(rest) > MOST_EVENT_BYTES:
            self._skipping = True
            rest = rest[-1:]
        self._buffer = bytearray(rest + held)
        self._mark = min(max(BATCH_BYTES, 2 * len(rest)), MOST_EVENT_BYTES + BATCH_BYTES)

    def _skip(self, text: bytes) -> bytes:
        """Return what follows the event that is being skipped, or the last byte of it."""
        _, end, rest = text.partition(b"\n\n")
        self._skipping = not end
        return rest if end else text[-1:]

    def _without_mark(self, text: bytes) -> bytes:
        if self._started:
            return text
        self._started = True
        return text.removeprefix(_BOM)

    def _read(self, events: bytes) -> None:
        text = b"\n" + events + b"\n"
        if _ERROR_EVENT in text:
            self._tally.failed = True
        # The lines of one event may be joined by any white space: what they make up is JSON.
        data = b"\n".join(_DATA.findall(text)).rstrip().removesuffix(_DONE)
        try:
            self._grammar.read(data, self._tally)
        except UNREADABLE:
            self._read_one_by_one(text)
        self._tally.settle()

    def _read_one_by_one(self, text: bytes) -> None:
        for event in text.split(b"\n\n"):
            lines = [line[5:] for line in event.split(b"\n") if line.startswith(b"data:")]
            self._grammar.read_loosely_by_lines(lines, self._tally)


def _with_newlines(text: bytes) -> bytes:
    if b"\r" not in text:
        return text
    return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
