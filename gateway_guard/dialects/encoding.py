"""Decode bodies as they pass by, within caps: a bomb is no longer read, and nothing is raised."""

from __future__ import annotations

import zlib
from typing import Protocol

MOST_DECODED_BYTES = 2**26
MOST_DECODED_AT_ONCE = 2**23
MOST_MEMBERS = 1000

_GZIP = 16 + zlib.MAX_WBITS
_RAW = -zlib.MAX_WBITS
_HEADER_BYTES = 2


class Decoder(Protocol):
    """Undoes one content encoding."""

    stopped: bool
    """Whether something was left unread: it was over a cap, or not in the encoding it claims."""

    def decode(self, chunk: bytes) -> bytes:
        """Return what the next bytes decode to, nothing once ``stopped``; never raises."""
        ...


def decoder_for(
    content_encoding: bytes | str, most_bytes: int = MOST_DECODED_BYTES
) -> Decoder | None:
    """Return a decoder for a ``content-encoding`` header, ``None`` where it cannot be decoded.

    Args:
        content_encoding: the value of the header; empty where there is none.
        most_bytes: how much is decoded in all.

    """
    if isinstance(content_encoding, bytes):
        content_encoding = content_encoding.decode("latin-1")
    names = [name.strip().lower() for name in content_encoding.split(",")]
    names = [name for name in names if name not in {"", "identity"}]
    if not names:
        return Identity()
    if names in (["gzip"], ["x-gzip"]):
        return Inflater(gzip=True, most_bytes=most_bytes)
    return Inflater(gzip=False, most_bytes=most_bytes) if names == ["deflate"] else None


class Identity:
    """Decodes what was not encoded."""

    __slots__ = ("stopped",)

    def __init__(self) -> None:
        self.stopped = False

    def decode(self, chunk: bytes) -> bytes:
        """Return the bytes as they are."""
        return chunk


class Inflater:
    """Decodes gzip, of several members too, and deflate, with a zlib header or raw."""

    __slots__ = ("_gzip", "_head", "_inflate", "_left", "_members", "stopped")

    def __init__(self, *, gzip: bool, most_bytes: int) -> None:
        self.stopped = False
        self._gzip = gzip
        self._inflate = zlib.decompressobj(_GZIP) if gzip else None
        self._left = most_bytes
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
        room = min(self._left, MOST_DECODED_AT_ONCE)
        while data := self._unpadded(data):
            inflate = self._current()
            if inflate is None or room <= 0:
                self.stopped = True
                return
            pieces.append(inflate.decompress(data, room))
            room -= len(pieces[-1])
            if inflate.unconsumed_tail:
                self.stopped = True
                return
            data = inflate.unused_data

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
