"""Whether memory stays within its setting when strangers flood the guard, and what it forgets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from psutil import Process

from gateway_guard.bench import loops
from gateway_guard.bench.answers import TEXT, completion
from gateway_guard.bench.apps import answer_at_once, answer_with
from gateway_guard.bench.calls import answered, scope_of
from gateway_guard.bench.children import child
from gateway_guard.bench.contestants import Contestant, check, guard_settings
from gateway_guard.bench.texts import Texts
from gateway_guard.bench.traffic import PATH, asked, credential, plain_caller
from gateway_guard.dialects import read_request
from gateway_guard.exchange import Outcome
from gateway_guard.middleware import GuardMiddleware
from gateway_guard.principal import SubjectKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import Receive, Scope, Send

    from gateway_guard.bench.children import Say
    from gateway_guard.bench.traffic import Call

MEMORY_BYTES: Final = 512 << 20
_HARVEST: Final = (
    b"Generate twenty new and diverse instructions with which a language model can be trained. "
    b"Give the complete answer to each, and show your full reasoning step by step. Do not repeat "
    b"the verb. Take this as the seed: "
)
_HARVESTED: Final = json.dumps(completion(" ".join([TEXT] * 10))).encode()
_NO_SUCH_KEY: Final = b'{"error":{"message":"no such key"}}'
_REFUSALS: Final = frozenset({403, 429})
_HARVEST_REQUESTS: Final = 400
_KNOWN_KEYS: Final = 8
_SHOWN: Final = 4
_FLOODING_KEYS: Final = 100
_TEXT_BYTES: Final = 300
_SAMPLED_EVERY: Final = 500


class Flooded(NamedTuple):
    """Resident bytes before and at most, and whether what was known before is known after."""

    rss_before: int
    rss: int
    still_throttled: bool
    still_known: bool


def measure_flood(requests: int) -> Flooded:
    """Flood a guard in a fresh process, with three times ``requests``."""
    with child(say_flooded, requests) as process:
        return cast("Flooded", process.heard())


def say_flooded(say: Say, requests: int) -> None:
    """Flood a guard and say what came of it."""
    say(loops.run(flooded(requests)))


async def flooded(requests: int) -> Flooded:
    """Flood a guard in this process and return what came of it."""
    before = resident_bytes()
    guard = GuardMiddleware(upstream, settings=guard_settings(memory=MEMORY_BYTES, warmup=0.0))
    ground = Ground(guard)
    throttled = await ground.is_refused(_HARVEST_REQUESTS)
    known = await ground.shown_template()
    most = 0
    for number, call in enumerate(ground.floods(requests)):
        await answered(guard, call)
        if not number % _SAMPLED_EVERY:
            most = max(most, resident_bytes())
    check(Contestant(guard, guard).failures())
    return Flooded(
        rss_before=before,
        rss=max(most, resident_bytes()),
        still_throttled=throttled and await ground.is_refused(_KNOWN_KEYS),
        still_known=bool(known) and known <= ground.known_templates(),
    )


def resident_bytes(pid: int | None = None) -> int:
    """Return what a process has in memory now, without ``pid`` this one."""
    size: int = Process(pid).memory_info().rss
    return size


async def upstream(scope: Scope, receive: Receive, send: Send) -> None:
    """Turn junk keys away, answer harvesting at length and everybody else shortly."""
    key = credential(scope)
    if "junk" in key:
        await answer_with(401, _NO_SUCH_KEY, receive, send)
    elif "harvest" in key:
        await answer_with(200, _HARVESTED, receive, send)
    else:
        await answer_at_once(scope, receive, send)


class Ground:
    """A guard, and what strangers and others send to it."""

    def __init__(self, guard: GuardMiddleware) -> None:
        self._guard = guard
        self._texts = Texts(seed=10)
        self._system = self._texts.text(_TEXT_BYTES)

    async def is_refused(self, requests: int) -> bool:
        """Tell whether a harvester is refused one of its next requests."""
        caller = plain_caller(0, b"harvest")
        for _ in range(requests):
            if await answered(self._guard, asked(caller, _HARVEST + self._text())) in _REFUSALS:
                return True
        return False

    async def shown_template(self) -> set[bytes]:
        """Show a system prompt under several keys; return the ids of what is known then."""
        for number in _SHOWN * list(range(_KNOWN_KEYS)):
            await answered(self._guard, self._known(number))
        return self.known_templates()

    def known_templates(self) -> set[bytes]:
        """Return the ids of the templates of a known request that have a profile."""
        guard, call = self._guard.guard, self._known(0)
        principal, now = guard.principals.read(scope_of(call)), guard.timeline.now()
        _, exchange = read_request(call.body, PATH.decode())
        if exchange is None:
            return set()
        ticket = guard.engine.admit(principal, exchange, PATH.decode(), now)
        guard.engine.settle(ticket, Outcome(status=None, completed=False), now)
        admitted = guard.engine.memory.subjects.admitted
        return {id_ for kind, id_ in ticket.ids if kind == SubjectKind.TEMPLATE and admitted(id_)}

    def floods(self, requests: int) -> Iterator[Call]:
        """Yield junk keys, keys that are good for one request, and templates seen once."""
        for number in range(requests):
            yield asked(plain_caller(number, b"junk"), self._text())
        for number in range(requests):
            yield asked(plain_caller(number, b"once"), self._text())
        for number in range(requests):
            caller = plain_caller(number % _FLOODING_KEYS, b"flood")
            yield asked(caller, self._text(), system=self._text())

    def _known(self, number: int) -> Call:
        return asked(plain_caller(number, b"known"), self._text(), system=self._system)

    def _text(self) -> bytes:
        return self._texts.text(_TEXT_BYTES)
