"""Amazon's binary event streams, framed as its servers frame them."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from typing import Any


def header(name: str, value: str) -> bytes:
    """Return a header whose value is a string."""
    encoded = value.encode()
    return bytes([len(name)]) + name.encode() + b"\7" + struct.pack(">H", len(encoded)) + encoded


def frame(payload: bytes, *headers: bytes) -> bytes:
    """Return a message with its lengths and checksums."""
    head = b"".join(headers)
    lengths = struct.pack(">II", 16 + len(head) + len(payload), len(head))
    message = lengths + struct.pack(">I", zlib.crc32(lengths)) + head + payload
    return message + struct.pack(">I", zlib.crc32(message))


def event(kind: str, payload: object) -> bytes:
    """Return an event."""
    return frame(
        json.dumps(payload, ensure_ascii=False).encode(),
        header(":event-type", kind),
        header(":content-type", "application/json"),
        header(":message-type", "event"),
    )


def exception(kind: str) -> bytes:
    """Return what an upstream sends when it fails in the middle."""
    return frame(
        b'{"message":"Too many requests"}',
        header(":exception-type", kind),
        header(":content-type", "application/json"),
        header(":message-type", "exception"),
    )


def model_chunk(value: Any) -> bytes:  # noqa: ANN401
    """Return a piece of what a model answers in words of its own."""
    inner = base64.b64encode(json.dumps(value, ensure_ascii=False).encode()).decode()
    return event("chunk", {"bytes": inner, "p": "abcdefgh"})
