"""Slow: a key whose pace is under every step of a throttle, for a month."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway_guard.lab.scenarios import figures, sources
from gateway_guard.lab.scenarios.run import CAMPAIGN_AT, HOUR, Run

if TYPE_CHECKING:
    from gateway_guard.lab.scenarios.setup import Report, Setup

_AN_HOUR: Final = 2
_WATCH_WITHIN_HOURS: Final = 3 * 24
_THROTTLE_WITHIN_HOURS: Final = 7 * 24


def slow(setup: Setup) -> Report:
    """Ask two questions an hour under one key for 30 days, or as long as there are questions."""
    requests = setup.size(30, 8) * 24 * _AN_HOUR
    reports = {}
    for source in sources.harvests(setup)[: setup.size(8, 2)]:
        run = Run(setup, [source], f"slow {source.name}")
        run.hide(setup.size(40, 20), 10)
        rows = sources.shuffled(setup, source, requests)
        asks, keys = run.asks(source, rows), run.campaign.keys(1)
        process = run.campaign.flood(run.rng, asks, keys, per_minute=_AN_HOUR / 60.0)
        run.stage.enter(CAMPAIGN_AT, process)
        run.stage.play()
        life = run.campaign.life
        reports[source.name] = figures.of_run(
            run,
            _THROTTLE_WITHIN_HOURS * _AN_HOUR,
            hours_to_watch=_hours(life.began_at, life.watched_at),
            hours_to_throttle=_hours(life.began_at, life.detected_at),
        )
    met = all(
        figures.within(run["hours_to_watch"], _WATCH_WITHIN_HOURS)
        and figures.within(run["hours_to_throttle"], _THROTTLE_WITHIN_HOURS)
        for run in reports.values()
    )
    hours = {
        name: {source: run[name] for source, run in reports.items()}
        for name in ("hours_to_watch", "hours_to_throttle")
    }
    aim = "verdict watch within 3 days, throttle within 7"
    return figures.total(aim, reports, met=met, **hours)


def _hours(begun_at: float, at: float | None) -> float | None:
    return None if at is None else round((at - begun_at) / HOUR, 1)
