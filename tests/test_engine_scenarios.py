"""Scenarios: folders of streams in, expected verdicts out. Harvest speaks, innocents are silent."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.staging import Stage, failures, read_scenario

FOLDER = Path(__file__).parent / "scenarios"
SCENARIOS = sorted(FOLDER.glob("*/*.toml"))


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_claim_of_the_scenario_holds(path: Path) -> None:
    """Each file says what it claims, which requests come when, and what must become of them."""
    scenario = read_scenario(path)
    stage = Stage(scenario, path.stem)
    stage.play()
    missed = [line for stream in scenario.stream for line in failures(stage, stream)]
    assert not missed, scenario.claim


def test_there_are_scenarios_of_either_kind() -> None:
    """A folder that was moved would pass in silence."""
    kinds = [path.parent.name for path in SCENARIOS]
    assert kinds.count("harvest") >= 10
    assert kinds.count("innocent") >= 10
