"""Workers that share a store: engines with syncers, whose rounds are held when a test says so."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from gateway_guard.exceptions import StoreError
from gateway_guard.model import SHIPPED
from gateway_guard.stores import Link
from gateway_guard.stores.base import Keeping
from gateway_guard.stores.sqlite import SqliteStore
from gateway_guard.syncing import Syncer
from gateway_guard.timeline import Instant, Timeline
from tests.driving import START_AT, Driver

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from gateway_guard.stores import Store
    from tests.driving import Caller, Play

Method: TypeAlias = Any

KEEPING = Keeping("tests", 90 * 86400.0)


class Worker(Driver):
    """An engine, a syncer, and what passes between them and a store."""

    def __init__(
        self, store: Store, at: float = START_AT, *, skew: float = 0.0, **settings: float | str
    ) -> None:
        """Begin as a process does that has just been started; its wall clock may be wrong."""
        url = "sqlite:///state" if store.shared else "memory://"
        settings = {"store": url, "memory": "2MiB", **settings}
        super().__init__(
            policy=None, model=SHIPPED, started_at=at + skew, secret="known", **settings
        )
        self.now = Instant(at + skew, at)
        self.timeline = _Timeline(self)
        self.link = Link(store, self.instruments, lambda: self.now.steady)
        self.syncer = Syncer(self.memory, self.link, self.timeline, self.instruments)
        self.syncer.begin()

    def sync(self, rounds: int = 1) -> None:
        """Hold rounds."""
        for _ in range(rounds):
            self.flush()
            batch = self.syncer.collect()
            self.syncer.apply(batch, self.syncer.exchange(batch))

    def leave(self) -> None:
        """End as a process does that was told to."""
        self.flush()
        while True:
            batch = self.syncer.collect(everything=True)
            self.syncer.apply(batch, self.syncer.exchange(batch))
            if self.syncer.finished:
                break
        self.syncer.leave()

    def counted(self, caller: Caller) -> float:
        """Return how many exchanges of a caller's key scores see."""
        subject = self.subject(caller)
        return self.reading(subject).slow[0] if subject is not None else 0.0


class _Timeline(Timeline):
    """A worker's present."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def now(self) -> Instant:
        return self._worker.now


@dataclass
class Fleet:
    """Workers over one file, and the time that passes for all of them."""

    folder: Path | None
    workers: list[Worker] = field(default_factory=list)
    at: float = START_AT

    def store(self) -> Store:
        """Return a store of its own for a worker."""
        assert self.folder is not None
        return SqliteStore(self.folder / "state", lambda: self.at, KEEPING)

    def start(
        self, count: int = 1, *, rounds: int = 2, skew: float = 0.0, **settings: float | str
    ) -> list[Worker]:
        """Start workers, and hold rounds until they know what is kept; return them."""
        started = [Worker(self.store(), self.at, skew=skew, **settings) for _ in range(count)]
        self.workers += started
        self.sync(rounds)
        return started

    def end(self, worker: Worker, *, killed: bool = False) -> None:
        """End a worker, with or without a last word."""
        if not killed:
            worker.leave()
        worker.link.close()
        self.workers.remove(worker)

    def wait(self, seconds: float) -> None:
        """Let time pass for everybody."""
        self.at += seconds
        for worker in self.workers:
            worker.wait(seconds)

    def sync(self, rounds: int = 3) -> None:
        """Hold rounds of all workers, in turns: one says, the next one hears."""
        for _ in range(rounds):
            for worker in self.workers:
                worker.sync()
            self.wait(0.1)

    def ask(self, caller: Caller, plays: Iterable[Play], *, seconds: float = 5.0) -> int:
        """Send requests to the workers in turns; return how many were refused."""
        refused = 0
        for number, play in enumerate(plays):
            worker = self.workers[number % len(self.workers)]
            refused += worker.ask(caller, play).decision.refused
            self.wait(seconds)
            self.sync(1)
        return refused


class Faulty:
    """A store that can be made to fail or to forget what it was asked, before or after doing it."""

    def __init__(self, store: Store) -> None:
        """Stand before a store and change nothing."""
        self._store = store
        self.shared, self.durable = store.shared, store.durable
        self.away = False
        self.fails_after: set[str] = set()
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Method:
        """Hand on, or fail."""
        method = getattr(self._store, name)
        if not callable(method) or name == "close":
            return method

        def call(*values: object) -> object:
            self.calls.append(name)
            if self.away:
                raise StoreError(name, kind="gone")
            done = method(*values)
            if name in self.fails_after:
                raise StoreError(name, kind="timeout")
            return done

        return call
