"""The lab composes, judges, fits and reports; what it says is what the engine did."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import pytest

from gateway_guard.cli import main
from gateway_guard.lab.calibration import prior
from gateway_guard.lab.casting import Part, harvesters, people, programs
from gateway_guard.lab.composer import Composer
from gateway_guard.lab.evaluation import Setting, evaluate, fitter_of, leaving_out, observe
from gateway_guard.lab.laws import Laws
from gateway_guard.lab.material import Material, name_of, read_material
from gateway_guard.lab.page import page
from gateway_guard.lab.stage import RETRIES, Stage
from gateway_guard.scoring import SHIPPED, load_weights
from tests.lab_folder import make_folder

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from gateway_guard.exchange import Exchange
    from gateway_guard.lab.asks import Ask
    from gateway_guard.lab.lives import Life
    from gateway_guard.lab.report import Report
    from gateway_guard.lab.stage import Caller, Heard

    Judged = tuple[Report, dict[str, list[Life]]]

WAVES = 2


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    """Texts of our own, read once."""
    return read_material(make_folder(tmp_path_factory.mktemp("texts"), keys=WAVES))


@pytest.fixture(scope="module")
def setting(material: Material) -> Setting:
    """Two waves, judged by the shipped weights."""
    return Setting(material, Laws(material), seed=0, waves=WAVES, played=WAVES)


@pytest.fixture(scope="module")
def judged(setting: Setting) -> Judged:
    """The report on all of them, and the lives that it comes from."""
    return evaluate(setting, jobs=1)


def test_no_conversation_is_given_to_two_people(material: Material) -> None:
    """A person is made of conversations of its own."""
    rows = [row for part in people(material, 0) for talk in part.talks for row in talk]
    assert len({row.prompt for row in rows}) == len(rows) > 0


def test_the_same_seed_casts_the_same_and_another_seed_others(material: Material) -> None:
    """All chance comes from the seed."""
    first, same, other = (harvesters(material, seed, 1) for seed in (0, 0, 1))
    assert first == same != other


def test_each_stream_is_one_program(material: Material) -> None:
    """Programs are told apart by their stream within a source."""
    names = [part.name for part in programs(material, 0)]
    assert len(names) == len(set(names)) == 3


def test_every_source_is_reported_with_its_class(judged: Judged, material: Material) -> None:
    """Nothing of the folder is passed over in silence."""
    report, _ = judged
    for variant in ("composed", "text_only"):
        sources = report[variant]["sources"]
        assert set(sources) == {name_of(source) for source in material.sources}
        assert all(name.startswith(row["class"]) for name, row in sources.items())


def test_harvests_are_throttled_and_people_and_programs_are_not(judged: Judged) -> None:
    """The shipped weights tell our own texts apart as composed."""
    point = judged[0]["composed"]["operating_point"]
    assert point["harvest"]["keys"] == point["harvest"]["throttled"] == 2 * WAVES
    assert point["human"]["throttled"] == point["app"]["throttled"] == 0
    assert point["innocent_refused"] == 0 < point["innocent_requests"]
    assert point["human"]["margin_logits"] > 1.0


def test_figures_are_those_of_the_lives_behind_them(judged: Judged) -> None:
    """Counts, delays and maxima add up."""
    report, lives = judged
    harvest = [life for life in lives["composed"] if life.text_class == "harvest"]
    delays = sorted(life.detected or 0 for life in harvest)
    point = report["composed"]["operating_point"]["harvest"]
    assert point["requests_to_detection"]["p95"] == delays[-1]
    assert all(life.highest == max(score for _, score in life.trajectory) for life in harvest)
    assert all(life.harvest_refused <= life.harvest_requests == life.requests for life in harvest)


class Witness(Stage):
    """A stage that keeps when what was asked, and how."""

    def __init__(self) -> None:
        super().__init__(SHIPPED)
        self.seen: list[tuple[float, Exchange, int]] = []

    def exchange(
        self, caller: Caller, ask: Ask, heard: Heard | None = None, *, retries: int = RETRIES
    ) -> Generator[float, None, bool]:
        """Keep a request, then send it."""
        self.seen.append((self.elapsed_seconds, ask.exchange, ask.answer.output_chars))
        return super().exchange(caller, ask, heard, retries=retries)


def by_law(material: Material, part: Part) -> list[tuple[float, Exchange, int]]:
    """Return what a key asks when nothing but its texts may differ."""
    stage = Witness()
    Composer(stage, Laws(material), 0, composed=False).enter(part, 0.0)
    stage.play()
    return stage.seen


def test_nothing_reads_the_label_where_only_the_texts_shall_differ(material: Material) -> None:
    """The same texts of another class come at the same instants with the same parameters."""
    part = harvesters(material, 0, 1)[0]
    relabelled = msgspec.structs.replace(part, text_class="app")
    assert by_law(material, part) == by_law(material, relabelled) != []


def test_weights_left_out_of_a_source_do_not_change_with_its_keys(setting: Setting) -> None:
    """Who is judged has had no part in the weights that judge."""
    samples = observe(setting, jobs=1)
    name = "harvest_tasks"
    without = fitter_of(samples, prior()).without(name)
    others = [sample for sample in samples if sample.source != name]
    assert fitter_of(others, prior()).without() == without
    held_out = leaving_out(setting, fitter_of(samples, prior()))
    assert held_out.of_source[name] == without != held_out.weights


def test_fitted_weights_keep_the_innocent_below_the_threshold(setting: Setting) -> None:
    """The bias is chosen by the highest scores that the innocent have over their lives."""
    samples = observe(setting, jobs=1)
    weights = fitter_of(samples, prior()).without()
    values = list(weights.weights.values())
    assert min(values) >= 0
    for sample in samples:
        highest = (sample.evidence @ values).max() + weights.bias
        if sample.text_class == "human":
            assert highest <= -2.0
        elif sample.text_class == "app":
            assert highest < 0.0


def test_the_page_stands_by_itself_and_names_every_source(judged: Judged) -> None:
    """One file with plots in it; nothing is fetched from elsewhere."""
    report, lives = judged
    shown = {
        "weights": {"name": "shipped", "version": 1, "seed": 0, "waves": WAVES},
        "scenarios": {},
    }
    shown |= report
    text = page(shown, lives)
    assert text.count("<svg") == 5
    assert all(name in text for name in report["composed"]["sources"])
    assert "<script" not in text
    assert 'src="' not in text


def test_calibrate_writes_weights_that_the_guard_can_read(tmp_path: Path) -> None:
    """The file has a weight for every signal, and the table that it was fitted on."""
    folder, out = make_folder(tmp_path / "texts", keys=WAVES), tmp_path / "weights.toml"
    command = ["lab", "calibrate", "--corpora", str(folder), "--out", str(out)]
    assert main([*command, "--keys", "1", "--jobs", "1"]) == 0
    weights = load_weights(out.read_bytes())
    assert set(weights.weights) == set(prior().weights)
    assert "harvest_tasks" in weights.fitted["sources"]


def test_evaluate_prints_json_and_writes_a_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command's JSON has the documented keys."""
    folder, html = make_folder(tmp_path / "texts"), tmp_path / "report.html"
    command = ["lab", "evaluate", "--corpora", str(folder), "--html", str(html), "--keys", "1"]
    assert main([*command, "--scenario", "none", "--json", "--jobs", "1"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert {"weights", "composed", "text_only", "first_turns", "scenarios"} <= set(report)
    assert html.read_text("utf-8").startswith("<!doctype html>")


def test_a_folder_without_texts_is_an_error_with_a_hint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is asked for and is not there is said, not traced."""
    assert main(["lab", "evaluate", "--corpora", str(tmp_path)]) == 2
    assert "holds no texts" in capsys.readouterr().err


def test_an_unknown_scenario_is_an_error_that_names_the_known_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is played in vain."""
    folder = make_folder(tmp_path / "texts")
    assert main(["lab", "evaluate", "--corpora", str(folder), "--scenario", "hydrra"]) == 2
    said = capsys.readouterr().err
    assert "hydrra" in said
    assert "hydra," in said


def test_shipped_weights_name_every_signal() -> None:
    """A signal without a weight would be computed for nothing."""
    assert set(SHIPPED.weights) == set(prior().weights)
