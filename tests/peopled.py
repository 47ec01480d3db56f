"""A model of the tests' own: two public pools of questions, to train on and to evaluate with."""

from __future__ import annotations

from random import Random
from typing import Final

import msgspec

from gateway_guard.lab.corpus import build_corpus
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

PEOPLE: Final = msgspec.structs.replace(SHIPPED, corpora=(TRAIN, TEST))
"""The shipped model, but for which pools there are."""
