"""``gateway-guard lab``: evaluate and calibrate on a folder of texts."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from gateway_guard.exceptions import ConfigurationError
from gateway_guard.lab.building import make_model
from gateway_guard.lab.calibration import calibrate, prior
from gateway_guard.lab.evaluation import (
    WAVES,
    Setting,
    evaluate,
    evaluate_scenarios,
    fitter_of,
    leaving_out,
    observe,
    setting_of,
)
from gateway_guard.lab.material import read_material
from gateway_guard.lab.page import page
from gateway_guard.lab.scenarios import SCENARIOS
from gateway_guard.lab.table import print_table
from gateway_guard.model import load_model
from gateway_guard.scoring import weights_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gateway_guard.lab.lives import Life
    from gateway_guard.lab.report import Report

NONE: Final = "none"
"""The name that stands for no scenario."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrate:
    """What is asked of ``lab calibrate``."""

    corpora: Path
    seed: int = 0
    keys: int = WAVES
    quick: bool = False
    jobs: int | None = None
    out: Path | None = None
    model_seed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluate:
    """What is asked of ``lab evaluate``."""

    corpora: Path
    weights: Literal["shipped", "loso"] = "shipped"
    seed: int = 0
    keys: int = WAVES
    quick: bool = False
    jobs: int | None = None
    as_json: bool = False
    html: Path | None = None
    scenarios: tuple[str, ...] = ()
    model: Path | None = None


def _setting(asked: Calibrate | Evaluate) -> Setting:
    material = read_material(asked.corpora)
    return setting_of(material, asked.seed, keys=asked.keys, quick=asked.quick)


def run_evaluate(asked: Evaluate) -> None:
    """Judge the keys of a folder, and print what became of them.

    Raises:
        ConfigurationError: if the folder has nothing to compose traffic from, or there is no such
            scenario.

    """
    _check(asked.scenarios)
    setting = _with_model(_setting(asked), asked.model)
    if asked.weights == "loso":
        samples = observe(setting, asked.jobs)
        setting = leaving_out(setting, fitter_of(samples, prior()))
    report, lives = _judged(setting, asked)
    shown = {"weights": described(setting, asked.weights), **report}
    if asked.html is not None:
        asked.html.write_text(page(shown, lives), encoding="utf-8")
    if asked.as_json:
        json.dump(shown, sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        print_table(shown)


def _with_model(setting: Setting, folder: Path | None) -> Setting:
    """Return the setting of a deployment that has a model of its own."""
    if folder is None:
        return setting
    model = load_model(folder)
    return setting._replace(model=model, weights=weights_of(model))


def _check(scenarios: Sequence[str]) -> None:
    unknown = [name for name in scenarios if name not in SCENARIOS and name != NONE]
    if unknown:
        message = f"there is no scenario {unknown[0]!r}"
        raise ConfigurationError(message, hint=f"choose from {', '.join(SCENARIOS)}, {NONE}")


def _judged(setting: Setting, asked: Evaluate) -> tuple[Report, dict[str, list[Life]]]:
    """Return what became of single keys, unless scenarios are asked for by name, and of those."""
    named = asked.scenarios
    report: Report = {"composed": None, "text_only": None, "first_turns": None}
    lives: dict[str, list[Life]] = {}
    if not named or NONE in named:
        report, lives = evaluate(setting, asked.jobs)
    chosen = [name for name in SCENARIOS if not named or name in named]
    found = evaluate_scenarios(setting, chosen, quick=asked.quick, jobs=asked.jobs)
    return report | {"scenarios": found}, lives


def described(setting: Setting, name: str) -> dict[str, Any]:
    """Return which weights judge, and those that judge what no source's own do."""
    weights = setting.weights
    return {
        "name": name,
        "version": weights.version,
        "bias": weights.bias,
        "weights": weights.weights,
        "seed": setting.seed,
        "waves": setting.played,
    }


def run_calibrate(asked: Calibrate) -> None:
    """Fit weights on a folder, and write them to a file or to the standard output.

    With a seed of its own a model is made, and written to a folder with the weights.

    Raises:
        ConfigurationError: if the folder has nothing to compose traffic from, or what is made
            cannot be written.

    """
    setting = _setting(asked)
    if asked.model_seed is not None:
        make_model(setting, asked.model_seed, asked.out, asked.jobs)
        return
    text = calibrate(setting, asked.jobs)
    if asked.out is None:
        sys.stdout.write(text)
    else:
        asked.out.write_text(text, encoding="utf-8")
