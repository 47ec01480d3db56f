"""Calibrate: fit the weights that ship, and write them with the table they were fitted on."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any

from gateway_guard.lab.evaluation import fitter_of, observe
from gateway_guard.lab.fitting import Fitter
from gateway_guard.lab.material import name_of
from gateway_guard.lab.running import run_all
from gateway_guard.lab.statistics import auc
from gateway_guard.model import SHIPPED
from gateway_guard.scoring import Weights, load_weights

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gateway_guard.lab.evaluation import Setting
    from gateway_guard.lab.fitting import Sample
    from gateway_guard.lab.statistics import Array

_HEADING = """\
# Log-odds weights of the score, by `gateway-guard lab calibrate --corpora DIR {options}`.
# [fitted] is how well weights that never saw a source judge its keys, [fitted.sources] what they
# were fitted on: the keys of each source, with the highest score that any of them has by these
# weights and by those that never saw it. [fitted.lacking] is as [fitted], without one signal.
"""


def prior() -> Weights:
    """Return the weights that fitting pulls towards."""
    return load_weights(resources.files(__package__).joinpath("prior.toml").read_bytes())


def calibrate(setting: Setting, jobs: int | None = None) -> str:
    """Return the text of a weights file that is fitted on a folder."""
    fitter = fitter_of(observe(setting, jobs), prior())
    plain = fitter_of(observe(setting, jobs, variant="text_only"), prior()).samples
    weights = fitter.without()
    context = (fitter, plain)
    lacking = run_all(_lacking, context, list(weights.weights), label="leaving out", jobs=jobs)
    seeds = {"seed": setting.seed}
    if setting.model.seed != SHIPPED.seed:
        seeds["model_seed"] = setting.model.seed
    tables: dict[str, dict[str, Any]] = {
        "fitted": {**seeds, **_held_out(fitter, plain)},
        "fitted.sources": _table(setting, fitter),
        "fitted.lacking": dict(zip(weights.weights, lacking, strict=True)),
    }
    return _written(weights, seeds, tables)


def _lacking(context: tuple[Fitter, Sequence[Sample]], signal: str) -> dict[str, Any]:
    """Return what becomes of the figures without one signal."""
    fitter, plain = context
    return _held_out(fitter.lacking(signal), plain_without(fitter, plain, signal))


def plain_without(fitter: Fitter, plain: Sequence[Sample], signal: str) -> Sequence[Sample]:
    """Return samples of texts alone without the evidence of one signal."""
    return Fitter(plain, prior(), fitter.families).lacking(signal).samples


def _written(
    weights: Weights, seeds: Mapping[str, int], tables: Mapping[str, Mapping[str, Any]]
) -> str:
    options = " ".join(f"--{name.replace('_', '-')} {seed}" for name, seed in seeds.items())
    lines = [
        _HEADING.format(options=options),
        f"version = {weights.version}",
        f"bias = {weights.bias}",
    ]
    for name, table in {"weights": weights.weights, **tables}.items():
        lines += ["", f"[{name}]"]
        lines += [f"{key} = {_value(value)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {each}" for key, each in value.items()) + " }"
    return str(value)


def _table(setting: Setting, fitter: Fitter) -> dict[str, dict[str, Any]]:
    """Return for each source how many keys it has, and the highest score that any of them has."""
    found: dict[str, dict[str, Any]] = {}
    for name in map(name_of, setting.material.sources):
        own = [sample for sample in fitter.samples if sample.source == name]
        found[name] = {"keys": len(own)}
        if own:
            found[name]["highest"] = max(highest(each, fitter.without()) for each in own)
            found[name]["held_out"] = max(highest(each, fitter.without(name)) for each in own)
    return found


def _held_out(fitter: Fitter, plain: Sequence[Sample]) -> dict[str, float | int]:
    """Return how well weights that never saw a source judge its keys, and its texts alone."""
    return held_out(fitter, fitter.samples) | {
        f"text_only_{name}": value
        for name, value in held_out(fitter, plain).items()
        if name.startswith("auc")
    }


def held_out(fitter: Fitter, samples: Sequence[Sample]) -> dict[str, float | int]:
    """Return how well weights that never saw a source judge samples of it."""
    scores: dict[str, list[float]] = {"human": [], "app": [], "harvest": []}
    for sample in samples:
        scores[sample.text_class].append(highest(sample, fitter.without(sample.source)))
    found: dict[str, float | int] = {"keys": len(samples)}
    for name in ("human", "app"):
        area = auc(scores["harvest"], scores[name])
        if area is not None:
            found[f"auc_against_{name}"] = round(area, 4)
    if scores["harvest"]:
        above = sum(score >= 0.0 for score in scores["harvest"])
        found["caught"] = round(above / len(scores["harvest"]), 4)
        found["lowest"] = min(scores["harvest"])
    return found


def highest(sample: Sample, weights: Weights) -> float:
    """Return the highest score of a key over its life."""
    scores: Array = sample.evidence @ list(weights.weights.values())
    return round(float(scores.max()) + weights.bias, 2)
