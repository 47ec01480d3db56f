"""Scenarios: campaigns that hide, evade or frame, each before an engine of its own."""

from __future__ import annotations

from typing import Final

from gateway_guard.lab.scenarios import (
    cold,
    evasion,
    failover,
    framing,
    hydra,
    long_run,
    reseller,
    slow,
)
from gateway_guard.lab.scenarios.setup import Report, Scenario, Setup

__all__ = ["SCENARIOS", "Report", "Scenario", "Setup"]

SCENARIOS: Final[dict[str, Scenario]] = {
    "hydra": hydra.hydra,
    "hydra_rotating": hydra.rotating,
    "hydra_wordings": hydra.wordings,
    "raw_pool": hydra.raw_pool,
    "reseller": reseller.reseller,
    "slow": slow.slow,
    "failover": failover.failover,
    "cold": cold.cold,
    "long_run": long_run.long_run,
    **framing.framings(),
    **evasion.evasions(),
}
