"""Anthropic's models on Google's Vertex, which takes Anthropic's messages under its own paths."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gateway_guard.dialects import sampling
from gateway_guard.dialects.anthropic_messages import AnthropicMessages

if TYPE_CHECKING:
    from gateway_guard.exchange import Exchange

_PUBLISHER = "/publishers/anthropic/models/"
_METHODS = (":rawPredict", ":streamRawPredict")
_COUNTING = "count-tokens"


class VertexAnthropic(AnthropicMessages):
    """The dialect of ``/publishers/anthropic/models/{m}:rawPredict`` and ``:streamRawPredict``."""

    name: str = "vertex_anthropic"

    def recognise(self, path: str) -> bool:
        """Tell from the decoded path; other publishers' models are spoken to in other ways."""
        return path.rstrip("/").endswith(_METHODS) and _PUBLISHER in path

    def read_request(self, body: bytes, path: str) -> Exchange | None:
        """Return the exchange, or ``None`` where there are no messages or they are only counted.

        Raises one of ``lenient.UNREADABLE`` where msgspec does not read the body as JSON.
        """
        model, _, method = path.rpartition(_PUBLISHER)[2].partition(":")
        exchange = None if model == _COUNTING else super().read_request(body, path)
        if exchange is None:
            return None
        return msgspec.structs.replace(
            exchange,
            dialect=self.name,
            model=sampling.model_name(model),
            stream=exchange.stream or method.startswith("stream"),
        )
