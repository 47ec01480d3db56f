"""LiteLLM's own choice among credentials: the key that it honours is the one the guard goes by."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from gateway_guard.principal import PrincipalReader
from gateway_guard.settings import load_settings
from tests.litellm_readers import get_api_key

NAMES = (
    "x-litellm-api-key",
    "authorization",
    "api-key",
    "x-api-key",
    "x-goog-api-key",
    "ocp-apim-subscription-key",
)
ROUTE = "/v1beta/models/gemini-2.5-pro:generateContent"
READER = PrincipalReader(load_settings(key_sources="litellm"), b"s" * 32)
KEYS = st.text("abcdefghij0123456789-_.", min_size=1, max_size=12).map(lambda key: "sk-" + key)
SPELLINGS = (
    "Bearer {}",
    "bearer {}",
    "Basic {}",
    "Bearer Bearer {}",
    "AWS4-HMAC-SHA256 Credential=Bearer {}/20260101/x/bedrock/aws4_request, Signature=a",
    "AWS4-HMAC-SHA256 Credential={}/20260101, SignedHeaders=host, Signature=b",
    "AWS4-HMAC-SHA256 Credential=other/1, Credential=Bearer {}, Signature=c",
)


def honoured(headers: dict[str, str], query: str) -> str:
    """Return the key that LiteLLM takes."""
    lines = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": ROUTE, "headers": lines}
    request = Request(scope | {"query_string": query.encode()})
    values = [headers.get(name) for name in NAMES]
    key, _ = get_api_key(
        custom_litellm_key_header=values[0],
        api_key=values[1] or "",
        azure_api_key_header=values[2],
        anthropic_api_key_header=values[3],
        google_ai_studio_api_key_header=values[4],
        azure_apim_header=values[5],
        pass_through_endpoints=None,
        route=ROUTE,
        request=request,
    )
    return str(key)


def key_of(headers: dict[str, str], query: str) -> bytes:
    """Return the key that the guard goes by."""
    lines = [(name.encode(), value.encode()) for name, value in headers.items()]
    return READER.read({"headers": lines, "query_string": query.encode()}).key


@given(
    st.dictionaries(st.sampled_from(NAMES[2:]), KEYS),
    st.dictionaries(st.sampled_from(NAMES[:2]), st.tuples(st.sampled_from(SPELLINGS), KEYS)),
    KEYS,
)
def test_the_key_that_litellm_honours_is_the_callers(
    plain: dict[str, str], spelled: dict[str, tuple[str, str]], query: str
) -> None:
    """Whichever headers are there, and however the key is spelled in them."""
    headers = plain | {name: how.format(key) for name, (how, key) in spelled.items()}
    query = f"alt=sse&key={query}"
    assert key_of(headers, query) == READER.key_id(honoured(headers, query).encode())


@pytest.mark.parametrize("name", NAMES)
def test_every_place_where_litellm_looks_is_looked_at(name: str) -> None:
    """Alone, too."""
    assert key_of({name: "Bearer sk-1"}, "") == READER.key_id(b"sk-1")
