"""One key against the guard, again and again: waves of keys that never meet their own kind.

A wave is one engine before which one harvesting key of each source comes, among people and programs
that come in no other wave. So every key is judged by itself, as if its campaign had no other.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Final

import msgspec

from gateway_guard.lab.casting import Part, harvesters, people, programs
from gateway_guard.lab.composer import Composer
from gateway_guard.lab.judges import Observation
from gateway_guard.lab.lives import Life
from gateway_guard.lab.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway_guard.lab.laws import Laws
    from gateway_guard.lab.material import Material
    from gateway_guard.scoring import Weights

WAVES: Final = 18
QUICK_WAVES: Final = 6
_DAY_SECONDS: Final = 86400.0


class Played(msgspec.Struct):
    """What has come of a wave: every key's life, and what was observed of them by key."""

    lives: list[Life]
    observations: list[tuple[Life, Observation]]


def cast_of(material: Material, seed: int, wave: int, waves: int) -> list[Part]:
    """Return who comes in one of so many waves."""
    innocent = [*people(material, seed), *programs(material, seed)]
    Random(f"{seed}:waves").shuffle(innocent)
    return [*innocent[wave::waves], *harvesters(material, seed, waves)[wave::waves]]


def play_wave(
    cast: Sequence[Part],
    laws: Laws,
    stage: Stage,
    *,
    seed: int,
    composed: bool,
) -> Played:
    """Let everybody of a wave come within a day, and play it to the end."""
    composer = Composer(stage, laws, seed, composed=composed)
    rng = Random(f"{seed}:arrivals")
    for part in cast:
        composer.enter(part, rng.uniform(0.0, _DAY_SECONDS))
    stage.play()
    return Played(stage.lives, stage.observed())


def stage_of(weights: Weights, of_source: dict[str, Weights], *, observe: bool) -> Stage:
    """Return the stage of a wave; one that only observes refuses nobody."""
    mode = "shadow" if observe else "enforce"
    return Stage(weights, of_source=of_source, observe=observe, mode=mode)
