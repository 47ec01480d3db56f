"""Population: the mean of what people ask, made from their conversations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from gateway_guard.exceptions import ConfigurationError
from gateway_guard.features.seeded import SeededReader
from gateway_guard.lab.texts import readings
from gateway_guard.model import SHIPPED, Population
from gateway_guard.model.words import WIDTH

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from gateway_guard.corpora import Row, Source


def fit_population(sources: Sequence[Source], seed: int) -> Population:
    """Return the reference of the people in some sources, each source weighing the same.

    Every different text counts once. Programs and harvesters have no part in it: programs stand
    anywhere, each in a corner of its own.

    Raises:
        ConfigurationError: there are no people in them.

    """
    means, texts, names = [], 0, []
    for source in sources:
        if source.text_class == "human":
            directions = directions_of(source.rows, seed)
            means.append(directions.mean(axis=0))
            texts += len(directions)
            names.append(source.name)
    if not means:
        message = "there are no people in these texts"
        raise ConfigurationError(message, hint="a file of their texts is named human_*.jsonl.gz")
    mean = np.mean(means, axis=0).round(6)
    return Population(seed, tuple(mean.tolist()), texts, tuple(names))


def directions_of(rows: Iterable[Row], seed: int) -> npt.NDArray[np.float64]:
    """Return the directions of the distinct texts that callers wrote, shape (n, WIDTH)."""
    reader = SeededReader(msgspec.structs.replace(SHIPPED, seed=seed, corpora=()))
    prompts = dict.fromkeys(row.prompt for row in rows if row.role in {None, "user"})
    found = [seeded.direction for some in readings(prompts) for seeded in reader.read(some)]
    vectors = np.frombuffer(b"".join(found), np.int8).reshape(-1, WIDTH).astype(np.float64)
    vectors /= np.maximum(1.0, np.linalg.norm(vectors, axis=1))[:, None]
    return vectors
