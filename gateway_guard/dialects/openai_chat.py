"""OpenAI chat completions, as OpenAI, Azure, LiteLLM, vLLM and many others serve them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from gateway_guard.dialects import sampling
from gateway_guard.dialects.asides import aside, aside_of, tools_aside, with_asides
from gateway_guard.dialects.decoding import decoder_of
from gateway_guard.dialects.errors import openai_error_body
from gateway_guard.dialects.openai_answers import GRAMMAR, Call
from gateway_guard.dialects.openai_paths import Place
from gateway_guard.dialects.overlays import Overlaid, overlaid
from gateway_guard.dialects.parts import MENDERS, ROLES, Content, split_turns
from gateway_guard.dialects.readers import JsonReader, StreamReader
from gateway_guard.exchange import Exchange, Sampling, Turn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway_guard.dialects.base import Refusal, ResponseReader

_PLACE = Place("/chat/completions")


class _Function(msgspec.Struct, gc=False):
    arguments: Any = None
    input: Any = None

    def said(self) -> object:
        return self.input if self.arguments is None else self.arguments


class _Call(Call):
    function: _Function | None = None
    custom: _Function | None = None


class _Message(msgspec.Struct, gc=False):
    role: str = "user"
    content: Content = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None
    function_call: _Function | None = None


class _Reasoning(msgspec.Struct, gc=False):
    effort: str | None = None
    max_tokens: int | None = None


class _Request(Overlaid, gc=False):
    messages: list[_Message] | None = None
    system: Content = None  # LiteLLM hands it on to models that have it
    model: str = ""
    stream: bool | None = None
    temperature: sampling.Number = None
    top_p: sampling.Number = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    n: int | None = None
    best_of: int | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    logprobs: bool | int | None = None
    top_logprobs: int | None = None
    logit_bias: dict[str, Any] | None = None
    reasoning_effort: str | None = None
    reasoning: _Reasoning | None = None
    thinking: sampling.Thinking | None = None
    response_format: sampling.Format | None = None
    tools: list[msgspec.Raw] | None = None
    functions: list[msgspec.Raw] | None = None
    user: str | None = None
    safety_identifier: str | None = None
    metadata: sampling.Metadata | None = None


_NO_REASONING = _Reasoning()
_DECODER = decoder_of(_Request)


class OpenAIChat:
    """The dialect of ``/chat/completions``."""

    name: str = "openai_chat"

    def recognise(self, path: str) -> bool:
        """Tell from the decoded path, whatever stands before its end."""
        return _PLACE.holds(path)

    def read_request(self, body: bytes, path: str) -> Exchange | None:
        """Return the exchange, or ``None`` where there are no messages.

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


def _turns(request: _Request) -> tuple[Turn, ...]:
    turns = split_turns("system", request.system) if request.system else []
    for message in request.messages or ():
        role = ROLES.get(message.role, "user")
        content = message.content
        if (content is None or isinstance(content, str)) and not _is_uncommon(message):
            turns.append(Turn(role, content or ""))
        else:
            turns += _uncommon_turns(message)
    if request.tools or request.functions or request.response_format:
        return with_asides(turns, _asides(request))
    return tuple(turns)


def _asides(request: _Request) -> Iterator[str]:
    yield tools_aside(request.tools or ())
    yield tools_aside(request.functions or ())
    form = request.response_format
    if form is not None:
        yield aside(form.json_schema)
        yield aside(form.schema)


def _is_uncommon(message: _Message) -> bool:
    return bool(message.tool_calls or message.function_call or message.refusal is not None)


def _uncommon_turns(message: _Message) -> list[Turn]:
    role, content = ROLES.get(message.role, "user"), message.content
    if message.refusal is not None:
        parts = content if isinstance(content, list) else [content or ""]
        content = [*parts, message.refusal]
    calls = message.tool_calls or ()
    call_ids = [call.id for call in calls if call.id is not None]
    called = [call.function or call.custom for call in calls]
    if message.function_call is not None:
        called.append(message.function_call)
    arguments = [aside_of(function.said()) for function in called if function is not None]
    return split_turns(role, content or "", call_ids, arguments)


def _exchange(request: _Request, body: bytes, path: str) -> Exchange | None:
    turns = _turns(request)
    if not turns:
        return None
    model = _PLACE.model_in(path) or request.model
    return Exchange(
        dialect=OpenAIChat.name,
        model=sampling.model_name(model),
        turns=turns,
        sampling=_sampling(request, model),
        stream=request.stream is True,
        tool_definitions=_tool_count(request),
        end_user=_end_user(request),
        body_bytes=len(body),
    )


def _tool_count(request: _Request) -> int:
    if not (request.tools or request.functions):
        return 0
    return sampling.tool_count((*(request.tools or ()), *(request.functions or ())))


def _end_user(request: _Request) -> str | None:
    metadata = request.metadata
    named = None if metadata is None else metadata.user_id
    return sampling.end_user_name(request.safety_identifier or request.user or named)


def _sampling(request: _Request, model: str) -> Sampling:
    limit = request.max_completion_tokens
    reasoning = request.reasoning or _NO_REASONING
    return Sampling(
        temperature=sampling.finite(request.temperature),
        top_p=sampling.finite(request.top_p),
        max_tokens=sampling.token_count(request.max_tokens if limit is None else limit),
        thinking_tokens=sampling.thinking_budget(request.thinking, reasoning.max_tokens),
        effort=sampling.known_effort(request.reasoning_effort or reasoning.effort),
        answers=_answers(request, model),
        stops=sampling.stop_count(request.stop),
        logprobs=bool(request.logprobs),
        top_logprobs=sampling.token_count(request.top_logprobs) or 0,
        logit_bias=len(request.logit_bias or ()),
        seeded=request.seed is not None,
        structured=sampling.is_structured(request.response_format),
    )


def _answers(request: _Request, model: str) -> int:
    """Return how many answers are asked for; LiteLLM asks each model of several with commas."""
    models = model.count(",") + 1
    answers = sampling.answer_count(request.n, request.best_of)
    return answers if models == 1 else sampling.answer_count(answers * models)
