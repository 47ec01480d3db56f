"""Connections to the upstream are used again, save where one that is used again may be dead."""

from __future__ import annotations

import asyncio

import httpx

from gateway_guard.proxy import create_proxy
from tests.servers import answering, serving

STREAM = b"""HTTP/1.1 200 OK\r
content-type: text/event-stream\r
transfer-encoding: chunked\r
keep-alive: timeout=5, max=100\r
\r
"""
WHOLE = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


async def test_a_stream_is_the_last_answer_on_its_connection() -> None:
    """Some servers close after a stream, though they promised to keep the connection."""
    begun = asyncio.Event()

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            while await reader.readline() != b"\r\n":
                pass
            if b"/whole" in line:
                writer.write(WHOLE)
                continue
            writer.write(STREAM)
            await begun.wait()
            writer.write(b"b\r\ndata: one\n\n\r\n0\r\n\r\n")
            # Closed as soon as there is a next request, which is when it hurts.
            await reader.read(1)
            break
        writer.close()

    async with (
        answering(upstream) as address,
        serving(create_proxy(address)) as proxy,
        httpx.AsyncClient(base_url=proxy) as client,
    ):
        for _ in range(3):
            begun.clear()
            async with client.stream("POST", "/stream") as stream:
                begun.set()
                assert await stream.aread() == b"data: one\n\n"
            assert (await client.post("/whole")).text == "ok"


async def test_a_whole_answer_leaves_its_connection_open() -> None:
    """The next request saves the time to make another one."""
    connections = 0

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while await reader.readline():
            while await reader.readline() != b"\r\n":
                pass
            writer.write(WHOLE)
        writer.close()

    async with (
        answering(upstream) as address,
        serving(create_proxy(address)) as proxy,
        httpx.AsyncClient(base_url=proxy) as client,
    ):
        for _ in range(3):
            assert (await client.post("/whole")).text == "ok"
    assert connections == 1
