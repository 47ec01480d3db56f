"""Run many independent pieces of work on all cores, and show how far they are."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TYPE_CHECKING, Any, Final, TypeVar

from gateway_guard.terminal import progress

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
    with progress() as shown:
        bar = shown.add_task(label, total=len(tasks))
        if jobs < 2:  # noqa: PLR2004
            for at, task in enumerate(tasks):
                done[at] = work(context, task)
                shown.advance(bar)
            return list(done.values())
        with ProcessPoolExecutor(jobs, initializer=_share, initargs=(context,)) as pool:
            futures = {pool.submit(_run, work, task): at for at, task in enumerate(tasks)}
            for future in as_completed(futures):
                result: Any = future.result()
                done[futures[future]] = result
                shown.advance(bar)
    return [done[at] for at in range(len(tasks))]


def _share(context: object) -> None:
    _SHARED[:] = [context]


def _run(work: Callable[[Any, Any], Any], task: object) -> object:
    return work(_SHARED[0], task)
