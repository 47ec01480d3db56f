"""Strangers with large bodies: keys made up for each request, on many connections at once."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from gateway_guard.bench import loops
from gateway_guard.bench.errors import MeasurementError
from gateway_guard.bench.load import HOST, head_of
from gateway_guard.bench.texts import Texts
from gateway_guard.bench.traffic import asked, plain_caller

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway_guard.bench.children import Say

JUNK: Final = b"junk"
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_RETRY: Final = re.compile(rb"\r\nretry-after: *\d+\r\n", re.IGNORECASE)
_UNAVAILABLE: Final = 503
_PIECE_BYTES: Final = 2**18
_POLITENESS: Final = 5
_FIRST_NETWORK: Final = 16


class Wave(NamedTuple):
    """How much strangers send: on so many connections, bodies of such a size, for so long."""

    connections: int
    body_bytes: int
    seconds: float


class Answered(NamedTuple):
    """The head of an answer, with its status, and its body."""

    status: int
    head: bytes
    body: bytes


class Seen(NamedTuple):
    """What became of the strangers' requests: how many were answered, and refused for now."""

    answered: int
    refused: int


class Connection:
    """One connection, with one request under way at a time."""

    def __init__(
        self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._port = port
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int) -> Connection:
        """Connect to a server on this machine."""
        return cls(port, *await asyncio.open_connection(HOST, port))

    async def reopen(self) -> None:
        """Connect anew."""
        self.close()
        self._reader, self._writer = await asyncio.open_connection(HOST, self._port)

    async def answer_to(self, head: bytes, body: bytes = b"") -> Answered:
        """Send a request in pieces, as fast as they are taken, and return the answer."""
        self._writer.write(head)
        for start in range(0, len(body), _PIECE_BYTES):
            self._writer.write(body[start : start + _PIECE_BYTES])
            await self._writer.drain()
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        body = await self._reader.readexactly(int(length[1])) if length else b""
        return Answered(int(head.split(b" ", 2)[1]), head, body)

    def close(self) -> None:
        """Close the connection at once."""
        self._writer.transport.abort()


def say_flooded(say: Say, port: int, wave: Wave) -> None:
    """Flood a server; say when it begins, and what came of it once it is over."""
    # Strangers are elsewhere in truth: they must not take the processor from who is measured.
    os.nice(_POLITENESS)
    loops.run(_flood(say, port, wave))


async def _flood(say: Say, port: int, wave: Wave) -> None:
    body = asked(plain_caller(0), Texts(seed=12).text(wave.body_bytes)).body
    connections = [await Connection.open(port) for _ in range(wave.connections)]
    seen: list[Answered] = []
    work = [
        asyncio.create_task(_keep_asking(connection, _heads(number, len(body)), body, seen))
        for number, connection in enumerate(connections)
    ]
    say("begun")
    done, pending = await asyncio.wait(work, timeout=wave.seconds)
    for task in pending:
        task.cancel()
    for connection in connections:
        connection.close()
    say(_summed([*seen], sum(task.exception() is not None for task in done)))


async def _keep_asking(
    connection: Connection, heads: Iterator[bytes], body: bytes, seen: list[Answered]
) -> None:
    for head in heads:
        try:
            seen.append(await connection.answer_to(head, body))
        except (ConnectionError, EOFError):
            # A server may close a connection on which it has refused a request.
            await connection.reopen()


def _heads(number: int, length: int) -> Iterator[bytes]:
    """Yield the beginnings of requests from one network, each with a key of its own."""
    network = b"172.%d.%d.1" % (_FIRST_NETWORK + number // 256, number % 256)
    for asking in itertools.count():
        caller = plain_caller(asking * 1_000 + number, JUNK)
        fields = (*caller.fields, (b"x-forwarded-for", network))
        yield head_of(fields, length)


def _summed(seen: list[Answered], failed: int) -> Seen:
    """Count what was seen.

    Raises:
        MeasurementError: a connection failed, or a refusal is not what SDKs expect.

    """
    refused = [answer for answer in seen if answer.status == _UNAVAILABLE]
    if failed or not all(_is_refusal(answer) for answer in refused):
        message = f"{failed} connections failed, or a refusal is of no known shape"
        raise MeasurementError(message)
    return Seen(len(seen) - len(refused), len(refused))


def _is_refusal(answer: Answered) -> bool:
    return _RETRY.search(answer.head) is not None and b'"error"' in answer.body
