"""Decode bodies as they pass by, within caps: a bomb is no longer read, and nothing is raised.

Encodings that need a package of their own are decoded where that package is installed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final, Protocol

from gateway_guard.dialects.inflating import Inflater

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_DECODED_BYTES = 2**26
MOST_DECODED_AT_ONCE = 2**23
MOST_STACKED = 4
"""Encodings on top of each other; no server is known that undoes more than five."""


class Decoder(Protocol):
    """Undoes one content encoding."""

    @property
    def stopped(self) -> bool:
        """Whether something was left unread: it was over a cap, or not in the encoding it claims.

        What was decoded before is the beginning of the body and no more than that.
        """
        ...

    def decode(self, chunk: bytes) -> bytes:
        """Return what the next bytes decode to, nothing once ``stopped``; never raises."""
        ...


def decoder_for(content_encoding: bytes | str, most_bytes: int | None = None) -> Decoder | None:
    """Return a decoder for a ``content-encoding`` header, ``None`` where it cannot be decoded.

    Args:
        content_encoding: the value of the header; empty where there is none.
        most_bytes: how much is decoded in all, which may come in one piece; if it is not given, 64
            MiB, of which no piece may hold more than 8.

    """
    if isinstance(content_encoding, bytes):
        content_encoding = content_encoding.decode("latin-1")
    names = [name.strip().lower() for name in content_encoding.split(",")]
    names = [name for name in names if name not in {"", "identity"}]
    if not names:
        return Identity()
    makers = [_MAKERS[name] for name in reversed(names) if name in _MAKERS]
    if len(makers) < len(names) or len(names) > MOST_STACKED:
        return None
    most = MOST_DECODED_BYTES if most_bytes is None else most_bytes
    most_at_once = MOST_DECODED_AT_ONCE if most_bytes is None else most_bytes
    decoders = [make(most, most_at_once) for make in makers]
    return decoders[0] if len(decoders) == 1 else Stack(decoders)


class Identity:
    """Decodes what was not encoded."""

    __slots__ = ()

    stopped: Final = False

    def decode(self, chunk: bytes) -> bytes:
        """Return the bytes as they are."""
        return chunk


class Stack:
    """Undoes several encodings, the one that was applied last first."""

    __slots__ = ("_decoders",)

    def __init__(self, decoders: list[Decoder]) -> None:
        self._decoders = decoders

    @property
    def stopped(self) -> bool:
        """Whether one of them has stopped."""
        return any(decoder.stopped for decoder in self._decoders)

    def decode(self, chunk: bytes) -> bytes:
        """Return what the next bytes decode to."""
        for decoder in self._decoders:
            chunk = decoder.decode(chunk)
        return chunk


def _gunzip(most: int, most_at_once: int) -> Decoder:
    return Inflater(gzip=True, most=most, most_at_once=most_at_once)


def _inflate(most: int, most_at_once: int) -> Decoder:
    return Inflater(gzip=False, most=most, most_at_once=most_at_once)


def available() -> dict[str, Callable[[int, int], Decoder]]:
    """Return what makes a decoder for each encoding whose package is installed."""
    makers: dict[str, Callable[[int, int], Decoder]] = {
        "gzip": _gunzip,
        "x-gzip": _gunzip,
        "deflate": _inflate,
    }
    for name, module in (("br", "unbrotli"), ("zstd", "unzstd")):
        try:
            makers[name] = import_module(f"gateway_guard.dialects.{module}").Decoder
        except ImportError:  # the extra is not installed: what is encoded so stays unread
            continue
    return makers


_MAKERS: Final = available()
