"""Whether the guard's cost grows with the number of subjects that it has seen."""

from __future__ import annotations

from typing import Final

from gateway_guard.bench.apps import answer_at_once
from gateway_guard.bench.calls import answered
from gateway_guard.bench.contestants import BARE, Contestant, check, guarded
from gateway_guard.bench.report import Scale
from gateway_guard.bench.rounds import Heat, run_heats
from gateway_guard.bench.traffic import Manner, Prompts, full_caller

FEW: Final = "few"
MANY: Final = "many"
BLOCK: Final = 64
HOT_CALLERS: Final = 128
SUBJECTS_A_NEWCOMER: Final = 6
_FRAMES: Final = 64
_FIRST_NEWCOMER: Final = 1_000_000
_SHORT: Final = 120


async def measure_scale(*, subjects: int, rounds: int, known: int) -> Scale:
    """Return what the guard adds with a thousand and with ``subjects`` subjects seen, in us.

    Both guards answer the same callers' requests, whose questions bring no further template.
    """
    few, many = guarded(answer_at_once), guarded(answer_at_once)
    contestants = {BARE: Contestant(answer_at_once), FEW: few, MANY: many}
    callers = [full_caller(number) for number in range(HOT_CALLERS)]
    heat = Heat(Prompts(callers, Manner(frames=_FRAMES), seed=8), contestants, block=BLOCK)
    await show_subjects(few, 1_000)
    await show_subjects(many, subjects)
    for name in (FEW, MANY):
        await heat.warm(name, known * HOT_CALLERS // BLOCK)
    await run_heats([heat], rounds=rounds)
    return Scale(heat.added_us(FEW), heat.added_us(MANY))


async def show_subjects(contestant: Contestant, subjects: int) -> None:
    """Show about so many subjects: callers that come twice, each time with a prompt of their own.

    That makes a key, an end user, two beginnings and two ends for each of them.
    """
    prompts = Prompts([], Manner(_SHORT, system=False), seed=9)
    for number in range(subjects // SUBJECTS_A_NEWCOMER):
        newcomer = full_caller(_FIRST_NEWCOMER + number)
        await answered(contestant.app, prompts.ask(newcomer))
        await answered(contestant.app, prompts.ask(newcomer))
    contestant.flush()
    check(contestant.failures())
