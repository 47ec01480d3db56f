"""Requests without sockets: an ASGI application called by hand, as a server would call it."""

from __future__ import annotations

import asyncio
from time import process_time
from typing import TYPE_CHECKING, Any

from gateway_guard.bench.contestants import check
from gateway_guard.bench.errors import MeasurementError
from gateway_guard.bench.traffic import PATH

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from starlette.types import ASGIApp, Message

    from gateway_guard.bench.contestants import Contestant
    from gateway_guard.bench.traffic import Block, Call

PIECE_BYTES = 65_536
"""Servers hand on a large body in pieces of about this size."""

_OK = 200


class Visit:
    """One call of an application: where it takes the request from and sends the answer to."""

    __slots__ = ("_pieces", "status")

    def __init__(self, body: bytes) -> None:
        self._pieces = pieces(body)
        self.status = 0

    async def receive(self) -> Message:
        """Return the next piece of the body, and after the last wait: the client stays."""
        piece = next(self._pieces, None)
        if piece is None:
            await asyncio.get_running_loop().create_future()
        return piece or {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take a piece of the answer."""
        if message["type"] == "http.response.start":
            self.status = message["status"]


def pieces(body: bytes) -> Iterator[Message]:
    """Yield the messages that a body comes in."""
    last = max(0, len(body) - 1) // PIECE_BYTES * PIECE_BYTES
    for start in range(0, last + 1, PIECE_BYTES):
        piece = body[start : start + PIECE_BYTES]
        yield {"type": "http.request", "body": piece, "more_body": start < last}


def scope_of(call: Call) -> dict[str, Any]:
    """Return a request as a server hands it to an application."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 8080),
        "client": ("127.0.0.1", 54321),
        "scheme": "http",
        "method": "POST",
        "root_path": "",
        "path": PATH.decode(),
        "raw_path": PATH,
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1:8080"), *call.fields, content_length(call)],
        "state": {},
    }


def content_length(call: Call) -> tuple[bytes, bytes]:
    """Return the field that says how long the body is."""
    return b"content-length", b"%d" % len(call.body)


async def answered(app: ASGIApp, call: Call) -> int:
    """Make one call and return the status of the answer."""
    visit = Visit(call.body)
    await app(scope_of(call), visit.receive, visit.send)
    return visit.status


async def seconds_of(contestant: Contestant, block: Block) -> float:
    """Return how long a block's requests take one after the other, what they cause included.

    It is the processor's time of this process, in which nothing waits: other programs on the
    machine make less of a difference to it than to the clock on the wall.

    Raises:
        MeasurementError: if a request of the block was not answered with 200, or the guard failed.

    """
    app = contestant.app
    for call in block.openings:
        await answered(app, call)
    contestant.flush()
    visits = [(scope_of(call), Visit(call.body)) for call in block.calls]
    begun = process_time()
    for scope, visit in visits:
        await app(scope, visit.receive, visit.send)
    contestant.flush()
    seconds = process_time() - begun
    check_statuses(visit.status for _, visit in visits)
    check(contestant.failures())
    return seconds


def check_statuses(statuses: Iterable[int]) -> None:
    """Make sure that every request was answered.

    Raises:
        MeasurementError: if one was not.

    """
    wrong = {status for status in statuses if status != _OK}
    if wrong:
        message = f"requests that are measured were answered with {wrong}"
        raise MeasurementError(message)
