"""Hydras: one campaign over many keys that send a handful of requests each."""

from __future__ import annotations

from itertools import cycle, islice
from typing import TYPE_CHECKING, Final

from gateway_guard.lab.scenarios import figures, sources
from gateway_guard.lab.scenarios.run import CAMPAIGN_AT, Run
from gateway_guard.lab.scenarios.wordings import reworded

if TYPE_CHECKING:
    from gateway_guard.corpora import Row, Source
    from gateway_guard.lab.scenarios.setup import Report, Setup

A_KEY: Final = 4
A_MINUTE: Final = 100.0
AT_ONCE_A_MINUTE: Final = 600.0
_REFUSED_WITHIN: Final = 60
WORDINGS: Final = 5


def flood(
    setup: Setup,
    source: Source,
    rows: list[Row],
    *,
    keys: int,
    per_minute: float = A_MINUTE,
) -> Run:
    """Play one hydra that asks rows in the manner of a source's pipeline."""
    run = Run(setup, [source], f"hydra of {source.name}")
    run.hide(setup.size(240, 30), setup.size(20, 10))
    callers = run.campaign.keys(keys)
    asks = run.asks(source, rows)
    process = run.campaign.flood(run.rng, asks, callers, per_minute=per_minute)
    run.stage.enter(CAMPAIGN_AT, process)
    run.stage.play()
    return run


def hydra(setup: Setup) -> Report:
    """Send one template under keys with four requests each.

    Where questions run out they are asked again, as for a second answer, so that the campaign is
    still there when a first block ends.
    """
    reports = {}
    requests = setup.size(7000, 400)
    for source in sources.with_template(setup, setup.size(5, 2)):
        rows = list(islice(cycle(sources.shuffled(setup, source, requests)), requests))
        keys = len(rows) // A_KEY
        run = flood(setup, source, rows, keys=keys)
        reports[source.name] = figures.of_run(run, 200, keys=keys)
    source = sources.with_template(setup, 1)[0]
    rows = sources.shuffled(setup, source, setup.size(1000, 300))
    keys = len(rows) // A_KEY
    run = flood(setup, source, rows, keys=keys, per_minute=AT_ONCE_A_MINUTE)
    reports[f"{source.name}, ten a second"] = figures.of_run(run, 200, keys=keys)
    met = all(
        figures.within(run["first_refused"], _REFUSED_WITHIN)
        and figures.at_least(run["share_refused_after"], 0.99)
        and not run["innocent_blocked"]
        for run in reports.values()
    )
    aim = "first refusal within 60, 99% refused after the first 200, no innocent key blocked"
    return figures.total(aim, reports, met=met)


def rotating(setup: Setup) -> Report:
    """Send a pipeline's system texts in turn."""
    reports = {}
    for source in sources.with_systems(setup, setup.size(3, 1)):
        rows = sources.shuffled(setup, source, setup.size(4000, 900))
        keys = len(rows) // A_KEY
        run = flood(setup, source, rows, keys=keys)
        count = len({row.system for row in rows})
        reports[source.name] = figures.of_run(run, 500, keys=keys, system_texts=count)
    met = all(figures.at_least(run["share_refused_after"], 0.9) for run in reports.values())
    return figures.total("90% refused after the first 500", reports, met=met)


def wordings(setup: Setup) -> Report:
    """Send a template in five wordings, in turn."""
    reports = {}
    for source in sources.with_template(setup, setup.size(4, 1)):
        rows = sources.shuffled(setup, source, setup.size(4000, 900))
        rows = [row for wording in reworded(setup, rows, WORDINGS) for row in wording]
        setup.rng("wordings", source.name).shuffle(rows)
        keys = len(rows) // A_KEY
        run = flood(setup, source, rows, keys=keys)
        reports[source.name] = figures.of_run(run, 500, keys=keys, wordings=WORDINGS)
    met = all(figures.at_least(run["share_refused_after"], 0.8) for run in reports.values())
    return figures.total("80% refused after the first 500", reports, met=met)


def raw_pool(setup: Setup) -> Report:
    """Ask the raw questions of one pool under a thousand keys."""
    reports = {}
    keys = setup.size(1000, 250)
    for source in sources.without_template(setup, setup.size(3, 1)):
        rows = sources.shuffled(setup, source, setup.size(4000, 1000))
        run = flood(setup, source, rows, keys=keys)
        known = f"harvest_{source.name}" in setup.known_pools
        curve = figures.curve(run.campaign, 500)
        reports[source.name] = figures.of_run(run, 2000, keys=keys, known=known, curve=curve)
    known_runs = [run for run in reports.values() if run["known"]]
    met = bool(known_runs) and all(
        figures.at_least(run["share_refused_after"], 0.8) for run in known_runs
    )
    aim = "of a known pool 80% refused after the first 2,000; of an unknown one the curve"
    return figures.total(aim, reports, met=met, known_pools=len(known_runs))
