"""Models that never saw a source: with the pools that it is no part of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from gateway_guard.exchange import Exchange, Turn
from gateway_guard.features import FeatureReader
from gateway_guard.lab.material import name_of
from gateway_guard.model import SHIPPED, Model, without

if TYPE_CHECKING:
    from gateway_guard.corpora import Source
    from gateway_guard.lab.material import Material

_ROWS_READ: Final = 200
_KNOWN_SHARE: Final = 0.05
"""By chance one text in a hundred is taken for a pool's at most."""
_SECRET: Final = b"what is read here is compared with published hashes alone"


def blind_models(material: Material, model: Model = SHIPPED) -> dict[str, Model]:
    """Return for each source, by its name with its class, a model made without it."""
    found = {}
    for source in material.sources:
        pools = pools_of(source, model)
        found[name_of(source)] = without(model, pools) if pools else model
    return found


def known_pools(material: Material, model: Model = SHIPPED) -> frozenset[str]:
    """Return the names of the harvesting sources that are in a pool that the model knows."""
    found = [source for source in material.of_class("harvest") if pools_of(source, model)]
    return frozenset(map(name_of, found))


def pools_of(source: Source, model: Model) -> set[str]:
    """Return the names of the pools that much of a source is in."""
    rows = source.rows[:: max(1, len(source.rows) // _ROWS_READ)]
    exchanges = [Exchange("", "", (Turn("user", row.prompt),)) for row in rows]
    found = set()
    for corpus in model.corpora:
        alone = msgspec.structs.replace(model, corpora=(corpus,))
        reader = FeatureReader(_SECRET, model=alone)
        seen = [reader.read(exchange, _nothing) for exchange in exchanges]
        known = sum(bool(features.train) or features.test for features in seen)
        if known > _KNOWN_SHARE * len(seen):
            found.add(corpus.pool.name)
    return found


def _nothing(_: int) -> None:
    """Know no text."""
