"""Reading response bodies in pieces, as the middleware does."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from gateway_guard.dialects import dialect_for, read_request
from gateway_guard.exchange import Answer, Exchange, text_digest

if TYPE_CHECKING:
    from collections.abc import Iterable

KEY = b"a key of 16 byte"
PIECES = st.lists(st.binary(max_size=64), max_size=8)


def heard(body: Iterable[bytes], path: str, *, event_stream: bool = False) -> Answer:
    """Read a response body that comes in pieces."""
    reader = dialect_for(path).response_reader(event_stream=event_stream, digest_key=KEY)
    for piece in body:
        reader.feed(piece)
    return reader.finish()


def heard_json(value: object, path: str) -> Answer:
    """Read a response body that is one JSON document."""
    return heard([json.dumps(value).encode()], path)


def same_wherever_split(body: bytes, path: str, *, event_stream: bool = False) -> bool:
    """Tell whether a body reads the same in one piece, in any two, and byte by byte."""
    whole = heard([body], path, event_stream=event_stream)
    cuts = ([body[:at], body[at:]] for at in range(len(body)))
    bytewise = (body[at : at + 1] for at in range(len(body)))
    return heard(bytewise, path, event_stream=event_stream) == whole and all(
        heard(pieces, path, event_stream=event_stream) == whole for pieces in cuts
    )


def cut(body: bytes, places: list[int]) -> list[bytes]:
    """Split bytes at places, which may lie beyond their end."""
    edges = [0, *sorted(min(place, len(body)) for place in places), len(body)]
    return [body[start:end] for start, end in pairwise(edges)]


def asked(value: object, path: str) -> Exchange:
    """Read a request in which there is an exchange."""
    exchange = read_request(json.dumps(value).encode(), path)[1]
    assert exchange is not None
    return exchange


def digest_of(text: str, *call_ids: str) -> bytes:
    """Return the digest of an answer."""
    return text_digest(text, KEY, call_ids)


def repeated(exchange: Exchange) -> bytes:
    """Return the digest of the first turn of the assistant in a request."""
    turn = next(turn for turn in exchange.turns if turn.role == "assistant")
    return digest_of(turn.text, *turn.call_ids)
