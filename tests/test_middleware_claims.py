"""Bearers of short-lived tokens before an upstream that verifies them, and a changed secret."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from gateway_guard import Action, profile
from gateway_guard.profile import Slot
from gateway_guard.standing import Standing
from tests.callers import CHAT, Time, ask, asking, counted, guarded, scope_of, sentence
from tests.test_principal_claims import token
from tests.upstreams import ANSWER, answer, completion, read

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.types import Receive, Scope, Send

    from gateway_guard import GuardMiddleware


async def verifying(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer bearers of tokens that are signed well, and nobody else."""
    await read(receive)
    bearer = dict(scope["headers"]).get(b"authorization", b"")
    status = 200 if bearer.endswith(b".good") else 401
    await answer(send, json.dumps(completion({})).encode(), status=status)


def key_of(guard: GuardMiddleware, bearer: bytes) -> bytes:
    """Return the key that the guard counts a token's requests for."""
    return guard.guard.principals.read(scope_of(key=bearer)).key


@pytest.mark.parametrize("flushed", [False, True])
@pytest.mark.parametrize("lives", [1, 2, 9])
async def test_an_accepted_token_counts_for_whom_it_names(lives: int, *, flushed: bool) -> None:
    """From its first request on, so that a token for each request changes nothing."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if flushed:
            guard.engine.flush(guard.guard.timeline.now())
        await verifying(scope, receive, send)

    guard = guarded(app, key_claim="sub")
    for number in range(9):
        bearer = token("good", sub="ann", jti=number // lives)
        await ask(guard, scope_of(key=bearer), asking("hello"))
    guard.engine.flush(guard.guard.timeline.now())
    subject = guard.engine.memory.subjects.get(key_of(guard, token("good", sub="ann", jti=0)))
    assert subject is not None
    assert (subject.exchanges, subject.inflight, subject.pending) == (9, 0, {})
    assert guard.engine.memory.first_at(subject.id) is not None


async def test_a_conversation_goes_on_under_a_new_token() -> None:
    """What was served to its bearer was observed."""
    time = Time()
    guard = guarded(verifying, time, key_claim="sub")
    for number, turns in enumerate((["Where?"], ["Where?", ANSWER, "And when?"])):
        bearer = token("good", sub="ann", jti=number)
        await ask(guard, scope_of(key=bearer), asking(*turns))
        time.pass_by(60)
    now = guard.guard.timeline.now()
    guard.engine.flush(now)
    subjects = guard.engine.memory.subjects
    subject = subjects.get(key_of(guard, token("good", sub="ann", jti=0)))
    assert subject is not None
    row, elapsed = subjects.project(subject, now)
    assert profile.read(row, elapsed, now.wall).slow[Slot.OBSERVED] > 0.9


async def test_a_forged_token_neither_counts_for_nor_discredits_whom_it_names() -> None:
    """The upstream turns it away."""
    guard = guarded(verifying, key_claim="sub")
    for _ in range(2):
        await ask(guard, scope_of(key=token("good", sub="ann")), asking("hello"))
    ann = key_of(guard, token("good", sub="ann"))
    for number in range(20):
        forged = token(f"forged{number}", sub="ann")
        assert (await ask(guard, scope_of(key=forged), asking("hello"))).status == 401
        assert key_of(guard, forged) != ann
    guard.engine.flush(guard.guard.timeline.now())
    subject = guard.engine.memory.subjects.get(ann)
    assert subject is not None
    assert (subject.exchanges, subject.inflight) == (2, 0)
    assert guard.engine.verified(
        guard.guard.principals.read(scope_of(key=token("good", sub="ann")))
    )


async def test_who_is_blocked_is_blocked_with_every_new_token() -> None:
    """A fresh one is no way out."""
    guard = guarded(verifying, key_claim="sub")
    await ask(guard, scope_of(key=token("good", sub="ann")), asking("hello"))
    ann = key_of(guard, token("good", sub="ann"))
    standing = Standing(action=Action.BLOCK, until_at=guard.guard.timeline.now().wall + 60)
    guard.engine.memory.standings.keep(ann, standing)
    fresh = token("good", sub="ann", jti=2)
    assert (await ask(guard, scope_of(key=fresh), asking("hello"))).status == 403
    other = token("good", sub="bob")
    assert (await ask(guard, scope_of(key=other), asking("hello"))).status == 200


async def test_a_forged_token_does_not_use_up_the_pace_of_whom_it_names() -> None:
    """Nor is it refused for his sake."""
    guard = guarded(verifying, key_claim="sub")
    await ask(guard, scope_of(key=token("good", sub="ann")), asking("hello"))
    ann = key_of(guard, token("good", sub="ann"))
    standing = Standing(action=Action.THROTTLE)
    guard.engine.memory.standings.keep(ann, standing)
    before = (standing.paced_at, standing.early, standing.told, standing.above)
    for number in range(5):
        wire = await ask(guard, scope_of(key=token(f"no{number}", sub="ann")), asking("hello"))
        assert wire.status == 401
    assert (standing.paced_at, standing.early, standing.told, standing.above) == before


async def test_a_token_that_has_expired_speaks_for_nobody() -> None:
    """Its bearer comes with a new one."""
    expired: list[bytes] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await read(receive)
        gone = any(it in dict(scope["headers"])[b"authorization"] for it in expired)
        await answer(send, b"{}", status=401 if gone else 200)

    guard = guarded(app, key_claim="sub")
    old = token("good", sub="ann")
    for _ in range(2):
        await ask(guard, scope_of(key=old), asking("hello"))
    ann = key_of(guard, old)
    expired.append(old)
    await ask(guard, scope_of(key=old), asking("hello"))
    assert key_of(guard, old) != ann


async def test_a_websocket_that_is_accepted_verifies_whom_its_token_names() -> None:
    """As an answer does."""
    offer = (b"sec-websocket-protocol", b"openai-insecure-api-key." + token("good", sub="ann"))
    scope = scope_of("/v1/realtime", key=b"", headers=[offer], type="websocket")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await send({"type": "websocket.accept"})

    guard = guarded(app, key_claim="sub")
    found = guard.guard.principals.read(scope)
    await ask(guard, scope)
    again = guard.guard.principals.read(scope)
    assert again.key == found.claimed
    assert guard.engine.verified(again)


async def test_two_credentials_in_one_request_are_counted() -> None:
    """No honest client sends them."""
    guard = guarded(verifying)
    for header in ((b"x-api-key", b"sk-2"), (b"x-api-key", b"sk-a-made-up-key")):
        await ask(guard, scope_of(headers=[header]), asking("hello"))
    assert counted(guard, "doubled") == {"credentials": 1}


@pytest.mark.parametrize("end_user", ["", 'end_user = "u"\n'])
async def test_an_entitlement_outlives_the_secret_that_its_key_was_named_under(
    tmp_path: Path, end_user: str
) -> None:
    """And the operator is told once what to write instead."""
    policy = tmp_path / "policy.toml"
    former = guarded(verifying, secret="old").guard.principals.key_id(b"sk-a-made-up-key").hex()
    policy.write_text(
        f'[[entitlement]]\nkey_id = "{former}"\ngrant = "exempt"\npurpose = "ours"\n{end_user}'
        f'expires = 2100-01-01\n[names]\n"{former}" = "research"\n',
        encoding="utf-8",
    )
    settings: dict[str, Any] = {"policy": policy, "secret": "new"}
    guard = guarded(verifying, secret_previous="old", **settings)
    sentence(guard, Action.BLOCK)
    with capture_logs() as logs:
        for _ in range(3):
            wire = await ask(guard, scope_of(CHAT), asking("hello", user="u"))
            assert wire.status == 401
    told = [log for log in logs if log["event"] == "gateway_guard.former_id"]
    key_id = guard.guard.principals.key_id(b"sk-a-made-up-key").hex()
    assert [(log["former_id"], log["key_id"]) for log in told] == [(former, key_id)]
    assert guard.guard.policy.current.name_of(key_id) == "research"
    without = guarded(verifying, **settings)
    sentence(without, Action.BLOCK)
    assert (await ask(without, scope_of(CHAT), asking("hello", user="u"))).status == 403
