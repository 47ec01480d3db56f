"""A small HTTP/1.1 client with connections that are kept alive: the cast's network card."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final, cast

import httptools

HOST: Final = "127.0.0.1"


@dataclass(slots=True)
class Response:
    """What came back: status, fields by lower-case name, body."""

    status: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""


class Connection(asyncio.Protocol):
    """One connection that carries one request at a time."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._response = Response()
        self._chunks: list[bytes] = []
        self._waiter: asyncio.Future[Response] | None = None

    def send(self, request: bytes) -> asyncio.Future[Response]:
        """Write a request; the future holds the response once it is complete."""
        if self._transport is None or self._waiter is not None:
            message = "the connection is not free"
            raise ConnectionError(message)
        self._parser = httptools.HttpResponseParser(self)
        self._response, self._chunks = Response(), []
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._waiter

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave the pool; a request that waits has failed."""
        self._transport = None
        self._pool.drop(self)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(exc or ConnectionResetError("closed by the server"))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one field."""
        self._response.headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._chunks.append(body)

    def on_message_complete(self) -> None:
        """Hand the response over and become free."""
        self._response.status = self._parser.get_status_code()
        self._response.body = b"".join(self._chunks)
        waiter, self._waiter = self._waiter, None
        self._pool.give_back(self)
        if waiter is not None and not waiter.done():
            waiter.set_result(self._response)


class ConnectionPool:
    """As many connections to one port as there are requests in flight."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._free: list[Connection] = []
        self._all: set[Connection] = set()

    async def send(self, request: bytes) -> asyncio.Future[Response]:
        """Write a request to a free connection; return the future of its response."""
        connection = self._free.pop() if self._free else await self._open()
        return connection.send(request)

    def give_back(self, connection: Connection) -> None:
        """Use a connection again."""
        self._free.append(connection)

    def drop(self, connection: Connection) -> None:
        """Forget a connection that is closed."""
        self._all.discard(connection)
        if connection in self._free:
            self._free.remove(connection)

    def close(self) -> None:
        """Close every connection."""
        for connection in list(self._all):
            connection.close()

    async def _open(self) -> Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: Connection(self), HOST, self._port)
        self._all.add(connection)
        return connection
