"""Decode Brotli (RFC 7932); importing this needs the package ``brotli``."""

from __future__ import annotations

from typing import Any

import brotli

_STEP_BYTES = 2**16

if not hasattr(brotli.Decompressor, "can_accept_more_data"):
    message = "brotli before 1.2 does not bound what it decodes at once"
    raise ImportError(message)


class Decoder:
    """Decodes one stream."""

    __slots__ = ("_left", "_most_at_once", "_stream", "stopped")

    def __init__(self, most: int, most_at_once: int) -> None:
        self.stopped = False
        self._left = most
        self._most_at_once = most_at_once
        self._stream: Any = brotli.Decompressor()

    def decode(self, chunk: bytes) -> bytes:
        """Return what the next bytes decode to."""
        if self.stopped or not chunk:
            return b""
        pieces: list[bytes] = []
        try:
            self._decode_into(pieces, chunk, min(self._left, self._most_at_once))
        except brotli.error:
            self.stopped = True
        decoded = b"".join(pieces)
        self._left -= len(decoded)
        return decoded

    def _decode_into(self, pieces: list[bytes], chunk: bytes, room: int) -> None:
        stream = self._stream
        if stream.is_finished():
            self.stopped = True
            return
        while not self.stopped:
            piece = stream.process(chunk, output_buffer_limit=_STEP_BYTES)
            pieces.append(piece[:room])
            self.stopped = len(piece) > room
            room -= len(piece)
            # What was taken in can hold more than was asked for.
            full = len(piece) >= _STEP_BYTES or (piece and not stream.can_accept_more_data())
            if stream.is_finished() or not full:
                return
            chunk = b""
