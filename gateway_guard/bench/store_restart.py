"""How soon a new process decides over a store in which a million subjects are kept.

It is ``gateway-guard serve``, started as operators start it. Its first request is that of a key
that was blocked before.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING, Final

from gateway_guard.bench import loops
from gateway_guard.bench.apps import answer_at_once
from gateway_guard.bench.calls import scope_of
from gateway_guard.bench.contestants import guard_settings
from gateway_guard.bench.errors import MeasurementError
from gateway_guard.bench.flood import MEMORY_BYTES, resident_bytes
from gateway_guard.bench.load import HOST, head_of, load
from gateway_guard.bench.server import UPSTREAM, serving
from gateway_guard.bench.store_report import Restart
from gateway_guard.bench.store_scene import compose
from gateway_guard.bench.strangers import Connection
from gateway_guard.bench.texts import Texts
from gateway_guard.bench.traffic import Prompts, asked, full_caller, plain_caller
from gateway_guard.middleware import GuardMiddleware

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway_guard.bench.traffic import Call

_SETTINGS: Final = {
    "GATEWAY_GUARD_SECRET": "bench",
    "GATEWAY_GUARD_MEMORY": str(MEMORY_BYTES),
    "GATEWAY_GUARD_WARMUP": "0",
}
_RUN: Final = "import sys; from gateway_guard.cli import main; sys.exit(main(sys.argv[1:]))"
_BLOCKED: Final = 999
_CALLERS: Final = 256
_PATIENCE_SECONDS: Final = 60.0
_REFUSED: Final = 403


def measure_restart(*, subjects: int, requests: int, starts: int) -> Restart:
    """Start so many processes, one after the other, over a store of so many subjects.

    ``requests`` of others follow in each.
    """
    caller = plain_caller(_BLOCKED)
    call = asked(caller, Texts(seed=23).text(200))
    known = GuardMiddleware(answer_at_once, settings=guard_settings())
    blocked = known.guard.principals.read(scope_of(call)).key
    with TemporaryDirectory(prefix="gateway-guard-") as place, serving(UPSTREAM) as behind:
        begun = perf_counter()
        path = Path(place) / "state.sqlite3"
        scene = compose(path, subjects, [blocked])
        written = perf_counter() - begun
        upstream = f"http://{HOST}:{behind[UPSTREAM]}"
        runs = [_run(path, upstream, call, requests) for _ in range(starts)]
    return Restart(
        subjects=scene.subjects,
        standings=scene.standings,
        store_bytes=scene.size_bytes,
        written_seconds=written,
        first_decision_seconds=max(run[0] for run in runs),
        refused=all(run[1] == _REFUSED for run in runs),
        memory=MEMORY_BYTES,
        rss_bound=resident_bytes() + MEMORY_BYTES,
        rss=max(run[2] for run in runs),
    )


def _run(path: Path, upstream: str, call: Call, requests: int) -> tuple[float, int, int]:
    """Start one process; return when it decided, how, and what it had in memory at the end."""
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]
    begun = perf_counter()
    with _started(path, upstream, port) as pid:
        status = loops.run(_first_status(port, call))
        seconds = perf_counter() - begun
        prompts = Prompts([full_caller(number) for number in range(_CALLERS)], seed=29)
        loops.run(load(port, prompts.block(requests).calls))
        return seconds, status, resident_bytes(pid)


@contextmanager
def _started(path: Path, upstream: str, port: int) -> Iterator[int]:
    kept = {name: value for name, value in os.environ.items() if "GATEWAY_GUARD" not in name}
    settings = _SETTINGS | {"GATEWAY_GUARD_STORE": f"sqlite:///{path}"}
    command = [sys.executable, "-c", _RUN, "serve", "--upstream", upstream, "--port", str(port)]
    process = subprocess.Popen(
        command, env=kept | settings, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait()


async def _first_status(port: int, call: Call) -> int:
    """Ask as soon as anybody listens; return what is answered.

    Raises:
        MeasurementError: nobody does.

    """
    with suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while True:
                with suppress(OSError):
                    connection = await Connection.open(port)
                    answer = await connection.answer_to(
                        head_of(call.fields, len(call.body)), call.body
                    )
                    connection.close()
                    return answer.status
                await asyncio.sleep(0.01)
    message = "the new process never listened"
    raise MeasurementError(message)
