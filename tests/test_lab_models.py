"""A deployment's own model: the pools that are known made again with its seed, and its weights."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec

from gateway_guard.cli import main
from gateway_guard.corpora import Row, Source
from gateway_guard.lab.corpus import build_corpus
from gateway_guard.lab.material import Material
from gateway_guard.lab.models import pools_of
from gateway_guard.lab.seeding import seeded_model, write_model
from gateway_guard.model import SHIPPED, Pool, dump_corpus, load_model
from gateway_guard.scoring import weights_of
from tests.lab_folder import make_folder

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

WAVES = 2
QUESTIONS = [
    " ".join(f"{word}{number}" for word in ("how", "many", "of", "these", "are", "left") * 5)
    for number in range(40)
]


def test_calibrate_makes_the_model_of_one_deployment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its hashes have their own seed, pools that were there stay, and evaluate judges by it."""
    folder, out = make_folder(tmp_path / "texts", keys=WAVES), tmp_path / "model"
    out.mkdir()
    own = build_corpus(Pool("own", "train"), QUESTIONS, 77)
    (out / "own.corpus").write_bytes(dump_corpus(own))
    common = ["--corpora", str(folder), "--keys", "1", "--jobs", "1"]
    assert main(["lab", "calibrate", *common, "--model-seed", "77", "--out", str(out)]) == 0
    model = load_model(out)
    assert (model.seed, [corpus.pool.name for corpus in model.corpora]) == (77, ["own"])
    assert "gsm8k-train: left out" in capsys.readouterr().out
    weights = weights_of(model)
    assert weights.fitted["model_seed"] == 77
    judged = ["lab", "evaluate", *common, "--scenario", "none", "--json", "--model", str(out)]
    assert main(judged) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["weights"]["weights"] == weights.weights


def test_a_pool_that_ships_is_made_again_of_a_source_that_is_in_it(tmp_path: Path) -> None:
    """With another seed it knows the same questions, and nothing of the published hashes."""
    published = build_corpus(Pool("pool", "train", "MIT"), QUESTIONS, SHIPPED.seed)
    rows = tuple(Row(text, conv=number) for number, text in enumerate(QUESTIONS))
    material = Material((Source("harvest", "sums", rows),), ())
    ships = msgspec.structs.replace(SHIPPED, corpora=(published,))
    model = seeded_model(material, 78, tmp_path, ships)
    assert [(each.pool, each.seed) for each in model.corpora] == [(published.pool, 78)]
    assert pools_of(material.sources[0], model) == {"pool"}
    write_model(tmp_path / "new", model, "version = 1")
    assert load_model(tmp_path / "new").corpora[0].items == model.corpora[0].items > 0


def test_a_model_seed_without_a_folder_is_an_error_with_a_hint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Several files are made, so the standard output will not do."""
    folder = make_folder(tmp_path / "texts")
    assert main(["lab", "calibrate", "--corpora", str(folder), "--model-seed", "1"]) == 2
    assert "--out" in capsys.readouterr().err
