"""Whatever lies in a ledger or is named as a suspect: what is wrong is said, without a trace."""

from __future__ import annotations

import gzip
import json
import shutil
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING

import polars as pl
import pytest

from gateway_guard.cli import main
from gateway_guard.exceptions import ConfigurationError
from gateway_guard.ledger.batches import Entries
from gateway_guard.ledger.fingerprints import Winnower
from gateway_guard.ledger.heads import LedgerError
from gateway_guard.ledger.maintenance import Limits, maintain
from gateway_guard.ledger.samples import read_suspects
from gateway_guard.memory import derived
from gateway_guard.settings import Settings, deployment_secret
from tests.ledgers import DAY, NOON, WINNOWER, prose, served

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TEXT = "A text of a few words."


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a ledger of two segments, and beside it a suspect."""
    monkeypatch.setenv("GATEWAY_GUARD_SECRET", "a secret")
    winnower = Winnower(derived(deployment_secret(Settings()), b"ledger"))
    random, entries = Random(1), Entries(tmp_path / "ledger", winnower, NOON)
    for _ in range(2):
        entries.enter([served(prose(random, 60), f"key-{n}") for n in range(9)])
        entries.write(NOON)
    (tmp_path / "set.jsonl").write_text(json.dumps({"output": prose(random, 60)}))
    return tmp_path / "ledger"


def first_of(ledger: Path, table: str) -> Path:
    """Return the first file of a table."""
    return min((ledger / table).rglob("*.parquet"))


def _cut(ledger: Path) -> None:
    path = first_of(ledger, "answers")
    path.write_bytes(path.read_bytes()[:-100])


def _cut_fingerprints(ledger: Path) -> None:
    path = first_of(ledger, "fingerprints")
    path.write_bytes(path.read_bytes()[:-100])


def _half(ledger: Path) -> None:
    first_of(ledger, "fingerprints").unlink()


def _foreign(ledger: Path) -> None:
    for table in ("answers", "fingerprints"):
        pl.DataFrame({"a": [1]}).write_parquet(first_of(ledger, table).with_name("0.parquet"))


def _foreign_compacted(ledger: Path) -> None:
    path = first_of(ledger, "answers").with_name("c-0.parquet")
    pl.DataFrame({"a": [1]}).write_parquet(path)


def _text_compacted(ledger: Path) -> None:
    first_of(ledger, "answers").with_name("c-0.parquet").write_text("text")


def _no_identity(ledger: Path) -> None:
    path = ledger / "identities" / "2027-01" / "other.jsonl"
    path.write_bytes(b'{"pseudonym":"a-secret-word"\n')


def _emptied(ledger: Path) -> None:
    shutil.rmtree(ledger)
    ledger.mkdir()


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (_cut, "answers/"),
        (_cut_fingerprints, "fingerprints/"),
        (_half, "is gone"),
        (_foreign, "0.parquet is damaged, or no file of this ledger"),
        (_foreign_compacted, "c-0.parquet is damaged, or no file of this ledger"),
        (_text_compacted, "c-0.parquet is damaged, or no file of this ledger"),
        (_no_identity, "other.jsonl, line 1 does not say who"),
        (shutil.rmtree, "is no directory"),
        (_emptied, "there is nothing in"),
    ],
)
def test_what_is_wrong_with_a_ledger_is_said_with_the_file(
    ledger: Path, capsys: pytest.CaptureFixture[str], harm: Callable[[Path], object], told: str
) -> None:
    """In one line and a hint, and with the exit code of what cannot be run."""
    harm(ledger)
    suspect = str(ledger.parent / "set.jsonl")
    assert main(["attribute", suspect, "--ledger", str(ledger)]) == 2
    said = capsys.readouterr().err
    assert told in said
    assert "HINT" in said
    assert "a-secret-word" not in said


def test_folders_that_others_have_made_are_left_alone(
    ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They count as written under another secret."""
    for table in ("answers", "fingerprints"):
        path = first_of(ledger, table)
        place = ledger / table / "scheme=theirs" / "day=2027-01-14"
        place.mkdir(parents=True)
        shutil.copy(path, place)
    assert main(["attribute", str(ledger.parent / "set.jsonl"), "--ledger", str(ledger)]) == 0
    assert "under another secret: 1" in capsys.readouterr().out


def test_a_ledger_under_two_secrets_is_read_as_far_as_one_goes(
    ledger: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The former one opens what it wrote, when it is named."""
    monkeypatch.setenv("GATEWAY_GUARD_SECRET", "another secret")
    winnower = Winnower(derived(deployment_secret(Settings()), b"ledger"))
    entries, text = Entries(ledger, winnower, NOON), prose(Random(2), 60)
    entries.enter([served(text, "key-1")])
    entries.write(NOON)
    asked = ["attribute", str(ledger.parent / "set.jsonl"), "--ledger", str(ledger)]
    assert main(asked) == 0
    assert "under another secret: 2" in capsys.readouterr().out
    monkeypatch.setenv("GATEWAY_GUARD_SECRET_PREVIOUS", "a secret")
    assert main(asked) == 0
    shown = capsys.readouterr().out
    assert "among 19 answers" in shown
    assert "another secret" not in shown


@pytest.mark.parametrize("harm", [_cut, _cut_fingerprints, _foreign, _foreign_compacted])
def test_a_damaged_file_keeps_nothing_else_from_being_joined_or_deleted(
    ledger: Path, harm: Callable[[Path], None]
) -> None:
    """House-keeping goes on with the other days, and what is too old goes, damaged or not."""
    entries, random = Entries(ledger, WINNOWER, NOON), Random(3)
    for _ in range(2):
        entries.enter([served(prose(random, 60), "key-1", NOON + DAY)])
        entries.write(NOON + DAY)
    harm(ledger)
    limits = Limits(400 * DAY, 1 << 30)
    with suppress(LedgerError):
        maintain(ledger, limits, NOON + 3 * DAY)
    assert len(list((ledger / "answers").glob("*/day=2027-01-15/c-*.parquet"))) == 1
    with suppress(LedgerError):
        maintain(ledger, limits, NOON + 500 * DAY)
    left = [path for path in (ledger / "answers").rglob("*.parquet") if "2027-01-14" in str(path)]
    assert left == []


ROWS = [{"output": TEXT}, {"output": "Another text."}]
LINES = [json.dumps(row).encode() for row in ROWS]


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("a.jsonl", b"\r\n".join(LINES) + b"\r\n\r\n"),
        ("a.jsonl", b"\xef\xbb\xbf" + b"\n".join(LINES)),
        ("a.jsonl", b"1\nnull\n[]\n" + b"\n".join(LINES)),
        ("a.jsonl", b"\n".join(line[:-1] + b', "score": NaN}' for line in LINES)),
        ("a.jsonl", b"\n".join(line[:-1] + b', "more": "\\ud800"}' for line in LINES)),
        ("a.json", json.dumps(ROWS, indent=1).encode()),
        ("a.json", b"\n".join(LINES)),
        ("a.json.gz", gzip.compress(json.dumps(ROWS).encode(), mtime=0)),
    ],
)
def test_samples_are_read_however_they_were_written(tmp_path: Path, name: str, raw: bytes) -> None:
    """By another system, by Python, as one list, or with rows that hold none."""
    path = tmp_path / name
    path.write_bytes(raw)
    [suspect] = read_suspects([path], None)
    assert suspect.texts == [TEXT, "Another text."]


def test_a_text_is_one_sample_in_a_compressed_file_too(tmp_path: Path) -> None:
    """And a byte order mark is no part of it."""
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(b"\xef\xbb\xbf" + TEXT.encode(), mtime=0))
    assert read_suspects([path], None)[0].texts == [TEXT]


def test_columns_of_bytes_and_of_nothing_are_read_from_parquet(tmp_path: Path) -> None:
    """Bytes are texts in UTF-8."""
    path = tmp_path / "a.parquet"
    pl.DataFrame({"output": [None, TEXT.encode(), None]}).write_parquet(path)
    assert read_suspects([path], None)[0].texts == [TEXT]
    pl.DataFrame({"output": [None, None]}).write_parquet(path)
    with pytest.raises(ConfigurationError, match="has no samples"):
        read_suspects([path], None)


@pytest.mark.parametrize(
    ("name", "raw", "told"),
    [
        ("a.jsonl", b"", "has no samples"),
        ("a.jsonl", LINES[0] + b'\n{"output": "secret', "line 2 is no JSON in UTF-8"),
        ("a.jsonl", b'{"output":' + b"[" * 100_000, "line 1 is no JSON in UTF-8"),
        ("a.jsonl", b'{"output": "secret caf\xe9"}', "line 1 is no JSON in UTF-8"),
        ("a.jsonl", b"\0\1secret\xff", "line 1 is no JSON in UTF-8"),
        ("a.jsonl.gz", gzip.compress(b"\n".join(LINES), mtime=0)[:-12], "not copied to its end"),
        ("a.jsonl.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\0secret" + b"s" * 40, "not copied to its end"),
        ("a.txt", "secret".encode("utf-16"), "it is no UTF-8"),
        ("a.parquet", b"", "no Parquet"),
        ("a.parquet.gz", gzip.compress(b"PAR1", mtime=0), "unpack it first"),
    ],
)
def test_what_is_wrong_with_a_suspect_is_said(
    tmp_path: Path, name: str, raw: bytes, told: str
) -> None:
    """With the line, and without a word of what stands in it."""
    path = tmp_path / name
    path.write_bytes(raw)
    with pytest.raises(ConfigurationError) as caught:
        read_suspects([path], None)
    assert told in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_directory_is_no_suspect(tmp_path: Path) -> None:
    """It is said to be one."""
    with pytest.raises(ConfigurationError, match="directory"):
        read_suspects([tmp_path], None)
