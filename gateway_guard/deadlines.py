"""Deadlines: ends waits that take too long, all of them with one timer.

A timer for each request costs more than most of what the guard does with it.
"""

from __future__ import annotations

import asyncio

_LOOKS = 8
_LONGEST_PAUSE_SECONDS = 1.0


class Wait:
    """One wait of the running task, to be cancelled at ``due_at`` on its loop's clock."""

    __slots__ = ("_cancelled", "_task", "due_at")

    def __init__(self, task: asyncio.Task[object] | None, due_at: float) -> None:
        """Begin to wait."""
        self._task = task
        self._cancelled = False
        self.due_at = due_at

    def cancel(self) -> None:
        """Interrupt the task."""
        if self._task is not None and not self._cancelled:
            self._cancelled = True
            self._task.cancel()

    def is_over(self) -> bool:
        """Tell, once, whether a cancellation of the task came from here alone."""
        return self._cancelled and self._task is not None and not self._task.uncancel()


class Deadlines:
    """The waits of one event loop at a time, each of which may take ``seconds``.

    They are looked at now and then, so a wait ends up to an eighth, at most a second, late.
    """

    def __init__(self, seconds: float) -> None:
        """Look at nothing before the first wait begins."""
        self._seconds = seconds
        self._pause_seconds = min(_LONGEST_PAUSE_SECONDS, seconds / _LOOKS)
        self._waits: dict[Wait, None] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._looking = False

    def begin(self) -> Wait:
        """Begin to wait in the running task."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._looking, self._waits = loop, False, {}
        wait = Wait(asyncio.current_task(), loop.time() + self._seconds)
        self._waits[wait] = None
        if not self._looking:
            self._looking = True
            loop.call_later(self._pause_seconds, self._look, loop)
        return wait

    def end(self, wait: Wait) -> None:
        """Wait no longer."""
        self._waits.pop(wait, None)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Cancel what is overdue; the oldest waits come first."""
        if loop is not self._loop:
            return
        now = loop.time()
        for wait in self._waits:
            if wait.due_at > now:
                break
            wait.cancel()
        self._looking = bool(self._waits)
        if self._looking:
            loop.call_later(self._pause_seconds, self._look, loop)
