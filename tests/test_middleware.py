"""The middleware mounts on anything, and leaves alone what is none of its business."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from gateway_guard import GuardMiddleware, Settings
from gateway_guard.exceptions import ConfigurationError
from tests.callers import CHAT, KEY, Time, Wire, ask, asking, counted, guarded, scope_of
from tests.upstreams import Model, answer, model, read

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from starlette.types import Receive, Scope, Send

    from gateway_guard.pending import Ticket
    from gateway_guard.timeline import Instant


def test_app_alone_is_enough_and_the_environment_configures_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Servers that pass nothing but the application are served."""
    monkeypatch.setenv("GATEWAY_GUARD_MODE", "shadow")
    guard = GuardMiddleware(model)
    assert guard.guard.settings.mode == "shadow"
    assert guard.engine.rules.shadow


def test_settings_by_name_beat_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mount that brings its own settings is not surprised by somebody's variables."""
    monkeypatch.setenv("GATEWAY_GUARD_MODE", "shadow")
    assert GuardMiddleware(model, settings=Settings(mode="enforce")).guard.settings.mode == (
        "enforce"
    )


def test_a_variable_that_cannot_be_used_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """The complaint names the variable, long before the first request."""
    monkeypatch.setenv("GATEWAY_GUARD_MODE", "maybe")
    with pytest.raises(ConfigurationError, match="GATEWAY_GUARD_MODE"):
        GuardMiddleware(model)


@pytest.mark.parametrize("kind", ["lifespan", "mcp", "websocket"])
async def test_other_scopes_reach_the_application_as_they_are(kind: str) -> None:
    """The scope and what is received are the very same objects."""
    reached: list[object] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del send
        reached.extend((scope, receive))

    scope = scope_of(type=kind)
    wire = Wire()
    receive = wire.receive
    await guarded(app)(scope, receive, wire.send)
    assert reached[0] is scope
    assert reached[1] is receive


async def test_options_pass_without_a_look() -> None:
    """A browser asks before it sends a key; nothing is read, counted or wrapped."""
    reached: list[object] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        reached.extend((scope, receive, send))

    scope, wire = scope_of(method="OPTIONS"), Wire()
    receive, send = wire.receive, wire.send
    guard = guarded(app)
    await guard(scope, receive, send)
    assert list(map(id, reached)) == [id(scope), id(receive), id(send)]
    assert not guard.instruments.counters


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
async def test_requests_that_ask_nothing_are_handed_on_unread(method: str) -> None:
    """Lists of models and answers fetched later teach nothing."""
    reached: list[object] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        reached.extend((receive, send))

    wire = Wire()
    receive, send = wire.receive, wire.send
    guard = guarded(app)
    await guard(scope_of("/v1/models", method), receive, send)
    assert list(map(id, reached)) == [id(receive), id(send)]
    assert counted(guard, "requests") == {}


@pytest.mark.parametrize("kind", [b"multipart/mixed; boundary=x", b"audio/wav", b"image/png"])
async def test_uploads_are_handed_on_while_they_arrive(kind: bytes) -> None:
    """The application has the first piece before the client has sent the second."""
    wire = Wire({"type": "http.request", "body": b"--x\r\n", "more_body": True})

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, send
        assert (await receive())["body"] == b"--x\r\n"
        wire.given.append({"type": "http.request", "body": b"rest", "more_body": False})
        assert (await receive())["body"] == b"rest"
        wire.ended.set()
        assert (await receive())["type"] == "http.disconnect"

    guard = guarded(app)
    scope = scope_of("/v1/audio/transcriptions", headers=[(b"content-type", kind)])
    await guard(scope, wire.receive, wire.send)
    assert guard.instruments.counters == {}
    assert guard.guard.budget.held_bytes == 0


def test_a_lifespan_runs_through_the_guard() -> None:
    """Start-up and shut-down of the application work, and failures stay its own."""
    seen: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        del app
        seen.append("up")
        yield
        seen.append("down")

    app = Starlette(lifespan=lifespan)
    app.add_middleware(GuardMiddleware, settings=Settings())
    with TestClient(app):
        assert seen == ["up"]
    assert seen == ["up", "down"]


def test_a_start_that_fails_is_the_applications_own() -> None:
    """The guard does not hide why an application cannot start."""

    def connect() -> None:
        message = "no database"
        raise OSError(message)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        del app
        connect()
        yield

    app = Starlette(lifespan=lifespan)
    app.add_middleware(GuardMiddleware, settings=Settings())
    with pytest.raises(OSError, match="no database"), TestClient(app):
        pass


async def test_what_is_settled_is_counted_soon_without_a_lifespan(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first request starts the background work."""
    guard = guarded(model, Time())
    flushed = asyncio.Event()
    counting = guard.engine.flush

    def flush(now: Instant, due: Ticket | None = None) -> None:
        counting(now, due)
        flushed.set()

    monkeypatch.setattr(guard.engine, "flush", flush)
    await ask(guard, scope_of(), asking("hello"))
    assert guard.engine.unflushed == 2
    async with asyncio.timeout(5):
        await flushed.wait()
    assert guard.engine.unflushed == 0


async def test_what_was_put_off_is_part_of_the_overhead() -> None:
    """Each request is said to cost its share of the work that is done later for many."""
    guard = guarded(model, Time())
    assert guard.guard.put_off_seconds == 0.0
    for _ in range(3):
        await ask(guard, scope_of(), asking("hello"))
    guard.guard.background.stop()
    put_off = guard.guard.put_off_seconds
    assert put_off > 0.0
    guard.guard.background.stop()
    assert guard.guard.put_off_seconds == put_off
    await ask(guard, scope_of(), asking("hello"))
    assert guard.instruments.overhead_seconds[-1] > put_off


async def test_a_shutdown_counts_what_is_left_and_stops_the_timers() -> None:
    """Nothing that was served is forgotten because the server stops."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
        else:
            await model(scope, receive, send)

    guard = guarded(app)
    await ask(guard, scope_of(), asking("hello"))
    assert guard.engine.unflushed == 2
    wire = Wire()
    await guard({"type": "lifespan"}, wire.receive, wire.send)
    assert guard.engine.unflushed == 0
    assert [message["type"] for message in wire.sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]


def test_a_new_event_loop_is_as_good_as_the_first() -> None:
    """Test runners and workers make loops as they please."""
    guard = guarded(model)
    for number in range(3):
        wire = asyncio.run(ask(guard, scope_of(), asking(f"hello {number}")))
        assert wire.status == 200
    assert counted(guard, "exchanges") == {"committed": 3}
    assert counted(guard, "errors") == {}


async def test_a_changed_policy_is_taken_up_by_the_running_guard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Background work looks for changes; here it finds that a key may do as it likes."""
    policy = tmp_path / "policy.toml"
    policy.write_text("")
    time = Time()
    guard = guarded(model, time, policy=policy, policy_check_seconds=0.01)
    key_id = guard.guard.principals.key_id(KEY).hex()
    looked = asyncio.Event()
    loop = asyncio.get_running_loop()
    loaded = guard.guard.policy.refresh

    def refresh(now: float) -> bool:
        changed = loaded(now)
        loop.call_soon_threadsafe(looked.set)
        return changed

    monkeypatch.setattr(guard.guard.policy, "refresh", refresh)
    await ask(guard, scope_of(), asking("hello"))
    policy.write_text(
        f'[[entitlement]]\nkey_id = "{key_id}"\ngrant = "exempt"\npurpose = "ours"\n'
        "expires = 2099-01-01\n"
    )
    time.pass_by(60)
    async with asyncio.timeout(5):
        await looked.wait()
    assert guard.guard.policy.current.entitlements
    guard.guard.background.stop()


async def test_the_path_that_a_server_mounts_under_is_no_part_of_the_route() -> None:
    """With and without a root path the same dialect is spoken."""
    guard = guarded(model)
    for root in ("", "/gateway", "/v1"):
        scope = scope_of(root + CHAT, root_path=root)
        assert (await ask(guard, scope, asking("hello"))).status == 200
    assert counted(guard, "requests") == {"openai_chat": 3}


def test_starlette_mounts_it_with_one_line() -> None:
    """The guard inside an application is the one that sees its requests."""
    app = Model().in_starlette()
    app.add_middleware(GuardMiddleware, settings=Settings())
    with TestClient(app) as client:
        reply = client.post(CHAT, content=asking("hello"))
    assert reply.json()["object"] == "chat.completion"


async def test_two_requests_at_once_keep_apart() -> None:
    """What belongs to one request is never kept on the middleware."""
    both = asyncio.Barrier(2)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        body = await read(receive)
        await both.wait()
        await answer(send, body)

    guard = guarded(app)
    bodies = [asking("one"), asking("two")]
    wires = await asyncio.gather(*(ask(guard, scope_of(), body) for body in bodies))
    assert [wire.json for wire in wires] == [json.loads(body) for body in bodies]
