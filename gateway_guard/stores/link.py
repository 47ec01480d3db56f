"""The link to a store: tried again after failures, ever less often, and told of once a change.

Nothing here is ever awaited by a request. A store that is away costs the thread that calls it a
time-out now and then, and the rest of the guard nothing.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from gateway_guard.exceptions import StoreError
from gateway_guard.instrumentation import Contained

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway_guard.instrumentation import Instrumentation
    from gateway_guard.stores.base import Store

T = TypeVar("T")

SLOW_SECONDS = 1.0
"""Work that takes longer is no help, and is asked for less often."""

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
_STEADY_SECONDS = 60.0  # a store that was up for so long is tried again at once


class Link:
    """A store and whether it does what it is asked; used from one thread at a time."""

    def __init__(
        self,
        store: Store,
        instruments: Instrumentation,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        """Connect to nothing yet; ``timer`` gives monotonic seconds."""
        self.store = store
        self.connections = 0
        self._instruments = instruments
        self._timer = timer
        self._connected = False
        self._pause_seconds = 0.0
        self._retry_at = self._changed_at = timer()
        self._up: bool | None = None

    @property
    def up(self) -> bool:
        """Tell whether the store did what it was last asked."""
        return bool(self._up)

    @property
    def ready(self) -> bool:
        """Tell whether the store is to be asked at present."""
        return self._timer() >= self._retry_at

    def attempt(self, work: Callable[[Store], T]) -> T | None:
        """Have the store do some work; ``None`` where it failed, or is not to be asked yet."""
        begun_at = self._timer()
        if not self.ready:
            return None
        done, error = None, None
        with Contained(self._instruments) as contained:
            try:
                done = self._worked(work)
            except StoreError as failure:
                error = failure
        if error is not None:
            self._failed(str(error.data.get("kind", "unknown")), error.hint)
        elif contained.failed:
            self._failed("internal_error")
        elif self._timer() - begun_at > SLOW_SECONDS:
            self._failed("slow", "a round of work took longer than a second")
        else:
            self._done()
        return done

    def _worked(self, work: Callable[[Store], T]) -> T:
        if not self._connected:
            self.store.connect()
            self._connected, self.connections = True, self.connections + 1
        return work(self.store)

    def close(self) -> None:
        """Let go of the store."""
        self.store.close()
        self._connected = False

    def _done(self) -> None:
        now = self._timer()
        if self._up is False:
            fields = {"after_seconds": round(now - self._changed_at, 1)}
            self._instruments.seldom("info", "store_up", type(self.store).__name__, **fields)
        if not self._up:
            self._up, self._changed_at = True, now
        self._instruments.gauges["store_up"] = 1.0

    def _failed(self, kind: str, hint: str = "") -> None:
        """Take note of a failure; the next attempt waits, and begins with a new connection."""
        now = self._timer()
        self._instruments.count("store_failures", kind)
        if self._up is not False:
            if self._up and now - self._changed_at >= _STEADY_SECONDS:
                self._pause_seconds = 0.0
            fields = {"error": kind, "hint": hint}
            self._instruments.seldom("warning", "store_down", type(self.store).__name__, **fields)
            self._up, self._changed_at = False, now
        self._pause_seconds = min(
            LONGEST_PAUSE_SECONDS, max(FIRST_PAUSE_SECONDS, 2 * self._pause_seconds)
        )
        self._retry_at = now + self._pause_seconds
        self._instruments.gauges["store_up"] = 0.0
        self._connected = kind == "slow"
