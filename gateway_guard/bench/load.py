"""A light HTTP client: keep-alive connections, each with one request under way at a time."""

from __future__ import annotations

import asyncio
import re
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from gateway_guard.bench.errors import MeasurementError
from gateway_guard.bench.traffic import PATH

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gateway_guard.bench.traffic import Call, Field

HOST: Final = "127.0.0.1"
CONNECTIONS: Final = 16
PATIENCE_SECONDS: Final = 120.0
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_OK: Final = b"HTTP/1.1 200 "
_LAST_CHUNK: Final = b"\r\n0\r\n\r\n"


class Load(NamedTuple):
    """How a number of requests went: requests a second, and how long each took."""

    rate: float
    latencies_seconds: list[float]


def on_the_wire(call: Call) -> bytes:
    """Return a request as it is sent."""
    return head_of(call.fields, len(call.body)) + call.body


def head_of(fields: Iterable[Field], length: int) -> bytes:
    """Return what comes before a body of some length."""
    every = [(b"host", HOST.encode()), *fields, (b"content-length", b"%d" % length)]
    return b"POST %b HTTP/1.1\r\n%b\r\n" % (PATH, b"".join(b"%b: %b\r\n" % one for one in every))


async def load(port: int, calls: Iterable[Call], *, connections: int = CONNECTIONS) -> Load:
    """Make requests of a server on this machine as fast as it answers.

    Raises:
        MeasurementError: if an answer is not 200, or a connection is closed before the end, or the
            server takes longer than anybody has patience for.

    """
    loop = asyncio.get_running_loop()
    requests = [on_the_wire(call) for call in calls]
    run = _Run(requests)
    made = partial(_Client, run)
    clients = [(await loop.create_connection(made, HOST, port))[1] for _ in range(connections)]
    try:
        begun = perf_counter()
        for client in clients:
            client.next()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await run.ended
        return Load(len(requests) / (perf_counter() - begun), run.latencies)
    except TimeoutError:
        message = f"a server answered {len(run.latencies)} of {len(requests)} requests"
        raise MeasurementError(message) from None
    finally:
        await asyncio.gather(*(client.close() for client in clients))


class _Run:
    """What the connections share: the requests that are left, and what became of the others."""

    def __init__(self, requests: Sequence[bytes]) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.latencies: list[float] = []
        self.left = iter(requests)
        self._unanswered = len(requests)

    def answered(self, seconds: float) -> None:
        """Count an answer; the last ends the run."""
        self.latencies.append(seconds)
        self._unanswered -= 1
        if not self._unanswered and not self.ended.done():
            self.ended.set_result(None)

    def fail(self, message: str) -> None:
        """End the run, unless it has ended."""
        if not self.ended.done():
            self.ended.set_exception(MeasurementError(message))


class _Client(asyncio.Protocol):
    """One connection, with one request under way at a time."""

    _transport: asyncio.Transport

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting = False
        self._sent_at = 0.0
        self._answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def next(self) -> None:
        """Send the next request, if one is left."""
        request = next(self._run.left, None)
        self._waiting = request is not None
        if request is not None:
            self._sent_at = perf_counter()
            self._transport.write(request)

    async def close(self) -> None:
        """Close the connection."""
        self._waiting = False
        self._transport.close()
        await self._closed

    def data_received(self, data: bytes) -> None:
        """Go on when an answer is complete."""
        self._answer += data
        if not is_complete(self._answer):
            return
        answer, self._answer = self._answer, b""
        if answer.startswith(_OK):
            self._run.answered(perf_counter() - self._sent_at)
            self.next()
        else:
            self._run.fail(f"a server answered {answer[:40]!r}")

    def connection_lost(self, exc: Exception | None) -> None:
        """End the run if an answer was still to come."""
        del exc
        self._closed.set_result(None)
        if self._waiting:
            self._run.fail("a server closed a connection")


def is_complete(answer: bytes) -> bool:
    """Tell whether an answer has come to its end, by its length or its last chunk."""
    end = answer.find(b"\r\n\r\n") + 4
    if end < len(b"\r\n\r\n"):
        return False
    length = _LENGTH.search(answer, 0, end)
    if length is None:
        return answer.endswith(_LAST_CHUNK)
    return len(answer) >= end + int(length[1])
