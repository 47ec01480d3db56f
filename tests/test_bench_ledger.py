"""What is measured of the ledger is measured on real ledgers, attributions and crashes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from gateway_guard.bench import command, ledger
from gateway_guard.bench.ledger import LedgerEffort, measure_ledger
from gateway_guard.bench.ledger_crashes import measure_crashes
from gateway_guard.bench.ledger_scene import Size, compose
from gateway_guard.bench.ledger_texts import Composer
from gateway_guard.bench.report import Report, as_dict, as_table
from gateway_guard.ledger.fingerprints import Winnower

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

TINY = LedgerEffort(
    size=Size(answers=3_000, keys=120, samples=150),
    written=256,
    rounds=1,
    requests=16,
    known=1,
    pool=300,
    draws=4,
    few=2,
    kills=2,
    changes=12,
)


def test_everything_is_measured_and_shown() -> None:
    """The bars that do not depend on the machine hold on a small ledger as well."""
    report = Report(ledger=measure_ledger(TINY))
    found = json.loads(json.dumps(as_dict(report)))["ledger"]
    assert found["attribution"]["named"] == found["attribution"]["thieves"] == 3
    assert found["attribution"]["others"] == 0
    assert found["attribution"]["worst_log10_p"] < -6
    assert found["attribution"]["answers"] == 3_000
    assert found["attribution"]["rss"] > 0
    assert 0 < found["writing"]["bytes_an_answer"] < 1_000
    assert [kind["kind"] for kind in found["kinds"]][:2] == ["verbatim", "half"]
    assert [kind["named"] for kind in found["kinds"][:2]] == [3, 3]
    assert [kind["others"] for kind in found["kinds"]] == [0] * 5
    assert found["kinds"][0]["recall"] > 0.95
    assert found["kinds"][0]["precision"] > 0.95
    assert [one["matching"] for one in found["sight"]] == [1, 10]
    assert found["innocent"]["named"] == 0
    assert (found["crashes"]["lost"], found["crashes"]["broken"]) == (0, 0)
    assert found["tampering"] == {"holds": True, "changed": 12, "found": 12}
    table = as_table(report)
    assert "attribution among 3,000 answers" in table
    assert "10% of words changed: precision, recall" in table


def test_a_writer_may_be_killed_at_any_moment() -> None:
    """What it had written is there, every segment is read, and every chain of heads follows."""
    found = measure_crashes(20)
    assert found.kills == 20
    assert found.committed > 0
    assert (found.lost, found.broken) == (0, 0)


def test_a_third_of_each_answer_is_boilerplate_and_some_are_nearly_alike() -> None:
    """As the bars ask: what is drawn is hard to tell apart."""
    composer = Composer(3, 5)
    answers = composer.fresh(400)
    texts = [composer.text(answer) for answer in answers]
    assert 1_900 < np.mean([len(text) for text in texts]) < 2_200
    shared = np.mean(
        [
            16 * len(answer.sentences) / len(text.split())
            for answer, text in zip(answers, texts, strict=True)
        ]
    )
    assert 0.31 < shared < 0.37
    pairs = np.array([answer.units for answer in answers])
    alike = [(pairs[at] == pairs).mean(axis=1) for at in range(100)]
    near = np.mean([np.sort(one)[-2] > 0.8 for one in alike])
    assert 0.1 < near < 0.3


def test_the_same_seed_composes_the_same_ledger(tmp_path: Path) -> None:
    """And what is taken was served to the keys that it is said to be of."""
    size = Size(answers=600, keys=120, samples=60)
    one = compose(tmp_path / "one", b"k" * 32, size)
    other = compose(tmp_path / "other", b"k" * 32, size)
    assert (one.taken, one.whose) == (other.taken, other.whose)
    assert len(one.taken) == 12
    assert set(one.whose) == set(one.thieves)


def test_changed_texts_are_changed_as_they_are_said_to_be() -> None:
    """Half as long, a tenth of the words others, two halves, another order."""
    composer = Composer(5, 5)
    one, other = (composer.text(answer) for answer in composer.fresh(2))
    words = one.split(" ")
    assert len(composer.half(one).split(" ")) == len(words) // 2
    assert composer.half(one) in one
    kept = np.mean(
        [a == b for a, b in zip(words, composer.changed(one, 0.1).split(" "), strict=False)]
    )
    assert kept < 1
    mixed = composer.mixed(one, other)
    assert mixed[:200] == one[:200]
    assert mixed[-200:] == other[-200:]
    winnower = Winnower(b"k" * 32)
    whole = set(winnower.fingerprint([one]).hashes.tolist())
    reworded = set(winnower.fingerprint([composer.paraphrased(one)]).hashes.tolist())
    assert len(whole & reworded) < 0.2 * len(whole)


def test_the_command_measures_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As one part of the bench among others."""
    asked = []

    def measured(effort: LedgerEffort) -> None:
        asked.append(effort)

    monkeypatch.setattr(ledger, "measure_ledger", measured)
    command.bench(only="ledger", quick=True, as_json=True)
    assert json.loads(capsys.readouterr().out)["ledger"] is None
    assert asked == [command.QUICK.ledger]
