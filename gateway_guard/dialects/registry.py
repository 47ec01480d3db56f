"""Choose the dialect by the path, and read any body at all."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from gateway_guard.dialects.anthropic_messages import AnthropicMessages
from gateway_guard.dialects.bounds import TooLargeError
from gateway_guard.dialects.generic import Generic
from gateway_guard.dialects.lenient import UNREADABLE, normalise, normalise_form
from gateway_guard.dialects.openai_chat import OpenAIChat
from gateway_guard.exchange import Exchange, Turn

if TYPE_CHECKING:
    from gateway_guard.dialects.base import Dialect

GENERIC = Generic()
DIALECTS: tuple[Dialect, ...] = (OpenAIChat(), AnthropicMessages(), GENERIC)

_MOST_UNPARSED_BYTES = 2**20
_ASKS = re.compile(rb"[\"'](?:prompts?|messages|inputs?|contents?|query|question|text)[\"']\s*:")


def dialect_for(path: str) -> Dialect:
    """Return the dialect that is spoken at a decoded path, without ``root_path``."""
    return next((dialect for dialect in DIALECTS if dialect.recognise(path)), GENERIC)


def read_request(body: bytes, path: str) -> tuple[Dialect, Exchange | None]:
    """Return the dialect of a path and the exchange in a body; never raises.

    The exchange is ``None`` where nothing asks a model for an answer. A body that nothing reads is
    an exchange with ``unparsed`` set.
    """
    dialect = dialect_for(path)
    if not body or body.isspace():
        return dialect, None
    try:
        return dialect, _read(dialect, body, path)
    except TooLargeError:
        exchange = _unparsed(dialect, body)
    except UNREADABLE:
        exchange = _read_leniently(dialect, body, path)
    if exchange is not None:
        exchange = msgspec.structs.replace(exchange, body_bytes=len(body))
    return dialect, exchange


def _read(dialect: Dialect, body: bytes, path: str) -> Exchange | None:
    exchange = dialect.read_request(body, path)
    if exchange is None and dialect is not GENERIC:
        # The server may know a name for its prompts that the dialect does not.
        return GENERIC.read_request(body, path)
    return exchange


def _read_leniently(dialect: Dialect, body: bytes, path: str) -> Exchange | None:
    try:
        return _read(dialect, normalise_form(body) or normalise(body), path)
    except UNREADABLE:
        return _unparsed(dialect, body)


def _unparsed(dialect: Dialect, body: bytes) -> Exchange | None:
    kept = _both_ends(body).replace(b"\0", b"")
    if dialect is GENERIC and not _ASKS.search(kept):
        return None
    turn = Turn("user", kept.decode("utf-8", "replace"))
    return Exchange(dialect.name, "", (turn,), unparsed=True)


def _both_ends(body: bytes) -> bytes:
    if len(body) <= _MOST_UNPARSED_BYTES:
        return body
    half = _MOST_UNPARSED_BYTES // 2
    return body[:half] + body[-half:]
