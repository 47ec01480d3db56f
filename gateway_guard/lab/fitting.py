"""Fit the weights: log-odds with known signs, pulled towards what is published, on labelled keys.

A Gaussian prior stands around the weights that published studies suggest, so that a signal that the
texts say nothing about keeps its own. Every source weighs the same, and so do harvests and
innocents. The threshold is that of the settings, 0 logits; the bias puts the innocents below it:

- no person's score comes nearer than ``PERSON_MARGIN`` over a whole life, nor would any one signal
  that some innocent has shown in full;
- all but a few programs stay below it by ``PROGRAM_MARGIN``;
- what a product that writes long texts shows as well as any harvest stays below it by
  ``PRODUCT_MARGIN``, each such signal as loud as any innocent has shown it;
- pace alone stays below it by ``PACE_MARGIN``, whoever keeps it.

What a burst is expected to draw must reach the threshold before the first answer is known, and all
that is expected of it are long answers and budgets at the ceiling: the latter weigh no less than
what a person's long answers lack.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from math import inf
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from gateway_guard.lab.statistics import Array, minimum_at
from gateway_guard.scoring import PACING, Weights

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gateway_guard.lab.judges import Observation
    from gateway_guard.lab.lives import Life

PERSON_MARGIN: Final = 2.3
PROGRAM_MARGIN: Final = 0.7
PRODUCT_MARGIN: Final = 0.6
PACE_MARGIN: Final = 1.0
PROGRAMS_LEFT_OUT: Final = 0.01
OF_PRODUCTS: Final = frozenset({"teacher_yield", "reasoning_served", "breadth", "skeleton_novelty"})
_FLOORS: Final = {"budget_saturation": PERSON_MARGIN + 0.05}
_STRENGTH: Final = 0.03
_FEWEST_OF_INNOCENT: Final = 12.0
_FEWEST_OF_HARVEST: Final = 24.0
_VIEWS_OF_KEY: Final = 24
_DIGITS: Final = 2


class Sample(NamedTuple):
    """One key: its source with its class, and the evidence that its views gave, a row each.

    ``exchanges`` says after how many exchanges each view was taken.
    """

    source: str
    exchanges: Array
    evidence: Array

    @property
    def text_class(self) -> str:
        """Return the class of the key's source."""
        return self.source.partition("_")[0]


class Labelled(NamedTuple):
    """Views of labelled keys: rows of evidence, 1 for a harvest, and what each weighs."""

    evidence: Array
    harvest: Array
    weight: Array


class Bounds(NamedTuple):
    """What the innocents have shown: see the module's text."""

    people: Array
    programs: Sequence[Array]
    reached: Array
    pace: npt.NDArray[np.bool_]
    product: npt.NDArray[np.bool_]


def samples_of(
    observations: Iterable[tuple[Life, Observation]], signals: Sequence[str]
) -> list[Sample]:
    """Return what was observed, key by key, with a column for each of ``signals``."""
    column = {name: at for at, name in enumerate(signals)}
    seen: dict[Life, list[tuple[float, list[float]]]] = defaultdict(list)
    for life, item in observations:
        values = [0.0] * len(signals)
        for evidence in item.evidence:
            values[column[evidence.signal]] = evidence.value
        seen[life].append((item.exchanges, values))
    return [
        Sample(
            f"{life.text_class}_{life.source}",
            np.array([count for count, _ in views]),
            np.array([values for _, values in views]),
        )
        for life, views in seen.items()
    ]


class Fitter:
    """Fits weights on samples, leaving out sources."""

    def __init__(self, samples: Sequence[Sample], prior: Weights, families: dict[str, str]) -> None:
        """Pull towards ``prior``; ``families`` names every signal's family, in column order."""
        self._samples = samples
        self.families = families
        self._signals = list(families)
        self._prior = prior
        self._mean = np.array([prior.weights[name] for name in self._signals])
        self._pace = np.array([family == PACING for family in families.values()])
        self._product = np.array([name in OF_PRODUCTS for name in families])
        self._floors = np.array([_FLOORS.get(name, 0.0) for name in families])
        self._fitted: dict[frozenset[str], Weights] = {}

    def lacking(self, signal: str) -> Fitter:
        """Return what fits weights as if there were no such signal."""
        at = self._signals.index(signal)
        samples = [
            sample._replace(evidence=np.delete(sample.evidence, at, axis=1))
            for sample in self._samples
        ]
        families = {name: each for name, each in self.families.items() if name != signal}
        return Fitter(samples, self._prior, families)

    @property
    def samples(self) -> Sequence[Sample]:
        """Return what it fits on."""
        return self._samples

    def without(self, *sources: str) -> Weights:
        """Return weights that never saw any of these sources."""
        left_out = frozenset(sources)
        if left_out not in self._fitted:
            self._fitted[left_out] = self._fit(left_out)
        return self._fitted[left_out]

    def _fit(self, sources: frozenset[str]) -> Weights:
        samples = [sample for sample in self._samples if sample.source not in sources]
        labelled, bounds = _labelled(samples), _bounds(samples, self._pace, self._product)
        mean = self._mean

        def loss(weights: Array) -> tuple[float, Array]:
            bias, slope = _bias(weights, bounds)
            logits = labelled.evidence @ weights + bias
            likelihood = np.logaddexp(0.0, logits) - labelled.harvest * logits
            off = (weights - mean) / mean
            value = labelled.weight @ likelihood + _STRENGTH / 2.0 * (off @ off)
            wrong = labelled.weight * (0.5 * (1.0 + np.tanh(0.5 * logits)) - labelled.harvest)
            gradient = wrong @ labelled.evidence + wrong.sum() * slope + _STRENGTH * off / mean
            return float(value), gradient

        found = minimum_at(loss, mean, self._floors)
        fitted = {
            name: round(float(weight), _DIGITS)
            for name, weight in zip(self._signals, found, strict=True)
        }
        rounded = np.array(list(fitted.values()))
        bias = round(_bias(rounded, bounds)[0] - 0.5 * 10.0**-_DIGITS, _DIGITS)
        return Weights(version=self._prior.version, bias=bias, weights=fitted)


def _labelled(samples: Sequence[Sample]) -> Labelled:
    """Return views that stand for each key, each source weighing the same within its class."""
    keys = Counter(sample.source for sample in samples)
    sources = Counter(source.partition("_")[0] for source in keys)
    evidence, harvest, weight = [], [], []
    for sample in samples:
        harvests = sample.text_class == "harvest"
        views = _views(sample, _FEWEST_OF_HARVEST if harvests else _FEWEST_OF_INNOCENT)
        if not len(views):
            continue
        share = 0.5 if harvests else 0.5 / max(1, len(sources) - 1)
        share /= sources[sample.text_class] * keys[sample.source] * len(views)
        evidence.append(views)
        harvest += [float(harvests)] * len(views)
        weight += [share] * len(views)
    return Labelled(np.vstack(evidence), np.array(harvest), np.array(weight))


def _views(sample: Sample, fewest: float) -> Array:
    """Return some of a key's views, spread over its life."""
    views = sample.evidence[sample.exchanges >= fewest]
    if len(views) <= _VIEWS_OF_KEY:
        return views
    chosen: Array = views[np.linspace(0, len(views) - 1, _VIEWS_OF_KEY).astype(int)]
    return chosen


def _bounds(
    samples: Sequence[Sample], pace: npt.NDArray[np.bool_], product: npt.NDArray[np.bool_]
) -> Bounds:
    people = [sample.evidence for sample in samples if sample.text_class == "human"]
    programs = [sample.evidence for sample in samples if sample.text_class == "app"]
    nothing = np.zeros((1, len(pace)))
    innocent = np.vstack([nothing, *people, *programs])
    return Bounds(
        people=np.unique(np.round(np.vstack([nothing, *people]), _DIGITS), axis=0),
        programs=[np.unique(np.round(views, _DIGITS), axis=0) for views in programs],
        reached=innocent.max(axis=0),
        pace=pace,
        product=product,
    )


def _bias(weights: Array, bounds: Bounds) -> tuple[float, Array]:
    """Return the highest bias that leaves the innocents where they belong, and its slope."""
    alone = np.diag(bounds.reached)
    candidates = [
        _below(PERSON_MARGIN, bounds.people, weights),
        _below(PERSON_MARGIN, alone[~bounds.pace], weights),
        _below(PACE_MARGIN, alone[bounds.pace], weights),
        _below(PRODUCT_MARGIN, (bounds.reached * bounds.product)[None], weights),
    ]
    if bounds.programs:
        highest = [_below(PROGRAM_MARGIN, views, weights) for views in bounds.programs]
        highest.sort(key=lambda item: -item[0])
        kept = max(1, round(len(highest) * (1.0 - PROGRAMS_LEFT_OUT)))
        candidates.append(highest[kept - 1])
    return min(candidates, key=lambda item: item[0])


def _below(margin: float, views: Array, weights: Array) -> tuple[float, Array]:
    """Return the bias that leaves the highest of some views so far below 0, and its slope."""
    if not len(views):
        return inf, np.zeros_like(weights)
    scores = views @ weights
    at = int(scores.argmax())
    return -margin - float(scores[at]), -views[at]
