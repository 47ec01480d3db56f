"""Read Amazon's binary event streams (application/vnd.amazon.eventstream) as they pass by.

A message is framed by its length, the length of its headers and checksums; what it says is JSON.
"""

from __future__ import annotations

import zlib
from struct import Struct
from typing import TYPE_CHECKING, Generic, TypeVar

from gateway_guard.dialects.readers import BATCH_BYTES
from gateway_guard.dialects.tally import Tally
from gateway_guard.dialects.values import read_values
from gateway_guard.exchange import Answer

if TYPE_CHECKING:
    from gateway_guard.dialects.base import ResponseReader
    from gateway_guard.dialects.readers import Grammar
    from gateway_guard.exchange import Hear

T = TypeVar("T")

MOST_MESSAGE_BYTES = 2**20

_PRELUDE = Struct(">III")  # total length, length of the headers, checksum of these two
_LENGTHS_BYTES = 8
_CHECKSUM_BYTES = 4
_LEAST_BYTES = _PRELUDE.size + _CHECKSUM_BYTES
_EVENT = b"\x0d:message-type\x07\x00\x05event"
_LARGEST_FIRST_BYTE = 1  # of the length of a message, which has 24 MiB at most


class FramesReader(Generic[T]):
    """Reads a body of framed messages; after one that is framed wrongly nothing is read."""

    __slots__ = ("_buffer", "_digest_key", "_grammar", "_lost", "_skip", "_tally")

    def __init__(self, grammar: Grammar[T], digest_key: bytes) -> None:
        self._grammar = grammar
        self._digest_key = digest_key
        self._tally = Tally()
        self._buffer = bytearray()
        self._skip = 0
        self._lost = False

    @property
    def held_bytes(self) -> int:
        """Return how many bytes are held that have not been read yet."""
        return len(self._buffer)

    def feed(self, chunk: bytes) -> None:
        """Keep the next bytes; read once there are enough."""
        if self._skip:
            skipped = min(self._skip, len(chunk))
            self._skip -= skipped
            chunk = chunk[skipped:]
        if self._lost:
            return
        self._buffer += chunk
        if len(self._buffer) >= BATCH_BYTES:
            self._drain()

    def finish(self, hear: Hear | None = None) -> Answer:
        """Read the rest, without a message that broke off, and return what was seen."""
        self._drain()
        return self._tally.answer(self._digest_key, hear)

    def _drain(self) -> None:
        """Read the messages that are complete and keep the rest."""
        buffer, at, values = self._buffer, 0, list[bytes]()
        while (total := self._length(buffer, at)) is not None:
            end = at + total
            if end > len(buffer):
                if total > MOST_MESSAGE_BYTES:
                    self._skip = end - len(buffer)
                    at = len(buffer)
                break
            self._take(bytes(buffer[at:end]), values)
            at = end
        del buffer[:at]
        if self._lost:
            buffer.clear()
        read_values(self._grammar, values, self._tally)

    def _length(self, buffer: bytearray, at: int) -> int | None:
        """Return the length of the message at a place, ``None`` where its prelude is not there."""
        if len(buffer) - at < _LEAST_BYTES:
            return None
        total, headers, checksum = _PRELUDE.unpack_from(buffer, at)
        sound = headers + _LEAST_BYTES <= total
        if sound and zlib.crc32(buffer[at : at + _LENGTHS_BYTES]) == checksum:
            return int(total)
        self._lost = True
        return None

    def _take(self, message: bytes, values: list[bytes]) -> None:
        _, headers, _ = _PRELUDE.unpack_from(message)
        begin = _PRELUDE.size + headers
        if _EVENT not in message[:begin]:
            self._tally.failed = True
        elif begin < len(message) - _CHECKSUM_BYTES:
            values.append(message[begin:-_CHECKSUM_BYTES])


class EitherReader:
    """Reads framed messages, or what a server sends that does not stream: the first byte tells."""

    __slots__ = ("_chosen", "_frames", "_other")

    def __init__(self, frames: ResponseReader, other: ResponseReader) -> None:
        self._frames = frames
        self._other = other
        self._chosen: ResponseReader | None = None

    @property
    def held_bytes(self) -> int:
        """Return how many bytes are held that have not been read yet."""
        return 0 if self._chosen is None else self._chosen.held_bytes

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes."""
        if self._chosen is None and chunk:
            self._chosen = self._frames if chunk[0] <= _LARGEST_FIRST_BYTE else self._other
        if self._chosen is not None:
            self._chosen.feed(chunk)

    def finish(self, hear: Hear | None = None) -> Answer:
        """Return what was seen."""
        return Answer() if self._chosen is None else self._chosen.finish(hear)
