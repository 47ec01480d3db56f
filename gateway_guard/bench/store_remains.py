"""What is left in a store whose writers are gone."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING, Final

from gateway_guard.profile import Slot
from gateway_guard.stores import STANDING, open_store
from gateway_guard.stores.base import Keeping
from gateway_guard.stores.groups import SIZE, is_group
from gateway_guard.stores.parts import from_part
from gateway_guard.stores.urls import sqlite_path
from gateway_guard.syncing.news import decode_notice

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway_guard.stores import Part

_KEEPING: Final = Keeping("default", 90 * 86_400.0)
_MOST_GROUPS: Final = 16


def parts_of(url: str, subjects: list[bytes]) -> list[list[Part]]:
    """Return every writer's part of subjects, and their standings.

    Each group of slots is read as its members read it: there are no sums among what they read.
    """
    store = open_store(url, time.time, _KEEPING)
    found: list[list[Part]] = [[] for _ in subjects]
    store.connect()
    for group in range(_MOST_GROUPS):
        for known, parts in zip(found, store.read(subjects, group * SIZE), strict=True):
            known += [part for part in parts if _belongs(part, group)]
    store.close()
    return found


def _belongs(part: Part, group: int) -> bool:
    if part.slot == STANDING:
        return group == 0
    return not is_group(part.slot) and part.slot // SIZE == group


def counted_in(parts: Iterable[Part]) -> tuple[int, int]:
    """Return how many exchanges parts hold in all, and how many of them cannot be read.

    Half of them is forgotten in two weeks, so that none is in minutes.
    """
    total, broken = 0.0, 0
    for part in parts:
        if part.slot == STANDING:
            broken += decode_notice(part.data) is None
            continue
        row = from_part(part)
        broken += row is None
        total += float(row["linear"][0, 1, Slot.EXCHANGES]) if row is not None else 0.0
    return round(total), broken


def faults(url: str) -> int:
    """Return how many faults a file has, 0 for a store that is none."""
    path = sqlite_path(url)
    if path is None:
        return 0
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        try:
            told = [row[0] for row in database.execute("PRAGMA integrity_check")]
        except sqlite3.DatabaseError as error:
            told = [str(error)]
    return 0 if told == ["ok"] else len(told)
