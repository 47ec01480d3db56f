"""The cold scene: a guard that knows no key and no template, before honest traffic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway_guard.demo.agent import organisation_client, task
from gateway_guard.demo.apps import apps
from gateway_guard.demo.clock import DAY
from gateway_guard.demo.lengths import LengthLaw
from gateway_guard.demo.programs import program, programs_of
from gateway_guard.demo.script import Act, Caller, Cast
from gateway_guard.demo.studio import Studio

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway_guard.corpora import Source

ORGANISATIONS: Final = 2000
REQUESTS_EACH: Final = (3, 4)
PROGRAM_REQUESTS: Final = 60
DAYS: Final = 1


def cold_cast(seed: int, sources: Sequence[Source] = ()) -> Cast:
    """Return a coding agent in 2,000 organisations and every program of a folder, within a day."""
    studio = Studio(seed, days=DAYS)
    if sources:
        stocks = programs_of(studio, sources, LengthLaw(sources))
        programs = [program(studio, stock, requests=PROGRAM_REQUESTS) for stock in stocks]
    else:
        programs = apps(studio)
    return Cast(seed, (cold_agent(studio), *programs))


def cold_agent(studio: Studio) -> Caller:
    """Return the agent; each organisation has a key of its own and comes for one short task."""
    rng = studio.rng("cold agent")
    acts = []
    for index in range(ORGANISATIONS):
        client = organisation_client(studio, rng, index)
        acts.append(Act(rng.uniform(0, 0.9) * DAY, task(client, rng.randint(*REQUESTS_EACH))))
    return Caller("coding agent", "app", ORGANISATIONS, tuple(acts))
