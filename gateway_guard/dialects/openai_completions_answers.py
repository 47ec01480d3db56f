"""Read the answers of OpenAI completions, whole or in chunks, and those of llama.cpp's own kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gateway_guard.dialects import openai_answers
from gateway_guard.dialects.loose import loosely
from gateway_guard.dialects.openai_answers import Choice, Chunk
from gateway_guard.dialects.readers import Grammar

if TYPE_CHECKING:
    from gateway_guard.dialects.tally import Tally

_MOST_COMPLETIONS = 10_000


class Completion(Chunk):
    """A completion, a chunk of one, or an error; the fields it adds to them are llama.cpp's."""

    index: int = 0
    content: str | None = None
    tokens_evaluated: int | None = None
    tokens_predicted: int | None = None


class Named(Completion):
    """One with its id."""

    id: msgspec.Raw = msgspec.Raw()


def absorb(completion: Completion, tally: Tally) -> None:
    """Add what a completion or a chunk says."""
    openai_answers.absorb(completion, tally)
    if completion.content:
        tally.say(completion.index, completion.content)
    tally.count(completion.tokens_evaluated, completion.tokens_predicted)


def _mend(data: object) -> Completion | None:
    """Return what a JSON parser returned as a completion; several become the choices of one."""
    if not isinstance(data, list):
        return loosely(data, Named)
    each = [loosely(item, Named) for item in data[:_MOST_COMPLETIONS]]
    listed = [completion for completion in each if completion is not None]
    choices = [Choice(at, text=completion.content) for at, completion in enumerate(listed)]
    return Named(
        choices,
        id=listed[0].id if listed else msgspec.Raw(),
        tokens_evaluated=sum(completion.tokens_evaluated or 0 for completion in listed),
        tokens_predicted=sum(completion.tokens_predicted or 0 for completion in listed),
    )


GRAMMAR = Grammar(Completion, _mend, absorb, Named)
