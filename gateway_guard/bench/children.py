"""Processes of their own, for what must not share one with the measurement."""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, Final

import structlog

from gateway_guard.bench.errors import MeasurementError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

    Say = Callable[[Any], None]

_STDOUT: Final = 1
_STDERR: Final = 2


class Child:
    """A process that works, and what it says."""

    def __init__(self, process: BaseProcess, connection: Connection) -> None:
        self._process = process
        self._connection = connection

    @property
    def pid(self) -> int | None:
        """Return the id of the process."""
        return self._process.pid

    def heard(self) -> object:
        """Wait for the next thing that the work says.

        Raises:
            MeasurementError: if it has come to its end without saying more.

        """
        try:
            return self._connection.recv()
        except EOFError:
            message = f"{self._process.name} came to an early end"
            raise MeasurementError(message) from None

    def stop(self) -> None:
        """Ask the process to end; nothing happens if it has."""
        self._process.terminate()


@contextmanager
def child(work: Callable[..., None], *arguments: object) -> Iterator[Child]:
    """Run ``work(say, *arguments)`` in a fresh process, which ends with the context."""
    context = get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    name = f"{work.__module__}.{work.__name__}"
    process = context.Process(target=_run, args=(theirs, work, *arguments), name=name, daemon=True)
    process.start()
    theirs.close()
    try:
        yield Child(process, ours)
    finally:
        process.terminate()
        process.join()
        process.close()
        ours.close()


def _run(connection: Connection, work: Callable[..., None], *arguments: object) -> None:
    # What the parent prints is for programs, so nothing but trouble is printed beside it.
    os.dup2(_STDERR, _STDOUT)
    logging.disable(logging.INFO)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    work(connection.send, *arguments)
