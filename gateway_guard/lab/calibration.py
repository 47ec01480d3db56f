"""Calibrate: fit the weights that ship, and write them with the table they were fitted on."""

from __future__ import annotations

from collections import Counter
from importlib import resources
from typing import TYPE_CHECKING, Any

from gateway_guard.lab.evaluation import fitter_of, leaving_out, observe
from gateway_guard.lab.material import name_of
from gateway_guard.lab.statistics import auc
from gateway_guard.scoring import Weights, load_weights

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from gateway_guard.lab.evaluation import Setting
    from gateway_guard.lab.fitting import Fitter, Sample
    from gateway_guard.lab.material import Material

_HEADING = """\
# Log-odds weights of the score, by `gateway-guard lab calibrate --corpora DIR --seed {seed}`.
# [fitted] is what they were fitted on: the keys of each source, with the highest score that any
# of them has by these weights and by weights that never saw the source, and how well the latter
# tell harvests from people and from programs.
"""


def prior() -> Weights:
    """Return the weights that fitting pulls towards."""
    return load_weights(resources.files(__package__).joinpath("prior.toml").read_bytes())


def calibrate(setting: Setting, jobs: int | None = None) -> tuple[str, Fitter]:
    """Return the text of a weights file, and what fitted it."""
    samples = observe(setting, jobs)
    fitter = fitter_of(samples, prior())
    return _written(setting, fitter, samples), fitter


def _written(setting: Setting, fitter: Fitter, samples: Sequence[Sample]) -> str:
    weights = fitter.without()
    lines = [_HEADING.format(seed=setting.seed), f"version = {weights.version}"]
    lines += [f"bias = {weights.bias}", "", "[weights]"]
    lines += [f"{name} = {value}" for name, value in weights.weights.items()]
    lines += ["", "[fitted]", *_lines(_held_out(setting, fitter, samples))]
    lines += ["", "[fitted.sources]"]
    lines += [f"{name} = {_inline(row)}" for name, row in _table(setting, fitter, samples).items()]
    return "\n".join(lines) + "\n"


def _lines(table: Mapping[str, Any]) -> list[str]:
    return [f"{name} = {value}" for name, value in table.items()]


def _inline(row: Mapping[str, Any]) -> str:
    return "{ " + ", ".join(_lines(row)) + " }"


def _table(
    setting: Setting, fitter: Fitter, samples: Sequence[Sample]
) -> dict[str, dict[str, Any]]:
    keys = Counter(sample.source for sample in samples)
    held_out = leaving_out(setting, fitter).of_source
    found = {}
    for name in sources_of(setting.material):
        own = [sample for sample in samples if sample.source == name]
        shown: dict[str, Any] = {"keys": keys[name]}
        if own:
            shown["highest"] = max(highest(each, fitter.without()) for each in own)
            shown["held_out"] = max(highest(each, held_out[name]) for each in own)
        found[name] = shown
    return found


def _held_out(
    setting: Setting, fitter: Fitter, samples: Sequence[Sample]
) -> dict[str, float | int | None]:
    """Return how well weights that never saw a source tell its keys from others'."""
    of_source = leaving_out(setting, fitter).of_source
    scores: dict[str, list[float]] = {"human": [], "app": [], "harvest": []}
    for sample in samples:
        scores[sample.text_class].append(highest(sample, of_source[sample.source]))
    found: dict[str, float | int | None] = {"seed": setting.seed, "keys": len(samples)}
    for name in ("human", "app"):
        area = auc(scores["harvest"], scores[name])
        found[f"auc_against_{name}"] = None if area is None else round(area, 4)
    return {name: value for name, value in found.items() if value is not None}


def sources_of(material: Material) -> list[str]:
    """Return the names of all sources, with their classes."""
    return [name_of(source) for source in material.sources]


def highest(sample: Sample, weights: Weights) -> float:
    """Return the highest score of a key over its life."""
    column: np.ndarray[Any, Any] = sample.evidence @ list(weights.weights.values())
    return round(float(column.max()) + weights.bias, 2)
