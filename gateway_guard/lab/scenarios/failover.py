"""Failover: the work of keys that are refused moves to fresh ones."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Final

from gateway_guard.lab.scenarios import figures, sources
from gateway_guard.lab.scenarios.run import CAMPAIGN_AT, Run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway_guard.lab.asks import Ask
    from gateway_guard.lab.scenarios.campaign import Campaign
    from gateway_guard.lab.scenarios.setup import Report, Setup
    from gateway_guard.lab.stage import Process

KEYS: Final = 10
MOST_PASSED: Final = 49


class Failover:
    """Workers that leave a key for a fresh one the first time that it is refused."""

    def __init__(self, campaign: Campaign) -> None:
        """Begin with ``passed`` and ``passed_before_refusal`` at nothing: they count fresh keys."""
        self._campaign = campaign
        self._fresh = count(KEYS)
        self.keys = KEYS
        self.passed = 0
        self.passed_before_refusal: int | None = None

    def worker(self, slot: int, asks: Iterator[Ask]) -> Process:
        """Ask one question after another."""
        who, fresh = self._campaign.key(slot), False
        for ask in asks:
            served = yield from self._campaign.exchange(who, ask, retries=0)
            self.passed += served and fresh
            if served:
                continue
            if fresh and self.passed_before_refusal is None:
                self.passed_before_refusal = self.passed
            who, fresh = self._campaign.key(next(self._fresh)), True
            self.keys += 1


def failover(setup: Setup) -> Report:
    """Move a campaign's work to fresh keys, key by key, as they are refused."""
    chosen = sources.with_template(setup, setup.size(3, 1))
    chosen += sources.without_template(setup, setup.size(2, 1))
    reports = {}
    for source in chosen:
        run = Run(setup, [source], f"failover {source.name}")
        run.hide(setup.size(60, 20), 10)
        asks = run.asks(source, sources.shuffled(setup, source, setup.size(1000, 500)))
        moving = Failover(run.campaign)
        for slot in range(KEYS):
            run.stage.enter(CAMPAIGN_AT + slot, moving.worker(slot, asks))
        run.stage.play()
        reports[source.name] = figures.of_run(
            run,
            run.campaign.first_refused or 0,
            keys=moving.keys,
            passed_before_refusal=moving.passed_before_refusal,
            passed_on_fresh_keys=moving.passed,
        )
    met = all(figures.within(run["passed_before_refusal"], MOST_PASSED) for run in reports.values())
    passed = {name: run["passed_before_refusal"] for name, run in reports.items()}
    aim = "under 50 requests pass under fresh keys before one is refused"
    return figures.total(aim, reports, met=met, passed_before_refusal=passed)
