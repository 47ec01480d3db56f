"""From rows to exchanges: what a caller asks, with what was said before, and what is answered."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import msgspec

from gateway_guard.demo.prose import Prose, looks_chinese
from gateway_guard.exchange import Answer, Exchange, Sampling, Turn, text_digest

if TYPE_CHECKING:
    from random import Random

    from gateway_guard.corpora import Row
    from gateway_guard.lab.laws import Laws

MODEL: Final = "large-1"
LONGEST_TALK: Final = 30
_LONGEST_HISTORY_CHARS: Final = 60_000
_LABEL_CHARS: Final = 24
"""Answers this short are taken for labels: those of one length are the same, whoever asks."""
_REASONING_CHARS: Final = (9.3, 0.5)
_ENVELOPE_BYTES: Final = 200
_TOOLS: Final = 6


class Manner(msgspec.Struct, frozen=True):
    """How a caller asks, whatever it asks: what does not change from request to request."""

    sampling: Sampling = Sampling()
    system: str | None = None
    stream: bool = False
    seeded: bool = False


class Ask(msgspec.Struct, frozen=True):
    """One request and its answer; ``harvest`` tells the count, never the guard, whose it is."""

    exchange: Exchange
    answer: Answer
    text: str
    seconds: float
    harvest: bool


class Writer:
    """Writes the requests of callers, and answers of the recorded or drawn length."""

    def __init__(self, laws: Laws, digest_key: bytes, seed: int) -> None:
        """Identify answers under ``digest_key``, as the engine does."""
        self.laws = laws
        self._key = digest_key
        self._prose = Prose(seed)

    def ask(
        self,
        rng: Random,
        row: Row,
        manner: Manner,
        history: tuple[Turn, ...] = (),
        *,
        harvest: bool = False,
    ) -> Ask:
        """Return the request that a row makes after what was said before."""
        chars = self.laws.answer_chars(rng, row)
        thinks = manner.sampling.thinking_tokens
        reasoning = int(rng.lognormvariate(*_REASONING_CHARS)) if thinks else 0
        text = self._answer(rng, row, chars)
        system = row.system if row.system is not None else manner.system
        own = Turn("tool" if row.role == "tool" else "user", row.prompt)
        told = (Turn("system", system),) if system else ()
        turns = (*told, *history, own)
        exchange = Exchange(
            dialect="openai_chat",
            model=MODEL,
            turns=turns,
            sampling=manner.sampling,
            stream=manner.stream,
            tool_definitions=_TOOLS if any(turn.role == "tool" for turn in turns) else 0,
            body_bytes=_ENVELOPE_BYTES + sum([len(turn.text) for turn in turns]),
        )
        answers = max(1, manner.sampling.answers)
        answer = Answer(
            output_chars=len(text) * answers,
            reasoning_chars=reasoning,
            finish="stop",
            digests=(text_digest(text, self._key),),
        )
        seconds = self.laws.seconds(rng, len(text) + reasoning)
        return Ask(exchange, answer, text, seconds, harvest)

    def _answer(self, rng: Random, row: Row, chars: int) -> str:
        """Return an answer: filler of its length, a label where it is as short as one."""
        if chars <= _LABEL_CHARS:
            return blake2b(b"label", digest_size=12, salt=bytes((chars,))).hexdigest()[:chars]
        return self._prose.cut(rng, chars, chinese=looks_chinese(row.prompt))


def continued(history: tuple[Turn, ...], ask: Ask) -> tuple[Turn, ...]:
    """Return a history with one more question and its answer, the oldest dropped if too long."""
    history = (*history, ask.exchange.turns[-1], Turn("assistant", ask.text))
    while len(history) > 2 and sum(len(turn.text) for turn in history) > _LONGEST_HISTORY_CHARS:  # noqa: PLR2004
        history = history[2:]
    return history
