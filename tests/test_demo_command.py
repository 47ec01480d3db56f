"""``gateway-guard demo`` plays a whole story and reports it in the agreed form."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from gateway_guard.cli import main
from gateway_guard.demo.cast import own_cast
from gateway_guard.demo.command import make_cast, new_event_loop, play, quiet, report_of, show
from gateway_guard.demo.mounted import DemoGuard, demo_settings
from gateway_guard.demo.report import scene_report
from gateway_guard.demo.script import Cast
from gateway_guard.demo.stage import run
from gateway_guard.demo.upstream import Upstream
from gateway_guard.demo.wire import InProcessWire

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from gateway_guard.demo.report import Json

FEW = ("Amara, chatting", "ticket sorter", "Alpaca-style harvester")


def few(seed: int) -> Cast:
    """Return a small part of our own cast."""
    callers = [caller for caller in own_cast(seed).callers if caller.name in FEW]
    return Cast(seed, tuple(callers))


def guard() -> DemoGuard:
    """Return a guard whose blocks last as long in every run."""
    return DemoGuard(demo_settings(0).model_copy(update={"jitter": 0.0}))


def test_a_harvester_is_told_from_a_person_and_a_program(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Over HTTP only the harvester is refused; neither servers nor guard print anything."""
    with quiet():
        report = report_of(few(0), guard(), cold=False)
    person, program, harvester = report["callers"]
    assert (person["refused"], program["refused"]) == (0, 0)
    assert harvester["first_refused_at"] <= 100
    assert harvester["harvest_refused"] > harvester["requests"] / 2
    assert harvester["verdict"] in {"throttle", "penalty", "block"}
    assert report["overhead_us"]["p99"] >= report["overhead_us"]["p50"] > 0
    assert capfd.readouterr() == ("", "")


def test_the_cold_scene_reports_what_became_of_honest_programs() -> None:
    """Nobody is refused here, and the sums say so."""
    cast = Cast(0, few(0).callers[:2])
    with quiet():
        report = report_of(cast, DemoGuard(demo_settings(0, warm=False)), cold=True)
    assert (report["innocent_refused"], report["programs_refused"], report["blocked"]) == (0, [], 0)


async def in_process(cast: Cast) -> Json:
    """Play a cast without sockets."""
    async with InProcessWire(guard()) as wire:
        return scene_report(await run(cast, wire=wire), ())


def test_both_wires_lead_to_the_same_report() -> None:
    """What is fitted in process holds over HTTP."""
    with quiet():
        without_sockets = asyncio.run(in_process(few(0)))
        over_http = scene_report(play(few(0), guard()), ())
    assert without_sockets == over_http


def test_the_screen_shows_settings_table_and_summary(capsys: pytest.CaptureFixture[str]) -> None:
    """The warm-up stands in the title: a demo has none."""
    with quiet():
        show(few(0), guard())
    text = capsys.readouterr().out
    assert "MODE=enforce WARMUP=0s seed 0" in text
    assert "Alpaca-style harvester: first refused at its request" in text
    assert "requests over HTTP in" in text


def test_a_guard_that_heard_nothing_has_nothing_to_say() -> None:
    """And what stands before the upstream is the middleware."""
    watching = guard()
    assert watching.mount(Upstream()) is watching.middleware
    assert watching.take() is None
    assert watching.opinion("sk-nobody") is None


def test_scenes_have_their_casts(tmp_path: Path) -> None:
    """With a folder or without, cold or not."""
    row = json.dumps({"prompt": "hello", "conv": 1, "turn": 0, "output_len": 9})
    (tmp_path / "human_talk.jsonl").write_text(f"{row}\n")
    assert make_cast(0, tmp_path, cold=False).callers[0].name == "talk 1"
    assert make_cast(0, None, cold=False).callers[0].name == "Amara, chatting"
    assert make_cast(0, None, cold=True).callers[0].keys == 2000
    assert demo_settings(0, warm=False).warmup > demo_settings(0).warmup == 0


def test_the_command_prints_one_line_of_json(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """With a small cast in the place of the whole one."""
    monkeypatch.setattr("gateway_guard.demo.command.make_cast", lambda seed, *_, **__: few(seed))
    assert main(["demo", "--json", "--seed", "2"]) == 0
    printed = capfd.readouterr()
    assert printed.err == ""
    [line] = printed.out.splitlines()
    assert [row["name"] for row in json.loads(line)["callers"]] == list(FEW)


def test_a_folder_that_is_none_is_complained_about(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command ends with 2 and a sentence."""
    assert main(["demo", "--json", "--cast", str(tmp_path / "nowhere")]) == 2
    assert "no folder" in capsys.readouterr().err


def test_the_fastest_event_loop_is_used() -> None:
    """It is there to be closed again."""
    loop = new_event_loop()
    loop.close()
    assert loop.is_closed()
