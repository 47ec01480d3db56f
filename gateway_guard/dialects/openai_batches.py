"""Batches of OpenAI: a request names the file whose lines are the exchanges."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gateway_guard.dialects.decoding import decoder_of
from gateway_guard.dialects.errors import openai_error_body
from gateway_guard.dialects.loose import read_as
from gateway_guard.dialects.silence import SilentReader
from gateway_guard.exchange import Exchange

if TYPE_CHECKING:
    from gateway_guard.dialects.base import Refusal, ResponseReader

_SUFFIX = "/batches"
_LONGEST_ID = 4096


class _Request(msgspec.Struct, gc=False):
    input_file_id: str | None = None


_DECODER = decoder_of(_Request)


class OpenAIBatches:
    """The dialect of ``/v1/batches``."""

    name: str = "openai_batches"

    def recognise(self, path: str) -> bool:
        """Tell from the decoded path, whatever stands before its end."""
        return path.rstrip("/").endswith(_SUFFIX)

    def read_request(self, body: bytes, path: str) -> Exchange | None:
        """Return an exchange that names a file, or ``None`` where the request names none.

        Raises one of ``lenient.UNREADABLE`` where msgspec does not read the body as JSON.
        """
        del path  # names no model here
        return read_as(body, _DECODER, {}, lambda request: _exchange(request, len(body)))

    def response_reader(self, *, event_stream: bool, digest_key: bytes) -> ResponseReader:
        """Return a reader that sees no answer."""
        del event_stream, digest_key
        return SilentReader()

    def error_body(self, refusal: Refusal) -> bytes:
        """Return OpenAI's error object."""
        return openai_error_body(refusal)


def _exchange(request: _Request, body_bytes: int) -> Exchange | None:
    file = request.input_file_id
    if not file:
        return None
    return Exchange(
        OpenAIBatches.name, "", (), body_bytes=body_bytes, file=file[:_LONGEST_ID], batch=True
    )
