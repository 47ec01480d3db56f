"""Run many independent pieces of work on all cores, and show how far they are."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TYPE_CHECKING, Any, Final, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Context = TypeVar("Context")
Task = TypeVar("Task")
Result = TypeVar("Result")

_SHARED: Final[list[Any]] = []
"""What every task of this process works on, set once as a worker starts."""


def run_all(
    work: Callable[[Context, Task], Result],
    context: Context,
    tasks: Sequence[Task],
    *,
    label: str,
    jobs: int | None = None,
) -> list[Result]:
    """Return what ``work`` makes of each task, in order, with the same context for all of them."""
    jobs = min(jobs or os.cpu_count() or 1, len(tasks))
    done: dict[int, Result] = {}
    with _progress() as progress:
        bar = progress.add_task(label, total=len(tasks))
        if jobs < 2:  # noqa: PLR2004
            for at, task in enumerate(tasks):
                done[at] = work(context, task)
                progress.advance(bar)
            return list(done.values())
        with ProcessPoolExecutor(jobs, initializer=_share, initargs=(context,)) as pool:
            futures = {pool.submit(_run, work, task): at for at, task in enumerate(tasks)}
            for future in as_completed(futures):
                result: Any = future.result()
                done[futures[future]] = result
                progress.advance(bar)
    return [done[at] for at in range(len(tasks))]


def _progress() -> Progress:
    """Return a bar on the standard error: the standard output belongs to results."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True))


def _share(context: object) -> None:
    _SHARED[:] = [context]


def _run(work: Callable[[Any, Any], Any], task: object) -> object:
    return work(_SHARED[0], task)
