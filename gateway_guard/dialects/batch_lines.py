"""The lines of files for batches: each holds a request, and says where it would be sent."""

from __future__ import annotations

import msgspec

from gateway_guard.dialects.asides import ABSENT
from gateway_guard.dialects.decoding import decoder_of
from gateway_guard.dialects.density import both_ends
from gateway_guard.dialects.lenient import UNREADABLE, normalise
from gateway_guard.dialects.registry import GENERIC, read_request
from gateway_guard.exchange import Exchange, Turn

_MOST_VALUES = 2**12
_MOST_TEXT_BYTES = 2**16
_GEMINI = "/models/:generateContent"


class _Line(msgspec.Struct, gc=False):
    url: str = ""
    body: msgspec.Raw = ABSENT
    request: msgspec.Raw = ABSENT


_DECODER = decoder_of(_Line, strict=True)


def read_line(line: bytes) -> Exchange | None:
    """Return the exchange in a line of OpenAI's or of Gemini's shape, ``None`` where there is none.

    Never raises. A line of very many values is read as text; one without either is read as what a
    request itself may be.
    """
    if _is_dense(line):
        return cut_line(line)
    made = _decoded(line)
    if made is None:
        return None
    if made.body:
        return read_request(bytes(made.body), made.url)[1]
    if made.request:
        return read_request(bytes(made.request), _GEMINI)[1]
    return read_request(line, made.url)[1]


def cut_line(begin: bytes) -> Exchange:
    """Return the exchange in a line of which only the beginning was kept, or can be."""
    text = both_ends(begin[:_MOST_TEXT_BYTES])
    return Exchange(GENERIC.name, "", (Turn("user", text),), unparsed=True)


def _is_dense(line: bytes) -> bool:
    """Tell whether a line holds very many values; what stands inside strings is no value."""
    if line.count(b"{") + line.count(b"[") <= _MOST_VALUES:
        return False
    bare = line.replace(b"\\\\", b"").replace(b'\\"', b"")
    outside = b"".join(bare.split(b'"')[::2])
    return outside.count(b"{") + outside.count(b"[") > _MOST_VALUES


def _decoded(line: bytes) -> _Line | None:
    try:
        return _DECODER.decode(line)
    except UNREADABLE:
        pass
    try:
        return _DECODER.decode(normalise(line))
    except UNREADABLE:
        return None
