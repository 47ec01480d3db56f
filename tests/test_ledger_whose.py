"""From an answer's id to the row that says to whom it was served, at once or when it was ready."""

from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from gateway_guard.askers import Asker, Askers
from gateway_guard.awaited import AWAITED_SECONDS, MOST_AWAITED
from gateway_guard.cli import main
from tests.callers import CHAT, DEFAULTS, ask, asking, guarded, scope_of
from tests.ledgers import prose
from tests.openai_shapes import response, said

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.types import Receive, Scope, Send

    from gateway_guard import GuardMiddleware

ANN, BEN = b"sk-anns-made-up-key", b"sk-bens-made-up-key"
RESPONSES = "/v1/responses"
ORGANISATION = {"trusted_proxies": "203.0.113.0/24", "organisation_header": "x-org"}
ACME = (b"x-org", b"acme")
TOLD = "Answer the traveller kindly and at length, as a local guide would, in simple words."
SAID = prose(Random(1), 60)


def answer_to(scope: Scope) -> dict[str, Any]:
    """Return a completion, a response that is still to come, or that response once it is there."""
    if scope["path"] == CHAT:
        return {"id": "chatcmpl-abc", "choices": [{"message": {"content": SAID}}]}
    if scope["method"] == "POST":
        return response(id="resp_1", status="queued", background=True)
    return response(said(SAID), id=scope["path"].rsplit("/", 1)[1], status="completed")


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer."""
    await receive()
    body = json.dumps(answer_to(scope)).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def guard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GuardMiddleware:
    """Return a guard that keeps a ledger, and whose secret the command line knows."""
    monkeypatch.setenv("GATEWAY_GUARD_SECRET", str(DEFAULTS["secret"]))
    return guarded(app, None, ledger=tmp_path.as_uri(), **ORGANISATION)


def finish(guard: GuardMiddleware) -> None:
    """Have everything written."""
    guard.engine.flush(guard.guard.timeline.now())
    guard.guard.background.stop()
    assert guard.ledger is not None
    guard.ledger.close()


def looked_up(capsys: pytest.CaptureFixture[str], directory: Path, id_: str) -> list[Any]:
    """Return what the command line says of an answer."""
    main(["whose", id_, "--ledger", str(directory), "--json"])
    found: list[Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return found


def key_of(guard: GuardMiddleware, key: bytes) -> str:
    """Return the id of a key."""
    return guard.guard.principals.key_id(key).hex()


async def test_an_operator_finds_the_row_of_an_answer_by_its_id(
    guard: GuardMiddleware, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the key's id, and where it stands; one that was never served is said not to be there."""
    await ask(guard, scope_of(CHAT, key=ANN), asking("Where does the road lead?", user="bob"))
    finish(guard)
    [found] = looked_up(capsys, tmp_path, "chatcmpl-abc")
    assert (found["key"], found["erased"]) == (key_of(guard, ANN), False)
    assert (found["part"], found["model"], found["dialect"]) == ("answer", "m", "openai_chat")
    assert main(["whose", "chatcmpl-abc", "--ledger", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert all(found[name] in shown for name in ("id", "key", "end_user", "segment", "served_at"))
    assert main(["whose", "chatcmpl-other", "--ledger", str(tmp_path)]) == 1
    assert "chatcmpl-other: not in the ledger" in capsys.readouterr().out


async def test_of_an_erased_key_the_pseudonym_is_left(
    guard: GuardMiddleware, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And it is said that there is no more."""
    await ask(guard, scope_of(CHAT, key=ANN), asking("Where does the road lead?"))
    finish(guard)
    for path in (tmp_path / "identities").rglob("*.jsonl"):
        path.unlink()
    [found] = looked_up(capsys, tmp_path, "chatcmpl-abc")
    assert found["erased"]
    assert found["key"] != key_of(guard, ANN)
    main(["whose", "chatcmpl-abc", "--ledger", str(tmp_path)])
    assert f"id was erased: {found['key']}" in capsys.readouterr().out


async def test_without_a_ledger_or_its_secret_nothing_is_looked_up(
    guard: GuardMiddleware,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The message says what is missing, without a trace of calls."""
    await ask(guard, scope_of(CHAT, key=ANN), asking("Where does the road lead?"))
    finish(guard)
    assert main(["whose", "chatcmpl-abc", "--ledger", str(tmp_path / "none")]) == 2
    assert "is no directory" in capsys.readouterr().err
    monkeypatch.setenv("GATEWAY_GUARD_SECRET", "another")
    assert main(["whose", "chatcmpl-abc", "--ledger", str(tmp_path)]) == 2
    assert "written under this secret" in capsys.readouterr().err
    monkeypatch.delenv("GATEWAY_GUARD_SECRET")
    assert main(["whose", "chatcmpl-abc", "--ledger", str(tmp_path)]) == 2
    assert "GATEWAY_GUARD_SECRET" in capsys.readouterr().err


@pytest.mark.parametrize("fetcher", [ANN, BEN])
async def test_what_is_fetched_later_is_the_askers(
    guard: GuardMiddleware, tmp_path: Path, capsys: pytest.CaptureFixture[str], fetcher: bytes
) -> None:
    """His key, the end user and organisation that he named, whoever fetches it."""
    fields = {"model": "m", "instructions": TOLD, "input": "Where?", "user": "bob"}
    asked = json.dumps({**fields, "background": True}).encode()
    await ask(guard, scope_of(RESPONSES, headers=[ACME], key=ANN), asked)
    await ask(guard, scope_of(f"{RESPONSES}/resp_1", "GET", key=fetcher), b"")
    finish(guard)
    [found] = looked_up(capsys, tmp_path, "resp_1")
    assert found["key"] == key_of(guard, ANN)
    assert (found["model"], found["dialect"]) == ("m", "openai_responses")
    assert None not in (found["end_user"], found["organisation"], found["template"])


async def test_what_nobody_is_known_to_have_asked_for_is_the_fetchers(
    guard: GuardMiddleware, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """His key is all that is known."""
    await ask(guard, scope_of(f"{RESPONSES}/resp_9", "GET", key=BEN), b"")
    finish(guard)
    [found] = looked_up(capsys, tmp_path, "resp_9")
    assert (found["key"], found["end_user"]) == (key_of(guard, BEN), None)


def test_where_two_wait_under_one_id_each_has_his_own_and_others_have_none() -> None:
    """A careless upstream must not have an answer put down to the wrong one."""
    ann, ben, askers = Asker(b"ann", b"bob"), Asker(b"ben"), Askers()
    askers.expect(ann, b"name", 0.0)
    assert askers.find(b"carl", [b"other", b"name"], 1.0) == ann
    askers.expect(ben, b"name", 0.0)
    assert askers.find(b"ann", [b"name"], 1.0) == ann
    assert askers.find(b"ben", [b"name"], 1.0) == ben
    assert askers.find(b"carl", [b"name"], 1.0) == Asker(b"carl")


def test_those_who_wait_are_bounded_in_number_and_time() -> None:
    """The oldest are forgotten first."""
    askers = Askers()
    for number in range(MOST_AWAITED + 5):
        askers.expect(Asker(b"ann", b"bob"), b"%d" % number, number / 1000)
    assert len(askers) == MOST_AWAITED
    assert askers.find(b"ann", [b"4"], 9.0) == Asker(b"ann")
    assert askers.find(b"ann", [b"5"], 9.0).end_user == b"bob"
    assert askers.find(b"ann", [b"5"], 9.0 + AWAITED_SECONDS) == Asker(b"ann")
    for key in range(20):
        askers.expect(Asker(b"%d" % key), b"same", 9.0)
    assert askers.find(b"0", [b"same"], 9.0) == Asker(b"0")
    askers.expect(Asker(b"ann"), b"last", 10.0 + AWAITED_SECONDS)
    assert len(askers) == 1
