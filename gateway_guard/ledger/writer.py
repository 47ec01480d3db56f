"""The writer: takes texts beside the requests, and writes in a thread of its own.

Handing a text over costs the event loop a few microseconds whatever its length. When more waits
than is allowed, texts are dropped and counted; nobody ever waits for the ledger.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from gateway_guard.instrumentation import Contained
from gateway_guard.ledger.batches import Entries
from gateway_guard.ledger.files import make_directory
from gateway_guard.ledger.fingerprints import BYTES_A_FINGERPRINT, Winnower
from gateway_guard.ledger.maintenance import Limits, maintain

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gateway_guard.instrumentation import Instrumentation
    from gateway_guard.ledger.served import Served
    from gateway_guard.settings import Settings

_PAUSE_SECONDS: Final = 0.05
_BREATH_SECONDS: Final = 0.0005
"""Between portions the interpreter is left to the requests."""
_PORTION: Final = 16
_PORTION_CHARS: Final = 1 << 16
_MOST_UNWRITTEN: Final = 1 << 14
_MAINTENANCE_SECONDS: Final = 600.0
_PATIENCE_SECONDS: Final = 30.0


class Options(NamedTuple):
    """How a ledger is written."""

    run: int
    answer_bytes: int
    queue_chars: int
    flush_seconds: float
    limits: Limits

    @classmethod
    def of(cls, settings: Settings) -> Options:
        """Return what the variables say."""
        return cls(
            run=settings.ledger_run,
            answer_bytes=settings.ledger_answer_bytes,
            queue_chars=settings.ledger_queue,
            flush_seconds=settings.ledger_flush_seconds,
            limits=Limits(settings.ledger_keep, settings.ledger_size),
        )


class LedgerWriter:
    """Writes into one directory, which other processes may write into as well."""

    def __init__(
        self,
        directory: Path,
        key: bytes,
        options: Options,
        instruments: Instrumentation,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Prepare; the thread starts with the first text. ``key`` keys the fingerprints."""
        self._directory = directory
        self._options = options
        self._instruments = instruments
        self._clock = clock
        most = max(1, options.answer_bytes // BYTES_A_FINGERPRINT)
        self._winnower = Winnower(key, options.run, most=most)
        make_directory(directory)
        self._entries = Entries(directory, self._winnower, clock())
        self._queue: deque[Served] = deque()
        self._taken_over = 0  # by the event loop's thread alone
        self._done = 0  # by the writing thread alone
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._flush_at = self._maintain_at = 0.0
        self.written = 0
        self.lost = 0
        self._tell()

    @property
    def waiting_chars(self) -> int:
        """Return how much text waits to be fingerprinted."""
        return self._taken_over - self._done

    def offer(self, served: Served) -> bool:
        """Take over a text, unless too much waits already; tell whether it was taken."""
        size = len(served.text)
        if self.waiting_chars + size > self._options.queue_chars:
            self._instruments.count("ledger", "dropped")
            return False
        self._taken_over += size
        self._queue.append(served)
        if self._thread is None:
            self._start()
        self._instruments.count("ledger", "taken")
        return True

    def close(self) -> None:
        """Write what is left and end the thread; another text starts it again."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._stop.set()
            thread.join(_PATIENCE_SECONDS)
            atexit.unregister(self.close)

    def _start(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(self._stop,), name="gateway-guard-ledger", daemon=True
        )
        self._thread.start()
        atexit.register(self.close)

    def _run(self, stop: threading.Event) -> None:
        self._flush_at = time.monotonic() + self._options.flush_seconds
        while not stop.wait(_PAUSE_SECONDS):
            self._work(stop)
            if time.monotonic() >= self._flush_at:
                self._flush()
            if time.monotonic() >= self._maintain_at:
                self._maintain()
        self._work(stop)
        self._flush()

    def _work(self, stop: threading.Event) -> None:
        """Fingerprint what waits, a portion at a time."""
        while self._queue:
            portion, size = self._portion()
            with Contained(self._instruments) as contained:
                self._entries.enter(portion)
            self.lost += len(portion) if contained.failed else 0
            self._done += size
            if len(self._entries) >= _MOST_UNWRITTEN:
                self._flush()
            stop.wait(_BREATH_SECONDS)

    def _portion(self) -> tuple[list[Served], int]:
        portion: list[Served] = []
        size = 0
        while self._queue and len(portion) < _PORTION and size < _PORTION_CHARS:
            portion.append(self._queue.popleft())
            size += len(portion[-1].text)
        return portion, size

    def _flush(self) -> None:
        """Write segments; if that fails, what they would have held is lost, and a chain begins."""
        self._flush_at = time.monotonic() + self._options.flush_seconds
        count = len(self._entries)
        with Contained(self._instruments) as contained:
            self.written += self._entries.write(self._clock())
        if contained.failed:
            self.lost += count
            self._entries = Entries(self._directory, self._winnower, self._clock())
        self._tell()

    def _tell(self) -> None:
        """Have the gauges say how far this is."""
        gauges = self._instruments.gauges
        gauges["ledger_waiting_chars"] = float(self.waiting_chars)
        gauges["ledger_written"] = float(self.written)
        gauges["ledger_lost"] = float(self.lost)

    def _maintain(self) -> None:
        self._maintain_at = time.monotonic() + _MAINTENANCE_SECONDS
        with Contained(self._instruments):
            maintain(self._directory, self._options.limits, self._clock())
