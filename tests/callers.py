"""Requests without a server, message by message, and time that stands still until told to pass."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from gateway_guard import Action, GuardMiddleware, Settings, profile
from gateway_guard.bench.bypass_witness import rereadable
from gateway_guard.standing import Standing

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest
    from starlette.types import ASGIApp, Message, Scope

    from gateway_guard.exchange import Outcome
    from gateway_guard.pending import Ticket
    from gateway_guard.profile import Reading
    from gateway_guard.timeline import Instant

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
KEY = b"sk-a-made-up-key"
JSON = (b"content-type", b"application/json")

DEFAULTS = {"secret": "of the tests", "warmup": 0, "jitter": 0, "memory": "16MiB"}


class Time:
    """Both clocks of a guard."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.now

    def pass_by(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


class Wire:
    """What one request gives an application, and what it is sent."""

    def __init__(self, *given: Message) -> None:
        self.given = list(given)
        self.sent: list[Message] = []
        self.ended = asyncio.Event()

    async def receive(self) -> Message:
        """Return the next message; behind the last one the client waits for its answer and goes."""
        if self.given:
            return self.given.pop(0)
        await self.ended.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take a message of the application."""
        self.sent.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self.ended.set()

    @property
    def status(self) -> int:
        """The status of the answer."""
        status: int = self.sent[0]["status"]
        return status

    @property
    def headers(self) -> dict[bytes, bytes]:
        """The header fields of the answer."""
        return dict(self.sent[0]["headers"])

    @property
    def body(self) -> bytes:
        """The body of the answer."""
        return b"".join(message.get("body", b"") for message in self.sent[1:])

    @property
    def json(self) -> dict[str, Any]:
        """The body of the answer as what it says."""
        said: dict[str, Any] = json.loads(self.body)
        return said


def scope_of(
    path: str = CHAT,
    method: str = "POST",
    headers: Sequence[tuple[bytes, bytes]] = (),
    key: bytes = KEY,
    **more: object,
) -> Scope:
    """Return the scope of a request, with a key unless it is empty."""
    bearer = [(b"authorization", b"Bearer " + key)] if key else []
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode("utf-8", "surrogateescape"),
        "query_string": b"",
        "root_path": "",
        "headers": [*bearer, *headers],
        "client": ("203.0.113.7", 50_000),
        "server": ("127.0.0.1", 80),
        **more,
    }


def in_chunks(*chunks: bytes) -> list[Message]:
    """Return the messages that a body arrives in."""
    last = len(chunks) - 1
    return [
        {"type": "http.request", "body": chunk, "more_body": index < last}
        for index, chunk in enumerate(chunks)
    ]


async def ask(app: ASGIApp, scope: Scope, *chunks: bytes) -> Wire:
    """Send one request and return what came of it."""
    wire = Wire(*in_chunks(*chunks or (b"",)))
    await app(scope, wire.receive, wire.send)
    return wire


def asking(*texts: str, **fields: object) -> bytes:
    """Return a body that both dialects read: users and assistants take turns, a user begins."""
    roles = ("user", "assistant")
    turns = [{"role": roles[at % 2], "content": text} for at, text in enumerate(texts)]
    return json.dumps({"model": "m", "max_tokens": 64, "messages": turns} | fields).encode()


def guarded(app: ASGIApp, time: Time | None = None, **settings: object) -> GuardMiddleware:
    """Mount a guard in front of an application; its time stands still."""
    time = time or Time()
    values: dict[str, Any] = DEFAULTS | settings
    return GuardMiddleware(app, settings=Settings(**values), clock=time, timer=time)


def counted(guard: GuardMiddleware, name: str) -> dict[str, int]:
    """Return a counter's labels and numbers."""
    counters = guard.instruments.counters
    return {label: number for (counter, label), number in counters.items() if counter == name}


def outcomes_of(guard: GuardMiddleware, monkeypatch: pytest.MonkeyPatch) -> list[Outcome]:
    """Return a list that collects what the engine is told of each answer, to be read at will."""
    told: list[Outcome] = []
    settle = guard.engine.settle

    def listen(ticket: Ticket, outcome: Outcome, now: Instant) -> None:
        outcome = rereadable(outcome)
        told.append(outcome)
        settle(ticket, outcome, now)

    monkeypatch.setattr(guard.engine, "settle", listen)
    return told


def flush(guard: GuardMiddleware) -> None:
    """Read and count what has happened, before the guard would do so by itself."""
    guard.engine.flush(guard.guard.timeline.now())


def reading_of(guard: GuardMiddleware, key: bytes = KEY) -> Reading:
    """Return what is remembered of a key."""
    now = guard.guard.timeline.now()
    flush(guard)
    subjects = guard.engine.memory.subjects
    subject = subjects.get(guard.guard.principals.key_id(key))
    assert subject is not None
    row, elapsed = subjects.project(subject, now)
    return profile.read(row, elapsed, now.wall)


def is_verified(guard: GuardMiddleware, key: bytes = KEY) -> bool:
    """Tell whether the guard takes a key for one that the upstream accepts."""
    return guard.engine.verified(guard.guard.principals.read(scope_of(key=key)))


def sentence(guard: GuardMiddleware, action: Action, key: bytes = KEY) -> Standing:
    """Give a key a standing, as a verdict would."""
    now = guard.guard.timeline.now()
    standing = Standing(action=min(action, Action.BLOCK), until_at=now.wall + 3600.0)
    if action == Action.PENALTY:
        standing.action, standing.penalty_until_at = Action.THROTTLE, now.wall + 900.0
    guard.engine.memory.standings.keep(guard.guard.principals.key_id(key), standing)
    return standing
