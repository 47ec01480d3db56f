"""Our own cast: people, programs and harvesters, from texts of our own."""

from __future__ import annotations

from gateway_guard.demo.agent import coding_agent
from gateway_guard.demo.apps import apps
from gateway_guard.demo.campaigns import hydra, reseller, victim_and_imitator
from gateway_guard.demo.harvesters import harvesters
from gateway_guard.demo.people import people
from gateway_guard.demo.script import Cast
from gateway_guard.demo.studio import Studio


def own_cast(seed: int) -> Cast:
    """Return everybody, with ten days of event time ahead of them."""
    studio = Studio(seed)
    callers = [
        *people(studio),
        *apps(studio),
        coding_agent(studio),
        *harvesters(studio),
        hydra(studio),
        *victim_and_imitator(studio),
        reseller(studio),
    ]
    return Cast(seed, tuple(callers))
