"""One key against the guard, again and again: waves of keys that never meet their own kind.

A wave is one engine, before which people and programs come that come in no other wave, and after
them one harvesting key of each source. So every key is judged by itself: what a campaign does to
people who use its words while it lasts is another question, that of the scenarios.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Final

import msgspec

from gateway_guard.lab.casting import Part, harvesters, people, programs
from gateway_guard.lab.composer import Composer
from gateway_guard.lab.judges import Observation
from gateway_guard.lab.lives import Life

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway_guard.lab.laws import Laws
    from gateway_guard.lab.material import Material
    from gateway_guard.lab.stage import Stage

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
    """Let the innocent come within a day, then the harvesters, and play it to the end."""
    composer = Composer(stage, laws, seed, composed=composed)
    rng = Random(f"{seed}:arrivals")
    for harvests in (False, True):
        begin = stage.elapsed_seconds
        for part in cast:
            if (part.text_class == "harvest") is harvests:
                composer.enter(part, begin + rng.uniform(0.0, _DAY_SECONDS))
        stage.play()
    return Played(stage.lives, stage.observed())
