"""Batches of Anthropic messages: every element is an exchange, whose answer is fetched later."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gateway_guard.dialects.anthropic_messages import AnthropicMessages
from gateway_guard.dialects.asides import ABSENT
from gateway_guard.dialects.decoding import decoder_of
from gateway_guard.dialects.errors import anthropic_error_body
from gateway_guard.dialects.lists import read_dense, read_drawn
from gateway_guard.dialects.loose import read_as
from gateway_guard.dialects.silence import SilentReader

if TYPE_CHECKING:
    from gateway_guard.dialects.base import Refusal, ResponseReader
    from gateway_guard.exchange import Exchange

_SUFFIX = "/messages/batches"
_MESSAGES = AnthropicMessages()


class _Element(msgspec.Struct, gc=False):
    params: msgspec.Raw = ABSENT


class _Batch(msgspec.Struct, gc=False):
    requests: list[_Element] | None = None


_DECODER = decoder_of(_Batch, strict=True)


class AnthropicBatches:
    """The dialect of ``/v1/messages/batches``."""

    name: str = "anthropic_batches"

    def recognise(self, path: str) -> bool:
        """Tell from the decoded path, whatever stands before its end."""
        return path.rstrip("/").endswith(_SUFFIX)

    def read_request(self, body: bytes, path: str) -> Exchange | None:
        """Return the exchanges, or ``None`` where there are none.

        Raises one of ``lenient.UNREADABLE`` where msgspec does not read the body as JSON.
        """
        return read_as(body, _DECODER, {}, lambda batch: _exchanges(batch, path))

    def read_dense(self, body: bytes, path: str) -> Exchange | None:
        """Return the exchanges in a body of many values, ``None`` where that would take long."""
        return read_dense(body, _DECODER, lambda batch: _exchanges(batch, path))

    def response_reader(self, *, event_stream: bool, digest_key: bytes) -> ResponseReader:
        """Return a reader that sees no answer."""
        del event_stream, digest_key
        return SilentReader()

    def error_body(self, refusal: Refusal) -> bytes:
        """Return Anthropic's error object."""
        return anthropic_error_body(refusal)


def _exchanges(batch: _Batch, path: str) -> Exchange | None:
    params = [element.params for element in batch.requests or () if element.params]
    return read_drawn(params, AnthropicBatches.name, lambda raw: _MESSAGES.read_request(raw, path))
