"""How an exchange ends decides whether it teaches anything."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from gateway_guard.profile import Slot
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
    flush,
    guarded,
    in_chunks,
    is_verified,
    outcomes_of,
    reading_of,
    scope_of,
)
from tests.upstreams import EVENTS, answer, message_events, model, read

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

    from gateway_guard import GuardMiddleware


def pending_of(guard: GuardMiddleware) -> int:
    """Return how many exchanges of the key are under way, all that has happened counted."""
    flush(guard)
    subject = guard.engine.memory.subjects.get(guard.guard.principals.key_id(KEY))
    return subject.inflight if subject is not None else 0


async def test_a_first_success_verifies_the_key() -> None:
    """From the start of the answer on, not from its end."""
    verified: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await read(receive)
        verified.append(is_verified(guard))
        await send({"type": "http.response.start", "status": 200, "headers": [JSON]})
        verified.append(is_verified(guard))
        await send({"type": "http.response.body", "body": b"{}"})

    guard = guarded(app)
    await ask(guard, scope_of(), asking("hello"))
    assert verified == [False, True]


async def test_a_websocket_that_is_accepted_verifies_its_key() -> None:
    """Once the application has said so, and never because the client asked."""
    verified: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await read(receive)
            await answer(send, b"{}", status=401)
            return
        verified.append(is_verified(guard))
        if b"no" not in scope["query_string"]:
            await send({"type": "websocket.accept"})
        await send({"type": "websocket.close"})
        verified.append(is_verified(guard))

    guard = guarded(app)
    await ask(guard, scope_of(), asking("hello"))
    for query in (b"no", b"", b"no"):
        scope = scope_of("/v1/realtime", type="websocket", query_string=query)
        await guard(scope, Wire().receive, Wire().send)
    assert verified == [False, False, False, True, True, True]
    await ask(guard, scope_of(), asking("hello"))
    assert not is_verified(guard)
    scope = scope_of("/v1/realtime", type="websocket")
    await guard(scope, Wire().receive, Wire().send)
    assert is_verified(guard)
    assert not counted(guard, "errors")


async def test_a_websocket_verifies_a_key_that_was_never_seen() -> None:
    """There is nothing to move out of the table of strangers."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await send({"type": "websocket.accept"})

    guard, wire = guarded(app), Wire()
    await guard(scope_of("/v1/realtime", type="websocket"), wire.receive, wire.send)
    assert is_verified(guard)
    assert not counted(guard, "errors")


async def test_an_unauthorised_key_loses_its_verification() -> None:
    """A key that was revoked upstream is a stranger again, until it is accepted once more."""
    statuses = iter([200, 401, 200])

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await read(receive)
        await answer(send, b"{}", status=next(statuses))

    guard = guarded(app)
    verified = []
    for _ in range(3):
        await ask(guard, scope_of(), asking("hello"))
        verified.append(is_verified(guard))
    assert verified == [True, False, True]
    assert counted(guard, "exchanges") == {"committed": 2, "unauthorised": 1}


@pytest.mark.parametrize("status", [301, 302, 304, 400, 402, 404, 409, 413, 422, 429, 500, 503])
async def test_what_the_upstream_rejects_teaches_nothing(status: int) -> None:
    """It is counted as rejected, and the key is no more known than before."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await read(receive)
        await answer(send, b'{"choices":[{"message":{"content":"no"}}]}', status=status)

    guard = guarded(app)
    wire = await ask(guard, scope_of(), asking("hello"))
    assert wire.status == status
    assert counted(guard, "exchanges") == {"rejected": 1}
    assert not is_verified(guard)
    assert pending_of(guard) == 0
    assert guard.engine.unflushed == 0
    subject = guard.engine.memory.subjects.get(guard.guard.principals.key_id(KEY))
    assert subject is not None
    assert (subject.exchanges, subject.waiting) == (0, ())


async def test_a_forbidden_model_is_no_bad_key() -> None:
    """403 is dropped, and the key stays what it was."""
    statuses = iter([200, 403])

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await read(receive)
        await answer(send, b"{}", status=next(statuses))

    guard = guarded(app)
    for _ in range(2):
        await ask(guard, scope_of(), asking("hello"))
    assert is_verified(guard)
    assert counted(guard, "exchanges") == {"committed": 1, "forbidden": 1}


async def test_rejections_of_a_known_key_are_counted_in_its_profile() -> None:
    """An operator sees how often a key is turned away."""
    statuses = iter([200, 200, 200, 429, 500])

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await read(receive)
        await answer(send, b"{}", status=next(statuses))

    guard = guarded(app)
    for _ in range(5):
        await ask(guard, scope_of(), asking("hello"))
        flush(guard)
    reading = reading_of(guard)
    assert reading.slow[Slot.EXCHANGES] == 3.0
    assert reading.slow[Slot.REJECTED] == 2.0


async def test_a_client_that_leaves_before_the_start_has_abandoned() -> None:
    """The server cancels what nobody waits for; nothing is learned."""
    asked = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, send
        await read(receive)
        asked.set()
        await asyncio.Event().wait()

    guard = guarded(app)
    task = asyncio.create_task(ask(guard, scope_of(), asking("hello")))
    await asked.wait()
    assert pending_of(guard) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert counted(guard, "exchanges") == {"abandoned": 1}
    assert pending_of(guard) == 0


async def test_an_application_that_gives_up_on_a_disconnect_has_abandoned() -> None:
    """Most applications return once their client has gone."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, send
        await read(receive)
        assert (await receive())["type"] == "http.disconnect"

    guard = guarded(app)
    wire = Wire(*in_chunks(asking("hello")), {"type": "http.disconnect"})
    await guard(scope_of(), wire.receive, wire.send)
    assert counted(guard, "exchanges") == {"abandoned": 1}


async def test_a_client_that_leaves_after_the_start_has_been_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What it had of the answer is counted: leaving early is no way to take without a trace."""
    begun = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await read(receive)
        await send({"type": "http.response.start", "status": 200, "headers": [EVENTS]})
        for event in list(message_events({}))[:4]:
            await send({"type": "http.response.body", "body": event, "more_body": True})
        begun.set()
        await asyncio.Event().wait()

    guard = guarded(app)
    told = outcomes_of(guard, monkeypatch)
    task = asyncio.create_task(ask(guard, scope_of(MESSAGES), asking("hello", stream=True)))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert counted(guard, "exchanges") == {"committed": 1}
    assert [(outcome.status, outcome.completed) for outcome in told] == [(200, False)]
    seen = told[0].read()
    assert seen is not None
    assert seen.output_chars == 16


async def test_a_send_that_fails_reaches_the_application() -> None:
    """Servers may raise when the client is gone; the application is told, and served is served."""

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            raise ConnectionResetError

    guard = guarded(model)
    wire = Wire(*in_chunks(asking("hello")))
    with pytest.raises(ConnectionResetError):
        await guard(scope_of(), wire.receive, send)
    assert counted(guard, "exchanges") == {"committed": 1}
    assert counted(guard, "errors") == {}


@pytest.mark.parametrize(("started", "outcome"), [(False, "abandoned"), (True, "committed")])
async def test_an_upstream_that_raises_is_heard(*, started: bool, outcome: str) -> None:
    """The error is the application's own and passes; what was served before it is counted."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await read(receive)
        if started:
            await send({"type": "http.response.start", "status": 200, "headers": [JSON]})
        message = "the upstream is gone"
        raise OSError(message)

    guard = guarded(app)
    with pytest.raises(OSError, match="the upstream is gone"):
        await ask(guard, scope_of(), asking("hello"))
    assert counted(guard, "exchanges") == {outcome: 1}
    assert counted(guard, "errors") == {}
    assert guard.guard.budget.held_bytes == 0


@pytest.mark.parametrize(
    ("path", "event"),
    [
        (CHAT, b'data: {"error":{"message":"overloaded","code":500}}\n\n'),
        (MESSAGES, b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error"}}\n\n'),
    ],
)
async def test_an_error_in_the_middle_of_a_stream_is_still_an_answer(
    path: str, event: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was served until then, and is marked as failed."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await read(receive)
        await answer(send, event[:9], event[9:], kind=EVENTS)

    guard = guarded(app)
    told = outcomes_of(guard, monkeypatch)
    wire = await ask(guard, scope_of(path), asking("hello", stream=True))
    assert wire.body == event
    assert counted(guard, "exchanges") == {"committed": 1}
    seen = told[0].read()
    assert seen is not None
    assert seen.failed


async def test_an_answer_that_never_starts_is_forgotten_in_time() -> None:
    """A record that is as old as ``ANSWER_TIMEOUT`` is dropped when next something is counted."""
    asked = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        if b"hang" in await read(receive):
            asked.set()
            await asyncio.Event().wait()
        await answer(send, b"{}")

    time = Time()
    guard = guarded(app, time, answer_timeout="15m")
    task = asyncio.create_task(ask(guard, scope_of(), asking("hang")))
    await asked.wait()
    time.pass_by(901)
    await ask(guard, scope_of(key=b"sk-somebody-else"), asking("hello"))
    flush(guard)
    assert counted(guard, "exchanges") == {"abandoned": 1, "committed": 1}
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert counted(guard, "exchanges") == {"abandoned": 1, "committed": 1}


async def test_requests_that_ask_a_model_for_nothing_open_no_record() -> None:
    """Counting tokens, or JSON without anything like a prompt, is none of the guard's business."""
    guard = guarded(model)
    await ask(guard, scope_of("/v1/messages/count_tokens"), asking("hello"))
    await ask(guard, scope_of("/v1/fine_tuning/jobs"), b'{"seed":1}')
    await ask(guard, scope_of(), b"")
    assert counted(guard, "exchanges") == {}
    assert counted(guard, "requests") == {"generic": 2, "openai_chat": 1}


async def test_every_answer_asked_for_counts() -> None:
    """Four choices are four exchanges."""
    guard = guarded(model)
    await ask(guard, scope_of(), asking("hello", n=4))
    assert reading_of(guard).slow[Slot.EXCHANGES] == 4.0
