"""The report and the table say what was counted, and nothing else."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

from rich.console import Console

from gateway_guard.actions import Action
from gateway_guard.demo.client import Client, identity
from gateway_guard.demo.guard import Judgement, NoGuard
from gateway_guard.demo.prose import Prose
from gateway_guard.demo.report import cold_report, encode, overhead, scene_report
from gateway_guard.demo.script import Answer, Caller, Message
from gateway_guard.demo.summary import summary
from gateway_guard.demo.table import LiveTable, event_time
from gateway_guard.demo.tally import Results, Tally

if TYPE_CHECKING:
    from gateway_guard.demo.script import Kind

CLIENT = Client(identity("sk-1", "openai-js", "198.18.0.1"), "openai", Random(1), Prose(0))
WORSE = Judgement(Action.BLOCK, 3.25, ("yield=0.9 (+2.00): long answers", "novelty=0.8"))
MILD = Judgement(Action.WATCH, -1.0, ("loop=0.4",))


def tally(kind: Kind, *, served: int = 0, refused: int = 0, harvest: int = 0) -> Tally:
    """Return a caller whose harvesting requests were all refused but the first."""
    counted = Tally(Caller(f"a {kind}", kind, 1, ()))
    honest = CLIENT.request((Message("user", "hello"),), Answer("hi"))
    harvesting = CLIENT.request((Message("user", "more"),), Answer("hi"), harvest=True)
    for index in range(served + refused):
        counted.count(honest, None, None if index < served else 429)
    for index in range(harvest):
        counted.count(harvesting, WORSE if index else MILD, 403 if index else None)
    return counted


def results() -> Results:
    """Return the counts of a small scene."""
    tallies = [
        tally("human", served=70),
        tally("app", served=99, refused=1),
        tally("victim", served=60, refused=2),
        tally("harvest", harvest=80),
        tally("reseller", served=90, refused=3, harvest=10),
    ]
    return Results(tallies, wall_seconds=2.0, event_seconds=90000.0)


def test_rows_and_sums_have_exactly_the_agreed_names() -> None:
    """Scripts read them."""
    report = json.loads(encode(scene_report(results(), [30e-6, 40e-6, 50e-6])))
    assert list(report) == [
        "callers",
        "innocent_requests",
        "innocent_refused",
        "reseller_innocent_refused",
        "overhead_us",
    ]
    assert all(
        list(row)
        == [
            "name",
            "class",
            "keys",
            "requests",
            "refused",
            "first_refused_at",
            "harvest_requests",
            "harvest_refused",
            "verdict",
            "score",
            "reasons",
        ]
        for row in report["callers"]
    )
    assert report["overhead_us"] == {"p50": 40.0, "p99": 49.8}


def test_the_victim_counts_as_innocent_and_the_reseller_apart() -> None:
    """232 honest requests without the reseller's 93, of which 3 were refused."""
    report = scene_report(results(), [])
    assert (report["innocent_requests"], report["innocent_refused"]) == (232, 3)
    assert report["reseller_innocent_refused"] == 3
    assert report["overhead_us"] == overhead([]) == {"p50": None, "p99": None}


def test_a_harvest_is_counted_from_its_own_first_request() -> None:
    """The second of its requests was refused, after ninety-three honest ones of the reseller."""
    rows = {row["class"]: row for row in scene_report(results(), [])["callers"]}
    assert (rows["harvest"]["first_refused_at"], rows["harvest"]["harvest_refused"]) == (2, 79)
    assert (rows["reseller"]["first_refused_at"], rows["reseller"]["harvest_requests"]) == (2, 10)
    assert rows["human"]["first_refused_at"] is None
    assert rows["human"]["harvest_requests"] == 0


def test_the_worst_decision_is_the_verdict() -> None:
    """With its score and its reasons."""
    rows = {row["class"]: row for row in scene_report(results(), [])["callers"]}
    assert (rows["harvest"]["verdict"], rows["harvest"]["score"]) == ("block", 3.25)
    assert rows["harvest"]["reasons"] == list(WORSE.reasons)
    assert rows["human"]["verdict"] == "pass"


def test_without_consequences_the_opinion_of_the_key_is_the_verdict() -> None:
    """A watch that a caller shares with others is not its own; the worst of its keys is."""

    class Opinionated(NoGuard):
        def opinion(self, key: str) -> Judgement | None:
            return Judgement(Action.PASS, float(key[-1]), (key,))

    counted = Tally(Caller("somebody", "app", 2, ()))
    request = CLIENT.request((Message("user", "hello"),), Answer("hi"))
    for key in ("sk-2", "sk-7"):
        asked = replace(request, identity=replace(request.identity, key=key))
        counted.count(asked, MILD, None)
    before = counted.judgement
    counted.ask(Opinionated())
    assert before is None
    assert counted.judgement == Judgement(Action.PASS, 7.0, ("sk-7",))
    counted.count(request, WORSE, 403)
    assert counted.judgement == WORSE


def test_the_cold_report_names_who_was_refused() -> None:
    """Names of programs, and the number of requests that a block refused."""
    scene = Results([tally("app", served=5, refused=1), tally("app", served=5)], 1.0, 2.0)
    assert cold_report(scene) == {
        "innocent_requests": 11,
        "innocent_refused": 1,
        "programs_refused": ["a app"],
        "blocked": 0,
    }


def test_the_table_shows_everybody_who_has_asked() -> None:
    """Title with time and settings, one row a caller, a summary under it."""
    console = Console(file=io.StringIO(), width=140, force_terminal=False)
    scene = results()
    scene.tallies.append(tally("hydra"))
    with LiveTable("demo: WARMUP=0s", console) as table:
        table.update(3600.0, scene.tallies)
        table.update(3601.0, scene.tallies)
        table.finish(scene, list(summary(scene, overhead([40e-6]))))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "demo: WARMUP=0s - day 2, 01:00" in text
    assert "a victim" in text
    assert "a hydra" not in text
    assert "yield=0.9, novelty=0.8" in text
    assert "long answers" not in text
    assert "a harvest: first refused at its request 2, 1 of 80 answered" in text
    assert "of its innocent requests 3 of 93 refused" in text
    assert "innocent: 3 of 232 requests refused" in text
    assert "415 requests over HTTP in 2.0 s; the guard added 40.0 us" in text


def test_a_harvest_that_was_never_refused_is_said_to_be() -> None:
    """Nothing is glossed over."""
    scene = Results([tally("harvest", harvest=1)], 1.0, 2.0)
    assert any("never refused" in line for line in summary(scene, overhead([])))


def test_event_time_is_shown_as_a_day_and_a_time() -> None:
    """The first day is day 1."""
    assert event_time(0.0) == "day 1, 00:00"
    assert event_time(86400.0 * 9 + 3600 * 13 + 61) == "day 10, 13:01"
