"""``gateway-guard demo``: make a cast, play it, show what became of everybody."""

from __future__ import annotations

import asyncio
import logging
import sys
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

import structlog

from gateway_guard.corpora import read_folder
from gateway_guard.demo.cast import own_cast
from gateway_guard.demo.cold import cold_cast
from gateway_guard.demo.corpus_cast import corpus_cast
from gateway_guard.demo.mounted import DemoGuard, demo_settings
from gateway_guard.demo.report import cold_report, encode, overhead, scene_report
from gateway_guard.demo.stage import run
from gateway_guard.demo.summary import summary
from gateway_guard.demo.table import LiveTable
from gateway_guard.demo.wire import HttpWire

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gateway_guard.demo.report import Json
    from gateway_guard.demo.script import Cast
    from gateway_guard.demo.stage import OnEvent
    from gateway_guard.demo.tally import Results

COLD: Final = "cold"


def demo(*, seed: int, folder: Path | None, scene: str | None, as_json: bool) -> None:
    """Play a scene and show it, on the screen or as JSON.

    Raises:
        ConfigurationError: if the folder of texts cannot be used.

    """
    cold = scene == COLD
    guard = DemoGuard(demo_settings(seed, warm=not cold))
    cast = make_cast(seed, folder, cold=cold)
    with quiet():
        if as_json:
            sys.stdout.write(encode(report_of(cast, guard, cold=cold)) + "\n")
        else:
            show(cast, guard)


def make_cast(seed: int, folder: Path | None, *, cold: bool) -> Cast:
    """Return the cast of a scene."""
    sources = read_folder(folder) if folder is not None else []
    if cold:
        return cold_cast(seed, sources)
    return corpus_cast(seed, sources) if sources else own_cast(seed)


def report_of(cast: Cast, guard: DemoGuard, *, cold: bool) -> Json:
    """Play a cast and return what the scene reports."""
    results = play(cast, guard)
    return cold_report(results) if cold else scene_report(results, guard.overhead_seconds)


def show(cast: Cast, guard: DemoGuard) -> None:
    """Play a cast under a live table, with a summary at the end."""
    settings = guard.settings
    title = f"gateway-guard demo: MODE={settings.mode} WARMUP={settings.warmup:g}s seed {cast.seed}"
    with LiveTable(title) as table:
        results = play(cast, guard, on_event=table.update)
        table.finish(results, list(summary(results, overhead(guard.overhead_seconds))))


def play(cast: Cast, guard: DemoGuard, *, on_event: OnEvent | None = None) -> Results:
    """Play a cast over HTTP, on an event loop of its own."""

    async def over_http() -> Results:
        async with HttpWire(guard) as wire:
            return await run(cast, wire=wire, on_event=on_event)

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(over_http())


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return the fastest event loop that is installed."""
    if find_spec("uvloop") is not None:
        loop: asyncio.AbstractEventLoop = import_module("uvloop").new_event_loop()
        return loop
    return asyncio.new_event_loop()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the guard's own events off the screen."""
    configured = structlog.get_config()
    severe = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=severe, cache_logger_on_first_use=False)
    try:
        yield
    finally:
        structlog.configure(**configured)
