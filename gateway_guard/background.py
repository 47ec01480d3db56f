"""Work beside the requests: counting what is settled, looking at the policy and the store.

Some mounts never show a middleware the lifespan, so everything starts with the first request of an
event loop.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway_guard.syncing import Pulse

SUMMARY_SECONDS = 60.0
"""How often the log is told how things are."""

FLUSH_SECONDS = 0.02
"""Settled exchanges are counted at the latest after this time; scores read them in any case."""


class Background:
    """Timers on the running event loop, one of each kind at a time."""

    def __init__(
        self,
        flush: Callable[[], None],
        refresh: Callable[[], None],
        every_seconds: float,
        summarise: Callable[[], None] = lambda: None,
        pulse: Pulse | None = None,
    ) -> None:
        """Run ``flush`` when asked to; ``refresh`` may do I/O and runs in a thread.

        ``summarise`` runs every minute and at the end. None of them may raise. ``pulse`` talks to
        the store, and has its own thread.
        """
        self._pulse = pulse
        self._summarise = summarise
        self._summarising: asyncio.TimerHandle | None = None
        self._flush = flush
        self._refresh = refresh
        self._every_seconds = every_seconds
        self._loop: asyncio.AbstractEventLoop | None = None
        self._flushing: asyncio.TimerHandle | None = None
        self._refreshing: asyncio.TimerHandle | None = None
        self._looking: asyncio.Future[None] | None = None

    def start(self) -> None:
        """Start on the running loop; a second call on the same loop does nothing."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._flushing, self._looking = loop, None, None
            self._refreshing = loop.call_later(self._every_seconds, self._look)
            self._summarising = loop.call_later(SUMMARY_SECONDS, self._sum_up)
            if self._pulse is not None:
                self._pulse.start(loop)

    def flush_soon(self) -> None:
        """Count what has been settled within ``FLUSH_SECONDS``."""
        if self._flushing is None and self._loop is not None:
            self._flushing = self._loop.call_later(FLUSH_SECONDS, self._count)

    def stop(self) -> None:
        """Cancel what is planned and count what is left."""
        for handle in (self._flushing, self._refreshing, self._summarising):
            if handle is not None:
                handle.cancel()
        self._loop = self._flushing = self._refreshing = self._looking = None
        self._flush()
        if self._pulse is not None:
            self._pulse.stop()
        self._summarise()

    def _count(self) -> None:
        self._flushing = None
        self._flush()

    def _sum_up(self) -> None:
        self._summarise()
        self._summarising = asyncio.get_running_loop().call_later(SUMMARY_SECONDS, self._sum_up)

    def _look(self) -> None:
        self._looking = asyncio.get_running_loop().run_in_executor(None, self._refresh)
        self._looking.add_done_callback(self._looked)

    def _looked(self, looked: asyncio.Future[None]) -> None:
        """Plan the next look only now: looks at a disk that hangs must not pile up."""
        if looked is self._looking:
            self._refreshing = looked.get_loop().call_later(self._every_seconds, self._look)
