"""Cohere's chat, in both of its versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gateway_guard.dialects import generic_answers, sampling
from gateway_guard.dialects.asides import ABSENT, aside, tools_aside, with_asides
from gateway_guard.dialects.cloud_errors import cohere_error_body
from gateway_guard.dialects.cohere_contents import (
    MENDERS,
    Message,
    Result,
    document_turn,
    message_turns,
    result_turn,
)
from gateway_guard.dialects.decoding import decoder_of
from gateway_guard.dialects.loose import read_as
from gateway_guard.dialects.readers import StreamReader
from gateway_guard.dialects.values import ValuesReader
from gateway_guard.exchange import Exchange, Sampling, Turn

if TYPE_CHECKING:
    from gateway_guard.dialects.base import Refusal, ResponseReader

_SUFFIXES = ("/v1/chat", "/v2/chat")


class _Thinking(msgspec.Struct, gc=False):
    type: str = "enabled"
    budget: int | None = msgspec.field(default=None, name="token_budget")


class _Request(msgspec.Struct, gc=False):
    messages: list[Message] | None = None
    model: str = ""
    stream: bool | None = None
    message: str | None = None
    history: list[Message] | None = msgspec.field(default=None, name="chat_history")
    preamble: str | None = None
    documents: list[msgspec.Raw] | None = None
    results: list[Result] | None = msgspec.field(default=None, name="tool_results")
    temperature: sampling.Number = None
    top_p: sampling.Number = msgspec.field(default=None, name="p")
    max_tokens: int | None = None
    stops: list[str] | str | None = msgspec.field(default=None, name="stop_sequences")
    seed: int | None = None
    logprobs: bool | None = None
    thinking: _Thinking | None = None
    form: sampling.Format | None = msgspec.field(default=None, name="response_format")
    tools: list[msgspec.Raw] | None = None
    # Cohere has none of these: whoever takes them is another server under a common name.
    other_prompt: msgspec.Raw = msgspec.field(default=ABSENT, name="prompt")
    other_input: msgspec.Raw = msgspec.field(default=ABSENT, name="input")
    other_history: msgspec.Raw = msgspec.field(default=ABSENT, name="history")
    other_system: msgspec.Raw = msgspec.field(default=ABSENT, name="system")


_DECODER = decoder_of(_Request)


class CohereChat:
    """The dialect of ``/v1/chat`` and ``/v2/chat``."""

    name: str = "cohere_chat"

    def recognise(self, path: str) -> bool:
        """Tell from the decoded path, whatever stands before its end."""
        return path.rstrip("/").endswith(_SUFFIXES)

    def read_request(self, body: bytes, path: str) -> Exchange | None:
        """Return the exchange, or ``None`` where nothing is said in a way of Cohere's.

        Raises one of ``lenient.UNREADABLE`` where msgspec does not read the body as JSON.
        """
        del path  # names no model here
        return read_as(body, _DECODER, MENDERS, lambda request: _exchange(request, len(body)))

    def response_reader(self, *, event_stream: bool, digest_key: bytes) -> ResponseReader:
        """Return a reader for one response; the first version streams lines of JSON too."""
        reader = StreamReader if event_stream else ValuesReader
        return reader(generic_answers.GRAMMAR, digest_key)

    def error_body(self, refusal: Refusal) -> bytes:
        """Return Cohere's error object."""
        return cohere_error_body(refusal)


def _exchange(request: _Request, size: int) -> Exchange | None:
    turns = _turns(request)
    if not turns or _is_foreign(request):
        return None
    return Exchange(
        dialect=CohereChat.name,
        model=sampling.model_name(request.model),
        turns=with_asides(turns, _asides(request)),
        sampling=_sampling(request),
        stream=request.stream is True,
        tool_definitions=sampling.tool_count(request.tools or ()),
        body_bytes=size,
    )


def _is_foreign(request: _Request) -> bool:
    return bool(
        request.other_prompt or request.other_input or request.other_history or request.other_system
    )


def _turns(request: _Request) -> list[Turn]:
    turns = [Turn("system", request.preamble)] if request.preamble else []
    for message in (*(request.history or ()), *(request.messages or ())):
        turns += message_turns(message)
    # What tools returned is an answer to the model; nothing new is asked then.
    if request.message or (request.message is not None and not request.results):
        turns.append(Turn("user", request.message))
    if request.documents:
        turns.insert(max(0, len(turns) - 1), document_turn(request.documents))
    if request.results:
        turns.append(result_turn(request.results))
    return turns


def _asides(request: _Request) -> list[str]:
    form = request.form or sampling.Format()
    return [tools_aside(request.tools or ()), aside(form.json_schema), aside(form.schema)]


def _sampling(request: _Request) -> Sampling:
    thinking = request.thinking
    budget = None if thinking is None or thinking.type == "disabled" else thinking.budget
    return Sampling(
        temperature=sampling.finite(request.temperature),
        top_p=sampling.finite(request.top_p),
        max_tokens=sampling.token_count(request.max_tokens),
        thinking_tokens=sampling.token_count(budget),
        stops=sampling.stop_count(request.stops),
        logprobs=bool(request.logprobs),
        seeded=request.seed is not None,
        structured=sampling.is_structured(request.form),
    )
