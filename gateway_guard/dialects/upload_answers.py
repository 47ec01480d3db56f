"""Answers to uploads: which id the file was given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gateway_guard.dialects.decoding import decoder_of
from gateway_guard.dialects.encoding import decoder_for
from gateway_guard.dialects.lenient import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway_guard.dialects.encoding import Decoder

_OK, _REDIRECT = 200, 300
_MOST_BYTES = 2**16
_LONGEST_ID = 4096


class _Named(msgspec.Struct, gc=False):
    name: str = ""


class _Created(msgspec.Struct, gc=False):
    id: str = ""
    file: _Named | None = None


_DECODER = decoder_of(_Created, strict=True)


class UploadAnswer:
    """The answer to one upload as it passes by."""

    __slots__ = ("_decoder", "_text")

    def __init__(self) -> None:
        """Begin before it has started."""
        self._decoder: Decoder | None = None
        self._text = b""

    def start(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Take note of status and headers; nothing is read of what is not 2xx."""
        if _OK <= status < _REDIRECT:
            encodings = [value for name, value in headers if name.lower() == b"content-encoding"]
            self._decoder = decoder_for(b",".join(encodings))

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the body; those of a long one are no answer to an upload."""
        if self._decoder is not None and len(self._text) <= _MOST_BYTES:
            self._text += self._decoder.decode(chunk)

    def file(self) -> str:
        """Return the id of the file, empty where the answer gives it none."""
        if not self._text or len(self._text) > _MOST_BYTES:
            return ""
        try:
            made = _DECODER.decode(self._text)
        except UNREADABLE:
            return ""
        return (made.file.name if made.file else made.id)[:_LONGEST_ID]
