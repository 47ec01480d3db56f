"""What the guard tells about itself: bounded, and never what went wrong in whose words."""

from __future__ import annotations

import asyncio

import pytest
import structlog
from structlog.testing import capture_logs

from gateway_guard.instrumentation import (
    OVERHEADS_KEPT,
    SELDOM_KEPT,
    Contained,
    Instrumentation,
    utc,
)
from tests.callers import Time, ask, asking, guarded, scope_of
from tests.upstreams import model

SECRET = "sk-in-the-text-of-an-error"


def fail() -> None:
    """Raise an error with a text."""
    raise ValueError(SECRET)


def test_counters_count_by_name_and_label() -> None:
    """A name without a label is a counter of its own."""
    instruments = Instrumentation()
    instruments.count("refusals", "block")
    instruments.count("refusals", "block")
    instruments.count("refusals")
    assert instruments.counters == {("refusals", "block"): 2, ("refusals", ""): 1}


def test_events_are_dotted_below_the_packages_name() -> None:
    """Whoever filters logs finds them under one prefix."""
    with capture_logs() as logs:
        Instrumentation().event("verdict", action="block")
    assert logs == [
        {"event": "gateway_guard.verdict", "action": "block", "log_level": "info"},
    ]


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        (None, None),
        (1_800_000_000.9, "2027-01-15T08:00:00Z"),
        (-1.0, "1970-01-01T00:00:00Z"),
        (1e12, "9999-12-31T23:59:59Z"),
    ],
)
def test_instants_are_shown_as_dates_that_exist(at: float | None, shown: str | None) -> None:
    """In UTC, since a fleet has many time zones."""
    assert utc(at) == shown


def test_only_the_newest_overheads_are_kept() -> None:
    """A million requests take no more room than a few thousand."""
    instruments = Instrumentation()
    instruments.overhead_seconds.extend(range(OVERHEADS_KEPT + 5))
    assert len(instruments.overhead_seconds) == OVERHEADS_KEPT
    assert instruments.overhead_seconds[0] == 5


async def test_every_exchange_leaves_its_overhead() -> None:
    """One figure a request, in seconds, the application's own time left out."""
    guard = guarded(model)
    for _ in range(3):
        await ask(guard, scope_of(), asking("hello"))
    assert len(guard.instruments.overhead_seconds) == 3
    assert all(0.0 < seconds < 1.0 for seconds in guard.instruments.overhead_seconds)


def test_a_failure_is_swallowed_counted_and_logged_by_kind_and_place() -> None:
    """The innermost place is named, and the text is not."""
    instruments = Instrumentation()
    with capture_logs() as logs, Contained(instruments) as contained:
        fail()
    assert contained.failed
    assert instruments.counters == {("errors", "ValueError"): 1}
    [entry] = logs
    assert entry["event"] == "gateway_guard.internal_error"
    assert entry["log_level"] == "error"
    assert entry["place"].endswith(f"test_instrumentation.py:{fail.__code__.co_firstlineno + 2}")
    assert SECRET not in repr(logs)


def test_a_failure_without_a_traceback_has_no_place() -> None:
    """Errors that were made and never raised are told of too."""
    instruments = Instrumentation()
    with capture_logs() as logs:
        instruments.failed(ValueError(SECRET), None)
    assert [entry["place"] for entry in logs] == [""]


def test_success_is_no_failure() -> None:
    """Nothing is counted."""
    instruments = Instrumentation()
    with Contained(instruments) as contained:
        pass
    assert not contained.failed
    assert not instruments.counters


@pytest.mark.parametrize("kind", [asyncio.CancelledError, KeyboardInterrupt, SystemExit])
def test_cancellation_and_exits_pass(kind: type[BaseException]) -> None:
    """They are meant for somebody else."""
    instruments = Instrumentation()
    contained = Contained(instruments)
    with pytest.raises(kind), contained:
        raise kind
    assert not contained.failed
    assert not instruments.counters


def test_logging_that_breaks_breaks_nothing_else() -> None:
    """A host's own processor may fail; requests do not."""

    def broken(*_: object) -> str:
        raise OSError(SECRET)

    instruments = Instrumentation()
    before = structlog.get_config()["processors"]
    structlog.configure(processors=[broken])
    try:
        instruments.event("verdict")
        with Contained(instruments):
            fail()
    finally:
        structlog.configure(processors=before)
    assert instruments.counters == {("errors", "ValueError"): 1}


def test_what_happens_again_and_again_is_logged_once_a_minute() -> None:
    """With the number of what was left out; other things have lines of their own."""
    time = Time()
    instruments = Instrumentation(time)
    with capture_logs() as logs:
        for _ in range(125):
            instruments.seldom("info", "refusal", "a", action="block")
            time.pass_by(1)
        instruments.seldom("warning", "refusal", "b")
    assert [(log["log_level"], log.get("suppressed", 0)) for log in logs] == [
        ("info", 0),
        ("info", 59),
        ("info", 59),
        ("warning", 0),
    ]


def test_failures_of_one_place_are_logged_once_a_minute() -> None:
    """Each is counted."""
    instruments = Instrumentation(Time())
    with capture_logs() as logs:
        for _ in range(5):
            with Contained(instruments):
                fail()
    assert instruments.counters == {("errors", "ValueError"): 5}
    assert len(logs) == 1


def test_what_is_remembered_of_log_lines_is_bounded() -> None:
    """A flood of new subjects makes the oldest ones new again."""
    instruments = Instrumentation(Time())
    with capture_logs() as logs:
        for number in range(SELDOM_KEPT + 1):
            instruments.seldom("info", "refusal", number)
        instruments.seldom("info", "refusal", SELDOM_KEPT)
        instruments.seldom("info", "refusal", 0)
    assert len(logs) == SELDOM_KEPT + 2


def test_a_summary_tells_what_was_counted_since_the_last_one() -> None:
    """With gauges and overheads; of a minute without requests there is none."""
    time = Time()
    instruments = Instrumentation(time)
    instruments.count("decisions", "pass")
    with capture_logs() as logs:
        instruments.summarise()
        time.pass_by(60)
        instruments.summarise()
        instruments.count("decisions", "pass")
        instruments.count("starts")
        instruments.gauges["subjects"] = 7.0
        instruments.overhead_seconds.extend([0.0001] * 99 + [0.001])
        time.pass_by(60)
        instruments.summarise()
    assert logs == [
        {
            "event": "gateway_guard.summary",
            "log_level": "info",
            "seconds": 0,
            "counters": {"decisions.pass": 1},
            "gauges": {},
        },
        {
            "event": "gateway_guard.summary",
            "log_level": "info",
            "seconds": 60,
            "counters": {"decisions.pass": 1, "starts": 1},
            "gauges": {"subjects": 7.0},
            "overhead_p50_us": 100.0,
            "overhead_p99_us": pytest.approx(109.0, abs=1),
        },
    ]
