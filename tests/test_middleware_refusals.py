"""Who is refused, with what, and what is never seen of it in shadow mode."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect
from structlog.testing import capture_logs

from gateway_guard import Action
from gateway_guard.standing import Standing
from tests.callers import (
    CHAT,
    JSON,
    KEY,
    MESSAGES,
    Time,
    Wire,
    ask,
    asking,
    counted,
    guarded,
    is_verified,
    scope_of,
    sentence,
)
from tests.upstreams import Model, answer, model, read

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from gateway_guard.enforcement import Decision


@pytest.mark.parametrize("path", [CHAT, MESSAGES, "/v1/models", "/v1/unheard-of"])
async def test_a_blocked_key_is_refused_before_its_body_is_read(path: str) -> None:
    """The application and the client's body are not touched, and nothing is retried."""
    guard = guarded(model)
    sentence(guard, Action.BLOCK)
    wire = Wire()
    await guard(scope_of(path), wire.receive, wire.send)
    assert wire.status == 403
    assert wire.headers[b"x-should-retry"] == b"false"
    assert wire.headers[b"content-length"] == b"%d" % len(wire.body)
    assert wire.json["error"]["type"] == "permission_error"
    assert counted(guard, "refusals") == {"block": 1}


async def test_a_blocked_key_is_refused_at_get_with_a_body_and_at_head_without() -> None:
    """HEAD tells how long the body would have been and sends none."""
    guard = guarded(model)
    sentence(guard, Action.BLOCK)
    got = await ask(guard, scope_of("/v1/models", "GET"))
    headed = await ask(guard, scope_of("/v1/models", "HEAD"))
    assert (got.status, headed.status) == (403, 403)
    assert got.headers[b"content-length"] == headed.headers[b"content-length"]
    assert got.body
    assert not headed.body


async def test_options_of_a_blocked_key_pass() -> None:
    """A browser must be able to find out that it is refused."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await answer(send, b"", status=204)

    guard = guarded(app)
    sentence(guard, Action.BLOCK)
    assert (await ask(guard, scope_of(method="OPTIONS"))).status == 204


def test_a_blocked_key_is_refused_at_the_websocket_handshake() -> None:
    """The application never learns of the handshake; another key's gets through."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close"})

    guard = guarded(app)
    sentence(guard, Action.BLOCK)
    client = TestClient(guard)
    with (
        capture_logs() as logs,
        pytest.raises(WebSocketDisconnect) as refused,
        client.websocket_connect(
            "/v1/realtime", headers={"authorization": f"Bearer {KEY.decode()}"}
        ),
    ):
        pass
    assert refused.value.code == 1008
    assert [(entry["event"], entry["dialect"], entry["route"]) for entry in logs] == [
        ("gateway_guard.refusal", "generic", None)
    ]
    with client.websocket_connect("/v1/realtime", headers={"authorization": "Bearer sk-other"}):
        pass
    assert counted(guard, "refusals") == {"block": 1}


async def test_a_second_key_does_not_hide_a_blocked_one() -> None:
    """Two credentials in one request: the worst verdict holds, in either order."""
    guard = guarded(model)
    sentence(guard, Action.BLOCK)
    for scope in (
        scope_of(key=b"sk-fresh", headers=[(b"x-api-key", KEY)]),
        scope_of(headers=[(b"x-api-key", b"sk-fresh")]),
    ):
        assert (await ask(guard, scope, asking("hello"))).status == 403


async def test_a_penalty_is_answered_at_once_with_the_date_in_words() -> None:
    """No header that a client would sleep for."""
    guard = guarded(model)
    sentence(guard, Action.PENALTY)
    wire = await ask(guard, scope_of(), asking("hello"))
    assert wire.status == 429
    assert wire.headers[b"x-should-retry"] == b"false"
    assert b"retry-after" not in wire.headers
    assert "2027-01-15T08:15:00Z" in wire.json["error"]["message"]
    assert counted(guard, "refusals") == {"penalty": 1}


@pytest.mark.parametrize(
    ("path", "kind"), [(CHAT, "rate_limit_error"), (MESSAGES, "rate_limit_error")]
)
async def test_a_throttled_key_is_told_when_to_come_back(path: str, kind: str) -> None:
    """It is let through once the time that it was told has passed."""
    time = Time()
    guard = guarded(model, time, throttle_rates="10,3,1")
    sentence(guard, Action.THROTTLE)
    assert (await ask(guard, scope_of(path), asking("one"))).status == 200
    wire = await ask(guard, scope_of(path), asking("two"))
    assert wire.status == 429
    assert wire.headers[b"retry-after"] == b"6"
    assert wire.headers[b"retry-after-ms"] == b"6000"
    assert wire.headers[b"ratelimit-policy"] == b'"pacing";q=10;w=60'
    assert wire.json["error"]["type"] == kind
    assert counted(guard, "refusals") == {"throttle": 1}
    time.pass_by(6.0)
    assert (await ask(guard, scope_of(path), asking("two"))).status == 200
    assert counted(guard, "exchanges") == {"committed": 2, "refused": 1}


async def test_a_problem_document_is_sent_to_those_who_ask_for_one() -> None:
    """As RFC 9457 has it, with the registered type."""
    guard = guarded(model)
    sentence(guard, Action.BLOCK)
    accept = (b"accept", b"application/problem+json, application/json;q=0.5")
    wire = await ask(guard, scope_of(headers=[accept]), asking("hello"))
    assert wire.headers[b"content-type"] == b"application/problem+json"
    assert wire.json["type"].endswith("#abnormal-usage-detected")


async def test_callers_without_a_key_are_slowed_and_never_blocked() -> None:
    """A network is many people: the most that they answer for together is a throttle."""
    time = Time()
    guard = guarded(model, time)
    anonymous = scope_of(key=b"")
    now = time.now
    guard.engine.memory.standings.keep(
        guard.guard.principals.read(anonymous).key,
        Standing(action=Action.BLOCK, until_at=now + 3600.0),
    )
    statuses = []
    for number in range(4):
        wire = await ask(guard, anonymous, asking(f"question {number}"))
        statuses.append((wire.status, wire.headers.get(b"retry-after")))
        time.pass_by(3.0)
    assert statuses == [(200, None), (429, b"3"), (200, None), (429, b"3")]


async def test_keys_mean_nothing_where_any_key_is_accepted() -> None:
    """``KEYS=ignore``: a new key is not a new caller."""
    guard = guarded(model, keys="ignore")
    await ask(guard, scope_of(), asking("hello"))
    assert is_verified(guard, b"sk-any-other")
    assert guard.guard.principals.read(scope_of()).anonymous


async def test_hammering_through_the_wait_brings_a_penalty() -> None:
    """After more early requests than an honest client can have on their way."""
    time = Time()
    guard = guarded(model, time, throttle_rates="3,2,1")
    sentence(guard, Action.THROTTLE)
    statuses = []
    for number in range(60):
        wire = await ask(guard, scope_of(), asking(f"question {number}"))
        statuses.append((wire.status, b"retry-after" in wire.headers))
        time.pass_by(0.25)
    assert statuses[0] == (200, False)
    assert statuses[1] == (429, True)
    assert statuses[-1] == (429, False)


async def test_a_refusal_names_a_reference_that_the_log_knows() -> None:
    """What a customer quotes can be found, and the log says on what grounds."""
    guard = guarded(model, contact="abuse@example.com")
    sentence(guard, Action.BLOCK)
    with capture_logs() as logs:
        wire = await ask(guard, scope_of(f"/{KEY.decode()}/v1/chat/completions/"), asking("hello"))
    reference = wire.headers[b"x-request-id"].decode()
    assert reference in wire.json["error"]["message"]
    assert "abuse@example.com" in wire.json["error"]["message"]
    [entry] = [entry for entry in logs if entry["event"] == "gateway_guard.refusal"]
    assert entry["request_id"] == reference
    assert entry["action"] == "block"
    assert entry["key_id"] == guard.guard.principals.key_id(KEY).hex()
    assert (entry["dialect"], entry["route"]) == ("openai_chat", "/chat/completions")
    assert KEY.decode() not in repr(logs)


async def test_a_client_that_hammers_leaves_a_line_a_minute() -> None:
    """Which says how many were left out; each of them is counted."""
    time = Time()
    guard = guarded(model, time)
    sentence(guard, Action.BLOCK)
    with capture_logs() as logs:
        for _ in range(100):
            await ask(guard, scope_of(), asking("hello"))
            time.pass_by(1)
    told = [entry for entry in logs if entry["event"] == "gateway_guard.refusal"]
    assert [(entry.get("suppressed"), entry["refused_so_far"]) for entry in told] == [
        (None, 1),
        (59, 61),
    ]
    assert counted(guard, "refusals") == {"block": 100}


async def test_strangers_get_plain_answers_after_a_few_refusals() -> None:
    """Somebody who tries keys out cannot tell blocked ones from throttled ones for long."""
    guard = guarded(model)
    answers = []
    for number in range(8):
        key = b"sk-stranger-%d" % number
        sentence(guard, Action.BLOCK if number % 2 else Action.PENALTY, key)
        wire = await ask(guard, scope_of(key=key), asking("hello"))
        answers.append((wire.status, wire.body, b"x-request-id" in wire.headers))
    assert [status for status, _, _ in answers[:5]] == [429, 403, 429, 403, 429]
    assert len(set(answers[5:])) == 1
    assert answers[5][0] == 429
    assert answers[5][2] is False


async def test_plain_answers_end_with_the_network_and_with_time() -> None:
    """Neighbours elsewhere, known customers and those who come back later are told properly."""
    time = Time()
    guard = guarded(model, time)
    await ask(guard, scope_of(key=b"sk-customer"), asking("hello"))
    for key in (b"sk-customer", b"sk-stranger"):
        sentence(guard, Action.BLOCK, key)
    stranger = scope_of(key=b"sk-stranger")
    statuses = [(await ask(guard, stranger, asking("hello"))).status for _ in range(6)]
    assert statuses == [403, 403, 403, 403, 403, 429]
    elsewhere = scope_of(key=b"sk-stranger", client=("198.51.100.1", 1))
    assert (await ask(guard, elsewhere, asking("hello"))).status == 403
    assert (await ask(guard, scope_of(key=b"sk-customer"), asking("hello"))).status == 403
    time.pass_by(601)
    assert (await ask(guard, stranger, asking("hello"))).status == 403


async def test_listeners_hear_every_decision() -> None:
    """Whoever embeds the guard can follow what it does."""
    heard: list[Decision] = []
    guard = guarded(model)
    guard.engine.listeners.append(heard.append)
    await ask(guard, scope_of(), asking("hello"))
    sentence(guard, Action.BLOCK)
    await ask(guard, scope_of(), asking("hello"))
    assert [(decision.action, decision.refused) for decision in heard] == [
        (Action.PASS, False),
        (Action.BLOCK, True),
    ]


@pytest.mark.parametrize("action", [Action.THROTTLE, Action.PENALTY, Action.BLOCK])
async def test_shadow_mode_counts_and_changes_nothing(action: Action) -> None:
    """Every message is the one that the bare application sends."""
    bare = Model().in_starlette()
    guard = guarded(bare, mode="shadow")
    sentence(guard, action)
    for method, path in (("POST", CHAT), ("POST", MESSAGES), ("GET", CHAT), ("POST", CHAT)):
        body = asking("hello", stream=path == MESSAGES) if method == "POST" else b""
        alone = await ask(bare, scope_of(path, method), body)
        watched = await ask(guard, scope_of(path, method), body)
        assert watched.sent == alone.sent
    assert counted(guard, "refusals") == {}
    seen = counted(guard, "shadow_refusals")
    assert sum(seen.values()) == (2 if action == Action.THROTTLE else 3)
    assert set(seen) == {action.label}
    assert counted(guard, "exchanges") == {"committed": 3}


async def test_shadow_mode_lets_a_handshake_through() -> None:
    """Nobody is turned away."""
    reached: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del receive, send
        reached.append(scope["type"])

    guard = guarded(app, mode="shadow")
    sentence(guard, Action.BLOCK)
    wire = Wire()
    await guard(scope_of(type="websocket"), wire.receive, wire.send)
    assert reached == ["websocket"]


@pytest.mark.parametrize(
    ("settings", "chunks", "problem"),
    [
        ({"max_body": 64}, (b"x" * 65,), "too_large"),
        ({"max_body": 64}, (b"x" * 60, b"y" * 60, b"z"), "too_large"),
        ({"unparsed": "refuse"}, (b'{"messages"',), "unparsed"),
        ({"max_body": 64, "buffer_memory": 64, "buffer_unverified_share": 1.0}, (b"x" * 65,), ""),
    ],
)
async def test_shadow_mode_handles_what_it_would_have_refused(
    settings: dict[str, Any], chunks: tuple[bytes, ...], problem: str
) -> None:
    """Bodies that are too large or unreadable reach the application whole."""
    bodies: list[bytes] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        bodies.append(await read(receive))
        await answer(send, b"{}", kind=JSON)

    guard = guarded(app, mode="shadow", **settings)
    wire = await ask(guard, scope_of(), *chunks)
    assert wire.status == 200
    assert bodies == [b"".join(chunks)]
    assert counted(guard, "problems") == {}
    assert counted(guard, "shadow_problems") == {problem or "unavailable": 1}
    assert guard.guard.budget.held_bytes == 0
