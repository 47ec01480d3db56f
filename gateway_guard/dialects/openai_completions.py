"""OpenAI completions, which go on from a prompt, as OpenAI, vLLM, llama.cpp and more serve them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from gateway_guard.dialects import sampling
from gateway_guard.dialects.asides import ABSENT, aside, aside_of, with_asides
from gateway_guard.dialects.decoding import decoder_of
from gateway_guard.dialects.errors import openai_error_body
from gateway_guard.dialects.generic import Generic
from gateway_guard.dialects.openai_completions_answers import GRAMMAR
from gateway_guard.dialects.openai_paths import Place
from gateway_guard.dialects.openai_prompts import fan_out, prompts_in
from gateway_guard.dialects.overlays import Overlaid, overlaid
from gateway_guard.dialects.readers import JsonReader, StreamReader
from gateway_guard.exchange import Exchange, Sampling, Turn

if TYPE_CHECKING:
    from gateway_guard.dialects.base import Refusal, ResponseReader

_PLACE = Place("/completions")
_CHAT = Place("/chat/completions")
_ANYTHING = Generic()


class _Request(Overlaid, gc=False):
    prompt: msgspec.Raw = ABSENT
    suffix: str | None = None
    system: Any = None  # LiteLLM hands it on to models that have it
    model: str = ""
    stream: bool | None = None
    temperature: sampling.Number = None
    top_p: sampling.Number = None
    max_tokens: int | None = None
    n: int | None = None
    best_of: int | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    logprobs: bool | int | None = None
    logit_bias: dict[str, Any] | None = None
    response_format: sampling.Format | None = None
    user: str | None = None


_DECODER = decoder_of(_Request)


class OpenAICompletions:
    """The dialect of ``/completions``."""

    name: str = "openai_completions"

    def recognise(self, path: str) -> bool:
        """Tell from the decoded path, whatever stands before its end."""
        return _PLACE.holds(path) and not _CHAT.holds(path)

    def read_request(self, body: bytes, path: str) -> Exchange | None:
        """Return an exchange with others for further prompts, or ``None`` where there is none.

        Raises one of ``lenient.UNREADABLE`` where msgspec does not read the body as JSON.
        """
        exchange = overlaid(body, _DECODER, {}, lambda request: _exchange(request, body, path))
        if exchange is None or exchange.turns:
            return exchange
        # Asked to go on from nothing, a model begins a document of its own.
        elsewhere = _ANYTHING.read_request(body, path)
        return elsewhere or msgspec.structs.replace(exchange, turns=(Turn("user", ""),))

    def response_reader(self, *, event_stream: bool, digest_key: bytes) -> ResponseReader:
        """Return a reader for one response."""
        reader = StreamReader if event_stream else JsonReader
        return reader(GRAMMAR, digest_key)

    def error_body(self, refusal: Refusal) -> bytes:
        """Return OpenAI's error object."""
        return openai_error_body(refusal)


def _exchange(request: _Request, body: bytes, path: str) -> Exchange | None:
    prompts = prompts_in(request.prompt)
    model = _PLACE.model_in(path) or request.model
    if not (prompts.texts or model):
        return None
    exchange = Exchange(
        dialect=OpenAICompletions.name,
        model=sampling.model_name(model),
        turns=(),
        sampling=_sampling(request),
        stream=request.stream is True,
        end_user=sampling.end_user_name(request.user),
        body_bytes=len(body),
    )
    return (
        fan_out(exchange, prompts, lambda text: _turns(text, request))
        if prompts.texts
        else exchange
    )


def _turns(text: str, request: _Request) -> tuple[Turn, ...]:
    """Return the turn of a prompt; what shall follow its completion is a part of it."""
    turn = Turn("user", f"{text}\n{request.suffix}" if request.suffix else text)
    system = aside_of(request.system)
    turns = (Turn("system", system), turn) if system else (turn,)
    form = request.response_format
    if form is None:
        return turns
    return with_asides(turns, (aside(form.json_schema), aside(form.schema)))


def _sampling(request: _Request) -> Sampling:
    best = request.logprobs
    return Sampling(
        temperature=sampling.finite(request.temperature),
        top_p=sampling.finite(request.top_p),
        max_tokens=sampling.token_count(request.max_tokens),
        answers=sampling.answer_count(request.n, request.best_of),
        stops=sampling.stop_count(request.stop),
        # None of the other tokens but the one that was drawn is what 0 stands for.
        logprobs=best is not None and best is not False,
        top_logprobs=sampling.token_count(best) or 0,
        logit_bias=len(request.logit_bias or ()),
        seeded=request.seed is not None,
        structured=sampling.is_structured(request.response_format),
    )
