"""A store in which very many subjects are kept, written by what writes stores."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from gateway_guard.actions import Action
from gateway_guard.bench import loops
from gateway_guard.bench.apps import answer_at_once
from gateway_guard.bench.calls import answered
from gateway_guard.bench.contestants import guarded
from gateway_guard.bench.traffic import Prompts, full_caller
from gateway_guard.principal import SubjectKind
from gateway_guard.stores.base import Keeping, Part
from gateway_guard.stores.parts import to_parts
from gateway_guard.stores.sqlite import SqliteStore
from gateway_guard.subjects import hash_of
from gateway_guard.syncing.news import AGES, Notice
from gateway_guard.syncing.notices import kept

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NAMESPACE: Final = "default"
_KEEPING: Final = Keeping(NAMESPACE, 90 * 86_400.0)
_CALLERS: Final = 64
_EXCHANGES: Final = 24
_BATCH: Final = 10_000
_STANDING_EVERY: Final = 100
_DAY_SECONDS: Final = 86_400.0
_SHARES: Final = (
    (SubjectKind.KEY, 40),
    (SubjectKind.END_USER, 30),
    (SubjectKind.TEMPLATE, 20),
    (SubjectKind.TEMPLATE_IN_KEY, 10),
)
"""Of a hundred subjects so many are of each kind."""


class Scene(NamedTuple):
    """How many subjects are kept, of them with a standing, and the bytes of all files."""

    subjects: int
    standings: int
    size_bytes: int


def compose(path: Path, subjects: int, blocked: Sequence[bytes]) -> Scene:
    """Write profiles, standings and ages; keys of ``blocked`` are among those that are blocked.

    Profiles are those of real traffic, each many times over under names drawn at random.
    """
    store = SqliteStore(path, time.time, _KEEPING)
    store.connect()
    now = store.now()
    names, data = _names(subjects, blocked), _profiles(now)
    batches = [names[begin : begin + _BATCH] for begin in range(0, len(names), _BATCH)]
    for number, batch in enumerate(batches):
        store.write([_part(name, place, data) for place, name in enumerate(batch)])
        held = [name for place, name in enumerate(batch) if place % _STANDING_EVERY == 0]
        store.write([_standing(name, now, number + place) for place, name in enumerate(held)])
        keys = [hash_of(name) for name in batch if name[0] == SubjectKind.KEY]
        at = np.full(len(keys), now - 30 * _DAY_SECONDS)
        store.keep_instants(AGES, np.array(keys, np.uint64), at)
    # In the middle of them: neither the first nor the last that ends.
    store.write([_standing(name, now, 500) for name in blocked])
    store.close()
    size = sum(file.stat().st_size for file in path.parent.iterdir())
    standings = sum(-(-len(batch) // _STANDING_EVERY) for batch in batches)
    return Scene(len(names), standings + len(blocked), size)


def _names(subjects: int, blocked: Sequence[bytes]) -> list[bytes]:
    """Return names in their order, which a file takes in fastest."""
    drawn = np.random.default_rng(17).bytes(15 * subjects)
    kinds = [bytes((kind,)) for kind, share in _SHARES for _ in range(share)]
    names = [
        kinds[number % len(kinds)] + drawn[15 * number : 15 * (number + 1)]
        for number in range(subjects - len(blocked))
    ]
    return sorted([*names, *blocked])


def _profiles(now: float) -> list[bytes]:
    """Return the profiles of callers after some exchanges, as they are kept."""
    contestant = guarded(answer_at_once)
    prompts = Prompts([full_caller(number) for number in range(_CALLERS)], seed=19)

    async def ask() -> None:
        for call in prompts.block(_CALLERS * _EXCHANGES).calls:
            await answered(contestant.app, call)
        contestant.flush()

    loops.run(ask())
    if contestant.guard is None:
        return []
    slab = contestant.guard.guard.engine.memory.subjects.slab
    used = np.flatnonzero(slab.rows["linear"].any(axis=(1, 2)))[: _CALLERS * 4]
    return [part.data for part in to_parts([(slab.rows[at : at + 1], now) for at in used], 0)]


def _part(name: bytes, number: int, data: list[bytes]) -> Part:
    return Part(name, number % 4, (0, 1, 1 + number % 64), data[number % len(data)])


def _standing(name: bytes, now: float, number: int) -> Part:
    """Return a block that lasts for hours or days."""
    until_at = now + _DAY_SECONDS * (0.25 + number % 1000 / 100)
    notice = Notice(
        subject=name,
        revision=int(now),
        action=int(Action.BLOCK),
        score=4.0,
        reasons=("teacher_yield=1.00 (+3.55)", "synthesis_elicitation=1.00 (+3.07)"),
        families=("elicitation", "yield"),
        until_at=until_at,
        above=64,
        offences=1,
    )
    return kept(notice)
