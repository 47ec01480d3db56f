"""Requests to Gemini for text: what is said, and how the answer shall be drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from gateway_guard.dialects import sampling
from gateway_guard.dialects.asides import ABSENT, aside, tools_aside, with_asides
from gateway_guard.dialects.decoding import decoder_of
from gateway_guard.dialects.gemini_contents import Content, Contents, contents_turns
from gateway_guard.dialects.overlays import Overlaid
from gateway_guard.exchange import Exchange, Sampling, Turn

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")

NAME = "gemini_generate"
"""The name of the dialect."""


class Thinking(msgspec.Struct, gc=False):
    """How long the model may think."""

    budget: int | None = msgspec.field(default=None, name="thinkingBudget")
    budget_: int | None = msgspec.field(default=None, name="thinking_budget")
    level: str | None = msgspec.field(default=None, name="thinkingLevel")
    level_: str | None = msgspec.field(default=None, name="thinking_level")


class Config(msgspec.Struct, gc=False):
    """How the answer shall be drawn."""

    temperature: sampling.Number = None
    seed: int | None = None
    logprobs: int | None = None
    top_p: sampling.Number = msgspec.field(default=None, name="topP")
    most: int | None = msgspec.field(default=None, name="maxOutputTokens")
    answers: int | None = msgspec.field(default=None, name="candidateCount")
    stops: list[str] | str | None = msgspec.field(default=None, name="stopSequences")
    mime: str | None = msgspec.field(default=None, name="responseMimeType")
    schema: msgspec.Raw = msgspec.field(default=ABSENT, name="responseSchema")
    json_schema: msgspec.Raw = msgspec.field(default=ABSENT, name="responseJsonSchema")
    with_logprobs: bool | None = msgspec.field(default=None, name="responseLogprobs")
    thinking: Thinking | None = msgspec.field(default=None, name="thinkingConfig")
    top_p_: sampling.Number = msgspec.field(default=None, name="top_p")
    most_: int | None = msgspec.field(default=None, name="max_output_tokens")
    answers_: int | None = msgspec.field(default=None, name="candidate_count")
    stops_: list[str] | str | None = msgspec.field(default=None, name="stop_sequences")
    mime_: str | None = msgspec.field(default=None, name="response_mime_type")
    schema_: msgspec.Raw = msgspec.field(default=ABSENT, name="response_schema")
    json_schema_: msgspec.Raw = msgspec.field(default=ABSENT, name="response_json_schema")
    with_logprobs_: bool | None = msgspec.field(default=None, name="response_logprobs")
    thinking_: Thinking | None = msgspec.field(default=None, name="thinking_config")


class Request(Overlaid, gc=False):
    """A request for content, and the contents that a cache is filled with."""

    contents: Contents = None
    system: Content | str | None = msgspec.field(default=None, name="systemInstruction")
    config: Config | None = msgspec.field(default=None, name="generationConfig")
    tools: list[msgspec.Raw] | None = None
    model: str = ""
    system_: Content | str | None = msgspec.field(default=None, name="system_instruction")
    config_: Config | None = msgspec.field(default=None, name="generation_config")


class _Tool(msgspec.Struct, gc=False):
    functions: list[msgspec.Raw] | None = msgspec.field(default=None, name="functionDeclarations")
    functions_: list[msgspec.Raw] | None = msgspec.field(default=None, name="function_declarations")


_NO_CONFIG = Config()
_NO_THINKING = Thinking()
_TOOL = decoder_of(_Tool, strict=True)


def exchange_of(request: Request, model: str, size: int, *, stream: bool) -> Exchange | None:
    """Return the exchange in a request of ``size`` bytes, or ``None`` where nothing is said."""
    system = request.system or request.system_
    turns = contents_turns(system, "system") + contents_turns(request.contents)
    if not turns:
        return None
    config = request.config or request.config_ or _NO_CONFIG
    return Exchange(
        dialect=NAME,
        model=model_name(model or request.model),
        turns=with_asides(turns, _asides(request, config)),
        sampling=sampling_of(config),
        stream=stream,
        tool_definitions=sum(map(definitions, request.tools or ())),
        body_bytes=size,
    )


def cached_exchange_of(request: Request, size: int) -> Exchange | None:
    """Return an exchange without a question: all that is cached is text for later questions."""
    system = request.system or request.system_
    turns = contents_turns(system, "system")
    turns += [_as_system(turn) for turn in contents_turns(request.contents)]
    if not turns:
        return None
    return Exchange(
        dialect=NAME,
        model=model_name(request.model),
        turns=with_asides(turns, [tools_aside(request.tools or ())]),
        tool_definitions=sum(map(definitions, request.tools or ())),
        body_bytes=size,
    )


def model_name(name: str) -> str:
    """Return the name of a model without the collection it stands in."""
    return sampling.model_name(name.rpartition("/models/")[2].removeprefix("models/"))


def _as_system(turn: Turn) -> Turn:
    return Turn("system", turn.text, turn.images)


def _asides(request: Request, config: Config) -> Iterator[str]:
    yield tools_aside(request.tools or ())
    for schema in (config.schema, config.json_schema, config.schema_, config.json_schema_):
        yield aside(schema)


def definitions(tool: msgspec.Raw) -> int:
    """Count what a tool defines: one may hold many functions."""
    try:
        read = _TOOL.decode(tool)
    except msgspec.ValidationError:
        return sampling.tool_count([tool])
    functions = _either(read.functions, read.functions_)
    return 1 if functions is None else len(functions)


def sampling_of(config: Config) -> Sampling:
    """Return how the answer shall be drawn."""
    thinking = config.thinking or config.thinking_ or _NO_THINKING
    return Sampling(
        temperature=sampling.finite(config.temperature),
        top_p=sampling.finite(_either(config.top_p, config.top_p_)),
        max_tokens=sampling.token_count(_either(config.most, config.most_)),
        thinking_tokens=sampling.token_count(_either(thinking.budget, thinking.budget_)),
        effort=sampling.known_effort(thinking.level or thinking.level_),
        answers=sampling.answer_count(config.answers, config.answers_),
        stops=sampling.stop_count(config.stops or config.stops_),
        logprobs=bool(config.with_logprobs or config.with_logprobs_),
        top_logprobs=sampling.token_count(config.logprobs) or 0,
        seeded=config.seed is not None,
        structured=_is_structured(config),
    )


def _is_structured(config: Config) -> bool:
    schemas = (config.schema, config.json_schema, config.schema_, config.json_schema_)
    mime = config.mime or config.mime_ or "text/plain"
    return mime != "text/plain" or any(map(aside, schemas))


def _either(first: T | None, second: T | None) -> T | None:
    return second if first is None else first
