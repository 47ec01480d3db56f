"""Shape the body of a refusal as the clients of the clouds and of smaller servers expect it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from gateway_guard.dialects.base import Refusal

_GOOGLE_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_AMAZON_TYPES = {
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    429: "ThrottlingException",
    503: "ServiceUnavailableException",
}
_FIRST_SERVER_ERROR = 500
_RPC = "type.googleapis.com/google.rpc."
_DOMAIN = "gateway-guard"
_NOT_IN_REASON = re.compile(r"[^A-Z0-9_]")


def google_error_body(refusal: Refusal) -> bytes:
    """Return Google's error object, with the reason and the request's id as its details."""
    fallback = "INTERNAL" if refusal.status >= _FIRST_SERVER_ERROR else "FAILED_PRECONDITION"
    reason = _NOT_IN_REASON.sub("_", refusal.code.upper())
    details = [{"@type": f"{_RPC}ErrorInfo", "reason": reason, "domain": _DOMAIN}]
    if refusal.request_id:
        details.append({"@type": f"{_RPC}RequestInfo", "requestId": refusal.request_id})
    error = {
        "code": refusal.status,
        "message": refusal.message,
        "status": _GOOGLE_STATUSES.get(refusal.status, fallback),
        "details": details,
    }
    return msgspec.json.encode({"error": error})


def amazon_error_body(refusal: Refusal) -> bytes:
    """Return Amazon's error object, whose type its own servers send as a header."""
    server = refusal.status >= _FIRST_SERVER_ERROR
    fallback = "InternalServerException" if server else "ValidationException"
    kind = _AMAZON_TYPES.get(refusal.status, fallback)
    return msgspec.json.encode({"__type": kind, "message": refusal.message})


def cohere_error_body(refusal: Refusal) -> bytes:
    """Return Cohere's error object."""
    return msgspec.json.encode({"id": refusal.request_id, "message": refusal.message})


def ollama_error_body(refusal: Refusal) -> bytes:
    """Return Ollama's error object."""
    return msgspec.json.encode({"error": refusal.message})
