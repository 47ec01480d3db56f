"""Bodies of refusals, as the official clients expect them."""

from __future__ import annotations

import json

import pytest

from gateway_guard.dialects import dialect_for
from gateway_guard.dialects.base import Refusal

PATHS = ("/v1/chat/completions", "/v1/messages", "/v1/responses")


def refuse(status: int, path: str) -> dict[str, object]:
    """Return the body of a refusal at a path."""
    refusal = Refusal(status, "Write to abuse@example.com.", "req_1", "abnormal_usage")
    body: dict[str, object] = json.loads(dialect_for(path).error_body(refusal))
    return body


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (403, "permission_error"),
        (413, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "server_error"),
        (503, "server_error"),
    ],
)
def test_openai_errors_have_the_four_fields(status: int, kind: str) -> None:
    """Whatever has no dialect of its own gets them too."""
    expected = {
        "message": "Write to abuse@example.com.",
        "type": kind,
        "param": None,
        "code": "abnormal_usage",
    }
    assert refuse(status, PATHS[0]) == refuse(status, PATHS[2]) == {"error": expected}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (403, "permission_error"),
        (413, "request_too_large"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (503, "overloaded_error"),
    ],
)
def test_anthropic_errors_have_their_shape(status: int, kind: str) -> None:
    """With the id of the request."""
    assert refuse(status, PATHS[1]) == {
        "type": "error",
        "error": {"type": kind, "message": "Write to abuse@example.com."},
        "request_id": "req_1",
    }
