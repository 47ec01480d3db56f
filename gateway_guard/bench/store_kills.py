"""Whether a store survives its workers: killed at any moment under load, again and again.

Two workers share it. Each of them finds a harvester and blocks him; a second later both are killed,
at moments of their own, while others are served. What the store says then is compared with what was
answered, and new workers must refuse the harvesters at their first request.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Final, cast

from pydantic import SecretStr

from gateway_guard.bench import loops
from gateway_guard.bench.calls import scope_of
from gateway_guard.bench.children import child
from gateway_guard.bench.contestants import guard_settings
from gateway_guard.bench.errors import MeasurementError
from gateway_guard.bench.harvests import Harvester, model
from gateway_guard.bench.load import HOST, head_of
from gateway_guard.bench.store_remains import counted_in, faults, parts_of
from gateway_guard.bench.store_report import Kills
from gateway_guard.bench.strangers import Connection
from gateway_guard.bench.texts import Texts
from gateway_guard.bench.traffic import asked, plain_caller
from gateway_guard.middleware import GuardMiddleware
from gateway_guard.proxy.server import Listen, make_server
from gateway_guard.syncing.rows import PUSH_EXCHANGES

if TYPE_CHECKING:
    from gateway_guard.bench.children import Say
    from gateway_guard.bench.traffic import Call, Caller
    from gateway_guard.settings import Settings

WORKERS: Final = 2
_CALLERS: Final = 12  # of whom each third asks all workers in turns, and the others always one
_PAUSE_SECONDS: Final = 0.02
_KEPT_SECONDS: Final = 1.0
_SPREAD_SECONDS: Final = 0.3
_LATE_SECONDS: Final = 0.2
_MOST_HARVESTS: Final = 400
_PATIENCE_SECONDS: Final = 30.0
_LONGEST_LIFE_SECONDS: Final = 600
_REFUSED: Final = 403
_OK: Final = 200
_TEXT_BYTES: Final = 300
_EARLIER: Final = 3


def measure_kills(url: str, kills: int) -> Kills:
    """Kill so many workers that share a store, in a process of its own, which forks them."""
    with child(say_kills, url, kills) as process:
        return cast("Kills", process.heard())


def say_kills(say: Say, url: str, kills: int) -> None:
    """Do it in this process: nothing here has threads when it forks."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    ground = Ground(url)
    try:
        for _ in range(-(-kills // WORKERS)):
            ground.cycle()
        say(ground.found())
    finally:
        ground.end()


def settings_of(url: str) -> Settings:
    """Return settings under which a harvester is blocked soon, and not slowed down before."""
    return guard_settings(
        store=SecretStr(url),
        warmup=0.0,
        memory=64 << 20,
        throttle_rates=(60_000.0,),
        step_exchanges=8,
        watch_logit=-0.5,
        throttle_logit=-0.1,
        block_logit=0.0,
    )


class Asker:
    """Somebody who keeps asking: how often, and when it was answered."""

    def __init__(self, caller: Caller, key: bytes) -> None:
        """Have asked nothing yet; ``key`` is the subject that is counted."""
        self.caller, self.key = caller, key
        self.sent = self.answered = self.counted = 0
        self.answered_at: list[float] = []


class Ground:
    """Workers that come and go, who asks them, and what is found."""

    def __init__(self, url: str) -> None:
        """Start no worker yet."""
        self._url, self._random, self._texts = url, Random(5), Texts(seed=13)
        self._listening = [socket.create_server((HOST, 0), backlog=256) for _ in range(WORKERS)]
        self._pids: list[int] = []
        known = GuardMiddleware(model(), settings=settings_of("memory://")).guard
        self._principals = known.principals
        self._callers = [self._known(number) for number in range(_CALLERS)]
        self._harvesters: list[Harvester] = []
        self._killed_at = [0.0] * WORKERS
        self._found: Counter[str] = Counter()

    def _known(self, number: int) -> Asker:
        caller = plain_caller(number)
        return Asker(caller, self._principals.read(scope_of(asked(caller, b""))).key)

    def cycle(self) -> None:
        """Start workers, have them find somebody, kill them, and look what is left."""
        self._pids = [self._start(listening) for listening in self._listening]
        loops.run(self._live())
        for pid in self._pids:
            os.waitpid(pid, 0)
        self._pids = []
        self._look()

    def found(self) -> Kills:
        """Start workers once more, and return what was found."""
        self._pids = [self._start(listening) for listening in self._listening]
        loops.run(self._ask_blocked())
        return Kills(
            kills=self._found["kills"],
            requests=sum(each.answered for each in self._callers) + self._found["harvests"],
            broken=self._found["broken"],
            verdicts=self._found["verdicts"],
            verdicts_lost=self._found["verdicts_lost"],
            counts_lost=self._found["lost"],
            counts_lost_most=self._found["lost_most"],
            counts_allowed=PUSH_EXCHANGES,
            counted_twice=self._found["twice"],
        )

    def end(self) -> None:
        """Leave nothing behind."""
        for pid in self._pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        for listening in self._listening:
            listening.close()

    def _start(self, listening: socket.socket) -> int:
        pid = os.fork()
        if pid == 0:
            try:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                signal.alarm(_LONGEST_LIFE_SECONDS)
                guard = GuardMiddleware(model(), settings=settings_of(self._url))
                make_server(guard, Listen(drain_seconds=1)).run(sockets=[listening])
            finally:
                os._exit(1)
        return pid

    async def _live(self) -> None:
        """Put load on all workers; kill each a second after it has found its harvester."""
        await self._ask_blocked()
        ended = asyncio.Event()
        load = [
            asyncio.create_task(self._keep_asking(each, number, ended))
            for number, each in enumerate(self._callers)
        ]
        await asyncio.gather(*(self._harvest(worker) for worker in range(WORKERS)))
        begun = time.monotonic() + _KEPT_SECONDS
        moments = [begun + self._random.random() * _SPREAD_SECONDS for _ in range(WORKERS)]
        for worker in sorted(range(WORKERS), key=moments.__getitem__):
            await asyncio.sleep(max(0.0, moments[worker] - time.monotonic()))
            self._killed_at[worker] = time.monotonic()
            os.kill(self._pids[worker], signal.SIGKILL)
            self._found["kills"] += 1
        ended.set()
        await asyncio.gather(*load)

    async def _ask_blocked(self) -> None:
        """Ask in the name of the last harvesters, and of some before: each must be refused."""
        last, before = self._harvesters[-WORKERS:], self._harvesters[:-WORKERS]
        asking = last + self._random.sample(before, min(_EARLIER, len(before)))
        for listening in self._listening:
            connection = await _opened(listening)
            for harvester in asking:
                status = await _status(connection, harvester.innocent())
                self._found["verdicts"] += 1
                self._found["verdicts_lost"] += status != _REFUSED
            connection.close()

    async def _harvest(self, worker: int) -> None:
        """Harvest from one worker until it refuses."""
        harvester = Harvester(len(self._harvesters))
        self._harvesters.append(harvester)
        connection = await _opened(self._listening[worker])
        for _ in range(_MOST_HARVESTS):
            if await _status(connection, harvester.harvest()) == _REFUSED:
                connection.close()
                return
            self._found["harvests"] += 1
        message = "a harvester was never blocked"
        raise MeasurementError(message)

    async def _keep_asking(self, each: Asker, number: int, ended: asyncio.Event) -> None:
        """Ask one worker, or all in turns, until the one to be asked is gone."""
        shared, place = number % 3 == 0, number % WORKERS
        connections = [await _opened(listening) for listening in self._listening]
        try:
            while not ended.is_set():
                each.sent += 1
                call = asked(each.caller, self._texts.text(_TEXT_BYTES))
                if await _status(connections[place], call) == _OK:
                    each.answered += 1
                    each.answered_at.append(time.monotonic())
                if shared:
                    place = (place + 1) % WORKERS
                await asyncio.sleep(_PAUSE_SECONDS)
        except (ConnectionError, EOFError):
            return
        finally:
            for connection in connections:
                connection.close()

    def _look(self) -> None:
        """Compare what the store says with what was answered."""
        self._found["broken"] += faults(self._url)
        kept = parts_of(self._url, [each.key for each in self._callers])
        for number, (each, parts) in enumerate(zip(self._callers, kept, strict=True)):
            counted, broken = counted_in(parts)
            self._found["broken"] += broken
            self._found["twice"] += max(0, counted - each.sent)
            if number % 3:
                self._compare(each, counted - each.counted, self._killed_at[number % WORKERS])
            each.counted, each.answered_at = counted, []

    def _compare(self, each: Asker, counted: int, killed_at: float) -> None:
        """Compare what was counted of one who asked one worker only, until that was killed."""
        # What was answered at the very last is said in the next round, whatever the rule says.
        due = sum(at < killed_at - _LATE_SECONDS for at in each.answered_at)
        found = self._found
        found["lost"] += max(0, len(each.answered_at) - counted)
        found["lost_most"] = max(found["lost_most"], due - counted)


async def _opened(listening: socket.socket) -> Connection:
    return await asyncio.wait_for(Connection.open(listening.getsockname()[1]), _PATIENCE_SECONDS)


async def _status(connection: Connection, call: Call) -> int:
    head = head_of(call.fields, len(call.body))
    answer = await asyncio.wait_for(connection.answer_to(head, call.body), _PATIENCE_SECONDS)
    return answer.status
