"""What holds for the answers of one realtime session: instructions, tools, how they are drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from gateway_guard.dialects import sampling
from gateway_guard.dialects.asides import tools_aside
from gateway_guard.dialects.bounds import Budget
from gateway_guard.dialects.loose import coerced, strings_in
from gateway_guard.dialects.openai_items import Item, Reasoning
from gateway_guard.dialects.transcript import clipped
from gateway_guard.exchange import Sampling, Turn

if TYPE_CHECKING:
    from collections.abc import Iterator


class Template(msgspec.Struct, gc=False):
    """A prompt that the server keeps, and what is filled into it."""

    variables: dict[str, Any] | None = None


class Config(msgspec.Struct, gc=False):
    """What an event sets for a session, or for one answer."""

    instructions: str | None = None
    model: str | None = None
    temperature: sampling.Number = None
    max_output_tokens: int | str | None = None
    max_response_output_tokens: int | str | None = None
    reasoning: Reasoning | None = None
    tools: list[msgspec.Raw] | None = None
    prompt: Template | None = None
    input: list[Item] | None = None
    conversation: str | None = None


class Terms(msgspec.Struct, frozen=True, gc=False):
    """What holds, its texts as long as is read of them at most."""

    instructions: str | None = None
    prompt: str = ""
    tools: str = ""
    tool_count: int = 0
    model: str = ""
    temperature: sampling.Number = None
    max_tokens: int | None = None
    effort: str | None = None

    def changed(self, config: Config) -> Terms:
        """Return what holds once an event has set some of it."""
        return msgspec.structs.replace(self, **dict(_changes(config)))

    def turns(self) -> list[Turn]:
        """Return what the model is told before the conversation."""
        turns = [] if self.instructions is None else [Turn("system", self.instructions)]
        return [*turns, Turn("user", self.prompt)] if self.prompt else turns

    def sampling(self) -> Sampling:
        """Return how answers are drawn."""
        return Sampling(
            temperature=self.temperature, max_tokens=self.max_tokens, effort=self.effort
        )


def _changes(config: Config) -> Iterator[tuple[str, object]]:
    if config.instructions is not None:
        yield "instructions", _clip(config.instructions)
    if config.prompt is not None:
        yield "prompt", _clip(_filled_in(config.prompt))
    if config.tools is not None:
        yield "tools", _clip(tools_aside(config.tools))
        yield "tool_count", sampling.tool_count(config.tools)
    if config.model:
        yield "model", sampling.model_name(config.model)
    if config.temperature is not None:
        yield "temperature", sampling.finite(config.temperature)
    for most in (config.max_response_output_tokens, config.max_output_tokens):
        if most is not None:
            yield "max_tokens", sampling.token_count(coerced(most, int))
    if config.reasoning is not None:
        yield "effort", sampling.known_effort(config.reasoning.effort)


def _filled_in(prompt: Template) -> str:
    return "\n".join(strings_in(list((prompt.variables or {}).values()), Budget()))


def _clip(text: str) -> str:
    return "".join(turn.text for turn in clipped([Turn("system", text)]))
