"""Decode gzip and deflate, with what Python has."""

from __future__ import annotations

import zlib

MOST_MEMBERS = 1000
WINDOW_BYTES = 2**16
"""What follows the end of a member is copied; so little is looked at in one go."""

_GZIP = 16 + zlib.MAX_WBITS
_RAW = -zlib.MAX_WBITS
_HEADER_BYTES = 2


class Inflater:
    """Decodes gzip, of several members too, and deflate, with a zlib header or raw."""

    __slots__ = ("_gzip", "_head", "_inflate", "_left", "_members", "_most_at_once", "stopped")

    def __init__(self, *, gzip: bool, most: int, most_at_once: int) -> None:
        self.stopped = False
        self._gzip = gzip
        self._inflate = zlib.decompressobj(_GZIP) if gzip else None
        self._left = most
        self._most_at_once = most_at_once
        self._members = 1
        self._head = b""

    def decode(self, chunk: bytes) -> bytes:
        """Return what the next bytes decode to."""
        if self.stopped:
            return b""
        data = self._head + chunk
        if self._inflate is None:
            # RFC 9110 means zlib by deflate, some servers send it raw: the first two bytes tell.
            if len(data) < _HEADER_BYTES:
                self._head = data
                return b""
            self._inflate = zlib.decompressobj(zlib.MAX_WBITS if _is_zlib(data) else _RAW)
        self._head = b""
        pieces: list[bytes] = []
        try:
            self._inflate_into(pieces, data)
        except zlib.error:
            self.stopped = True
        decoded = b"".join(pieces)
        self._left -= len(decoded)
        return decoded

    def _inflate_into(self, pieces: list[bytes], data: bytes) -> None:
        room = min(self._left, self._most_at_once)
        for begin in range(0, len(data), WINDOW_BYTES):
            room = self._inflate_window(pieces, data[begin : begin + WINDOW_BYTES], room)
            if self.stopped:
                return

    def _inflate_window(self, pieces: list[bytes], data: bytes, room: int) -> int:
        """Add what a few bytes decode to; return how much there is still room for."""
        while data := self._unpadded(data):
            inflate = self._current()
            if inflate is None or room <= 0:
                self.stopped = True
                return 0
            pieces.append(inflate.decompress(data, room))
            room -= len(pieces[-1])
            if inflate.unconsumed_tail or (room <= 0 and not inflate.eof):
                self.stopped = True
                return 0
            data = inflate.unused_data
        return room

    def _unpadded(self, data: bytes) -> bytes:
        """Return the bytes without the zeroes that may follow the end of a member."""
        ended = self._inflate is not None and self._inflate.eof
        return data.lstrip(b"\0") if ended else data

    def _current(self) -> zlib._Decompress | None:
        """Return what decodes the next bytes, ``None`` where nothing may follow."""
        if self._inflate is None or not self._inflate.eof:
            return self._inflate
        self._members += 1
        if not self._gzip or self._members > MOST_MEMBERS:
            return None
        self._inflate = zlib.decompressobj(_GZIP)
        return self._inflate


def _is_zlib(head: bytes) -> bool:
    """Tell a zlib header (RFC 1950, section 2.2) from raw deflate."""
    return head[0] & 0x0F == zlib.DEFLATED and (head[0] << 8 | head[1]) % 31 == 0
