"""Attribution names who was served what a data set holds, and nobody else."""

from __future__ import annotations

import gzip
import json
from random import Random
from typing import TYPE_CHECKING

import polars as pl
import pytest

from gateway_guard.cli import main
from gateway_guard.exceptions import ConfigurationError
from gateway_guard.ledger import duck
from gateway_guard.ledger.batches import Entries
from gateway_guard.ledger.duck import Limits
from gateway_guard.ledger.fingerprints import Winnower
from gateway_guard.ledger.gathering import gather, opened
from gateway_guard.ledger.heads import LedgerError
from gateway_guard.ledger.report import Party, Report, report, score_all
from gateway_guard.ledger.samples import read_suspects
from gateway_guard.memory import derived
from gateway_guard.settings import Settings, deployment_secret
from tests.ledgers import DAY, FINGERPRINT_KEY, NOON, WINNOWER, key_id, prose, served, write

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gateway_guard.ledger.served import Served

KEYS = 40
EACH = 25
BOILERPLATE = [prose(Random(n), 40) for n in range(5)]


def answer(random: Random) -> str:
    """Return an answer, a third of which everybody gets."""
    return f"{prose(random, 80)} {random.choice(BOILERPLATE)}"


def answers(seed: int = 0) -> dict[str, list[str]]:
    """Return answers by key."""
    random = Random(seed)
    return {f"key-{n}": [answer(random) for _ in range(EACH)] for n in range(KEYS)}


def all_served(found: dict[str, list[str]]) -> list[Served]:
    """Return them with days, and an organisation for every two keys."""
    return [
        served(text, key, NOON - (number % 3) * DAY, f"org-{int(key[4:]) // 2}")
        for key, texts in found.items()
        for number, text in enumerate(texts)
    ]


def attributed(directory: Path, texts: Sequence[str], *keys: bytes) -> Report:
    """Return the report on samples."""
    ledger = opened(directory, keys or [FINGERPRINT_KEY])
    gathered = gather(ledger, texts, Limits(threads=1), lambda *_: None)
    return report(gathered, score_all(gathered))


def named(parties: Sequence[Party]) -> list[Party]:
    """Return those that are named."""
    return [party for party in parties if party.named]


def test_who_was_served_the_samples_is_named_and_nobody_else(tmp_path: Path) -> None:
    """With how many answers, how much of them, and when; keys and organisations."""
    found = answers()
    write(tmp_path, all_served(found))
    fresh = [answer(Random(n)) for n in range(1000, 1060)]
    seen = attributed(tmp_path, [*found["key-7"][:20], *fresh])
    [party] = named(seen.keys)
    assert (party.key, party.answers, party.samples) == (key_id("key-7"), 20, 20)
    assert party.organisation == b"\6".hex() + b"org-3".rjust(15, b"\0").hex()
    assert party.coverage > 0.95
    assert (party.first or "")[:10] == "2027-01-12"
    assert (party.last or "")[:10] == "2027-01-14"
    assert sum(party.days.values()) == 20
    assert party.p_value < 1e-6
    assert party.log10_odds > 6
    assert [one.organisation for one in named(seen.organisations)] == [party.organisation]
    assert (seen.samples, seen.matched_samples, seen.ledger_answers) == (80, 20, KEYS * EACH)
    assert seen.null.keys == KEYS


def test_nobody_is_named_for_what_everybody_was_told(tmp_path: Path) -> None:
    """Boilerplate alone, and answers that two keys were served alike."""
    found = answers()
    for number in range(12):
        found["key-1"][number] = found["key-2"][number]
    write(tmp_path, all_served(found))
    seen = attributed(tmp_path, [*BOILERPLATE, *found["key-1"][:12]])
    assert named(seen.keys) == []
    assert seen.matched_samples == 0


def test_an_organisation_that_spreads_its_questions_over_keys_is_named(tmp_path: Path) -> None:
    """Where each of its keys was served the same, none of them alone can be."""
    found = answers()
    found["key-8"] = list(found["key-9"])
    write(tmp_path, all_served(found))
    seen = attributed(tmp_path, found["key-8"])
    assert named(seen.keys) == []
    assert len(named(seen.organisations)) == 1


def test_an_organisation_is_not_named_for_what_a_key_without_one_had_too(tmp_path: Path) -> None:
    """Who belongs to nobody shields like everybody else."""
    found = answers()
    lone = [served(text, "a-key-alone") for text in found["key-8"]]
    write(tmp_path, [*all_served(found), *lone])
    seen = attributed(tmp_path, found["key-8"])
    assert named(seen.organisations) == []
    assert named(seen.keys) == []


def test_a_damaged_segment_is_named_and_no_traceback_shown(tmp_path: Path) -> None:
    """As is one that was joined to others in that moment."""
    write(tmp_path, all_served(answers()))
    ledger = opened(tmp_path, [FINGERPRINT_KEY])
    for path in (tmp_path / "fingerprints").rglob("*.parquet"):
        whole = path.read_bytes()
        path.write_bytes(whole[:4] + bytes(400) + whole[404:])
    with pytest.raises(LedgerError, match="cannot be read"):
        gather(ledger, ["A text."] * 2, Limits(), lambda *_: None)
    for path in (tmp_path / "fingerprints").rglob("*.parquet"):
        path.unlink()
    with pytest.raises(LedgerError, match="is gone"):
        gather(ledger, ["A text."] * 2, Limits(), lambda *_: None)


def test_a_passage_that_is_repeated_counts_once(tmp_path: Path) -> None:
    """However often a data set quotes what a key was served once."""
    found = answers()
    write(tmp_path, all_served(found))
    quoted = " ".join(found["key-3"][0].split()[:60])
    seen = attributed(tmp_path, [f"{prose(Random(n), 30)} {quoted}" for n in range(200)])
    assert named(seen.keys) == []
    assert [(party.key, party.samples) for party in seen.keys] == [(key_id("key-3"), 1)]


def test_questions_that_several_ask_make_the_ledger_expect_such_matches(tmp_path: Path) -> None:
    """What near-identical answers share by chance is no evidence, in whatever number."""
    random = Random(4)
    found = answers()
    questions = [prose(random, 80).split() for _ in range(400)]

    def variant() -> str:
        words = list(random.choice(questions))
        for at in random.sample(range(80), 4):
            words[at] = prose(random, 1)
        return " ".join(words)

    for texts in found.values():
        texts[:10] = [variant() for _ in range(10)]
    write(tmp_path, all_served(found))
    seen = attributed(tmp_path, [variant() for _ in range(200)])
    assert sum(party.samples for party in seen.keys) > 20
    assert named(seen.keys) == []
    assert seen.null.levels[0].matches > 100


def test_answers_of_all_schemes_and_months_count_for_the_same_key(tmp_path: Path) -> None:
    """After a change of the secret, and under the other pseudonyms of another month."""
    found, other = answers(), b"o" * 32
    old = Entries(tmp_path, Winnower(other), NOON - 30 * DAY)
    for key, texts in found.items():
        old.enter([served(text, key, NOON - 30 * DAY) for text in texts[:12]])
    old.write(NOON)
    write(tmp_path, [served(text, key) for key, texts in found.items() for text in texts[12:]])
    seen = attributed(tmp_path, found["key-5"], FINGERPRINT_KEY, other)
    [party] = named(seen.keys)
    assert (party.key, party.answers) == (key_id("key-5"), EACH)
    assert party.coverage > 0.9
    assert seen.unreadable_segments == 0
    assert attributed(tmp_path, found["key-5"]).unreadable_segments == 1
    with pytest.raises(LedgerError, match="written under this secret"):
        attributed(tmp_path, found["key-5"], b"a third one")


def test_a_part_of_the_fingerprints_tells_the_same_names(tmp_path: Path) -> None:
    """With less to go by, and less to read."""
    found = answers()
    write(tmp_path, all_served(found))
    gathered = gather(
        opened(tmp_path, [FINGERPRINT_KEY]), found["key-7"], Limits(part=0.5), lambda *_: None
    )
    seen = report(gathered, score_all(gathered))
    assert [party.key for party in named(seen.keys)] == [key_id("key-7")]
    whole = len(WINNOWER.fingerprint(found["key-7"]).hashes)
    assert 0.3 * whole < len(gathered.samples.fingerprints) < 0.7 * whole


def test_other_days_are_not_looked_at(tmp_path: Path) -> None:
    """What was served on them is not found."""
    found = answers()
    write(tmp_path, all_served(found))
    ledger = opened(tmp_path, [FINGERPRINT_KEY], "2027-01-13", "2027-01-13")
    gathered = gather(ledger, found["key-7"], Limits(), lambda *_: None)
    [party] = named(report(gathered, score_all(gathered)).keys)
    assert set(party.days) == {"2027-01-13"}
    with pytest.raises(LedgerError):
        opened(tmp_path, [FINGERPRINT_KEY], "2028-01-01")


def test_once_a_month_is_erased_its_keys_have_no_names(tmp_path: Path) -> None:
    """What was served to one of them is still known, but not who that was."""
    found = answers()
    write(tmp_path, all_served(found))
    for path in (tmp_path / "identities" / "2027-01").iterdir():
        path.unlink()
    [party] = named(attributed(tmp_path, found["key-7"]).keys)
    assert party.key is not None
    assert len(party.key) == 16


def test_boilerplate_is_passed_over_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told by the number of answers that it stands in, and changes no name."""
    monkeypatch.setattr(duck, "COMMON", 50)
    found = answers()
    write(tmp_path, all_served(found))
    seen = attributed(tmp_path, found["key-7"])
    assert [party.key for party in named(seen.keys)] == [key_id("key-7")]
    assert seen.null.boilerplate > 0


@pytest.mark.parametrize(
    ("name", "rows", "field"),
    [
        ("a.jsonl", [{"output": "One text."}, {"output": "Another text."}], None),
        ("a.jsonl", ["One text.", "Another text."], None),
        ("a.jsonl.gz", [{"q": "?", "x": {"y": t}} for t in ("One text.", "Another text.")], "x.y"),
        (
            "a.jsonl",
            [
                {
                    "messages": [
                        {"role": "user", "content": "Why?"},
                        {"role": "assistant", "content": "One text."},
                        {"role": "assistant", "content": [{"text": "Another text."}]},
                    ]
                }
            ],
            None,
        ),
        (
            "a.jsonl",
            [
                {"t": [{"from": "human", "value": "?"}, {"from": "gpt", "value": t}]}
                for t in ("One text.", "Another text.")
            ],
            "t",
        ),
        ("a.jsonl", [{"m": ["x", "One text."]}, {"m": ["Another text."]}], "m.-1"),
        ("a.parquet", [{"text": "One text."}, {"text": "Another text."}], None),
        ("a.parquet", [{"x": {"y": "One text."}}, {"x": {"y": "Another text."}}], "x.y"),
    ],
)
def test_samples_are_read_as_data_sets_come(
    tmp_path: Path, name: str, rows: list[object], field: str | None
) -> None:
    """JSONL, compressed or not, conversations, and Parquet; of roles the assistant's."""
    path = tmp_path / name
    if name.endswith("parquet"):
        pl.DataFrame(rows).write_parquet(path)
    else:
        lines = "\n".join(json.dumps(row) for row in rows).encode()
        path.write_bytes(gzip.compress(lines) if name.endswith("gz") else lines)
    [suspect] = read_suspects([path], field)
    assert suspect.texts == ["One text.", "Another text."]


@pytest.mark.parametrize(
    ("name", "raw", "field"),
    [
        ("a.jsonl", b'{"output": "x"}', "reply"),
        ("a.jsonl", b"{broken", None),
        ("a.jsonl", b'["m", 5]', "m.7"),
        ("a.jsonl.gz", b"no gzip", None),
        ("a.parquet", b"no Parquet", None),
        ("a.txt", b"\xff\xfe", None),
        ("a.txt", b"  ", None),
    ],
)
def test_what_holds_no_samples_is_named(
    tmp_path: Path, name: str, raw: bytes, field: str | None
) -> None:
    """With the file, and what can be done."""
    path = tmp_path / name
    path.write_bytes(raw)
    with pytest.raises(ConfigurationError, match=name):
        read_suspects([path], field)
    with pytest.raises(ConfigurationError, match="missing"):
        read_suspects([tmp_path / "missing.txt"], None)


def test_the_command_says_whose_samples_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a table, as JSON with the documented names, and as one page that needs nothing else."""
    monkeypatch.setenv("GATEWAY_GUARD_SECRET", "a secret")
    key = derived(deployment_secret(Settings()), b"ledger")
    found = answers()
    entries = Entries(tmp_path / "ledger", Winnower(key), NOON)
    entries.enter(all_served(found))
    entries.write(NOON)
    suspect, page = tmp_path / "set.jsonl", tmp_path / "page.html"
    suspect.write_text("\n".join(json.dumps({"output": text}) for text in found["key-7"]))
    arguments = ["attribute", str(suspect), "--ledger", str(tmp_path / "ledger")]
    assert main([*arguments, "--html", str(page)]) == 0
    assert f"* {key_id('key-7')}" in capsys.readouterr().out
    html = page.read_text(encoding="utf-8")
    assert key_id("key-7") in html
    assert "<svg" in html
    assert "http" not in html
    assert "<script" not in html
    assert main([*arguments, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert {"samples", "matched_samples", "keys", "null"} <= set(said)
    names = ("key", "organisation", "answers", "samples", "coverage", "first", "last")
    assert {*names, "p_value", "log10_odds"} <= set(said["keys"][0])
    assert not any(
        word in html + json.dumps(said) for word in found["key-7"][0].split() if len(word) > 6
    )


def test_the_command_needs_the_secret_and_a_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And says so."""
    (tmp_path / "a.txt").write_text("A text.")
    arguments = ["attribute", str(tmp_path / "a.txt"), "--ledger", str(tmp_path / "none")]
    assert main(arguments) == 2
    assert "without the guard's secret" in capsys.readouterr().err
    monkeypatch.setenv("GATEWAY_GUARD_SECRET", "a secret")
    assert main(arguments) == 2
    assert "is no directory" in capsys.readouterr().err
    assert main([*arguments[:-1], str(tmp_path)]) == 2
    assert "there is nothing in" in capsys.readouterr().err
    for wrong in (["--since", "yesterday"], ["--part", "0"], ["--part", "all"]):
        with pytest.raises(SystemExit):
            main([*arguments, *wrong])
