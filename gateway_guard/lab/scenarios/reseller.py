"""A reseller: one key behind which many customers chat and run programs, and one harvests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway_guard.lab.asks import Manner
from gateway_guard.lab.casting import people, programs
from gateway_guard.lab.doings import Talking
from gateway_guard.lab.scenarios import figures, sources
from gateway_guard.lab.scenarios.run import CAMPAIGN_AT, DAY, Run, cut
from gateway_guard.lab.stage import caller

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from gateway_guard.corpora import Source
    from gateway_guard.lab.casting import Part
    from gateway_guard.lab.scenarios.setup import Report, Setup

HARVEST_SHARE: Final = 0.1
AFTER: Final = 300
_A_MINUTE: Final = 10.0
_MOST_OF_CUSTOMER: Final = 90
_CUSTOMER_SOURCES: Final = 3
_PROGRAMS_SHARE: Final = 0.5


def reseller(setup: Setup) -> Report:
    """Let a tenth of an old key's requests be a harvest."""
    chosen = sources.with_template(setup, setup.size(2, 1))
    chosen += sources.without_template(setup, setup.size(1, 0))
    reports = {source.name: _played(setup, source) for source in chosen}
    met = all(
        figures.at_least(run["share_refused_after"], 0.9)
        and run["innocent_refused"] < 0.01 * run["innocent_requests"]
        for run in reports.values()
    )
    aim = "90% of the harvest refused after its first 300, under 1% of the innocents' requests"
    return figures.total(aim, reports, met=met)


def _played(setup: Setup, source: Source) -> Report:
    rows = sources.shuffled(setup, source, setup.size(600, 400))
    count = int(len(rows) * (1 / HARVEST_SHARE - 1))
    parts = customers(setup, count)
    inside = {(part.text_class, part.source) for part in parts}
    held = [each for each in setup.material.sources if (each.text_class, each.name) in inside]
    run = Run(setup, [source, *held], f"reseller {source.name}")
    who = caller(run.campaign.life)
    run.stage.join(who)
    first = Talking(run.stage, who, run.composer.writer, run.rng, Manner())
    run.stage.enter(run.rng.uniform(0.0, DAY), first.talk(parts[0].talks[0]))
    seconds = 60.0 * len(rows) / _A_MINUTE
    for part in parts:
        manner = Manner(setup.laws.sampling(run.rng), stream=part.text_class == "human")
        talking = Talking(run.stage, who, run.composer.writer, run.rng, manner)
        gap = seconds / max(1, len(part.talks))
        run.stage.enter(CAMPAIGN_AT, talking.as_they_come(iter(part.talks), _gaps(run.rng, gap)))
    flood = run.campaign.flood(run.rng, run.asks(source, rows), [who], per_minute=_A_MINUTE)
    run.stage.enter(CAMPAIGN_AT, flood)
    run.stage.play()
    return figures.of_run(run, AFTER, customers=len(parts))


def customers(setup: Setup, requests: int) -> list[Part]:
    """Return people and programs of a few sources that ask about so much together."""
    rng = setup.rng("customers")
    inside = setup.material.of_class("app")
    rng.shuffle(inside)
    names = {source.name for source in inside[:_CUSTOMER_SOURCES]}
    runs = [part for part in programs(setup.material, setup.seed) if part.source in names]
    talks = people(setup.material, setup.seed)
    rng.shuffle(runs)
    rng.shuffle(talks)
    found: list[Part] = []
    for parts, share in ((runs, _PROGRAMS_SHARE), (talks, 1.0)):
        for part in parts:
            if sum(each.requests for each in found) >= share * requests:
                break
            found.append(cut(part, _MOST_OF_CUSTOMER))
    return found


def _gaps(rng: Random, mean: float) -> Iterator[float]:
    while True:
        yield rng.expovariate(1.0 / mean)
