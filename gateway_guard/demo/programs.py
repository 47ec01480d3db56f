"""Programs out of a folder of corpora: one a stream, with the habits of ordinary programs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Final

from gateway_guard.demo.apps import batch, serve
from gateway_guard.demo.client import USER_AGENTS
from gateway_guard.demo.clock import DAY
from gateway_guard.demo.lengths import token_room
from gateway_guard.demo.people import Turn, chat
from gateway_guard.demo.script import Act, Caller, Parameters
from gateway_guard.demo.texts_apps import Item

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from random import Random

    from gateway_guard.corpora import Row, Source
    from gateway_guard.demo.client import Client
    from gateway_guard.demo.lengths import LengthLaw
    from gateway_guard.demo.people import Talk
    from gateway_guard.demo.studio import Studio

FEWEST_REQUESTS: Final = 60
REQUESTS: Final = 80
LONGEST_TALK: Final = 30
TEMPERATURES: Final = (None, 0.0, 0.0, 0.2, 0.3, 0.5, 0.7)
RATES_PER_MINUTE: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 60.0)
WORKERS: Final = (4, 8, 16)
# A program with short answers and nobody waiting may well be a batch.
SHORT_ANSWER_CHARS: Final = 60
BATCH_SHARE: Final = 0.5


@dataclass(frozen=True, slots=True)
class Stock:
    """What one program works on: conversations, most of them of a single request."""

    source: str
    name: str
    talks: tuple[Talk, ...]
    systems: tuple[str | None, ...]

    @property
    def requests(self) -> int:
        """How many requests it makes in all."""
        return sum(map(len, self.talks))

    @property
    def single(self) -> bool:
        """Tell whether no request follows on another."""
        return all(len(talk) == 1 for talk in self.talks)

    def items(self, count: int, *, skip: int = 0) -> list[Item]:
        """Return so many of its requests, each on its own, after the first ``skip``."""
        chosen = slice(skip, skip + count)
        pairs = zip(self.talks[chosen], self.systems[chosen], strict=True)
        return [Item(talk[0].text, talk[0].output_len, system=system) for talk, system in pairs]


def programs_of(studio: Studio, sources: Sequence[Source], law: LengthLaw) -> list[Stock]:
    """Return every program with enough requests; what is also harvested is nobody's program."""
    harvested = {
        row.prompt for source in sources if source.text_class == "harvest" for row in source.rows
    }
    stocks = [
        stock_of(studio, source.name, stream, talks, law)
        for source in sources
        if source.text_class == "app"
        for stream, talks in source.streams().items()
    ]
    honest = (without(stock, harvested) for stock in stocks)
    return [stock for stock in honest if stock.requests >= FEWEST_REQUESTS]


def stock_of(
    studio: Studio, source: str, stream: str, talks: list[list[Row]], law: LengthLaw
) -> Stock:
    """Return one program's conversations in an order of the seed's choice."""
    rng = studio.rng(f"{source}/{stream}")
    rng.shuffle(talks)
    return Stock(
        source=source,
        name=f"{source}/{stream}" if stream else source,
        talks=tuple([turn_of(rng, row, law) for row in talk[:LONGEST_TALK]] for talk in talks),
        systems=tuple(talk[0].system for talk in talks),
    )


def without(stock: Stock, prompts: set[str]) -> Stock:
    """Return a stock without the conversations that begin with one of some prompts."""
    kept = [index for index, talk in enumerate(stock.talks) if talk[0].text not in prompts]
    talks, systems = stock.talks, stock.systems
    return replace(
        stock,
        talks=tuple(talks[index] for index in kept),
        systems=tuple(systems[index] for index in kept),
    )


def turn_of(rng: Random, row: Row, law: LengthLaw) -> Turn:
    """Return a row as a turn."""
    return Turn(row.prompt, law.length(rng, row), is_tool=row.role == "tool")


def spread(rng: Random, stocks: Sequence[Stock], most: int) -> list[Stock]:
    """Return at most so many programs, from every file in turn."""
    by_source: dict[str, list[Stock]] = {}
    for stock in rng.sample(stocks, len(stocks)):
        by_source.setdefault(stock.source, []).append(stock)
    in_turn = chain.from_iterable(zip_longest(*by_source.values()))
    return [stock for stock in in_turn if stock is not None][:most]


def program(studio: Studio, stock: Stock, *, requests: int = REQUESTS) -> Caller:
    """Return a program that works on a stock."""
    rng = studio.rng(f"program {stock.name}")
    talks = enough(stock.talks, requests)
    lengths = [turn.output_len for talk in talks for turn in talk]
    client = studio.client(
        rng,
        rng.choice(tuple(USER_AGENTS)),
        organisation=f"program-{stock.name}",
        parameters=ordinary_parameters(rng, lengths),
        stream=rng.random() < BATCH_SHARE / 2,
    )
    works = batches if is_batch(rng, stock, lengths) else arrivals
    return Caller(stock.name, "app", 1, tuple(works(studio, client, stock, len(talks))))


def enough(talks: Sequence[Talk], requests: int) -> list[Talk]:
    """Return the first conversations that make so many requests."""
    taken: list[Talk] = []
    for talk in talks:
        if sum(map(len, taken)) >= requests:
            break
        taken.append(talk)
    return taken


def ordinary_parameters(rng: Random, lengths: Sequence[int]) -> Parameters:
    """Draw parameters as programs set them: cool, a maximum that fits their answers, if any."""
    room = rng.choice((None, None, 4096, *(token_room(lengths),) * 4))
    return Parameters(temperature=rng.choice(TEMPERATURES), max_tokens=room)


def is_batch(rng: Random, stock: Stock, lengths: Sequence[int]) -> bool:
    """Draw whether a program works through a list with several workers."""
    short = sorted(lengths)[len(lengths) // 2] <= SHORT_ANSWER_CHARS
    return stock.single and short and rng.random() < BATCH_SHARE


def batches(studio: Studio, client: Client, stock: Stock, count: int) -> Iterator[Act]:
    """Yield the workers of a batch that runs in halves, on the first day and on the last."""
    items, workers = stock.items(count), client.rng.choice(WORKERS)
    half = len(items) // 2
    for part, day in ((items[:half], 0), (items[half:], studio.days - 1)):
        at = (day + client.rng.uniform(0.0, 0.5)) * DAY
        yield from batch(client, iter(part), at, concurrency=workers)


def arrivals(studio: Studio, client: Client, stock: Stock, count: int) -> Iterator[Act]:
    """Yield the work of a service as its users cause it."""
    per_minute = client.rng.choice(RATES_PER_MINUTE)
    times = studio.shifts(client.rng, count, per_minute)
    items = stock.items(count)
    for index, (at, item) in enumerate(zip(times, items, strict=True)):
        talk = stock.talks[index]
        if len(talk) == 1:
            yield Act(at, serve(client, item))
        else:
            system = stock.systems[index]
            told = client if system is None else replace(client, system=system)
            yield Act(at, chat(told, talk))
