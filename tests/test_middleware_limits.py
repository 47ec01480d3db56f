"""Bodies too large, too slow, too many or unreadable, and a guard that breaks."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from gateway_guard import Action
from gateway_guard.policy import PolicyFile
from tests.callers import (
    CHAT,
    KEY,
    MESSAGES,
    Wire,
    ask,
    asking,
    counted,
    guarded,
    in_chunks,
    reading_of,
    scope_of,
    sentence,
)
from tests.upstreams import answer, model, read

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

    from gateway_guard import GuardMiddleware

SECRET = "the text of an error may quote a prompt"


class Echo:
    """An application that answers with what it was sent."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        del scope
        self.bodies.append(await read(receive))
        await answer(send, self.bodies[-1])


def sized(*lengths: int) -> list[Message]:
    """Return a body in chunks of these lengths."""
    return in_chunks(*(b"x" * length for length in lengths))


def length(number: bytes | int) -> tuple[bytes, bytes]:
    """Declare the length of a body."""
    return b"content-length", number if isinstance(number, bytes) else b"%d" % number


@pytest.mark.parametrize(
    ("path", "kind"),
    [(CHAT, "invalid_request_error"), (MESSAGES, "request_too_large")],
)
@pytest.mark.parametrize("declared", [b"101", b"9" * 40, b"100000000000000000000"])
async def test_a_body_declared_too_large_is_refused_unread(
    path: str, kind: str, declared: bytes
) -> None:
    """With 413 in the dialect, before a byte of it was asked for."""
    guard = guarded(model, max_body=100)
    wire = Wire()
    await guard(scope_of(path, headers=[length(declared)]), wire.receive, wire.send)
    assert wire.status == 413
    assert wire.json["error"]["type"] == kind
    assert counted(guard, "problems") == {"too_large": 1}


@pytest.mark.parametrize("declared", [[], [length(3)], [length(b"-1")], [length(b"many")]])
@pytest.mark.parametrize("lengths", [(101,), (60, 60), (100, 1, 5_000), (*([1] * 101), 1)])
async def test_a_body_that_turns_out_too_large_is_refused(
    declared: list[tuple[bytes, bytes]], lengths: tuple[int, ...]
) -> None:
    """Whatever its length was said to be, or was not; the rest of it is not read."""
    guard = guarded(model, max_body=100)
    wire = Wire(*sized(*lengths))
    await guard(scope_of(headers=declared), wire.receive, wire.send)
    assert wire.status == 413
    assert guard.guard.budget.held_bytes == 0
    assert counted(guard, "exchanges") == {}


async def test_a_body_of_exactly_the_limit_passes() -> None:
    """The limit itself is allowed."""
    body = asking("x" * 100)
    guard = guarded(model, max_body=len(body))
    assert (await ask(guard, scope_of(headers=[length(len(body))]), body)).status == 200
    assert counted(guard, "exchanges") == {"committed": 1}


@pytest.mark.parametrize("unparsed", ["observe", "refuse"])
async def test_a_large_body_is_let_through_where_the_operator_wants_it(unparsed: str) -> None:
    """It reaches the application whole; its beginning is read, and being cut is no fault of it."""
    app, body = Echo(), asking("x" * 1_000)
    guard = guarded(app, max_body=100, oversize="pass", unparsed=unparsed)
    chunks = [body[at : at + 90] for at in range(0, len(body), 90)]
    wire = await ask(guard, scope_of(headers=[length(len(body))]), *chunks)
    assert wire.status == 200
    assert app.bodies == [body]
    assert counted(guard, "exchanges") == {"committed": 1}
    assert guard.guard.budget.held_bytes == 0


async def test_uploads_may_be_larger_than_what_is_read_as_a_whole() -> None:
    """They are never held, so their size is the application's business."""
    app = Echo()
    guard = guarded(app, max_body=100)
    multipart = (b"content-type", b"multipart/form-data; boundary=y")
    wire = Wire(*sized(90, 90, 90))
    scope = scope_of("/v1/files", headers=[multipart, length(270)])
    await guard(scope, wire.receive, wire.send)
    assert wire.status == 200
    assert app.bodies == [b"x" * 270]


@pytest.mark.parametrize("kind", [b"image/png", b"multipart/form-data", b"Audio/Wav"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32-be"])
async def test_json_that_claims_to_be_a_file_is_read(kind: bytes, encoding: str) -> None:
    """Some servers read JSON whatever its content type; that is no way around the guard."""
    app, body = Echo(), json.dumps({"prompt": "hello"}).encode(encoding)
    guard = guarded(app)
    scope = scope_of("/v1/completions", headers=[(b"content-type", kind)])
    wire = await ask(guard, scope, b"", body)
    assert wire.body == body
    assert counted(guard, "exchanges") == {"committed": 1}
    assert counted(guard, "unparsed") == {}


@pytest.mark.parametrize("kind", [b"image/png", b"video/mp4"])
@pytest.mark.parametrize("blanks", [[b" "], [b"", b"\r\n", b"\t" * 70], [b"\xef\xbb", b"\xbf "]])
async def test_json_that_claims_to_be_a_file_is_found_behind_blanks(
    kind: bytes, blanks: list[bytes]
) -> None:
    """However many pieces of nothing come before it."""
    guard = guarded(model)
    scope = scope_of("/v1/completions", headers=[(b"content-type", kind)])
    await ask(guard, scope, *blanks, b'{"prompt":"hello"', b"}")
    assert counted(guard, "exchanges") == {"committed": 1}


async def test_a_recording_that_begins_in_silence_is_handed_on_at_once() -> None:
    """No JSON begins with so many zeroes, so nothing waits for the first sound."""
    wire = Wire({"type": "http.request", "body": bytes(640), "more_body": True})

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        assert (await receive())["body"] == bytes(640)
        await answer(send, b"{}")

    guard = guarded(app)
    scope = scope_of("/v1/audio/live", headers=[(b"content-type", b"audio/pcm")])
    await guard(scope, wire.receive, wire.send)
    assert wire.status == 200
    assert counted(guard, "exchanges") == {}


async def test_a_method_that_nobody_knows_is_read_as_if_it_asked() -> None:
    """Servers differ in what they make of it; what only fetches is known."""
    guard = guarded(model)
    for method in ("PUT", "PATCH", "QUERY", "post"):
        await ask(guard, scope_of(method=method), asking("hello"))
    assert counted(guard, "exchanges") == {"committed": 4}


async def test_compressed_bodies_are_read() -> None:
    """Some servers undo content encodings; the text that reaches the model reaches the guard."""
    app, guard = Echo(), guarded(model)
    packed = gzip.compress(asking("Where?", n=3))
    await ask(guard, scope_of(headers=[(b"content-encoding", b"gzip")]), packed)
    assert counted(guard, "unparsed") == {}
    assert reading_of(guard).slow[0] == 3.0
    guard = guarded(app)
    for encoding, body in ((b"gzip", packed), (b"br", packed), (b"gzip", b"no gzip")):
        await ask(guard, scope_of(headers=[(b"content-encoding", encoding)]), body)
    assert app.bodies == [packed, packed, b"no gzip"]
    assert counted(guard, "unparsed") == {"openai_chat": 2}


@pytest.mark.parametrize("path", [CHAT, "/v1/completions"])
@pytest.mark.parametrize(("oversize", "status"), [("refuse", 413), ("pass", 200)])
async def test_a_body_that_decodes_to_more_than_the_limit_is_too_large(
    path: str, oversize: str, status: int
) -> None:
    """Blanks may hide what comes after them, so it is not read in part and taken for small talk."""
    packed = gzip.compress(b" " * 10_000_000 + asking("x"))
    guard = guarded(Echo(), max_body=100_000, oversize=oversize)
    wire = await ask(guard, scope_of(path, headers=[(b"content-encoding", b"gzip")]), packed)
    assert wire.status == status
    assert sum(counted(guard, "unparsed").values()) == 1
    assert sum(counted(guard, "exchanges").values()) == (oversize == "pass")


async def test_a_body_that_does_not_arrive_in_time_is_given_up() -> None:
    """With 408; what was held of it is let go."""
    guard = guarded(model, body_timeout="10ms")
    wire = Wire({"type": "http.request", "body": b"{", "more_body": True})
    await guard(scope_of(), wire.receive, wire.send)
    assert wire.status == 408
    assert counted(guard, "problems") == {"timeout": 1}
    assert guard.guard.budget.held_bytes == 0


async def test_a_request_that_cannot_be_handled_is_found_by_its_reference() -> None:
    """With code, size and key; who repeats it leaves a line a minute."""
    guard = guarded(model, max_body=100)
    await ask(guard, scope_of(), asking("hi"))
    with capture_logs() as logs:
        wires = [await ask(guard, scope_of(), asking("hello" * 50)) for _ in range(3)]
    assert [log["event"] for log in logs] == ["gateway_guard.problem"]
    assert logs[0]["request_id"] == wires[0].headers[b"x-request-id"].decode()
    assert (logs[0]["code"], logs[0]["status"]) == ("request_too_large", 413)
    assert logs[0]["size"] > 250
    assert logs[0]["key_id"] == guard.guard.principals.key_id(KEY).hex()
    assert counted(guard, "problems") == {"too_large": 3}


async def test_strangers_share_a_log_line_a_minute() -> None:
    """Whoever makes keys up does not fill the log."""
    guard = guarded(model, max_body=100)
    with capture_logs() as logs:
        for number in range(20):
            await ask(guard, scope_of(key=b"sk-%d" % number), asking("hello" * 50))
    assert [log["event"] for log in logs] == ["gateway_guard.problem"]


async def test_shadow_mode_logs_what_could_not_be_handled() -> None:
    """Under a name of its own, since the application answered."""
    guard = guarded(model, max_body=100, oversize="refuse", mode="shadow")
    with capture_logs() as logs:
        wire = await ask(guard, scope_of(), asking("hello" * 50))
    assert wire.status == 200
    assert [log["event"] for log in logs] == ["gateway_guard.shadow_problem"]


async def test_shadow_mode_waits_for_a_slow_body_like_the_application() -> None:
    """The application gets what came in time, and then what comes."""
    echo, wire = Echo(), Stuck(b"{", b"}")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        wire.ended.set()
        await echo(scope, receive, send)

    guard = guarded(app, body_timeout="10ms", mode="shadow")
    await guard(scope_of(), wire.receive, wire.send)
    assert wire.status == 200
    assert echo.bodies == [b"{}"]
    assert counted(guard, "shadow_problems") == {"timeout": 1}


class Stuck(Wire):
    """A request whose body stops arriving before its end."""

    def __init__(self, *chunks: bytes) -> None:
        super().__init__(*in_chunks(*chunks, b""))
        self.stuck = asyncio.Event()

    async def receive(self) -> Message:
        """Return what arrived, and then nothing."""
        if len(self.given) == 1:
            self.stuck.set()
            await self.ended.wait()
        return await super().receive()


async def held_up(guard: GuardMiddleware, scope: Scope, *lengths: int) -> asyncio.Task[None]:
    """Begin a request whose body stops arriving after these lengths."""
    wire = Stuck(*(b"x" * size for size in lengths))
    task = asyncio.create_task(guard(scope, wire.receive, wire.send))
    await wire.stuck.wait()
    return task


async def test_strangers_share_a_small_part_of_the_memory_for_bodies() -> None:
    """When it is spent they are asked to come back; a known key is still served."""
    guard = guarded(model, buffer_memory=1_000, buffer_unverified_share=0.3, max_body=300)
    await ask(guard, scope_of(), asking("hello"))
    holding = await held_up(guard, scope_of(key=b"sk-stranger"), 100, 100)
    assert guard.guard.budget.held_bytes == 200
    body = asking("x" * 60)
    refused = await ask(guard, scope_of(key=b"sk-another"), body)
    assert (refused.status, refused.headers[b"retry-after"]) == (503, b"5")
    assert refused.json["error"]["type"] == "server_error"
    assert (await ask(guard, scope_of(), body)).status == 200
    holding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holding
    assert guard.guard.budget.held_bytes == 0
    assert (await ask(guard, scope_of(key=b"sk-another"), body)).status == 200
    assert counted(guard, "problems") == {"unavailable": 1}


async def test_known_keys_share_the_whole_memory_and_no_more() -> None:
    """The bound holds for them too, and each has a part of it."""
    guard = guarded(model, buffer_memory=1_000, buffer_unverified_share=0.3, max_body=300)
    keys = [b"sk-%d" % number for number in range(4)]
    for key in (KEY, *keys):
        await ask(guard, scope_of(key=key), asking("hello"))
    tasks = [await held_up(guard, scope_of(key=key), 230) for key in keys]
    assert (await ask(guard, scope_of(), asking("x" * 100))).status == 503
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert guard.guard.budget.held_bytes == 0


@pytest.mark.parametrize("known", [True, False])
async def test_one_caller_does_not_keep_the_others_out(*, known: bool) -> None:
    """Known keys are told apart by themselves, strangers by their network, whatever they claim."""
    guard = guarded(model, buffer_memory=4_000, buffer_unverified_share=0.5, max_body=500)
    here, elsewhere = ("203.0.113.7", 1), ("198.51.100.7", 1)
    mine, yours = (b"sk-0", b"sk-1"), b"sk-of-somebody-else"
    for key in (*mine, yours) if known else ():
        await ask(guard, scope_of(key=key), asking("hello"))
    first = mine[:1] if known else mine
    scopes = [scope_of(key=key, client=here) for key in first * (2 // len(first))]
    tasks = [await held_up(guard, scope, 480 if known else 240) for scope in scopes]
    again = scope_of(key=first[0], client=here)
    assert (await ask(guard, again, asking("x" * 50))).status == 503
    other = scope_of(key=yours, client=here if known else elsewhere)
    assert (await ask(guard, other, asking("x" * 50))).status == 200
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert guard.guard.budget.held_bytes == guard.guard.budget.callers == 0


async def test_the_memory_is_free_once_the_application_has_the_body() -> None:
    """A long answer does not hold the room of its short question."""
    held: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        held.append(guard.guard.budget.held_bytes)
        await read(receive)
        held.append(guard.guard.budget.held_bytes)
        await answer(send, b"{}")

    guard = guarded(app)
    body = asking("hello")
    await ask(guard, scope_of(), body)
    assert held == [len(body), 0]


async def test_the_memory_is_free_after_every_kind_of_end() -> None:
    """Applications that never read, that raise, and clients that leave half-way."""

    async def unread(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await answer(send, b"{}")

    async def raising(*_: object) -> None:
        raise ConnectionResetError

    guard = guarded(unread)
    await ask(guard, scope_of(), asking("hello"))
    guard.app = raising
    with pytest.raises(ConnectionResetError):
        await ask(guard, scope_of(), asking("hello"))
    wire = Wire(
        {"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}
    )
    with pytest.raises(ConnectionResetError):
        await guard(scope_of(), wire.receive, wire.send)
    assert guard.guard.budget.held_bytes == 0


async def test_an_unreadable_body_is_observed_by_default() -> None:
    """It counts as a request, and as one that could not be read."""
    app = Echo()
    guard = guarded(app)
    wire = await ask(guard, scope_of(), b'{"messages": [')
    assert wire.body == b'{"messages": ['
    assert counted(guard, "unparsed") == {"openai_chat": 1}
    assert counted(guard, "exchanges") == {"committed": 1}


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
async def test_an_unreadable_body_is_refused_where_the_operator_wants_it(path: str) -> None:
    """With 400 in the dialect."""
    guard = guarded(model, unparsed="refuse")
    wire = await ask(guard, scope_of(path), b'{"messages": [')
    assert wire.status == 400
    assert wire.json["error"]["type"] == "invalid_request_error"
    assert counted(guard, "problems") == {"unparsed": 1}


def broken(*_: object, **__: object) -> bool:
    """Fail as something does that nobody thought of."""
    raise RuntimeError(SECRET)


def break_at(guard: GuardMiddleware, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make one of the guard's own parts raise."""
    owner = guard.guard.principals if place == "read" else guard.engine
    monkeypatch.setattr(owner, place, broken)


PLACES = ["read", "refuse_early", "admit", "start", "settle"]


@pytest.mark.parametrize("place", PLACES)
async def test_a_guard_that_breaks_lets_requests_through(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fail open: the application and its client notice nothing; the operator does."""
    app, body = Echo(), asking("hello")
    guard = guarded(app)
    break_at(guard, place, monkeypatch)
    with capture_logs() as logs:
        wire = await ask(guard, scope_of(), body)
    assert (wire.status, wire.body) == (200, body)
    assert counted(guard, "errors") == {"RuntimeError": 1}
    [entry] = [entry for entry in logs if entry["event"] == "gateway_guard.internal_error"]
    assert entry["error"] == "RuntimeError"
    assert "test_middleware_limits.py:" in entry["place"]
    assert SECRET not in repr(logs)


@pytest.mark.parametrize("place", ["read", "refuse_early", "admit"])
async def test_a_guard_that_breaks_refuses_where_the_operator_prefers_that(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fail closed: 503, and come back soon."""
    guard = guarded(model, fail="closed")
    break_at(guard, place, monkeypatch)
    wire = await ask(guard, scope_of(), asking("hello"))
    assert (wire.status, wire.headers[b"retry-after"]) == (503, b"5")
    assert counted(guard, "problems") == {"unavailable": 1}
    assert SECRET not in wire.body.decode()
    assert guard.guard.budget.held_bytes == 0


@pytest.mark.parametrize("place", ["read", "refuse_early", "admit"])
async def test_a_guard_in_the_shadow_never_refuses_even_when_it_breaks(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shadow mode beats fail closed."""
    guard = guarded(model, fail="closed", mode="shadow")
    break_at(guard, place, monkeypatch)
    assert (await ask(guard, scope_of(), asking("hello"))).status == 200
    assert counted(guard, "shadow_problems") == {"unavailable": 1}


@pytest.mark.parametrize(
    ("settings", "sent"),
    [
        ({}, ["websocket.accept"]),
        ({"fail": "closed"}, ["websocket.close"]),
        ({"fail": "closed", "mode": "shadow"}, ["websocket.accept"]),
    ],
)
async def test_handshakes_follow_the_same_rule(
    settings: dict[str, Any], sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A guard that breaks opens or closes websockets as it does requests."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await send({"type": "websocket.accept"})

    guard = guarded(app, **settings)
    break_at(guard, "read", monkeypatch)
    wire = Wire()
    await guard(scope_of(type="websocket"), wire.receive, wire.send)
    assert [message["type"] for message in wire.sent] == sent


async def test_a_refusal_that_cannot_be_worded_is_still_a_refusal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was decided holds, though in other words."""
    guard = guarded(model)
    monkeypatch.setattr(guard.guard, "often_refused", broken)
    sentence(guard, Action.BLOCK)
    wire = await ask(guard, scope_of(), asking("hello"))
    assert wire.status == 503
    assert counted(guard, "errors") == {"RuntimeError": 1}


async def test_a_flush_that_breaks_stays_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither timers nor the shutdown of the server see it."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await send({"type": "lifespan.shutdown.complete"})

    guard = guarded(app)
    break_at(guard, "flush", monkeypatch)
    wire = Wire()
    await guard({"type": "lifespan"}, wire.receive, wire.send)
    assert len(wire.sent) == 1
    assert counted(guard, "errors") == {"RuntimeError": 1}


async def test_a_policy_that_breaks_while_it_is_looked_at_stays_inside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The looks go on."""
    looks = asyncio.Queue[None]()
    loop = asyncio.get_running_loop()

    def look(*_: object) -> bool:
        loop.call_soon_threadsafe(looks.put_nowait, None)
        return broken()

    monkeypatch.setattr(PolicyFile, "refresh", look)
    guard = guarded(model, policy_check_seconds=0.001)
    guard.guard.background.start()
    async with asyncio.timeout(5):
        for _ in range(3):
            await looks.get()
    guard.guard.background.stop()
    assert counted(guard, "errors")["RuntimeError"] >= 2
