"""One process of a measured fleet: guards before a model, and what can be asked about them.

A process holds several guards, each for a scene of the measurement with a namespace of its own; a
header says which one a request is for. What is under ``/bench/`` is for who measures.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import time
from contextvars import ContextVar
from random import Random
from signal import SIGTERM, signal
from typing import TYPE_CHECKING, Any, Final

from pydantic import SecretStr

from gateway_guard.bench.answers import completion
from gateway_guard.bench.apps import answer_with
from gateway_guard.bench.calls import scope_of
from gateway_guard.bench.contestants import guard_settings
from gateway_guard.bench.fleet_traffic import ANSWER, SCENE
from gateway_guard.bench.load import HOST
from gateway_guard.bench.texts import Texts
from gateway_guard.bench.traffic import Call
from gateway_guard.middleware import GuardMiddleware
from gateway_guard.profile import Slot
from gateway_guard.proxy.server import Listen, make_server

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Message, Receive, Scope, Send

    from gateway_guard.bench.children import Say
    from gateway_guard.enforcement import Decision

Json = dict[str, Any]

ACTION: Final = b"x-bench-action"
CONTROL: Final = "/bench/"
MEMORY_BYTES: Final = 32 << 20
_WATCH_SECONDS: Final = 0.01
_PROSE: Final = Texts(0).text(40_000).decode().replace("\\n", "\n")
_BEGINNINGS: Final = 10_000

_decided: ContextVar[str] = ContextVar("decided", default="")


class Stage:
    """The guards of this process, by scene."""

    def __init__(self) -> None:
        """Begin with none."""
        self._scenes: dict[str, _Guarded] = {}
        self._watching: asyncio.Task[None] | None = None
        self._stalls: list[float] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request to its scene, or do what is asked about one."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["path"].startswith(CONTROL):
            await self._control(scope, receive, send)
        else:
            name = dict(scope["headers"])[SCENE].decode()
            await self._scenes[name].serve(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        while (await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        for name in [*self._scenes]:
            self._close(name)
        if self._watching is not None:
            self._watching.cancel()
        await send({"type": "lifespan.shutdown.complete"})

    async def _control(self, scope: Scope, receive: Receive, send: Send) -> None:
        said, more = b"", True
        while more:
            part = await receive()
            said, more = said + part.get("body", b""), part.get("more_body", False)
        work: dict[str, Callable[..., Json]] = {
            "open": self._open,
            "tell": self._tell,
            "close": self._close,
        }
        found = work[scope["path"].removeprefix(CONTROL)](**json.loads(said))
        await answer_with(200, json.dumps(found).encode(), _over, send)

    def _open(self, name: str, settings: Json, watched: list[str]) -> Json:
        """Begin a scene; the keys that are ``watched`` are asked about later."""
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())
        self._scenes[name] = _Guarded(settings, watched)
        return {}

    def _tell(self, name: str) -> Json:
        """Return what a scene's guard knows, and the stalls of the loop since last asked."""
        stalls, self._stalls = self._stalls, []
        return {**self._scenes[name].told(), "stalls": stalls}

    def _close(self, name: str) -> Json:
        self._scenes.pop(name).guard.guard.background.stop()
        return {}

    async def _watch(self) -> None:
        """Note how late a timer is, and when which key was first known to be blocked."""
        while True:
            due_at = time.monotonic() + _WATCH_SECONDS
            await asyncio.sleep(_WATCH_SECONDS)
            now = time.monotonic()
            self._stalls.append(max(0.0, now - due_at))
            for scene in self._scenes.values():
                scene.look(now)


class _Guarded:
    """One scene's guard, before a model that answers as it is told."""

    def __init__(self, settings: Json, watched: list[str]) -> None:
        store = SecretStr(settings.pop("store"))
        values = guard_settings(store=store, memory=MEMORY_BYTES, warmup=0.0, **settings)
        self.guard = GuardMiddleware(_model, settings=values)
        self.guard.engine.listeners.append(_note)
        self.guard.guard.background.start()
        self._watched = {self._id(credential): credential for credential in watched}
        self._blocked_at: dict[str, float] = {}
        self._begun_at = time.monotonic()

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request and say in a header what was decided."""

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                decided = (ACTION, _decided.get().encode())
                message = {**message, "headers": [*message["headers"], decided]}
            await send(message)

        _decided.set("")
        await self.guard(scope, receive, told)

    def look(self, now: float) -> None:
        """Note who is blocked."""
        standings = self.guard.engine.memory.standings
        for key, credential in self._watched.items():
            standing = standings.get(key) if credential not in self._blocked_at else None
            if standing is not None and standing.action.label == "block":
                self._blocked_at[credential] = now

    def told(self) -> Json:
        """Return what is known here."""
        guard = self.guard
        guard.engine.flush(guard.guard.timeline.now())
        counted = {one: self._counted(key) for key, one in self._watched.items()}
        counters = guard.instruments.counters
        return {
            "ready": guard.engine.memory.ages_known,
            "blocked_at": self._blocked_at,
            "seconds": time.monotonic() - self._begun_at,
            "rounds": guard.guard.pulse.rounds,
            "held": guard.guard.pulse.held_seconds,
            "counted": {one: pair for one, pair in counted.items() if pair[0]},
            "parts": {
                label: seen for (name, label), seen in counters.items() if name == "store_parts"
            },
            "errors": [label for name, label in counters if name == "errors"],
            "failures": sum(
                seen for (name, _), seen in counters.items() if name == "store_failures"
            ),
        }

    def _counted(self, key: bytes) -> tuple[float, float]:
        """Return how many exchanges were counted here of a key, and how many as going on."""
        table = self.guard.engine.memory.subjects
        subject = table.get(key)
        if subject is None:
            return 0.0, 0.0
        exchanges = float(len(subject.waiting))
        observed = float(sum(not held.contribution.single for held in subject.waiting))
        if subject.row >= 0:
            slow = table.slab.rows["linear"][subject.row, 1]
            exchanges += float(slow[Slot.EXCHANGES])
            observed += float(slow[Slot.OBSERVED])
        return exchanges, observed

    def _id(self, credential: str) -> bytes:
        fields = ((b"authorization", credential.encode()),)
        principal = self.guard.guard.principals.read(scope_of(Call(fields, b"")))
        return principal.key


def _note(decision: Decision) -> None:
    _decided.set(f"{decision.action.label} {decision.subject_kind}")


async def _model(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with as much text as the request says."""
    if scope["method"] != "POST":
        await answer_with(200, b'{"object":"list","data":[]}', receive, send)
        return
    headers = dict(scope["headers"])
    answer, reasoning = map(int, headers[ANSWER].split())
    begin = Random(headers[b"authorization"] + headers[ANSWER]).randrange(_BEGINNINGS)
    answered = completion(_PROSE[begin : begin + answer])
    if reasoning:
        answered["choices"][0]["message"]["reasoning_content"] = _PROSE[:reasoning]
    await answer_with(200, json.dumps(answered).encode(), receive, send)


async def _over() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


def serve(say: Say) -> None:
    """Serve on a free port, which is said, until SIGTERM."""
    # What scenes decide is asked for, and would fill the screen.
    logging.disable(logging.CRITICAL)
    signal(SIGTERM, lambda *_: None)
    with socket.create_server((HOST, 0), backlog=128) as listening:
        say(listening.getsockname()[1])
        make_server(Stage(), Listen(drain_seconds=1)).run(sockets=[listening])
