"""Decode Zstandard (RFC 8878); importing this needs Python 3.14 or ``backports.zstd``."""

from __future__ import annotations

import sys

from gateway_guard.dialects.inflating import MOST_MEMBERS, WINDOW_BYTES

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# RFC 9659: what is sent by HTTP needs no window over 8 MiB.
_OPTIONS = {int(zstd.DecompressionParameter.window_log_max): 23}


class Decoder:
    """Decodes frames, one after another."""

    __slots__ = ("_frame", "_frames", "_left", "_most_at_once", "stopped")

    def __init__(self, most: int, most_at_once: int) -> None:
        self.stopped = False
        self._left = most
        self._most_at_once = most_at_once
        self._frame = zstd.ZstdDecompressor(options=_OPTIONS)
        self._frames = 1

    def decode(self, chunk: bytes) -> bytes:
        """Return what the next bytes decode to."""
        pieces: list[bytes] = []
        room = min(self._left, self._most_at_once)
        try:
            for begin in range(0, len(chunk), WINDOW_BYTES):
                room = self._decode_window(pieces, chunk[begin : begin + WINDOW_BYTES], room)
        except zstd.ZstdError:
            self.stopped = True
        decoded = b"".join(pieces)
        self._left -= len(decoded)
        return decoded

    def _decode_window(self, pieces: list[bytes], data: bytes, room: int) -> int:
        """Add what a few bytes decode to; return how much there is still room for."""
        while data and not self.stopped:
            frame = self._current()
            piece = frame.decompress(data, room + 1)
            pieces.append(piece[:room])
            if len(piece) > room:
                self.stopped = True
            room -= len(piece)
            data = frame.unused_data if frame.eof else b""
        return room

    def _current(self) -> zstd.ZstdDecompressor:
        """Return what decodes the next bytes."""
        if self._frame.eof:
            self._frame = zstd.ZstdDecompressor(options=_OPTIONS)
            self._frames += 1
            self.stopped = self._frames > MOST_MEMBERS
        return self._frame
