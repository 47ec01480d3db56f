"""Each setting reaches the part that acts on it, and a secret moves what is public."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from gateway_guard import Settings
from gateway_guard.assembly import BLOCK_SAMPLE, THROTTLE_SAMPLE, Guard, ladder
from gateway_guard.background import Background
from gateway_guard.exceptions import ConfigurationError
from tests.callers import Time, scope_of

if TYPE_CHECKING:
    from pathlib import Path


def assembled(time: Time | None = None, **settings: object) -> Guard:
    """Put a guard together."""
    time = time or Time()
    values: dict[str, Any] = {"secret": "of the tests"} | settings
    return Guard(Settings(**values), time, time)


def test_every_threshold_reaches_the_ladder() -> None:
    """Without jitter they are what the operator has set."""
    settings = Settings(
        jitter=0,
        watch_logit=-1,
        throttle_logit=1,
        block_logit=3,
        step_exchanges=7,
        block_first="2h",
        block_longest="3d",
    )
    steps = ladder(settings, b"secret")
    assert (steps.watch, steps.throttle, steps.block) == (-1.0, 1.0, 3.0)
    assert (steps.throttle_sample, steps.block_sample) == (THROTTLE_SAMPLE, BLOCK_SAMPLE)
    assert (steps.step_exchanges, steps.block_jitter) == (7, 0.0)
    assert (steps.block_first_seconds, steps.block_longest_seconds) == (7200.0, 259_200.0)


def test_a_secret_moves_thresholds_and_samples_by_no_more_than_the_jitter() -> None:
    """Weights are public, so each deployment has thresholds of its own."""
    settings = Settings(jitter=0.1)
    ladders = [ladder(settings, b"secret %d" % number) for number in range(50)]
    for name in ("watch", "throttle", "block"):
        values = {getattr(found, name) for found in ladders}
        middle: float = getattr(settings, f"{name}_logit")
        assert len(values) == 50
        assert all(abs(value - middle) <= 0.1 for value in values)
    assert all(abs(found.throttle_sample - THROTTLE_SAMPLE) <= 1.0 for found in ladders)


def test_the_same_secret_gives_the_same_ladder() -> None:
    """Workers and restarts agree."""
    settings = Settings()
    assert ladder(settings, b"secret") == ladder(settings, b"secret")


def test_rules_are_what_the_operator_has_set() -> None:
    """Pacing, times and budgets, each in its unit."""
    guard = assembled(
        warmup="1d",
        young="2d",
        answer_timeout="10m",
        read_budget="8KiB",
        throttle_rates="9,5,2",
        penalty_seconds="5m",
        mode="shadow",
    )
    rules = guard.engine.rules
    assert rules.warm_at == Time().now + 86_400.0
    assert (rules.young_seconds, rules.answer_timeout_seconds) == (172_800.0, 600.0)
    assert rules.read_budget == 8192
    assert rules.pacing.rates_per_minute == (9.0, 5.0, 2.0)
    assert rules.pacing.penalty_seconds == 300.0
    assert rules.shadow


def test_the_first_start_is_remembered_in_the_state_directory(tmp_path: Path) -> None:
    """A restart does not begin the warm-up anew."""
    time = Time()
    first = assembled(time, secret=None, state_dir=tmp_path, warmup="1d")
    time.pass_by(50_000)
    second = assembled(time, secret=None, state_dir=tmp_path, warmup="1d")
    assert second.engine.rules.warm_at == first.engine.rules.warm_at
    assert second.principals.key_id(b"sk-a") == first.principals.key_id(b"sk-a")


def test_without_a_place_for_it_the_secret_lives_as_long_as_the_process() -> None:
    """Two guards of a process agree on ids; the operator is told that nobody else will."""
    with capture_logs():
        one, other = assembled(secret=None), assembled(secret=None)
    assert one.principals.key_id(b"sk-a") == other.principals.key_id(b"sk-a")
    assert one.principals.key_id(b"sk-a") != assembled().principals.key_id(b"sk-a")


def test_a_policy_that_cannot_be_used_stops_the_start(tmp_path: Path) -> None:
    """Before the first request, with the file's name."""
    policy = tmp_path / "policy.toml"
    policy.write_text("[[entitlement]]\n")
    with pytest.raises(ConfigurationError, match=r"policy\.toml"):
        assembled(policy=policy)


def test_a_policy_that_became_unusable_shows_on_a_gauge(tmp_path: Path) -> None:
    """The last good one stays in force, and exporters can tell."""
    policy, time = tmp_path / "policy.toml", Time()
    policy.write_text("")
    guard = assembled(time, policy=policy)
    policy.write_text("no toml")
    time.pass_by(60)
    with capture_logs():
        guard.refresh_policy()
    assert guard.instruments.gauges == {"policy_stale": 1.0, "policy_rejected": 1.0}


def test_refusals_are_counted_by_network_for_ten_minutes() -> None:
    """Five are told properly; the next ones are plain, whichever key they use."""
    time = Time()
    guard = assembled(time)
    principals = [guard.principals.read(scope_of(key=b"sk-%d" % number)) for number in range(7)]
    assert [guard.often_refused(principal) for principal in principals] == [False] * 5 + [True] * 2
    elsewhere = guard.principals.read(scope_of(client=("198.51.100.1", 1)))
    assert not guard.often_refused(elsewhere)
    assert not guard.often_refused(None)
    time.pass_by(601)
    assert not guard.often_refused(principals[0])


async def test_looks_that_hang_do_not_pile_up() -> None:
    """While a disk does not answer there is one look at it, however much time passes."""
    hanging, looks = threading.Event(), asyncio.Queue[None]()
    loop = asyncio.get_running_loop()

    def look() -> None:
        loop.call_soon_threadsafe(looks.put_nowait, None)
        hanging.wait(5)

    background = Background(flush=lambda: None, refresh=look, every_seconds=0.001)
    background.start()
    background.start()
    await looks.get()
    passed = asyncio.Event()
    loop.call_later(0.02, passed.set)
    await passed.wait()
    assert looks.empty()
    hanging.set()
    await looks.get()
    background.stop()


async def test_a_stopped_background_counts_what_is_left_and_plans_nothing() -> None:
    """A flush asked for afterwards has no timer to wait for."""
    flushed: list[int] = []
    background = Background(flush=lambda: flushed.append(1), refresh=lambda: None, every_seconds=60)
    background.start()
    background.flush_soon()
    background.flush_soon()
    background.stop()
    assert flushed == [1]
    background.flush_soon()
    background.stop()
    assert flushed == [1, 1]


async def test_a_look_that_ends_after_the_stop_plans_no_other() -> None:
    """Nor does a timer that was about to run."""
    hanging, looks = threading.Event(), asyncio.Queue[None]()
    loop = asyncio.get_running_loop()

    def look() -> None:
        loop.call_soon_threadsafe(looks.put_nowait, None)
        hanging.wait(5)

    background = Background(flush=lambda: None, refresh=look, every_seconds=0.001)
    background.start()
    await looks.get()
    background.stop()
    hanging.set()
    ended = asyncio.Event()
    loop.run_in_executor(None, loop.call_soon_threadsafe, ended.set)
    await ended.wait()
    passed = asyncio.Event()
    loop.call_later(0.02, passed.set)
    await passed.wait()
    assert looks.empty()


async def test_what_happened_is_summed_up_when_the_guard_stops() -> None:
    """With every gauge; a guard that saw nothing says nothing."""
    guard = assembled()
    with capture_logs() as logs:
        guard.background.stop()
        guard.instruments.count("decisions", "pass")
        guard.background.stop()
    [summary] = logs
    assert summary["event"] == "gateway_guard.summary"
    assert summary["counters"] == {"decisions.pass": 1}
    assert summary["gauges"] == dict.fromkeys(
        (
            *("subjects", "waiting", "unverified", "standings"),
            *("buffered_bytes", "policy_stale", "policy_rejected"),
        ),
        0.0,
    )


async def test_what_happened_is_summed_up_every_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """For as long as the loop runs."""
    monkeypatch.setattr("gateway_guard.background.SUMMARY_SECONDS", 0.001)
    sums = asyncio.Queue[None]()
    background = Background(
        flush=lambda: None,
        refresh=lambda: None,
        every_seconds=60,
        summarise=lambda: sums.put_nowait(None),
    )
    background.start()
    for _ in range(3):
        await sums.get()
    background.stop()
