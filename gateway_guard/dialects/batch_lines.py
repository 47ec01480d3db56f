"""The lines of files for batches: each holds a request, and says where it would be sent."""

from __future__ import annotations

import msgspec

from gateway_guard.dialects.asides import ABSENT
from gateway_guard.dialects.density import both_ends
from gateway_guard.dialects.lenient import UNREADABLE, normalise
from gateway_guard.dialects.registry import GENERIC, read_request
from gateway_guard.exchange import Exchange, Turn

_GEMINI = "/models/:generateContent"


class _Line(msgspec.Struct, gc=False):
    url: str = ""
    body: msgspec.Raw = ABSENT
    request: msgspec.Raw = ABSENT


_DECODER = msgspec.json.Decoder(_Line)


def read_line(line: bytes) -> Exchange | None:
    """Return the exchange in a line of OpenAI's or of Gemini's shape, ``None`` where there is none.

    Never raises. A line without either is read as what a request itself may be.
    """
    made = _decoded(line)
    if made is None:
        return None
    if made.body:
        return read_request(bytes(made.body), made.url)[1]
    if made.request:
        return read_request(bytes(made.request), _GEMINI)[1]
    return read_request(line, made.url)[1]


def cut_line(begin: bytes) -> Exchange:
    """Return the exchange in a line of which only the beginning was kept."""
    return Exchange(GENERIC.name, "", (Turn("user", both_ends(begin)),), unparsed=True)


def _decoded(line: bytes) -> _Line | None:
    try:
        return _DECODER.decode(line)
    except UNREADABLE:
        pass
    try:
        return _DECODER.decode(normalise(line))
    except UNREADABLE:
        return None
