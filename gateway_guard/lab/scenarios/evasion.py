"""Evasions: what attackers do about the guard, each as a share of what is caught without it.

An evasion is tried by a hydra, by single keys, or both. Its figure is the share of a hydra's
questions that were refused, of a single key's that a throttle or worse stood against, as workers
that wait obediently are served late and seldom refused.
"""

from __future__ import annotations

from functools import partial
from itertools import cycle
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from gateway_guard.corpora import Row
from gateway_guard.lab.asks import Ask, Manner
from gateway_guard.lab.doings import worker
from gateway_guard.lab.lives import Life
from gateway_guard.lab.scenarios import disguises, figures, sources
from gateway_guard.lab.scenarios.disguises import Disguise
from gateway_guard.lab.scenarios.run import CAMPAIGN_AT, Run
from gateway_guard.lab.scenarios.wordings import wordings_of
from gateway_guard.lab.stage import caller

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway_guard.corpora import Source
    from gateway_guard.lab.scenarios.setup import Report, Scenario, Setup
    from gateway_guard.lab.stage import Caller, Process

Shape = Literal["hydra", "key"]

LEAST_SHARE: Final = 0.8
_A_MINUTE: Final = 100.0
_KEY_ROWS: Final = 240
_PACKED_ROWS: Final = 10
_CURVE_STEP: Final = 100
_HYDRA_AFTER: Final = 200
_KEY_AFTER: Final = 100
_STAGGER_SECONDS: Final = 0.2
_FLUSHING_A_MINUTE: Final = 600.0
_FLUSHING_KEYS: Final = 50
_MINUTE_SECONDS: Final = 60.0
_SMALL_MEMORY: Final = "8MiB"
_JUNK_WORDS: Final = 40


class Evasion(msgspec.Struct, frozen=True):
    """One evasion, and who tries it.

    ``pack`` puts so many questions into a request; ``wording_a_key`` rewords the template for each
    key; ``flush`` sends so many requests of random templates for each of the campaign's, before a
    guard of little memory.
    """

    disguise: Disguise = disguises.plain
    shapes: tuple[Shape, ...] = ("hydra", "key")
    pack: int = 1
    a_key: int = 4
    per_minute: float = _A_MINUTE
    wording_a_key: bool = False
    flush: int = 0
    memory: str = "256MiB"


EVASIONS: Final = {
    "invented_history": Evasion(disguises.history),
    "older_turn": Evasion(disguises.older_turn),
    "system_text": Evasion(disguises.system_text),
    "tool_result": Evasion(disguises.tool_result),
    "nonce": Evasion(disguises.nonce),
    "packing": Evasion(shapes=("key",), pack=20),
    "spelling": Evasion(disguises.respelled),
    "paraphrase": Evasion(shapes=("hydra",), wording_a_key=True),
    "low_rate": Evasion(shapes=("hydra",), a_key=2, per_minute=0.8),
    "flushing": Evasion(shapes=("hydra",), flush=4, memory=_SMALL_MEMORY),
}


def _evaded(setup: Setup, name: str) -> Report:
    """Compare what is caught of campaigns with and without one evasion."""
    evasion = EVASIONS[name]
    reports: dict[str, Report] = {}
    shares: dict[str, float | None] = {}
    for shape in evasion.shapes:
        caught = {"plain": 0.0, name: 0.0}
        for source in _sources(setup, shape):
            usual = Evasion(memory=evasion.memory)
            for kind, way in (("plain", usual), (name, evasion)):
                report = _played(setup, source, shape, way, kind)
                caught[kind] += report["caught"] or 0.0
                reports[f"{shape} {source.name} {kind}"] = report
        usually = caught["plain"]
        shares[shape] = figures.rounded(caught[name] / usually) if usually else None
    known = [share for share in shares.values() if share is not None]
    evading = {key: report for key, report in reports.items() if not key.endswith(" plain")}
    return figures.total(
        "80% of what is caught without it",
        evading,
        met=bool(known) and min(known) >= LEAST_SHARE,
        share_of_plain=min(known, default=None),
        shares_of_plain=shares,
        plain={key: report["caught"] for key, report in reports.items() if key not in evading},
    )


def _sources(setup: Setup, shape: Shape) -> list[Source]:
    if shape == "hydra":
        return sources.with_template(setup, setup.size(2, 1))
    return sources.harvests(setup)[: setup.size(4, 1)]


def _played(setup: Setup, source: Source, shape: Shape, way: Evasion, kind: str) -> Report:
    """Play one campaign to its end."""
    run = Run(setup, [source], f"{shape} {source.name} {kind}", memory=way.memory)
    run.hide(setup.size(60, 20), 10)
    key_rows = _KEY_ROWS if way.pack == 1 else _KEY_ROWS * _PACKED_ROWS
    most = setup.size(800, 500) if shape == "hydra" else key_rows
    rows = sources.shuffled(setup, source, most)
    if way.pack > 1:
        rows = disguises.packed(rows, way.pack)
    keys = max(1, len(rows) // way.a_key) if shape == "hydra" else 1
    asks = _asks(run, source, rows, way, keys)
    after = (_HYDRA_AFTER if shape == "hydra" else _KEY_AFTER) // way.pack
    if shape == "hydra":
        _flood(run, asks, keys, way)
    else:
        _work(run, source, asks, way)
    run.stage.play()
    report = figures.of_run(run, after, curve=figures.curve(run.campaign, _CURVE_STEP))
    by_verdict = shape == "key" or way.per_minute < _A_MINUTE
    report["caught"] = report["share_throttled_after" if by_verdict else "share_refused_after"]
    return report


def _asks(run: Run, source: Source, rows: list[Row], way: Evasion, keys: int) -> Iterator[Ask]:
    if way.wording_a_key:
        said = wordings_of(rows, run.rng, keys)
        rows = [
            msgspec.structs.replace(row, prompt=said[number % keys](row.prompt))
            for number, row in enumerate(rows)
        ]
    for ask in run.asks(source, rows):
        yield way.disguise(run.rng, ask)


def _flood(run: Run, asks: Iterator[Ask], keys: int, way: Evasion) -> None:
    callers = run.campaign.keys(keys)
    process = run.campaign.flood(
        run.rng, asks, callers, per_minute=way.per_minute, questions=way.pack
    )
    run.stage.enter(CAMPAIGN_AT, process)
    if way.flush:
        requests = way.flush * keys * way.a_key
        seconds = _MINUTE_SECONDS * requests / _FLUSHING_A_MINUTE
        run.stage.enter(CAMPAIGN_AT - seconds / 2, _flush(run, requests))


def _flush(run: Run, requests: int) -> Process:
    """Send templates that come once and never again, under keys that are answered."""
    life = Life("harvest", "", f"flushing {run.campaign.life.name}")
    callers = [caller(life, name=f"{life.name} {number}") for number in range(_FLUSHING_KEYS)]
    for who in callers:
        run.stage.join(who)
    for _, who in zip(range(requests), cycle(callers), strict=False):
        row = Row(disguises.words(run.rng, _JUNK_WORDS), output_len=100)
        ask = run.composer.writer.ask(run.rng, row, Manner(), harvest=True)
        junk = disguises.nonce(run.rng, ask)
        run.stage.spawn(worker(run.stage, who, iter([junk]), _no_pause))
        yield _MINUTE_SECONDS / _FLUSHING_A_MINUTE


def _work(run: Run, source: Source, asks: Iterator[Ask], way: Evasion) -> None:
    """Let a pipeline's workers ask under one key."""
    pipeline = sources.pipeline_of(source)
    who = run.campaign.key(0)
    for number in range(pipeline.concurrency):
        at = CAMPAIGN_AT + number * _STAGGER_SECONDS
        run.stage.enter(at, _one_by_one(run, who, asks, way.pack, pipeline.pause_seconds))


def _one_by_one(
    run: Run, who: Caller, asks: Iterator[Ask], questions: int, pause_seconds: float
) -> Process:
    for ask in asks:
        yield from run.campaign.exchange(who, ask, questions=questions)
        yield pause_seconds


def _no_pause() -> float:
    return 0.0


def evasions() -> dict[str, Scenario]:
    """Return a scenario for each evasion."""
    return {f"evasion_{name}": partial(_evaded, name=name) for name in EVASIONS}
