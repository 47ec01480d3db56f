"""A client that waits longer than most is watched, and nobody else is."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import TYPE_CHECKING

import httpx

from gateway_guard.proxy import create_proxy
from gateway_guard.proxy.watching import Watch, Watches

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import Message, Receive, Scope

NAME: ContextVar[str] = ContextVar("NAME")


class Client:
    """A client that has sent its request, and leaves when it is told to."""

    def __init__(self) -> None:
        self.left = asyncio.Event()
        self.asked = asyncio.Event()
        self.forgotten = asyncio.Event()
        self.sent: list[Message] = []
        self._request: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]
        self.name = ""

    async def receive(self) -> Message:
        """Return the request, then wait until the client leaves."""
        if self._request:
            return self._request.pop()
        self.name = NAME.get("")
        self.asked.set()
        try:
            await self.left.wait()
        finally:
            self.forgotten.set()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Keep what it is sent."""
        self.sent.append(message)


def scope() -> Scope:
    """Return the scope of a request."""
    return {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}


async def test_a_fast_exchange_starts_no_task() -> None:
    """Neither within it nor behind it, and the server is not asked about the client."""
    client, counted = Client(), []

    def upstream(_: httpx.Request) -> httpx.Response:
        counted.append(len(asyncio.all_tasks()))
        return httpx.Response(200)

    app = create_proxy("http://upstream", transport=httpx.MockTransport(upstream))
    before = len(asyncio.all_tasks())
    await app(scope(), client.receive, client.send)
    assert [*counted, len(asyncio.all_tasks())] == [before, before]
    assert not client.asked.is_set()
    assert client.sent[0]["status"] == 200


async def test_a_slow_exchange_is_watched_until_it_ends() -> None:
    """The server is asked about the client, and no longer once the answer is complete."""
    client = Client()

    async def upstream(_: httpx.Request) -> httpx.Response:
        await client.asked.wait()
        return httpx.Response(200)

    app = create_proxy("http://upstream", transport=httpx.MockTransport(upstream))
    await app(scope(), client.receive, client.send)
    await client.forgotten.wait()
    assert client.sent[-1]["more_body"] is False


async def test_a_body_read_to_its_end_after_its_answer_starts_no_watch() -> None:
    """A transport may still hold the body when the request is long over."""
    bodies = []
    messages: list[Message] = [
        {"type": "http.request", "body": b"end"},
        {"type": "http.request", "body": b"begin", "more_body": True},
    ]

    class Unread(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            assert isinstance(request.stream, httpx.AsyncByteStream)
            bodies.append(aiter(request.stream))
            return httpx.Response(413)

    async def receive() -> Message:
        return messages.pop()

    app = create_proxy("http://upstream", transport=Unread())
    await app(scope(), receive, Client().send)
    before = len(asyncio.all_tasks())
    assert [piece async for piece in bodies[0]] == [b"begin", b"end"]
    assert len(asyncio.all_tasks()) == before


async def test_a_client_that_left_unseen_is_noticed_when_it_is_watched() -> None:
    """Within a stream as before it."""
    client, closed = Client(), asyncio.Event()
    client.left.set()

    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"data"
            await asyncio.Event().wait()

        async def aclose(self) -> None:
            closed.set()

    def upstream(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=Endless())

    app = create_proxy("http://upstream", transport=httpx.MockTransport(upstream))
    await app(scope(), client.receive, client.send)
    assert closed.is_set()
    assert [message.get("body") for message in client.sent] == [None, b"data"]


async def test_a_client_is_watched_in_the_context_of_its_request() -> None:
    """Though one timer starts the watches of all."""
    clients = {name: Client() for name in ("first", "second")}

    async def upstream(_: httpx.Request) -> httpx.Response:
        await clients[NAME.get()].asked.wait()
        return httpx.Response(200)

    app = create_proxy("http://upstream", transport=httpx.MockTransport(upstream))

    async def call(name: str, client: Client) -> None:
        NAME.set(name)
        await app(scope(), client.receive, client.send)

    async with asyncio.TaskGroup() as tasks:
        for name, client in clients.items():
            tasks.create_task(call(name, client))
    assert [client.name for client in clients.values()] == ["first", "second"]


def test_watches_belong_to_one_loop_at_a_time() -> None:
    """What was left behind in a loop is looked at no more, and the next one has its own timer."""
    looked: list[str] = []
    watches = Watches()

    def watch(name: str, seen: asyncio.Event) -> Watch:
        async def receive() -> Message:
            looked.append(name)
            return {"type": "http.disconnect"}

        return watch_of(receive, seen)

    async def begin(name: str) -> None:
        watches.begin(watch(name, asyncio.Event()))

    async def see(name: str, among: Watches) -> None:
        seen = asyncio.Event()
        among.begin(watch(name, seen))
        await seen.wait()

    with asyncio.Runner() as first, asyncio.Runner() as second:
        first.run(begin("lost"))
        second.run(see("second", watches))
        first.run(see("other", Watches()))
    assert looked == ["second", "other"]


def watch_of(receive: Receive, seen: asyncio.Event) -> Watch:
    """Return a watch that says when its client has left."""
    return Watch(receive, seen.set)
