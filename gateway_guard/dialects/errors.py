"""Shape the body of a refusal as the official clients expect it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from gateway_guard.dialects.base import Refusal

_OPENAI_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
    503: "server_error",
}
_ANTHROPIC_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}
_FIRST_SERVER_ERROR = 500


def openai_error_body(refusal: Refusal) -> bytes:
    """Return OpenAI's error object, which most other servers have taken over."""
    fallback = _fallback(refusal, "server_error")
    error = {
        "message": refusal.message,
        "type": _OPENAI_TYPES.get(refusal.status, fallback),
        "param": None,
        "code": refusal.code,
    }
    return msgspec.json.encode({"error": error})


def anthropic_error_body(refusal: Refusal) -> bytes:
    """Return Anthropic's error object, which carries the request's id."""
    kind = _ANTHROPIC_TYPES.get(refusal.status, _fallback(refusal, "api_error"))
    error = {"type": kind, "message": refusal.message}
    return msgspec.json.encode({"type": "error", "error": error, "request_id": refusal.request_id})


def _fallback(refusal: Refusal, server_error: str) -> str:
    return server_error if refusal.status >= _FIRST_SERVER_ERROR else "invalid_request_error"
