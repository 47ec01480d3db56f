"""What a scenario is given, and what it reports."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import msgspec

from gateway_guard.lab.laws import Laws
from gateway_guard.lab.material import Material
from gateway_guard.model import SHIPPED, Model
from gateway_guard.scoring import Weights

Report = dict[str, Any]
"""Figures that JSON can hold. Every scenario has those of ``figures.total``, and its own."""


class Setup(msgspec.Struct, frozen=True):
    """All that a scenario depends on: it is a pure function of this.

    ``weights_without`` returns the weights that never saw the sources it is given, by their names
    with their class. ``known_pools`` are the sources of which a filter of questions is
    known to the ``model``. A ``quick`` run has fewer and shorter campaigns, and no other rules.
    """

    material: Material
    laws: Laws
    weights_without: Callable[[frozenset[str]], Weights]
    seed: int
    quick: bool = False
    known_pools: frozenset[str] = frozenset()
    model: Model = SHIPPED

    def rng(self, *names: object) -> Random:
        """Return randomness of its own for whatever is named."""
        return Random(":".join(map(str, (self.seed, *names))))

    def size(self, full: int, quick: int) -> int:
        """Return one of two sizes."""
        return quick if self.quick else full


Scenario = Callable[[Setup], Report]
