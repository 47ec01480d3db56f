"""Months: innocents who come and go, and a key that harvests for a week and then works honestly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway_guard.actions import Action
from gateway_guard.lab.asks import Manner, continued
from gateway_guard.lab.casting import people, programs
from gateway_guard.lab.doings import Talking
from gateway_guard.lab.lives import Life
from gateway_guard.lab.scenarios import figures, sources
from gateway_guard.lab.scenarios.campaign import Campaign
from gateway_guard.lab.scenarios.run import DAY, HOUR, Run, cut
from gateway_guard.lab.stage import Caller, caller

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from gateway_guard.exchange import Turn
    from gateway_guard.lab.casting import Part
    from gateway_guard.lab.scenarios.setup import Report, Setup
    from gateway_guard.lab.stage import Process

_HARVEST_DAYS: Final = (7, 14)
_HARVEST_GAP_SECONDS: Final = 480.0
_HONEST_GAP_SECONDS: Final = 4 * HOUR
_STEP_EVERY_DAYS: Final = 5
_MOST_OFF_HOURS: Final = 48.0
_INNOCENT_REQUESTS: Final = 60


def long_run(setup: Setup) -> Report:
    """Let months pass twice, once with a wall clock that is set a day ahead and back."""
    days = setup.size(90, 26)
    runs = {
        name: _played(setup, name, days, stepped=name == "stepped")
        for name in ("steady", "stepped")
    }
    freed = {name: run["free_after_hours"] for name, run in runs.items()}
    met = all(
        run["free_after_hours"] is not None
        and run["hours_to_throttle"] is not None
        and not run["innocent_refused"]
        for run in runs.values()
    ) and figures.within(abs((freed["steady"] or 0.0) - (freed["stepped"] or 0.0)), _MOST_OFF_HOURS)
    aim = "a key that stops is free again, clock steps do no harm, no innocent is refused"
    return figures.total(aim, runs, met=met, free_after_hours=freed)


def _played(setup: Setup, name: str, days: int, *, stepped: bool) -> Report:
    source = sources.with_template(setup, 1)[0]
    run = Run(setup, [source], "long run")
    honest, rest = _innocents(setup, setup.size(40, 8))
    for part in rest:
        _spread(run, part, days)
    if stepped:
        run.stage.enter(0.0, _steps(run, days))
    who = run.campaign.key(0)
    begin, end = (day * DAY for day in _HARVEST_DAYS)
    rows = sources.shuffled(setup, source, int((end - begin) / _HARVEST_GAP_SECONDS))
    per_minute = len(rows) / ((end - begin) / 60.0)
    flood = run.campaign.flood(run.rng, run.asks(source, rows), [who], per_minute=per_minute)
    run.stage.enter(begin, flood)
    work = Campaign(run.stage, "", f"honest work {name}")
    worker = Caller(who.principal, work.life)
    run.stage.enter(end, _converse(run, work, worker, honest, days * DAY - end))
    run.stage.play()
    life = run.campaign.life
    throttled_at = None if life.detected_at is None else (life.detected_at - life.began_at) / HOUR
    return figures.of_run(
        run,
        200,
        hours_to_throttle=figures.rounded(throttled_at),
        honest_requests=len(work.served),
        honest_refused=work.served.count(False),
        free_after_hours=_free_after(work, end),
    )


def _innocents(setup: Setup, count: int) -> tuple[list[Part], list[Part]]:
    """Return conversations for the key that harvests, and others for its neighbours."""
    rng = setup.rng("months")
    talkers, runs = people(setup.material, setup.seed), programs(setup.material, setup.seed)
    rng.shuffle(talkers)
    rng.shuffle(runs)
    half = min(count // 2, len(talkers) // 2)
    neighbours = [*talkers[:half], *runs[: count // 2]]
    return talkers[half:], [cut(part, _INNOCENT_REQUESTS) for part in neighbours]


def _spread(run: Run, part: Part, days: int) -> None:
    """Let an innocent's requests come all through the months."""
    run.weigh_apart(f"{part.text_class}_{part.source}")
    who = caller(Life(part.text_class, part.source, part.name))
    run.stage.join(who)
    manner = Manner(run.setup.laws.sampling(run.rng), stream=part.text_class == "human")
    talking = Talking(run.stage, who, run.composer.writer, run.rng, manner)
    gaps = _gaps(run.rng, days * DAY / len(part.talks))
    run.stage.enter(run.rng.uniform(0.0, DAY), talking.as_they_come(iter(part.talks), gaps))


def _gaps(rng: Random, mean: float) -> Iterator[float]:
    while True:
        yield rng.expovariate(1.0 / mean)


def _steps(run: Run, days: int) -> Process:
    """Set the wall clock a day ahead and back, again and again."""
    for number in range(days // _STEP_EVERY_DAYS):
        yield _STEP_EVERY_DAYS * DAY
        run.stage.step_clock(-DAY if number % 2 else DAY)


def _converse(run: Run, work: Campaign, who: Caller, parts: list[Part], seconds: float) -> Process:
    """Hold conversations for so long, as an honest customer."""
    until_at = run.stage.now.steady + seconds
    for talk in (talk for part in parts for talk in part.talks):
        history: tuple[Turn, ...] = ()
        for row in talk:
            if run.stage.now.steady >= until_at:
                return
            ask = run.composer.writer.ask(run.rng, row, Manner(stream=True), history)
            if not (yield from work.exchange(who, ask)):
                break
            history = continued(history, ask)
            yield run.setup.laws.thought(run.rng, row)
        yield run.rng.expovariate(1.0 / _HONEST_GAP_SECONDS)


def _free_after(work: Campaign, end: float) -> float | None:
    """Return the hours after which nothing was held against honest work any more."""
    held = [at for at, worst in enumerate(work.worst) if worst >= Action.THROTTLE]
    if not held:
        return 0.0
    if held[-1] + 1 == len(work.worst):
        return None
    return round((work.asked_at[held[-1] + 1] - end) / HOUR, 1)
