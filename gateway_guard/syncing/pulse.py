"""The pulse: rounds with a store, one after the other, beside whatever the event loop does."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import monotonic, thread_time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

    from gateway_guard.enforcement import Decision
    from gateway_guard.instrumentation import Instrumentation
    from gateway_guard.syncing.rounds import Batch, Heard
    from gateway_guard.syncing.syncer import Syncer

from cachetools import LRUCache

from gateway_guard.actions import Action
from gateway_guard.instrumentation import Contained

ROUND_SECONDS = 0.1
"""How long after a round the next one begins."""

_SOON = 0.1
_LAST_SECONDS = 2.0
_VERDICTS_KEPT = 4096


class Pulse:
    """Rounds on the running event loop, with a thread of their own for the store.

    ``rounds`` counts those that were begun, ``held_seconds`` is the most of the event loop's time,
    on the processor, that one of them took at once.
    """

    def __init__(
        self,
        syncer: Syncer,
        instruments: Instrumentation,
        listeners: list[Callable[[Decision], None]] | None = None,
    ) -> None:
        """Begin no round and no thread; ``listeners`` are told of every decision."""
        self._syncer, self._instruments = syncer, instruments
        self.rounds, self.held_seconds, self._hurried = 0, 0.0, False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._planned: asyncio.Handle | None = None
        self._known: LRUCache[tuple[str, Action], bool] = LRUCache(_VERDICTS_KEPT)
        self._threads: ThreadPoolExecutor | None = None
        if listeners is not None:
            listeners.append(self.hear)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin rounds on a loop."""
        self._loop = loop
        if self._threads is None:
            self._threads = ThreadPoolExecutor(1, "gateway-guard-store")
        self._planned = loop.call_later(0.0, self._beat)

    def hear(self, decision: Decision) -> None:
        """Begin a round at once where somebody is slowed down or stopped for the first time."""
        verdict = decision.subject_id, decision.action
        if decision.action < Action.THROTTLE or verdict in self._known:
            return
        self._known[verdict] = True
        self._hurried = True
        if self._loop is not None and self._planned is not None:
            self._planned.cancel()
            self._planned = self._loop.call_soon(self._beat)

    def stop(self) -> None:
        """Have what is left said, for at most two seconds, and end the thread."""
        if self._planned is not None:
            self._planned.cancel()
        threads, self._threads, self._loop, self._planned = self._threads, None, None, None
        if threads is None:
            return
        with Contained(self._instruments):
            self._finish(threads)
        threads.shutdown(wait=False)

    def _finish(self, threads: ThreadPoolExecutor) -> None:
        """Hold rounds until all is said, and then no more.

        Raises:
            TimeoutError: the store takes too long.

        """
        end_at, syncer = monotonic() + _LAST_SECONDS, self._syncer
        while True:
            batch = syncer.collect(everything=True)
            held = threads.submit(syncer.exchange, batch)
            syncer.apply(batch, held.result(max(0.0, end_at - monotonic())))
            if syncer.finished:
                break
        threads.submit(syncer.leave).result(max(0.0, end_at - monotonic()))

    def _beat(self) -> None:
        loop, threads, batch = self._loop, self._threads, None
        if loop is None or threads is None:
            return
        self._hurried = False
        with Contained(self._instruments), self._held():
            batch = self._syncer.collect()
        if batch is None or self._syncer.idle(batch):
            self._planned = loop.call_later(ROUND_SECONDS, self._beat)
            return
        self.rounds += 1
        self._planned = None
        held = loop.run_in_executor(threads, self._syncer.exchange, batch)
        held.add_done_callback(lambda done: self._heard(loop, batch, done))

    def _heard(
        self, loop: asyncio.AbstractEventLoop, batch: Batch, done: asyncio.Future[Heard | None]
    ) -> None:
        """Take note of a round that is over, and plan the next one only now."""
        if loop is not self._loop:
            return
        pause = ROUND_SECONDS
        with Contained(self._instruments), self._held():
            heard = None if done.cancelled() else done.result()
            self._syncer.apply(batch, heard)
            if self._syncer.urgent(heard) or self._hurried:
                pause *= _SOON
        self._planned = loop.call_later(pause, self._beat)

    @contextmanager
    def _held(self) -> Iterator[None]:
        begun = thread_time()
        yield
        self.held_seconds = max(self.held_seconds, thread_time() - begun)
        self._instruments.gauges["store_held_seconds"] = self.held_seconds
