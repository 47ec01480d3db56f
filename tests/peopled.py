"""A model of the tests' own: in its world people write as those of the tests do."""

from __future__ import annotations

from random import Random
from typing import Final

import msgspec

from gateway_guard.corpora import Row, Source
from gateway_guard.lab.population import fit_population
from gateway_guard.model import SHIPPED
from tests.traffic import prose

_RNG: Final = Random(11)
_TEXTS: Final = tuple(Row(prose(_RNG, _RNG.randint(60, 600))) for _ in range(400))

PEOPLE: Final = msgspec.structs.replace(
    SHIPPED, population=fit_population([Source("human", "made_up", _TEXTS)], SHIPPED.seed)
)
"""The shipped model, but for what people ask."""
