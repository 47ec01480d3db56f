"""Hooks: what the guard tells about itself. Counters that exporters read, events for structlog.

Labels are bounded (action, dialect, mode, outcome), never a key; events carry ids, sizes and
reasons, never texts.
"""

from __future__ import annotations

from collections import Counter, deque
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

import structlog

if TYPE_CHECKING:
    from types import TracebackType

OVERHEADS_KEPT = 8192
"""The newest overheads are kept, one a request."""

_log = structlog.get_logger("gateway_guard")
_LATEST_INSTANT = 253_402_300_799  # the end of the year 9999, as far as dates go


def utc(at: float | None) -> str | None:
    """Return a wall-clock instant as ISO 8601 in UTC, to the second; ``None`` where there is none.

    What the calendar does not know of is the nearest instant that it does.
    """
    if at is None:
        return None
    at = min(max(0, int(at)), _LATEST_INSTANT)
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


class Instrumentation:
    """Counters by name and label, gauges by name, and the guard's own newest overheads in seconds.

    Names stand without the ``gateway_guard_`` prefix and the ``_total`` suffix that exporters add.
    """

    def __init__(self) -> None:
        """Begin at zero."""
        self.counters: Counter[tuple[str, str]] = Counter()
        self.gauges: dict[str, float] = {}
        self.overhead_seconds: deque[float] = deque(maxlen=OVERHEADS_KEPT)

    def count(self, name: str, label: str = "") -> None:
        """Count one event."""
        self.counters[name, label] += 1

    def event(self, name: str, **fields: object) -> None:
        """Log one event, dotted below ``gateway_guard``."""
        # Where logs go is the host's business, and so is what breaks there.
        with suppress(Exception):
            _log.info(f"gateway_guard.{name}", **fields)

    def failed(self, error: BaseException, traceback: TracebackType | None) -> None:
        """Count and log that the guard itself failed: what error and where, never its text.

        An error's text may quote what was being read.
        """
        while traceback is not None and traceback.tb_next is not None:
            traceback = traceback.tb_next
        place = ""
        if traceback is not None:
            place = f"{traceback.tb_frame.f_code.co_filename}:{traceback.tb_lineno}"
        self.count("errors", type(error).__name__)
        with suppress(Exception):
            _log.error("gateway_guard.internal_error", error=type(error).__name__, place=place)


class Contained:
    """Keeps the guard's own failures from the request: ``with Contained(instruments): ...``."""

    __slots__ = ("_instruments", "failed")

    def __init__(self, instruments: Instrumentation) -> None:
        """Report failures to ``instruments``; ``failed`` tells afterwards whether there was one."""
        self._instruments = instruments
        self.failed = False

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        """Swallow errors, but neither cancellation nor the interpreter's own exits."""
        if not isinstance(error, Exception):
            return False
        self.failed = True
        self._instruments.failed(error, traceback)
        return True
