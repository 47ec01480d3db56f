"""What is measured of stores is measured on real workers, kills and restarts; never how fast."""

from __future__ import annotations

import json
from math import exp, sqrt
from typing import TYPE_CHECKING

import msgspec
import pytest

from gateway_guard.bench import store_remains
from gateway_guard.bench.intervals import ratio_of, student
from gateway_guard.bench.report import Report, as_dict, as_table
from gateway_guard.bench.store_kills import measure_kills
from gateway_guard.bench.store_latency import MEMORY, stores
from gateway_guard.bench.store_report import Kills, Latency, Ratio, Restart, StoreKills, Stores
from gateway_guard.bench.store_restart import measure_restart
from gateway_guard.bench.store_scene import compose
from gateway_guard.stores import STANDING

if TYPE_CHECKING:
    from pathlib import Path

KILLS = Kills(50, 20_000, 0, 200, 0, 110, 3, 8, 0)
SIZES = {"memory": 1 << 29, "rss_bound": 3 << 28, "rss": 1 << 28}
EVEN = Ratio(1.0, 0.98, 1.02)


def test_quantiles_of_student_are_those_of_the_tables() -> None:
    """They are wider than the normal one, the more so the fewer runs there are."""
    table = {4: 2.776, 9: 2.262, 19: 2.093, 30: 2.042, 1000: 1.962}
    assert {freedom: round(student(freedom), 3) for freedom in table} == pytest.approx(
        table, rel=0.001
    )


def test_a_ratio_is_that_of_pairs() -> None:
    """A run that is twice as slow as another makes no difference where its pair is as well."""
    even = ratio_of([1.1, 2.2, 5.5, 11.0], [1.0, 2.0, 5.0, 10.0])
    assert (even.mean, even.low, even.high) == pytest.approx((1.1, 1.1, 1.1))


def test_an_interval_is_as_wide_as_the_ratios_differ() -> None:
    """By hand: logarithms of 1, -1, 1, -1 have a deviation of 2 / sqrt(3)."""
    found = ratio_of([exp(1), 1.0, exp(1), 1.0], [1.0, exp(1), 1.0, exp(1)])
    spread = student(3) * 2 / sqrt(3) / 2
    assert (found.mean, found.low, found.high) == pytest.approx((1.0, exp(-spread), exp(spread)))


def test_one_run_has_no_interval() -> None:
    """Nothing is said of what cannot be known."""
    with pytest.raises(ValueError, match="1"):
        ratio_of([1.0], [1.0])


def test_workers_that_are_killed_leave_what_they_said(tmp_path: Path) -> None:
    """Blocks hold, counts are lost as far as the rule of pushing allows, none is made up."""
    found = measure_kills(f"sqlite:///{tmp_path / 'state'}", 2)
    assert found.kills == 2
    assert found.verdicts == 4
    assert (found.broken, found.verdicts_lost, found.counted_twice) == (0, 0, 0)
    assert found.requests > 80
    assert found.counts_lost_most <= found.counts_allowed


def test_a_store_that_forgets_is_found_out() -> None:
    """The measurement can fail: what is kept in memory ends with its process."""
    found = measure_kills("memory://", 2)
    assert found.verdicts_lost == found.verdicts == 4
    assert found.counts_lost_most > found.counts_allowed


def test_a_new_process_knows_who_was_blocked() -> None:
    """Its first request is refused, among thousands of subjects; others are served."""
    found = measure_restart(subjects=2_000, requests=8, starts=1)
    assert found.refused
    assert (found.subjects, found.standings) == (2_000, 21)
    assert found.store_bytes > 2_000 * 200
    assert 0 < found.rss < found.rss_bound


def test_what_is_left_is_read_whoever_wrote_it(tmp_path: Path) -> None:
    """All writers' parts count, and what nobody can read is told."""
    blocked = b"\1" + bytes(15)
    path = tmp_path / "state"
    compose(path, 200, [blocked])
    url = f"sqlite:///{path}"
    assert store_remains.faults(url) == 0
    [parts] = store_remains.parts_of(url, [blocked])
    assert sorted(part.slot == STANDING for part in parts) == [False, True]
    counted, broken = store_remains.counted_in(parts)
    assert counted > 0
    assert broken == 0
    spoilt = [msgspec.structs.replace(part, data=b"\0") for part in parts]
    assert store_remains.counted_in(spoilt) == (0, 2)


def test_a_file_with_a_hole_in_it_is_found_out(tmp_path: Path) -> None:
    """A page that is something else is a fault."""
    path = tmp_path / "state"
    compose(path, 2_000, [])
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 4096] = b"\x7f" * 4096
    path.write_bytes(data)
    assert store_remains.faults(f"sqlite:///{path}") > 0


def test_every_kind_of_store_is_compared_with_memory() -> None:
    """Alive, late, silent, not there, and memory itself, which shows what is noise."""
    with stores() as urls:
        assert [*urls] == [
            MEMORY,
            "memory again",
            "sqlite",
            "valkey",
            "slow",
            "silent",
            "refused",
        ]
        assert urls[MEMORY] == urls["memory again"] == "memory://"
        assert len(set(urls.values())) == len(urls) - 1


def test_everything_is_shown() -> None:
    """Programs get every figure, people every bar."""
    latency = [Latency(name, 300.0, 3000.0, EVEN, EVEN) for name in (MEMORY, "sqlite")]
    restart = Restart(1_000_000, 10_001, 7 << 27, 30.0, 2.5, refused=True, **SIZES)
    report = Report(store=Stores(20, 2_000, latency, StoreKills(KILLS, KILLS), restart))
    found = json.loads(json.dumps(as_dict(report)))["store"]
    assert set(found) == {"runs", "requests", "latency", "kills", "restart"}
    assert found["latency"][1]["p99_ratio"] == {"mean": 1.0, "low": 0.98, "high": 1.02}
    assert found["kills"]["valkey"]["counts_allowed"] == 8
    assert found["restart"]["refused"] is True
    table = as_table(report)
    assert "sqlite: p50, p99 in proportion" in table
    assert "of 200 blocks forgotten" in table
    assert "1,000,000 subjects in a file" in table
