"""Batches of Gemini: requests of which each is an exchange, or the file whose lines are those.

Their answers are fetched later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway_guard.dialects.cloud_errors import google_error_body
from gateway_guard.dialects.gemini_generate import method_in, model_in
from gateway_guard.dialects.gemini_lists import read_batch, read_embed, read_generate
from gateway_guard.dialects.silence import SilentReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway_guard.dialects.base import Refusal, ResponseReader
    from gateway_guard.exchange import Exchange

_METHODS: dict[str, Callable[[bytes, str], Exchange | None]] = {
    "batchGenerateContent": read_generate,
    "asyncBatchEmbedContent": read_embed,
}


class GeminiBatches:
    """The dialect of ``:batchGenerateContent`` and ``:asyncBatchEmbedContent``."""

    name: str = "gemini_batches"

    def recognise(self, path: str) -> bool:
        """Tell from the decoded path, whatever stands before the method."""
        return method_in(path) in _METHODS

    def read_request(self, body: bytes, path: str) -> Exchange | None:
        """Return the exchanges, or ``None`` where there are none.

        Raises one of ``lenient.UNREADABLE`` where msgspec does not read the body as JSON.
        """
        return read_batch(body, model_in(path), _METHODS[method_in(path)])

    def read_dense(self, body: bytes, path: str) -> Exchange | None:
        """Return the exchanges in a body of many values, ``None`` where that would take long."""
        return read_batch(body, model_in(path), _METHODS[method_in(path)], dense=True)

    def response_reader(self, *, event_stream: bool, digest_key: bytes) -> ResponseReader:
        """Return a reader that sees no answer."""
        del event_stream, digest_key
        return SilentReader()

    def error_body(self, refusal: Refusal) -> bytes:
        """Return Google's error object."""
        return google_error_body(refusal)
