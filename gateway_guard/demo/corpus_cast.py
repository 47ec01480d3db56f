"""A cast with texts from a folder of corpora; roles that it does not fill have our own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway_guard.demo.agent import coding_agent
from gateway_guard.demo.campaigns import (
    HYDRA_REQUESTS,
    RESELLER_HARVEST,
    hydra,
    reseller,
    victim_and_imitator,
)
from gateway_guard.demo.corpus_harvest import HarvestTexts, corpus_harvester, templates_first
from gateway_guard.demo.lengths import LengthLaw
from gateway_guard.demo.people import FEWEST_REQUESTS, Turn, person
from gateway_guard.demo.programs import REQUESTS, Stock, program, programs_of, spread
from gateway_guard.demo.script import Cast
from gateway_guard.demo.studio import Studio

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gateway_guard.corpora import Row, Source
    from gateway_guard.demo.people import Talk
    from gateway_guard.demo.script import Caller
    from gateway_guard.demo.texts_apps import Item

PEOPLE_PER_FILE: Final = 3
MOST_PROGRAMS: Final = 40
LONGEST_TALK: Final = 30
RESELLER_REQUESTS: Final = 160
RESELLER_PROGRAMS: Final = 6
PERSON_AGENTS: Final = ("openai-js", "anthropic-js", "openai-python")


def corpus_cast(seed: int, sources: Sequence[Source]) -> Cast:
    """Return everybody, with texts from the folder wherever it has them."""
    studio, law = Studio(seed), LengthLaw(sources)
    talks = {source.name: Talks(studio, source, law) for source in of_class(sources, "human")}
    stocks = programs_of(studio, sources, law)
    harvests = [HarvestTexts(studio, source, law) for source in of_class(sources, "harvest")]
    callers = [
        *(caller for name, stock in talks.items() for caller in persons(studio, name, stock)),
        *(
            program(studio, stock)
            for stock in spread(studio.rng("programs"), stocks, MOST_PROGRAMS)
        ),
        coding_agent(studio),
        *(corpus_harvester(studio, harvest) for harvest in harvests),
        *campaigns(studio, harvests, list(talks.values()), stocks),
    ]
    return Cast(seed, tuple(callers))


def of_class(sources: Sequence[Source], text_class: str) -> list[Source]:
    """Return the sources of one class."""
    return [source for source in sources if source.text_class == text_class]


class Talks:
    """The conversations of one file, shuffled; each is given out once."""

    def __init__(self, studio: Studio, source: Source, law: LengthLaw) -> None:
        self._rng = studio.rng(f"talks of {source.name}")
        self._law = law
        self._left = source.conversations()
        self._rng.shuffle(self._left)

    def take(self) -> Iterator[Talk]:
        """Yield conversations until none is left."""
        while self._left:
            yield self._talk(self._left.pop()[:LONGEST_TALK])

    def take_requests(self, count: int) -> list[Talk]:
        """Return conversations that make at least so many requests, if there are as many."""
        taken: list[Talk] = []
        made = 0
        for talk in self.take():
            taken.append(talk)
            made += len(talk)
            if made >= count:
                break
        return taken

    def _talk(self, rows: list[Row]) -> Talk:
        return [Turn(row.prompt, self._law.length(self._rng, row)) for row in rows]


def persons(studio: Studio, name: str, talks: Talks) -> Iterator[Caller]:
    """Yield the people of one file."""
    for number, agent in zip(range(1, PEOPLE_PER_FILE + 1), PERSON_AGENTS, strict=True):
        if taken := talks.take_requests(FEWEST_REQUESTS):
            yield person(studio, f"{name} {number}", agent, taken)


def campaigns(
    studio: Studio, harvests: list[HarvestTexts], talks: list[Talks], stocks: list[Stock]
) -> Iterator[Caller]:
    """Yield the hydra, the victim and its imitator, and the reseller."""
    rng = studio.rng("campaigns")
    many = templates_first(rng, harvests, HYDRA_REQUESTS)
    yield hydra_of(studio, many[0]) if many else hydra(studio)
    yield from victim_and_imitator(studio)
    few = templates_first(rng, harvests, RESELLER_HARVEST)
    others = [texts for texts in few if texts not in many[:1]] or few
    lent = [talk for stock in talks for talk in stock.take_requests(RESELLER_REQUESTS)]
    single = [stock for stock in stocks if stock.single and stock.requests > 2 * REQUESTS]
    chosen = rng.sample(single, min(RESELLER_PROGRAMS, len(single)))
    work = [stock.items(REQUESTS, skip=REQUESTS) for stock in chosen]
    yield reseller_of(studio, lent, work, others[0]) if others else reseller(studio, lent, work)


def hydra_of(studio: Studio, texts: HarvestTexts) -> Caller:
    """Return a hydra that shares a pipeline with one of the harvesters."""
    return hydra(studio, iter(texts.questions(HYDRA_REQUESTS)), texts.pipeline)


def reseller_of(
    studio: Studio, talks: list[Talk], work: list[list[Item]], texts: HarvestTexts
) -> Caller:
    """Return a reseller with a customer who harvests in the manner of one of the harvesters."""
    questions = iter(texts.questions(RESELLER_HARVEST))
    return reseller(studio, talks, work, questions, texts.pipeline)
