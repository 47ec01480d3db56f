"""How the work of a Valkey server grows with requests and with guards that write to it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from itertools import count
from random import Random
from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple

from gateway_guard.bench.fleet_client import Scene, opened
from gateway_guard.bench.fleet_report import Cost, Line, Slope, line
from gateway_guard.bench.fleet_traffic import program
from gateway_guard.bench.texts import Texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway_guard.bench.fleet_client import Process
    from gateway_guard.bench.fleet_valkey import Kept, Server, Work

RATE: Final = 80.0
"""Requests a second of the whole fleet, whatever its size."""

MANY, FEW = 200, 8
_MODELLED: Final = (8, 16, 32, 100)
_SECOND_US: Final = 1e6


class SlopeEffort(NamedTuple):
    """With how many writers to measure, and for how long each time."""

    writers: tuple[int, ...]
    seconds: float


class _Load(NamedTuple):
    writers: int
    keys: int
    requests: int
    seconds: float


class _Measured(NamedTuple):
    cost: Cost
    kept: Kept


async def measure_slope(processes: Sequence[Process], server: Server, effort: SlopeEffort) -> Slope:
    """Measure an idle fleet, then fleets of several sizes with many keys and with few.

    A process holds as many guards as it takes to make up the number of writers.
    """
    most = max(effort.writers)
    idle = await _idle(processes, server, most, effort.seconds)
    many = [await _load(processes, server, one, MANY, effort.seconds) for one in effort.writers]
    few = await _load(processes, server, most, FEW, effort.seconds)
    lines = [
        _line([one.cost for one in many], idle, name) for name in ("commands", "bytes", "cpu_us")
    ]
    kept = many[-1].kept
    return Slope(
        idle_commands=idle.commands,
        idle_bytes=idle.bytes,
        idle_cpu_us=idle.cpu_us,
        costs=[*(one.cost for one in many), few.cost],
        commands=lines[0],
        bytes=lines[1],
        cpu_us=lines[2],
        a_part_bytes=kept.bytes_a_part,
        parts_a_subject=kept.parts / max(1, kept.subjects),
        subjects_a_key=kept.subjects / MANY,
        one_core={str(size): _one_core(size, idle, lines[2]) for size in _MODELLED},
    )


class Idle(NamedTuple):
    """What one writer costs in a second in which nobody asks anything."""

    commands: float
    bytes: float
    cpu_us: float


async def _idle(processes: Sequence[Process], server: Server, writers: int, seconds: float) -> Idle:
    async with AsyncExitStack() as stack:
        await _guards(stack, processes, server, "idle", writers)
        before, begun = server.work(), monotonic()
        await asyncio.sleep(seconds)
        work, spent = server.work().since(before), writers * (monotonic() - begun)
    return Idle(work.total / spent, work.bytes / spent, _SECOND_US * work.cpu_seconds / spent)


async def _load(
    processes: Sequence[Process], server: Server, writers: int, keys: int, seconds: float
) -> _Measured:
    """Have keys ask through guards at random, at a steady rate."""
    name = f"load-{writers}-{keys}"
    random, texts = Random(name), Texts(writers)
    async with AsyncExitStack() as stack:
        scenes = await _guards(stack, processes, server, name, writers)
        before, begun = server.work(), monotonic()
        asked: list[asyncio.Task[object]] = []
        for number in count(1):
            ask = program(random.randrange(keys), texts)
            asked.append(asyncio.create_task(random.choice(scenes).balanced(ask)))
            await asyncio.sleep(begun + number / RATE - monotonic())
            if monotonic() - begun >= seconds:
                break
        await asyncio.gather(*asked)
        await asyncio.sleep(2.0 / len(asked))
        work, spent = server.work().since(before), monotonic() - begun
        told = [one["parts"] for scene in scenes for one in await scene.tell()]
        kept = server.kept(name)
    parts = {label: sum(one.get(label, 0) for one in told) for label in ("pushed", "read")}
    load = _Load(writers, keys, len(asked), spent)
    return _Measured(_cost(work, load, parts, kept), kept)


def _cost(work: Work, load: _Load, parts: dict[str, int], kept: Kept) -> Cost:
    return Cost(
        *load,
        commands=work.total / load.requests,
        bytes=work.bytes / load.requests,
        cpu_us=_SECOND_US * work.cpu_seconds / load.requests,
        pushed=parts["pushed"] / load.requests,
        read=parts["read"] / load.requests,
        news_bytes=kept.news_bytes / load.requests,
    )


async def _guards(
    stack: AsyncExitStack,
    processes: Sequence[Process],
    server: Server,
    namespace: str,
    writers: int,
) -> list[Scene]:
    """Open so many guards in one namespace, as evenly over the processes as can be."""
    return [
        await stack.enter_async_context(
            opened(
                f"{namespace}/{number}",
                [processes[number % len(processes)]],
                server.url,
                namespace=namespace,
            )
        )
        for number in range(writers)
    ]


def _line(costs: Sequence[Cost], idle: Idle, name: str) -> Line:
    """Return what a request takes by the number of writers, without what they take idle."""
    points = []
    for cost in sorted(costs, key=lambda one: one.writers)[-2:]:
        resting = getattr(idle, name) * cost.writers * cost.seconds / cost.requests
        points.append((float(cost.writers), getattr(cost, name) - resting))
    return line(points)


def _one_core(writers: int, idle: Idle, cpu_us: Line) -> float:
    """Return how many requests a second keep a core busy that serves so many writers."""
    left = max(0.0, _SECOND_US - writers * idle.cpu_us)
    return left / max(1e-9, cpu_us.fixed + cpu_us.a_writer * writers)
