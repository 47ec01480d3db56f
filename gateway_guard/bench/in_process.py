"""What middlewares add to a request, without sockets."""

from __future__ import annotations

from statistics import median
from typing import Final, NamedTuple

from gateway_guard.bench.answers import CHUNKS
from gateway_guard.bench.contestants import BARE, GUARD
from gateway_guard.bench.report import Added, InProcess
from gateway_guard.bench.rounds import Heat, entered, run_heats
from gateway_guard.bench.traffic import (
    CALLERS,
    LARGE,
    MEDIUM,
    Conversations,
    Manner,
    Prompts,
    full_caller,
    plain_caller,
)

OTHERS: Final = ("replay", "limits", "slowapi", "basehttp")
BLOCK: Final = 64
LARGE_BLOCK: Final = 16
STREAMS: Final = 4
FIRST: Final = 32
"""So many requests of a key, from its first on, are those of a key that is not known yet."""


class Heats(NamedTuple):
    """One heat for each kind of request."""

    small: Heat
    one: Heat
    medium: Heat
    large: Heat
    whole: Heat
    streams: Heat


async def measure_in_process(*, rounds: int, known: int) -> InProcess:
    """Return the bare application's time, and what each middleware adds to it, in microseconds.

    Every key has made about ``known`` requests when its requests begin to count.
    """
    heats = make_heats()
    blocks = known * CALLERS // BLOCK
    first = await heats.small.warm(GUARD, blocks)
    await heats.one.warm(GUARD, blocks)
    await run_heats(heats, rounds=rounds)
    bare_us = heats.small.bare_us()
    first_us = 1e6 * median(first[: FIRST * CALLERS // BLOCK]) - bare_us
    return InProcess(bare_us, added(heats), first_us)


def make_heats() -> Heats:
    """Return the heats; those with six kinds of subjects share one guard and its callers."""
    full = [full_caller(number) for number in range(CALLERS)]
    plain = [plain_caller(number) for number in range(CALLERS)]
    small = entered(*OTHERS, GUARD)
    pair = {BARE: small[BARE], GUARD: small[GUARD]}
    agents = Conversations(full[:LARGE_BLOCK], seed=4, size=LARGE)
    return Heats(
        small=Heat(Prompts(full, seed=1), small, block=BLOCK),
        one=Heat(Prompts(plain, Manner(system=False), seed=2), entered(GUARD), block=BLOCK),
        medium=Heat(Conversations(full, seed=3, size=MEDIUM), pair, block=BLOCK),
        large=Heat(agents, pair, block=LARGE_BLOCK),
        whole=Heat(Prompts(full, seed=5), pair, block=STREAMS),
        streams=Heat(Prompts(full, Manner(stream=True), seed=6), pair, block=STREAMS),
    )


def added(heats: Heats) -> Added:
    """Return what was added in each heat.

    A chunk's share is what a streamed answer adds beyond the same request's whole answer, what is
    read at its end included.
    """
    return Added(
        **{name: heats.small.added_us(name) for name in OTHERS},
        guard_2k=heats.small.added_us(GUARD),
        guard_2k_one=heats.one.added_us(GUARD),
        guard_30k=heats.medium.added_us(GUARD),
        guard_200k=heats.large.added_us(GUARD),
        per_chunk=(heats.streams.added_us(GUARD) - heats.whole.added_us(GUARD)) / CHUNKS,
    )
