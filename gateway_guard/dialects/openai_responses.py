"""OpenAI responses, as OpenAI, Azure, LiteLLM, vLLM and others serve them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from gateway_guard.dialects import sampling
from gateway_guard.dialects.asides import aside, aside_of, tools_aside, with_asides
from gateway_guard.dialects.bounds import Budget
from gateway_guard.dialects.decoding import decoder_of
from gateway_guard.dialects.errors import openai_error_body
from gateway_guard.dialects.loose import strings_in
from gateway_guard.dialects.openai_items import MENDERS, Item, Reasoning, turns_of
from gateway_guard.dialects.openai_paths import Place
from gateway_guard.dialects.openai_responses_answers import GRAMMAR
from gateway_guard.dialects.overlays import Overlaid, overlaid
from gateway_guard.dialects.readers import JsonReader, StreamReader
from gateway_guard.exchange import Exchange, Sampling, Turn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway_guard.dialects.base import Refusal, ResponseReader

_PLACE = Place("/responses")
_LOGPROBS = "message.output_text.logprobs"


class _Text(msgspec.Struct, gc=False):
    format: sampling.Format | None = None


class _Template(msgspec.Struct, gc=False):
    """A prompt that the server keeps, and what is filled into it."""

    id: str | None = None
    variables: dict[str, Any] | None = None


class _Named(msgspec.Struct, gc=False):
    id: str | None = None


class _Request(Overlaid, gc=False):
    input: str | list[Item | str] | Item | None = None
    instructions: Any = None
    system: Any = None  # LiteLLM hands it on to models that have it
    previous_input_messages: list[Item | str] | None = None
    previous_response_id: str | None = None
    conversation: str | _Named | None = None
    prompt: str | _Template | None = None
    model: str = ""
    stream: bool | None = None
    temperature: sampling.Number = None
    top_p: sampling.Number = None
    max_output_tokens: int | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    include: list[str] | None = None
    top_logprobs: int | None = None
    logit_bias: dict[str, Any] | None = None
    reasoning: Reasoning | None = None
    text: _Text | None = None
    tools: list[msgspec.Raw] | None = None
    user: str | None = None
    safety_identifier: str | None = None
    metadata: sampling.Metadata | None = None


_NO_REASONING = Reasoning()
_DECODER = decoder_of(_Request)


class OpenAIResponses:
    """The dialect of ``/responses``."""

    name: str = "openai_responses"

    def recognise(self, path: str) -> bool:
        """Tell from the decoded path, whatever stands before its end."""
        return _PLACE.holds(path)

    def read_request(self, body: bytes, path: str) -> Exchange | None:
        """Return the exchange, or ``None`` where there is neither input nor what stands for it.

        Raises one of ``lenient.UNREADABLE`` where msgspec does not read the body as JSON.
        """
        return overlaid(body, _DECODER, MENDERS, lambda request: _exchange(request, body, path))

    def response_reader(self, *, event_stream: bool, digest_key: bytes) -> ResponseReader:
        """Return a reader for one response."""
        reader = StreamReader if event_stream else JsonReader
        return reader(GRAMMAR, digest_key)

    def error_body(self, refusal: Refusal) -> bytes:
        """Return OpenAI's error object."""
        return openai_error_body(refusal)


def _exchange(request: _Request, body: bytes, path: str) -> Exchange | None:
    turns = _turns(request)
    if not turns:
        return None
    return Exchange(
        dialect=OpenAIResponses.name,
        model=sampling.model_name(_PLACE.model_in(path) or request.model),
        turns=turns,
        sampling=_sampling(request),
        stream=request.stream is True,
        tool_definitions=sampling.tool_count(request.tools or ()),
        end_user=_end_user(request),
        body_bytes=len(body),
        place=_conversation(request),
    )


def _turns(request: _Request) -> tuple[Turn, ...]:
    turns: list[Turn] = []
    if request.instructions is not None:
        turns.append(Turn("system", aside_of(request.instructions)))
    if request.system is not None:
        turns.append(Turn("system", aside_of(request.system)))
    turns += turns_of(request.previous_input_messages or ())
    if request.prompt is not None:
        turns.append(Turn("user", _text_of(_filled_in(request.prompt))))
    said = request.input
    if isinstance(said, str):
        turns.append(Turn("user", said))
    elif said:
        turns += turns_of(said if isinstance(said, list) else [said])
    turns = _with_reference(turns, request)
    if request.tools or request.text:
        form = (request.text or _Text()).format or sampling.Format()
        asides = (tools_aside(request.tools or ()), aside(form.json_schema), aside(form.schema))
        return with_asides(turns, asides)
    return tuple(turns)


def _filled_in(prompt: str | _Template) -> Iterable[object]:
    return (prompt,) if isinstance(prompt, str) else (prompt.variables or {}).values()


def _text_of(values: Iterable[object]) -> str:
    budget = Budget()
    return "\n".join([text for value in values for text in strings_in(value, budget)])


def _with_reference(turns: list[Turn], request: _Request) -> list[Turn]:
    """Return the turns after the answer that the request goes on from, where it names one.

    That answer follows the system texts that the request begins with.
    """
    reference = request.previous_response_id or _conversation(request)
    if not reference:
        return turns
    place = next((at for at, turn in enumerate(turns) if turn.role != "system"), len(turns))
    return [*turns[:place], Turn("assistant", "", 0, (reference,)), *turns[place:]]


def _conversation(request: _Request) -> str | None:
    named = request.conversation
    return named.id if isinstance(named, _Named) else named


def _end_user(request: _Request) -> str | None:
    metadata = request.metadata
    named = None if metadata is None else metadata.user_id
    return sampling.end_user_name(request.safety_identifier or request.user or named)


def _effort(request: _Request) -> str | None:
    """Return the effort that holds for the answer: items may change it on the way."""
    items = request.input if isinstance(request.input, list) else ()
    for item in reversed(items):
        if isinstance(item, Item) and item.reasoning is not None:
            return item.reasoning.effort
    return (request.reasoning or _NO_REASONING).effort


def _sampling(request: _Request) -> Sampling:
    form = None if request.text is None else request.text.format
    return Sampling(
        temperature=sampling.finite(request.temperature),
        top_p=sampling.finite(request.top_p),
        max_tokens=sampling.token_count(request.max_output_tokens),
        thinking_tokens=sampling.thinking_budget(
            None, (request.reasoning or _NO_REASONING).max_tokens
        ),
        effort=sampling.known_effort(_effort(request)),
        stops=sampling.stop_count(request.stop),
        logprobs=bool(request.top_logprobs) or _LOGPROBS in (request.include or ()),
        top_logprobs=sampling.token_count(request.top_logprobs) or 0,
        logit_bias=len(request.logit_bias or ()),
        seeded=request.seed is not None,
        structured=sampling.is_structured(form),
    )
