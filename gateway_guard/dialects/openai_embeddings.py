"""OpenAI embeddings, as OpenAI, Azure, LiteLLM, vLLM and many others serve them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gateway_guard.dialects import sampling
from gateway_guard.dialects.asides import ABSENT
from gateway_guard.dialects.decoding import decoder_of
from gateway_guard.dialects.errors import openai_error_body
from gateway_guard.dialects.openai_paths import Place
from gateway_guard.dialects.openai_prompts import fan_out, prompts_in
from gateway_guard.dialects.openai_vectors import VectorsReader
from gateway_guard.dialects.overlays import Overlaid, overlaid
from gateway_guard.exchange import Exchange, Turn

if TYPE_CHECKING:
    from gateway_guard.dialects.base import Refusal, ResponseReader

_PLACE = Place("/embeddings")


class _Request(Overlaid, gc=False):
    input: msgspec.Raw = ABSENT
    model: str = ""
    user: str | None = None


_DECODER = decoder_of(_Request)


class OpenAIEmbeddings:
    """The dialect of ``/embeddings``."""

    name: str = "openai_embeddings"

    def recognise(self, path: str) -> bool:
        """Tell from the decoded path, whatever stands before its end."""
        return _PLACE.holds(path)

    def read_request(self, body: bytes, path: str) -> Exchange | None:
        """Return an exchange with others for further inputs, or ``None`` where there is none.

        Raises one of ``lenient.UNREADABLE`` where msgspec does not read the body as JSON.
        """
        return overlaid(body, _DECODER, {}, lambda request: _exchange(request, body, path))

    def response_reader(self, *, event_stream: bool, digest_key: bytes) -> ResponseReader:
        """Return a reader for one response, which comes in one piece and says nothing."""
        del event_stream, digest_key
        return VectorsReader()

    def error_body(self, refusal: Refusal) -> bytes:
        """Return OpenAI's error object."""
        return openai_error_body(refusal)


def _exchange(request: _Request, body: bytes, path: str) -> Exchange | None:
    prompts = prompts_in(request.input)
    if not prompts.texts:
        return None
    exchange = Exchange(
        dialect=OpenAIEmbeddings.name,
        model=sampling.model_name(_PLACE.model_in(path) or request.model),
        turns=(),
        end_user=sampling.end_user_name(request.user),
        body_bytes=len(body),
    )
    return fan_out(exchange, prompts, lambda text: (Turn("user", text),))
