"""The watch over clients that wait longer than most: whether they are still there.

A task for each request costs more than most of what the proxy does with it, and most are answered
before anybody would look.
"""

from __future__ import annotations

import asyncio
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive

PAUSE_SECONDS: Final = 0.04


class Watch:
    """The watch over one client, who has sent its request and waits for the answer."""

    __slots__ = ("_context", "_leave", "_receive", "_task")

    def __init__(self, receive: Receive, leave: Callable[[], None]) -> None:
        """Wait, once told to look, until ``receive`` says that the client left; then ``leave``."""
        self._context = copy_context()
        self._receive = receive
        self._leave = leave
        self._task: asyncio.Task[None] | None = None

    def look(self) -> None:
        """Begin to look, in the context of the request, though a timer of all of them says so."""
        self._task = asyncio.create_task(self._wait(), context=self._context)

    def end(self) -> None:
        """Look no longer."""
        if self._task is not None:
            self._task.cancel()

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._leave()


class Watches:
    """The watches of one event loop at a time, each of which looks when it has become old.

    One timer runs while there are any. What was there already when it last rang is old, so a watch
    begins to look after one to two pauses, and none does of an exchange that is faster.
    """

    def __init__(self) -> None:
        """Run no timer before the first watch begins."""
        self._young: dict[Watch, None] = {}
        self._aged: dict[Watch, None] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ticking = False

    def begin(self, watch: Watch) -> None:
        """Let a watch look before long."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._ticking, self._young, self._aged = loop, False, {}, {}
        self._young[watch] = None
        if not self._ticking:
            self._tick_later(loop)

    def end(self, watch: Watch) -> None:
        """End a watch, wherever it is."""
        self._young.pop(watch, None)
        self._aged.pop(watch, None)
        watch.end()

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let look what has been here for a whole pause."""
        if loop is not self._loop:
            return
        for watch in self._aged:
            watch.look()
        self._aged, self._young = self._young, {}
        self._ticking = False
        if self._aged:
            self._tick_later(loop)

    def _tick_later(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let the timer run, in a context that keeps nothing of the request that wanted it."""
        self._ticking = True
        loop.call_later(PAUSE_SECONDS, self._tick, loop, context=Context())
