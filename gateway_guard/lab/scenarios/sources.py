"""Which sources suit a scenario, judged by their texts alone."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Final

from gateway_guard.corpora import Row, Source
from gateway_guard.demo import pipelines, texts_harvest
from gateway_guard.features.anchors import ends

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gateway_guard.lab.scenarios.setup import Setup

ROWS_READ: Final = 200
LEAST_SHARE: Final = 0.5
_READ_BYTES: Final = 4096
_SHORTEST_SYSTEM_BYTES: Final = 40
_MOST_TURNS_SHARE: Final = 0.2
_FEWEST_SYSTEMS: Final = 3


def sampled(rows: Sequence[Row]) -> Sequence[Row]:
    """Return some rows of a source, whatever the order that they stand in."""
    return Random(len(rows)).sample(rows, min(ROWS_READ, len(rows)))


def has_template(source: Source) -> bool:
    """Tell whether most requests begin, or end, with the same words, or have one system text."""
    rows = sampled(source.rows)
    found = [ends(row.prompt, _READ_BYTES) for row in rows]
    heads, tails = [[b" ".join(words) for words in side] for side in zip(*found, strict=True)]
    systems = [(row.system or "").encode("utf-8", "surrogatepass") for row in rows]
    systems = [system for system in systems if len(system) >= _SHORTEST_SYSTEM_BYTES]
    return any(_commonest(texts) >= LEAST_SHARE * len(rows) for texts in (heads, tails, systems))


def _commonest(texts: Iterable[bytes]) -> int:
    counts = Counter(text for text in texts if text)
    return max(counts.values(), default=0)


def is_dialogue(source: Source) -> bool:
    """Tell whether requests follow on one another."""
    rows = sampled(source.rows)
    return sum(row.turn > 0 for row in rows) > _MOST_TURNS_SHARE * len(rows)


def harvests(setup: Setup) -> list[Source]:
    """Return the harvesting sources of single questions, in an order that the seed decides.

    Where all are dialogues, their first questions do.
    """
    every = setup.material.of_class("harvest")
    found = [source for source in every if not is_dialogue(source)] or every
    setup.rng("sources").shuffle(found)
    return found


def with_template(setup: Setup, most: int) -> list[Source]:
    """Return sources whose requests share a wrapper; a wrapper of our own where there is none."""
    found = [source for source in harvests(setup) if has_template(source)]
    return found[:most] or [in_own_wrapper(source) for source in harvests(setup)[:1]]


def without_template(setup: Setup, most: int) -> list[Source]:
    """Return sources of raw questions, the largest first."""
    found = [
        source
        for source in harvests(setup)
        if not has_template(source) and len(systems_of(source)) < _FEWEST_SYSTEMS
    ]
    return sorted(found, key=lambda source: -len(source.rows))[:most]


def with_systems(setup: Setup, most: int) -> list[Source]:
    """Return sources that have several system texts, each of which many requests share."""
    found = [source for source in harvests(setup) if len(systems_of(source)) >= _FEWEST_SYSTEMS]
    return found[:most]


def systems_of(source: Source) -> list[str]:
    """Return the system texts that recur in a source."""
    rows = sampled(source.rows)
    counts = Counter(row.system for row in rows if row.system)
    if sum(counts.values()) < LEAST_SHARE * len(rows):
        return []
    return [system for system, count in counts.items() if count > 1]


def in_own_wrapper(source: Source) -> Source:
    """Return a source whose questions stand in a template that is published nowhere."""
    wrapper = texts_harvest.ARTICULATE
    rows = [
        Row(wrapper.replace("{question}", row.prompt), conv=row.conv, output_len=row.output_len)
        for row in source.rows
    ]
    return Source(source.text_class, source.name, tuple(rows))


def pipeline_of(source: Source) -> pipelines.Pipeline:
    """Return the published pipeline whose shape a source has."""
    return pipelines.nearest(source.rows)


def shuffled(setup: Setup, source: Source, most: int) -> list[Row]:
    """Return the first rows of conversations, in an order that the seed decides."""
    rows = [talk[0] for talk in source.conversations()]
    setup.rng("rows", source.name).shuffle(rows)
    return rows[:most]
