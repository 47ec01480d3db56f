"""Harvesters out of a folder of corpora: each file's texts, asked as its nearest pipeline asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway_guard.demo import pipelines
from gateway_guard.demo.harvesters import REQUESTS, arrival, harvester
from gateway_guard.demo.people import Turn, chat
from gateway_guard.demo.script import Act, Caller
from gateway_guard.demo.texts_harvest import Question

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from gateway_guard.corpora import Row, Source
    from gateway_guard.demo.client import Client
    from gateway_guard.demo.lengths import LengthLaw
    from gateway_guard.demo.people import Talk
    from gateway_guard.demo.script import Behaviour
    from gateway_guard.demo.studio import Studio

# Reasoning comes with every answer that a thinking budget was given for, by whoever.
REASONING_CHARS: Final = (9.3, 0.5)
AGENTS: Final = ("openai-python", "openai-python-async")
WITH_A_TEMPLATE: Final = frozenset({"self_instruct", "evol_instruct", "oss_instruct", "self_chat"})


class HarvestTexts:
    """One file's texts, shuffled; each is given out once."""

    def __init__(self, studio: Studio, source: Source, law: LengthLaw) -> None:
        self.name = source.name
        self.pipeline = pipelines.nearest(source.rows)
        self._rng = studio.rng(f"harvest of {source.name}")
        self._law = law
        self._left = source.conversations()
        self._rng.shuffle(self._left)

    @property
    def is_dialogue(self) -> bool:
        """Tell whether its requests follow on one another."""
        return self.pipeline is pipelines.DIALOGUE

    @property
    def has_template(self) -> bool:
        """Tell whether its requests share a wrapper, as a campaign's do."""
        return self.pipeline.name in WITH_A_TEMPLATE

    @property
    def left(self) -> int:
        """How many texts have not been given out."""
        return len(self._left)

    def questions(self, count: int) -> list[Question]:
        """Return up to so many questions."""
        taken = [self._left.pop()[0] for _ in range(min(count, self.left))]
        return [self._question(row) for row in taken]

    def talks(self, requests: int) -> Iterator[Talk]:
        """Yield conversations that make at least so many requests, if there are as many."""
        made = 0
        while self._left and made < requests:
            talk = self._left.pop()
            made += len(talk)
            yield [Turn(row.prompt, self._law.length(self._rng, row)) for row in talk]

    def _question(self, row: Row) -> Question:
        thinks = self.pipeline.parameters.thinking_tokens is not None
        return Question(
            row.prompt,
            self._law.length(self._rng, row),
            reasoning_len=int(self._rng.lognormvariate(*REASONING_CHARS)) if thinks else 0,
            system=row.system,
        )


def corpus_harvester(studio: Studio, texts: HarvestTexts) -> Caller:
    """Return the caller that harvests with one file's texts."""
    name = f"{texts.name} ({texts.pipeline.name})"
    rng = studio.rng(name)
    agent = rng.choice(AGENTS)
    if not texts.is_dialogue:
        return harvester(studio, name, agent, iter(texts.questions(REQUESTS)), texts.pipeline)
    client = studio.client(rng, agent, parameters=texts.pipeline.parameters)
    talks = texts.talks(REQUESTS)
    at = arrival(rng)
    workers = range(texts.pipeline.concurrency)
    acts = tuple(Act(at + worker, simulated_user(client, talks)) for worker in workers)
    return Caller(name, "harvest", 1, acts)


def simulated_user(client: Client, talks: Iterator[Talk]) -> Behaviour:
    """Hold one conversation after another, without a thought in between."""
    for talk in talks:
        yield from chat(client, talk, harvest=True)


def templates_first(rng: Random, harvests: list[HarvestTexts], fewest: int) -> list[HarvestTexts]:
    """Return the files whose requests share a wrapper and that have enough left, in any order."""
    able = [texts for texts in harvests if texts.has_template and texts.left >= fewest]
    return rng.sample(able, len(able))
