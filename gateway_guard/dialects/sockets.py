"""Choose how a websocket is read: by its path, or else by the first message on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import msgspec

from gateway_guard.dialects import sampling
from gateway_guard.dialects.decoding import decoder_of
from gateway_guard.dialects.gemini_live import GeminiLive
from gateway_guard.dialects.generic_socket import GenericSocket
from gateway_guard.dialects.lenient import UNREADABLE
from gateway_guard.dialects.openai_realtime import OpenAIRealtime
from gateway_guard.dialects.openai_responses_socket import OpenAIResponsesSocket

if TYPE_CHECKING:
    from gateway_guard.dialects.base import Voice
    from gateway_guard.dialects.sessions import Session

_MOST_QUERY_BYTES = 2**14
_MOST_PARAMETERS = 64
_LIVE = "BidiGenerateContent"
_REALTIME = ("conversation.item.", "input_audio_buffer.", "response.", "session.")


class _First(msgspec.Struct, gc=False):
    """What the first message on a socket may be known by."""

    type: Any = None
    setup: msgspec.Raw = msgspec.Raw()
    input: msgspec.Raw = msgspec.Raw()


_FIRST = decoder_of(_First, strict=True)


def session_for(path: str, query: bytes, message: bytes) -> Session:
    """Return how a websocket at a decoded path is read whose first message is given; never raises.

    Servers are free in where they mount their sockets, so an unknown path says nothing.
    """
    kind = _by_path(path) or _by_message(message) or GenericSocket
    return kind(path, _model(query))


def voice_for(path: str) -> Voice:
    """Return how those are answered who open a websocket at a decoded path."""
    return (_by_path(path) or GenericSocket)(path, "")


def _by_path(path: str) -> type[Session] | None:
    path = path.rstrip("/")
    if path.endswith("/realtime"):
        return OpenAIRealtime
    if path.endswith("/responses"):
        return OpenAIResponsesSocket
    return GeminiLive if _LIVE in path.rpartition("/")[2] else None


def _by_message(message: bytes) -> type[Session] | None:
    try:
        first = _FIRST.decode(message)
    except UNREADABLE:
        return None
    if first.setup:
        return GeminiLive
    if not isinstance(first.type, str) or not first.type.startswith(_REALTIME):
        return None
    return OpenAIResponsesSocket if first.input else OpenAIRealtime


def _model(query: bytes) -> str:
    """Return the model that a query names, empty where it names none."""
    try:
        text = query[:_MOST_QUERY_BYTES].decode("utf-8", "replace")
        fields = parse_qs(text, max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        return ""
    names = [name for key in ("model", "deployment") for name in fields.get(key, ())]
    return sampling.model_name(names[0]) if names else ""
