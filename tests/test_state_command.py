"""``gateway-guard state``, as operators call it."""

from __future__ import annotations

import io
import json
import sys
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import structlog

from gateway_guard.actions import Action
from gateway_guard.cli import main
from gateway_guard.ledger.pseudonyms import Pseudonyms, read_identities
from gateway_guard.principal import SubjectIds, SubjectKind
from gateway_guard.settings import deployment_secret, load_settings, previous_secret
from gateway_guard.stores import STANDING, Part, Store, open_store, store_of
from gateway_guard.stores.base import Keeping
from gateway_guard.syncing.news import Notice
from gateway_guard.syncing.notices import kept

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RAW_KEY, NAME, FIRM = b"sk-raw-key", "bob@example.com", "Acme"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give each test a deployment of its own, with a store in its state directory."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("GATEWAY_GUARD_STATE_DIR", str(home))
    monkeypatch.setattr("gateway_guard.statefile.command.SETTLE_SECONDS", 0.0)
    yield home
    structlog.reset_defaults()


def ids(*, previous: bool = False) -> SubjectIds:
    """Return what makes the deployment's ids."""
    settings = load_settings()
    secret = previous_secret(settings) if previous else deployment_secret(settings)
    assert secret is not None
    return SubjectIds(secret)


def opened() -> Store:
    """Return the deployment's store."""
    store = store_of(load_settings(), time.time)
    store.connect()
    return store


def written(*subjects: bytes) -> None:
    """Have the store know of subjects."""
    store = opened()
    store.write([Part(subject, 0, (0, 1, 1), b"profile") for subject in subjects])
    store.close()


def blocked(subject: bytes) -> None:
    """Have a subject blocked for an hour."""
    store = opened()
    until_at = time.time() + 3600
    reasons = ("because it harvests",)
    notice = Notice(subject, revision=5, action=int(Action.BLOCK), until_at=until_at)
    store.write([kept(msgspec.structs.replace(notice, reasons=reasons))])
    store.close()


def slots(subject: bytes) -> list[int]:
    """Return in which slots something is kept of a subject."""
    store = opened()
    [parts] = store.parts([subject])
    store.close()
    return sorted(part.slot for part in parts)


def given(monkeypatch: pytest.MonkeyPatch, *lines: bytes) -> None:
    """Pipe lines into the command."""
    stdin = io.TextIOWrapper(io.BytesIO(b"".join(line + b"\n" for line in lines)))
    monkeypatch.setattr(sys, "stdin", stdin)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    """Run ``state`` with JSON results; return its exit code and them."""
    code = main(["state", *arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def key(raw: bytes = RAW_KEY, *, previous: bool = False) -> bytes:
    """Return the id of a key."""
    return ids(previous=previous).make(SubjectKind.KEY, raw)


def test_what_was_exported_is_imported(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """From the store that the guard would use into one that is named, or new."""
    written(key(), key(b"other"))
    path, url = str(tmp_path / "a.state"), f"sqlite:///{tmp_path}/new.sqlite3"
    code, done = run(capsys, "export", path)
    assert (code, done["subjects"], done["file"]) == (0, 2, path)
    assert run(capsys, "import", path, "--store", url) == (
        0,
        {"file": path, "lines": done["lines"], "parts": 2, "new_parts": 2, "new_entries": 0},
    )
    assert run(capsys, "import", path, "--store", url)[1]["new_parts"] == 0
    store = open_store(url, time.time, Keeping("default", 1e6))
    store.connect()
    assert len(store.subjects("", 10).ids) == 2
    store.close()
    assert main(["state", "import", path, "--store", url]) == 0
    assert capsys.readouterr().out == "0 of 2 parts were new, 0 entries\n"


def test_of_another_namespace_nothing_is_imported_by_mistake(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless the operator names it."""
    written(key())
    path = str(tmp_path / "a.state")
    run(capsys, "export", path)
    monkeypatch.setenv("GATEWAY_GUARD_NAMESPACE", "team-b")
    assert main(["state", "import", path]) == 2
    assert "--from-namespace default" in capsys.readouterr().err
    assert slots(key()) == []
    assert run(capsys, "import", path, "--from-namespace", "default")[1]["new_parts"] == 1
    assert slots(key()) == [0]


def test_a_key_is_erased_by_its_id(capsys: pytest.CaptureFixture[str]) -> None:
    """With what stands for templates within it; a second time there is nothing left but that."""
    within = bytes((SubjectKind.TEMPLATE_IN_KEY,)) + bytes(8) + key()[-7:]
    written(key(), key(b"other"), within)
    code, done = run(capsys, "forget", "--key", key().hex())
    assert code == 0
    assert [(each["kind"], each["known"]) for each in done["subjects"]] == [
        ("key", True),
        ("template_in_key", True),
    ]
    assert (slots(key()), slots(within), slots(key(b"other"))) == ([STANDING], [STANDING], [0])
    assert main(["state", "forget", "--key", key().hex()]) == 0
    assert f"key {key().hex()}\n" in capsys.readouterr().out


def test_guards_are_told_of_a_key_that_the_store_does_not_know(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One of them may hold it without having said so."""
    written(key(b"other"))
    code, done = run(capsys, "forget", "--key", key().hex())
    assert (code, done["subjects"][0]["known"]) == (1, False)
    assert slots(key()) == [STANDING]


def test_a_raw_key_is_read_from_the_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the id it had under the previous secret."""
    monkeypatch.setenv("GATEWAY_GUARD_SECRET", "new")
    monkeypatch.setenv("GATEWAY_GUARD_SECRET_PREVIOUS", "old")
    written(key(), key(previous=True))
    given(monkeypatch, b"Bearer " + RAW_KEY)
    code, done = run(capsys, "forget", "--raw-key-stdin")
    assert code == 0
    assert [each["id"] for each in done["subjects"]] == [
        key().hex(),
        key(previous=True).hex(),
    ]
    assert slots(key()) == slots(key(previous=True)) == [STANDING]


def test_whom_a_token_names_is_found_by_the_token(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the guard tells callers apart by a claim."""
    monkeypatch.setenv("GATEWAY_GUARD_KEY_CLAIM", "sub")
    written(key(b"other"))
    token = b"eyJhbGciOiJub25lIn0.eyJzdWIiOiJib2IifQ.c2ln"
    given(monkeypatch, token)
    _, done = run(capsys, "forget", "--raw-key-stdin")
    given(monkeypatch, token)
    assert main(["key-id"]) == 0
    assert capsys.readouterr().out.strip() == done["subjects"][0]["id"] != key(token).hex()


def end_user(raw: bytes, name: str = NAME) -> bytes:
    """Return the id of an end user within a key."""
    return ids().make(SubjectKind.END_USER, key(raw), name.encode())


def test_an_end_user_is_erased_under_whatever_key_it_came(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a name that stands on no command line; other names and the keys stay."""
    theirs = [end_user(raw) for raw in (b"one", b"two")]
    others = [end_user(b"one", "eve"), key(b"one"), key(b"two"), end_user(b"unknown")]
    written(*theirs, *others)
    given(monkeypatch, NAME.encode())
    code, done = run(capsys, "forget", "--end-user", "-")
    assert code == 0
    assert sorted(each["id"] for each in done["subjects"]) == sorted(id_.hex() for id_ in theirs)
    assert [slots(id_) for id_ in (*theirs, *others)] == [[STANDING]] * 2 + [[0]] * 4


def test_an_end_user_can_be_meant_within_one_key_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given raw or by its id; the store need not know the key."""
    theirs = [end_user(raw) for raw in (b"one", b"two", b"three")]
    written(*theirs)
    given(monkeypatch, b"one", NAME.encode())
    assert run(capsys, "forget", "--raw-key-stdin", "--end-user", "-")[0] == 0
    assert run(capsys, "forget", "--subject", key(b"two").hex(), "--end-user", NAME)[0] == 0
    assert [slots(id_) for id_ in theirs] == [[STANDING], [STANDING], [0]]
    assert run(capsys, "forget", "--end-user", "nobody") == (
        1,
        {"subjects": [], "instants": 0, "entries": 0, "identities": 0},
    )


def test_an_organisation_is_erased_by_its_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As the trusted proxy writes it."""
    firm = ids().make(SubjectKind.ORGANISATION, FIRM.encode())
    written(firm)
    code, done = run(capsys, "forget", "--organisation", f" {FIRM} ")
    assert (code, done["subjects"][0]["kind"]) == (0, "organisation")
    assert slots(firm) == [STANDING]


def test_a_block_outlives_an_erasure_unless_it_is_lifted(
    capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    """Without its reasons, of which no byte is left in the file."""
    blocked(key())
    assert main(["state", "forget", "--key", key().hex()]) == 0
    assert f"key {key().hex()}, block kept until 2" in capsys.readouterr().out
    store = opened()
    [standing] = store.standings(10)
    assert standing.subject == key()
    store.close()
    left = b"".join(path.read_bytes() for path in home.glob("state.sqlite3*"))
    assert b"because it harvests" not in left
    code, done = run(capsys, "forget", "--key", key().hex(), "--with-verdict")
    assert (code, done["subjects"][0]["verdict"]) == (0, "lifted")
    store = opened()
    assert store.standings(10) == []
    store.close()


def test_the_ledger_forgets_who_is_behind_its_pseudonyms(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In every month, and by every writer; those of others stay, and writers go on."""
    ledger = tmp_path / "ledger"
    monkeypatch.setenv("GATEWAY_GUARD_LEDGER", ledger.as_uri())
    written(key())
    writers = [Pseudonyms(ledger, name) for name in ("one", "two")]
    for writer in writers:
        for month in ("2026-10", "2026-11"):
            for raw in (RAW_KEY, b"other"):
                writer.of(month, "key", key(raw))
            writer.save()
    assert len(read_identities(ledger)) == 4
    assert run(capsys, "forget", "--key", key().hex())[1]["identities"] == 4
    writers[0].of("2026-11", "key", key(b"third"))
    writers[0].save()
    found = read_identities(ledger).values()
    assert {identity.id for identity in found} == {key(b"other").hex(), key(b"third").hex()}
    assert (
        run(capsys, "forget", "--key", key().hex(), "--ledger", str(ledger))[1]["identities"] == 0
    )


def test_a_pardon_says_whom_it_found_and_what_it_lifted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With an exit code for scripts."""
    template = bytes((SubjectKind.TEMPLATE, 1)) + bytes(6) + b"template"
    for subject in (key(), template):
        blocked(subject)
    code, done = run(capsys, "pardon", "--key", key().hex())
    [said] = done["subjects"]
    assert (code, said["known"], said["verdict"], said["action"]) == (0, True, "lifted", "block")
    code, done = run(capsys, "pardon", "--subject", template.hex())
    assert (code, done["subjects"][0]["kind"]) == (0, "template")
    assert run(capsys, "pardon", "--key", key().hex())[1]["subjects"][0]["verdict"] == "none"
    store = opened()
    assert store.standings(10) == []
    store.close()
    assert main(["state", "pardon", "--key", key(b"typo").hex()]) == 1
    assert "unknown to the store" in capsys.readouterr().out
    assert slots(key(b"typo")) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["forget"], "nobody was named"),
        (["pardon", "--key", "sk-raw-key"], "is not the id of a key"),
        (["pardon", "--key", "03" + 15 * "00"], "is not the id of a key"),
        (["pardon", "--subject", "ff" + 15 * "00"], "is not the id of a subject"),
        (["import", __file__], "no state of gateway-guard"),
        (["forget", "--raw-key-stdin"], "there is no key on the standard input"),
        (["forget", "--organisation", "-"], "there is no organisation on the standard input"),
        (["import", "/nowhere/a.state"], "/nowhere/a.state cannot be used: No such file"),
        (["export", "/nowhere/a.state"], "/nowhere/a.state cannot be used: No such file"),
        (["export", "a.state", "--store", "memory://"], "no store that outlives its process"),
        (
            ["export", "a.state", "--store", "sqlite:////nowhere/x"],
            "there is no store at /nowhere/x",
        ),
        (["export", "a.state", "--store", "ftp://host"], "GATEWAY_GUARD_SECRET is not set"),
    ],
)
def test_what_cannot_be_done_is_said(
    arguments: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a hint, and nothing on the standard output."""
    written(key())
    given(monkeypatch, b"")
    assert main(["state", *arguments]) == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert "HINT: " in shown.err or "No such file" in shown.err
    assert shown.out == ""
    assert slots(key()) == [0]


def test_without_a_lasting_secret_nobody_can_be_meant(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Ids are made with it."""
    monkeypatch.delenv("GATEWAY_GUARD_STATE_DIR")
    url = f"sqlite:///{tmp_path}/a.sqlite3"
    assert main(["state", "pardon", "--key", "01" + 15 * "00", "--store", url]) == 2
    assert "without the guard's secret" in capsys.readouterr().err


def test_progress_is_shown_to_whoever_looks(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal, and cleared in the end."""
    written(key())
    monkeypatch.setattr("gateway_guard.statefile.command._SHOWN_SECONDS", 0.0)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main(["state", "export", str(tmp_path / "a.state")]) == 0
    shown = capsys.readouterr()
    assert "2 lines written" in shown.err
    assert shown.err.endswith("\r\x1b[K")
    assert shown.out.startswith("1 subjects in 2 lines, digest ")
