"""Evaluate: play every wave before the real engine, and add up what became of whom."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from gateway_guard.lab.fitting import Fitter, Sample, samples_of
from gateway_guard.lab.laws import Laws
from gateway_guard.lab.material import Material, name_of
from gateway_guard.lab.models import blind_models, known_pools
from gateway_guard.lab.report import result_of, summary
from gateway_guard.lab.running import run_all
from gateway_guard.lab.scenarios import SCENARIOS, Setup
from gateway_guard.lab.stage import Stage
from gateway_guard.lab.waves import Played, cast_of, play_wave
from gateway_guard.model import SHIPPED as SHIPPED_MODEL
from gateway_guard.model import Model
from gateway_guard.scoring import SHIPPED, Weights
from gateway_guard.signals import SIGNALS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gateway_guard.lab.casting import Part
    from gateway_guard.lab.lives import Life
    from gateway_guard.lab.report import Report

Variant = Literal["composed", "text_only", "first_turns"]

FAMILIES: Final = {signal.__name__: signal.__module__.rpartition(".")[2] for signal in SIGNALS}
"""The family of every signal: the file that it stands in."""

WAVES: Final = 18
"""So many keys of each harvesting source there are, each before an engine of its own."""
_QUICK: Final = 3


class Task(NamedTuple):
    """One wave to be played in one way, to be judged or only observed."""

    variant: Variant
    wave: int
    observe: bool = False


class Setting(NamedTuple):
    """What all waves have in common.

    ``of_source`` has the weights that judge each source, ``models`` the model that it is compared
    with; without them ``weights`` and ``model`` judge, which are those that ship unless a
    deployment has its own.
    """

    material: Material
    laws: Laws
    seed: int
    waves: int
    played: int
    weights: Weights = SHIPPED
    model: Model = SHIPPED_MODEL
    of_source: Mapping[str, Weights] = MappingProxyType({})
    models: Mapping[str, Model] = MappingProxyType({})
    fitter: Fitter | None = None

    def weights_without(self, sources: frozenset[str]) -> Weights:
        """Return the weights that judge a campaign made of these sources."""
        return self.weights if self.fitter is None else self.fitter.without(*sources)


def setting_of(material: Material, seed: int, *, keys: int = WAVES, quick: bool) -> Setting:
    """Return the setting of an evaluation with so many keys of each harvesting source.

    A quick one plays a third of the waves.
    """
    return Setting(material, Laws(material), seed, keys, -(-keys // _QUICK) if quick else keys)


def play(setting: Setting, task: Task) -> Played:
    """Play one wave; keys that are judged by different models come before different engines."""
    played = Played([], [])
    for model, cast in _by_model(setting, task).values():
        stage = Stage(
            setting.weights,
            of_source=setting.of_source,
            model=model,
            observe=task.observe,
            mode="shadow" if task.observe else "enforce",
        )
        composed = task.variant != "text_only"
        found = play_wave(cast, setting.laws, stage, seed=setting.seed, composed=composed)
        played.lives += found.lives
        played.observations += found.observations
    return played


def _by_model(setting: Setting, task: Task) -> dict[int, tuple[Model, list[Part]]]:
    """Return who comes in a wave, by the model that judges them."""
    found: dict[int, tuple[Model, list[Part]]] = {}
    for part in cast_of(setting.material, setting.seed, task.wave, setting.waves):
        model = setting.models.get(f"{part.text_class}_{part.source}", setting.model)
        shown = part.first_turns if task.variant == "first_turns" else part
        found.setdefault(id(model), (model, []))[1].append(shown)
    return found


def observe(
    setting: Setting, jobs: int | None = None, *, variant: Variant = "composed"
) -> list[Sample]:
    """Return what the signals say of every key, which nobody refuses anything."""
    setting = setting._replace(models=blind_models(setting.material, setting.model))
    tasks = [Task(variant, wave, observe=True) for wave in range(setting.played)]
    played = run_all(play, setting, tasks, label="observing", jobs=jobs)
    seen = [pair for each in played for pair in each.observations]
    return samples_of(seen, list(FAMILIES))


def fitter_of(samples: Sequence[Sample], prior: Weights) -> Fitter:
    """Return what fits weights on samples."""
    return Fitter(samples, prior, FAMILIES)


def leaving_out(setting: Setting, fitter: Fitter) -> Setting:
    """Return a setting in which every source is judged by weights that never saw it."""
    names = [name_of(source) for source in setting.material.sources]
    return setting._replace(
        weights=fitter.without(),
        of_source={name: fitter.without(name) for name in names},
        models=blind_models(setting.material, setting.model),
        fitter=fitter,
    )


def evaluate(setting: Setting, jobs: int | None = None) -> tuple[Report, dict[str, list[Life]]]:
    """Return the report's figures on single keys, and the lives that they come from."""
    variants: tuple[Variant, ...] = ("composed", "text_only", "first_turns")
    tasks = [Task(variant, wave) for variant in variants for wave in range(setting.played)]
    played = run_all(play, setting, tasks, label="judging", jobs=jobs)
    lives: dict[str, list[Life]] = {variant: [] for variant in variants}
    for task, each in zip(tasks, played, strict=True):
        lives[task.variant] += each.lives
    report: dict[str, Any] = {
        variant: result_of(lives[variant], setting.material)
        for variant in ("composed", "text_only")
    }
    report["first_turns"] = summary(lives["first_turns"])
    return report, lives


def play_scenario(setup: Setup, name: str) -> Report:
    """Play one scenario."""
    return SCENARIOS[name](setup)


def evaluate_scenarios(
    setting: Setting, names: Sequence[str], *, quick: bool, jobs: int | None = None
) -> dict[str, Report]:
    """Return the figures of scenarios by name; a campaign is judged by weights that are blind."""
    setup = Setup(
        material=setting.material,
        laws=setting.laws,
        weights_without=setting.weights_without,
        seed=setting.seed,
        quick=quick,
        known_pools=known_pools(setting.material, setting.model),
        model=setting.model,
    )
    if not names:
        return {}
    found = run_all(play_scenario, setup, names, label="scenarios", jobs=jobs)
    return dict(zip(names, found, strict=True))
