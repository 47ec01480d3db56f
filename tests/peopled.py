"""A model of the tests' own: in its world people write as those of the tests do.

There are two public pools of questions in it, one to train on and one to evaluate with.
"""

from __future__ import annotations

from random import Random
from typing import Final

import msgspec

from gateway_guard.corpora import Row, Source
from gateway_guard.lab.corpus import build_corpus
from gateway_guard.lab.population import fit_population
from gateway_guard.model import SHIPPED, Pool
from tests.traffic import prose

TRAIN_ITEMS: Final = tuple(
    f"{prose(Random(10_000 + number), 200)} How many are left?" for number in range(1200)
)
TEST_ITEMS: Final = tuple(
    f"{prose(Random(50_000 + number), 200)} How many are left?" for number in range(200)
)
TRAIN: Final = build_corpus(Pool("pool", "train"), TRAIN_ITEMS, SHIPPED.seed)
TEST: Final = build_corpus(Pool("evaluation", "test"), TEST_ITEMS, SHIPPED.seed)

_RNG: Final = Random(11)
_TEXTS: Final = tuple(Row(prose(_RNG, _RNG.randint(60, 600))) for _ in range(400))

PEOPLE: Final = msgspec.structs.replace(
    SHIPPED,
    population=fit_population([Source("human", "made_up", _TEXTS)], SHIPPED.seed),
    corpora=(TRAIN, TEST),
)
"""The shipped model, but for what people ask and which pools there are."""
