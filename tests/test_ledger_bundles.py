"""Bundles: others can check an attribution without a word of the texts, and find any change."""

from __future__ import annotations

import json
from hashlib import sha256
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from gateway_guard.cli import main
from gateway_guard.ledger.batches import Entries
from gateway_guard.ledger.bundle import Bundle, read_bundle, write_bundle
from gateway_guard.ledger.fingerprints import Winnower
from gateway_guard.ledger.heads import LedgerError
from gateway_guard.ledger.maintenance import Limits, maintain
from gateway_guard.ledger.verifying import verify
from gateway_guard.memory import derived
from gateway_guard.settings import Settings, deployment_secret
from tests.ledgers import DAY, NOON, key_id, prose, served

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Said = dict[str, Any]
THIEF, OTHER = "key-7", "key-11"


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with a ledger, a data set that two keys fed, and the bundle on it."""
    place, random = tmp_path_factory.mktemp("case"), Random(1)
    texts = {f"key-{n}": [prose(random, 70) for _ in range(20)] for n in range(30)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GATEWAY_GUARD_SECRET", "a secret")
        key = derived(deployment_secret(Settings()), b"ledger")
        entries = Entries(place / "ledger", Winnower(key), NOON)
        for day in range(4):
            for name, said in texts.items():
                mine = said[day * 5 : day * 5 + 5]
                entries.enter([served(text, name, NOON - (3 - day) * DAY) for text in mine])
            entries.write(NOON - (3 - day) * DAY)
        samples = texts[THIEF][:14] + texts[OTHER][3:12] + [prose(random, 70) for _ in range(20)]
        lines = [json.dumps({"output": text}) for text in samples]
        (place / "set.jsonl").write_text("\n".join(lines), encoding="utf-8")
        (place / "words.json").write_text(json.dumps(samples), encoding="utf-8")
        arguments = ["attribute", str(place / "set.jsonl"), "--ledger", str(place / "ledger")]
        assert main([*arguments, "--bundle", str(place / "bundle")]) == 0
    return place


def forged(case: Path, tmp_path: Path, change: Callable[[Said], None]) -> list[str]:
    """Return what is wrong with a bundle that somebody has changed and given a fitting digest."""
    said = msgspec.to_builtins(read_bundle(case / "bundle"))
    change(said)
    path = tmp_path / "forged"
    write_bundle(path, msgspec.convert(said, Bundle))
    return verify(path)[1]


def test_a_bundle_holds(case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By itself, with the published heads, and with the segments; without the secret."""
    heads = [str(path) for path in (case / "ledger" / "heads").iterdir()]
    more = ["--heads", *heads, "--ledger", str(case / "ledger")]
    assert main(["verify-bundle", str(case / "bundle"), *more]) == 0
    said = capsys.readouterr().out
    assert "It holds" in said
    assert f"{key_id(THIEF)}: 14 samples, 14 answers" in said
    assert f"{key_id(OTHER)}: 9 samples, 9 answers" in said
    assert "does not show" in said
    assert main(["verify-bundle", str(case / "bundle")]) == 0
    assert "No published heads were given" in capsys.readouterr().out


def test_a_bundle_holds_no_word_of_the_texts(case: Path) -> None:
    """Only digests of the samples, by which whoever has them knows them again."""
    raw = (case / "bundle").read_bytes().lower()
    samples = json.loads((case / "words.json").read_text(encoding="utf-8"))
    words = {word for text in samples for word in text.split() if len(word) > 6}
    assert [word for word in words if word.encode() in raw] == []
    for sample in read_bundle(case / "bundle").samples:
        assert sample.sha256 == sha256(samples[sample.number].encode()).hexdigest()


def test_every_changed_byte_of_a_bundle_is_found(case: Path, tmp_path: Path) -> None:
    """Whichever it is: each byte of a part of it, and some everywhere."""
    raw = (case / "bundle").read_bytes()
    path = tmp_path / "changed"
    places = {*range(0, len(raw), 97), *range(300), *range(len(raw) - 70, len(raw))}
    for at in places:
        path.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
        with pytest.raises(LedgerError):
            read_bundle(path)
    for cut in (raw[:-1], raw + b"\n", b"", b"{}\n"):
        path.write_bytes(cut)
        with pytest.raises(LedgerError):
            read_bundle(path)


def test_every_changed_byte_of_a_segment_is_found(case: Path) -> None:
    """In either of its files."""
    bundle = read_bundle(case / "bundle")
    assert len(bundle.segments) == 3
    for table in ("answers", "fingerprints"):
        path = case / "ledger" / table / f"{bundle.segments[0].segment}.parquet"
        whole = path.read_bytes()
        for at in range(0, len(whole), max(1, len(whole) // 40)):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 128]) + whole[at + 1 :])
            _, complaints = verify(case / "bundle", ledger=case / "ledger")
            assert complaints == [f"{table}/{bundle.segments[0].segment} is not what it was"]
        path.write_bytes(whole)
    assert verify(case / "bundle", ledger=case / "ledger")[1] == []


def test_a_segment_that_is_gone_is_named(case: Path, tmp_path: Path) -> None:
    """Compaction and retention do that; the bundle itself still holds."""
    _, complaints = verify(case / "bundle", ledger=tmp_path)
    assert len(complaints) == 6
    assert "is gone" in complaints[0]


def test_heads_that_were_not_published_are_named(case: Path, tmp_path: Path) -> None:
    """A copy from before knows nothing of later batches."""
    [path] = (case / "ledger" / "heads").iterdir()
    early = tmp_path / "copy.jsonl"
    early.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:1]))
    _, complaints = verify(case / "bundle", published=[early])
    assert len(complaints) == 2
    assert "is in no published copy" in complaints[0]


def _add_answers(said: Said) -> None:
    said["claims"][0]["matches"] += 100


def _move_answer(said: Said) -> None:
    said["answers"][0]["row"][4] = said["answers"][-1]["row"][4]


def _lower_p(said: Said) -> None:
    said["claims"][0]["log10_p"] -= 5


def _raise_odds(said: Said) -> None:
    said["claims"][0]["log10_odds"] += 5


def _twice(said: Said) -> None:
    said["answers"].append(said["answers"][0])


def _no_head(said: Said) -> None:
    said["answers"][0]["head"] = -1


def _other_head(said: Said) -> None:
    said["answers"][0]["head"] = (said["answers"][0]["head"] + 1) % 3


def _bad_path(said: Said) -> None:
    said["answers"][0]["path"][0] = ["left", "zz"]


def _other_sample(said: Said) -> None:
    said["samples"][0]["fingerprints"] = ""


def _broken_sample(said: Said) -> None:
    said["samples"][0]["fingerprints"] = "?"


def _swapped(said: Said) -> None:
    one, other = said["claims"][:2]
    one["answers"], other["answers"] = other["answers"], one["answers"]


def _nowhere(said: Said) -> None:
    said["claims"][0]["answers"][0] = 10_000


def _no_segment(said: Said) -> None:
    said["answers"][0]["segment"] = 99


def _weak(said: Said) -> None:
    said["method"]["threshold"] = 1e-300


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (_add_answers, "counts more than there is"),
        (_move_answer, "does not lead to the root"),
        (_lower_p, "p-value of"),
        (_raise_odds, "the odds of"),
        (_twice, "is in it twice"),
        (_no_head, "has no head"),
        (_other_head, "under the head of another batch"),
        (_bad_path, "does not lead to the root"),
        (_other_sample, "does not tell"),
        (_swapped, "rests on answers to others"),
        (_nowhere, "names what is not there"),
        (_no_segment, "is of no segment"),
        (_weak, "not below the threshold"),
    ],
)
def test_a_forged_bundle_does_not_hold(
    case: Path, tmp_path: Path, change: Callable[[Said], None], complaint: str
) -> None:
    """Also where its digest was made to fit."""
    assert any(complaint in one for one in forged(case, tmp_path, change))


@pytest.mark.parametrize(
    ("place", "value", "complaint"),
    [
        ("version", 2, "it has version 2"),
        ("method.least_fingerprints", 1, "fewer than 2 fingerprints"),
        ("method.threshold", 0.5, "the threshold is not"),
        ("method.threshold", 0, "the threshold is not"),
        ("method.correction", "none", "corrected in another way"),
        ("method.levels", [0.0], "corrected in another way"),
        ("method.samples", 44, "not those of the files"),
        ("claims.0.level", 0.9, "was not tested"),
        ("claims.0.samples.1", 0, "or names it twice"),
        ("claims.1.key", key_id(THIEF), "two claims on one key"),
        ("samples.1.number", 0, "twice, or of no file"),
        ("samples.1.number", 43, "twice, or of no file"),
        ("proves.0", "That the whole model was stolen.", "not what bundles show"),
        ("does_not_prove", [], "not what bundles show"),
        ("claims.0.exposure", -1.0, "p-values cannot be made"),
        ("claims.0.shape", 0.0, "p-values cannot be made"),
        ("claims.0.shape", 1e308, "p-values cannot be made"),
        ("claims.0.rate", 0.0, "p-values cannot be made"),
        ("claims.0.matches", -1, "p-value"),
        ("claims.0.null_matches", -9, "p-values cannot be made"),
    ],
)
def test_a_bundle_that_makes_too_little_suffice_does_not_hold(
    case: Path, tmp_path: Path, place: str, value: object, complaint: str
) -> None:
    """Its own words on what is enough do not count, nor do numbers that make no sense."""

    def change(said: Said) -> None:
        at: Any = said
        *inner, last = [int(name) if name.isdigit() else name for name in place.split(".")]
        for name in inner:
            at = at[name]
        at[last] = value

    assert any(complaint in one for one in forged(case, tmp_path, change))


def test_a_forged_bundle_gives_the_terminal_no_orders(
    case: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor does it put words into the mouth of who checks it."""
    said = msgspec.to_builtins(read_bundle(case / "bundle"))
    said["claims"][0]["key"] = "\x1b[2Jkey\rIt holds."
    said["proves"] = ["That the whole model was stolen."]
    path = tmp_path / "forged"
    write_bundle(path, msgspec.convert(said, Bundle))
    assert main(["verify-bundle", str(path)]) == 1
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "\r" not in shown
    assert "model was stolen" not in shown


def test_a_claim_on_another_key_is_found_with_the_ledger(case: Path, tmp_path: Path) -> None:
    """Its identities say whom the pseudonyms stand for; what was erased says nothing."""
    said = msgspec.to_builtins(read_bundle(case / "bundle"))
    said["claims"][0]["key"] = key_id("key-1")
    path = tmp_path / "forged"
    write_bundle(path, msgspec.convert(said, Bundle))
    assert verify(path)[1] == []
    [complaint] = verify(path, ledger=case / "ledger")[1]
    assert complaint == f"the pseudonyms of {key_id('key-1')} stand for another key"


def test_fingerprints_that_are_none_are_no_evidence(case: Path, tmp_path: Path) -> None:
    """They cannot be read."""
    with pytest.raises(LedgerError, match="cannot be read"):
        forged(case, tmp_path, _broken_sample)


def test_what_is_no_bundle_is_said(
    case: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the exit code of what does not hold, or of what cannot be run."""
    line = b'{"version":1}'
    path = tmp_path / "bundle"
    path.write_bytes(line + b"\n" + sha256(line).hexdigest().encode() + b"\n")
    assert main(["verify-bundle", str(path)]) == 1
    assert "is no bundle" in capsys.readouterr().out
    spaced = (case / "bundle").read_bytes().split(b"\n")[0].replace(b'"version":1', b'"version": 1')
    path.write_bytes(spaced + b"\n" + sha256(spaced).hexdigest().encode() + b"\n")
    assert main(["verify-bundle", str(path)]) == 1
    assert "not written as bundles are" in capsys.readouterr().out
    assert main(["verify-bundle", str(tmp_path / "missing")]) == 2


def test_answers_of_joined_segments_lead_to_their_heads_too(
    case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compaction changes files, not what was committed to."""
    maintain(case / "ledger", Limits(400 * DAY, 1 << 40), NOON + 2 * DAY)
    monkeypatch.setenv("GATEWAY_GUARD_SECRET", "a secret")
    arguments = ["attribute", str(case / "set.jsonl"), "--ledger", str(case / "ledger")]
    assert main([*arguments, "--bundle", str(tmp_path / "bundle")]) == 0
    bundle, complaints = verify(tmp_path / "bundle", ledger=case / "ledger")
    assert complaints == []
    assert len(bundle.claims) == 2
