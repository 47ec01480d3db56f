"""Made-up exchanges for tests of what is counted: numbers and hashes, as features are."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from gateway_guard.contribution import Contribution, Share, apply
from gateway_guard.exchange import Answer, Sampling
from gateway_guard.features.types import Anchors, CueHit, Features
from gateway_guard.timeline import Instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gateway_guard import profile

NOON = 1_800_014_400.0
"""An instant in the middle of a pane, wall-clock seconds."""


def random_hash(number: int) -> int:
    """Return a hash of 64 bits, the same for the same number."""
    return random.Random(number).getrandbits(64)


def features(
    windows: Iterable[int] = (), *, hits: tuple[CueHit, ...] = (), body: int = 1
) -> Features:
    """Return the features of a request of 1,000 new characters with the given windows."""
    return Features(
        chars=1000,
        new_chars=1000,
        system_chars=0,
        constant_chars=0,
        body_chars=1000,
        turns=1,
        tool_turns=0,
        images=0,
        items=1,
        unspaced=0.0,
        anchors=Anchors(),
        body_hash=body,
        shingles=np.array(list(windows), dtype=np.uint64),
        hits=hits,
        text_hashes=(),
        new_hits=(),
    )


def contribution(
    of: Features | None = None,
    *,
    sampling: Sampling | None = None,
    answer: Answer | None = None,
    single: bool = True,
    **changes: object,
) -> Contribution:
    """Return a single-turn exchange under an old key, with whatever is asked for changed."""
    made = Contribution(
        features=features() if of is None else of,
        sampling=Sampling() if sampling is None else sampling,
        single=single,
        claimed=False,
        young=False,
        streamed=False,
        tools=False,
        key=b"key",
        key_hash=2,
        place_hashes=(3, 4),
        settled_at=Instant(NOON, NOON),
        answer=answer,
    )
    return msgspec.structs.replace(made, **changes)


def add(
    row: profile.RowArray,
    items: Sequence[Contribution],
    *,
    at: float = NOON,
    elapsed_seconds: float = 0.0,
) -> profile.RowArray:
    """Add exchanges to one row in one batch, each the only one under way; return the row."""
    shares = [Share(0, item, 1, refilled=False) for item in items]
    apply(row, shares, elapsed_seconds=np.array([elapsed_seconds]), wall_at=at)
    return row
