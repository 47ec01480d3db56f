"""Applications and raw answers behind real sockets on this machine, and raw connections to them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager
from inspect import isfunction
from typing import TYPE_CHECKING, Literal

import uvicorn

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Awaitable, Callable, Generator

    from starlette.types import ASGIApp

    Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class LocalServer(uvicorn.Server):
    """A server that is stopped by an event, and leaves the test run's signals alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()
        self.stopped = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen, and say so."""
        await super().startup(sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        """Serve until told to stop."""
        await self.on_tick(0)
        await self.stopped.wait()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Capture none."""
        yield

    @property
    def address(self) -> str:
        """Where it listens, as a URL."""
        port: int = self.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"


@asynccontextmanager
async def serving(
    app: ASGIApp,
    *,
    http: Literal["auto", "h11", "httptools"] = "auto",
    ws: Literal["auto", "none"] = "auto",
) -> AsyncIterator[str]:
    """Serve an application on a free port; yield its address.

    Its answers bear no field that it did not set. A plain function is spared the lifespan. Requests
    still under way at the end are cut.
    """
    config = uvicorn.Config(
        app,
        port=0,
        http=http,
        ws=ws,
        lifespan="off" if isfunction(app) else "auto",
        log_config=None,
        date_header=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=1,
    )
    server = LocalServer(config)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.serve())
        await server.ready.wait()
        try:
            yield server.address
        finally:
            server.stopped.set()


@asynccontextmanager
async def answering(handle: Callable[..., Awaitable[None]]) -> AsyncIterator[str]:
    """Serve connections with a function of reader and writer; yield the address."""
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


@asynccontextmanager
async def connected(address: str) -> AsyncIterator[Connection]:
    """Open a connection to a server for bytes of one's own."""
    host, _, port = address.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.close()
        await writer.wait_closed()
