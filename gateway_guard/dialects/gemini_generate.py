"""Gemini, as Google's two clouds, LiteLLM and others serve it.

What fills a cache has no question and no answer: it is an exchange of system texts, which later
requests that name the cache will not repeat. The texts of a list to be embedded are exchanges of
their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway_guard.dialects.cloud_errors import google_error_body
from gateway_guard.dialects.decoding import decoder_of
from gateway_guard.dialects.gemini_answers import GRAMMAR, EventsReader
from gateway_guard.dialects.gemini_contents import MENDERS
from gateway_guard.dialects.gemini_lists import (
    read_embed,
    read_embeds,
    read_generate,
)
from gateway_guard.dialects.gemini_requests import NAME, Request, cached_exchange_of, exchange_of
from gateway_guard.dialects.loose import read_as
from gateway_guard.dialects.overlays import overlaid
from gateway_guard.dialects.values import ValuesReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway_guard.dialects.base import Refusal, ResponseReader
    from gateway_guard.exchange import Exchange

_CACHES = "cachedContents"
_DECODER = decoder_of(Request)


class GeminiGenerate:
    """The dialect of ``:generateContent`` and the methods beside it."""

    name: str = NAME

    def recognise(self, path: str) -> bool:
        """Tell from the decoded path, whatever stands before the method."""
        return method_in(path) in _METHODS

    def read_request(self, body: bytes, path: str) -> Exchange | None:
        """Return the exchange, or ``None`` where nothing is said or tokens are only counted.

        Raises one of ``lenient.UNREADABLE`` where msgspec does not read the body as JSON.
        """
        read = _METHODS.get(method_in(path))
        return None if read is None else read(body, model_in(path))

    def response_reader(self, *, event_stream: bool, digest_key: bytes) -> ResponseReader:
        """Return a reader for one response; what is no event stream may be an array that grows."""
        reader = EventsReader if event_stream else ValuesReader
        return reader(GRAMMAR, digest_key)

    def error_body(self, refusal: Refusal) -> bytes:
        """Return Google's error object."""
        return google_error_body(refusal)


def method_in(path: str) -> str:
    """Return what a path ends in: the method after the colon, or else the last name."""
    last = path.rstrip("/").rpartition("/")[2]
    return last.rpartition(":")[2]


def model_in(path: str) -> str:
    """Return the model that the path names, tuned ones and endpoints with their collections."""
    named, _, _ = path.rstrip("/").rpartition(":")
    model = named.partition("/models/")[2]
    return model or "/".join(named.rsplit("/", 2)[-2:]).lstrip("/")


def _read_stream(body: bytes, model: str) -> Exchange | None:
    size = len(body)
    return overlaid(
        body, _DECODER, MENDERS, lambda request: exchange_of(request, model, size, stream=True)
    )


def _read_cached(body: bytes, model: str) -> Exchange | None:
    del model  # is not in the path
    return read_as(body, _DECODER, MENDERS, lambda made: cached_exchange_of(made, len(body)))


_METHODS: dict[str, Callable[[bytes, str], Exchange | None] | None] = {
    "generateContent": read_generate,
    "streamGenerateContent": _read_stream,
    "embedContent": read_embed,
    "batchEmbedContents": read_embeds,
    "countTokens": None,
    "computeTokens": None,
    _CACHES: _read_cached,
}
