"""Stores in which more is kept than a process has room for, or looks through in a moment."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import numpy as np

from gateway_guard import profile
from gateway_guard.actions import Action
from gateway_guard.principal import SubjectKind
from gateway_guard.stores import tables
from gateway_guard.stores.parts import to_part, to_parts
from gateway_guard.stores.resting import in_pieces
from gateway_guard.syncing.news import Notice
from gateway_guard.syncing.notices import kept
from tests.driving import START_AT
from tests.syncing import Fleet, Worker

if TYPE_CHECKING:
    from pathlib import Path

    from gateway_guard.profile import RowArray

HOUR = 3600.0


def blocked(kind: SubjectKind, number: int, until_at: float) -> Notice:
    """Return what is told of a subject that is blocked."""
    subject = bytes((kind,)) + number.to_bytes(15)
    return Notice(
        subject, revision=int(START_AT), action=int(Action.BLOCK), until_at=until_at, offences=1
    )


def rows_of_many_forms(count: int) -> list[RowArray]:
    """Return rows that are empty, sparse, full, old and new."""
    random, rows = np.random.default_rng(3), []
    for number in range(count):
        row, filled = profile.empty(), random.random() ** 3
        row["subject"] = memoryview(number.to_bytes(16))
        row["sequence"], row["epoch"], row["reset_epoch"] = number, number % 5, number % 3
        for name in ("shingles", "registers", "counts"):
            shape, most = row[name].shape, [2, 200, 255, 60_000][number % 4]
            most = min(most, 255) if row[name].dtype == np.uint8 else most
            row[name] = random.integers(1, most, shape) * (random.random(shape) < filled)
        used = random.random((1, 1, profile.USED)) < filled
        slices = random.random((1, 2, profile.USED)).astype("f4") * used
        row["linear"][:, :, : profile.USED] = slices[:, :1] if number % 2 else slices
        row["first_seen_at"] = START_AT
        row["last_seen_at"] = START_AT + number % 2
        row["offences"] = number % 7 == 0
        rows.append(row)
    return rows


def test_rows_are_made_parts_together_as_one_by_one() -> None:
    """It is only faster."""
    rows = rows_of_many_forms(60)
    together = to_parts([(row, START_AT + at) for at, row in enumerate(rows)], 3)
    assert together == [to_part(row, 3, START_AT + at) for at, row in enumerate(rows)]
    assert len({part.data for part in together}) > 50
    assert to_parts([], 3) == []


def test_pieces_are_all_there_is() -> None:
    """In their order, and none is empty."""
    assert [*in_pieces(range(5), 2)] == [range(2), range(2, 4), range(4, 5)]
    assert [*in_pieces([], 2)] == []


def test_who_starts_looks_through_no_profile() -> None:
    """Standings that last are found by an index, however much else a file holds."""
    with sqlite3.connect(":memory:") as database:
        database.executescript(tables.TABLES)
        plan = database.execute(f"EXPLAIN QUERY PLAN {tables.LASTING}", ("", 1.0, 0, 1)).fetchall()
    database.close()
    assert [step[3] for step in plan] == ["SEARCH parts USING INDEX lasting (ns=? AND until>?)"]


def test_a_flood_of_one_kind_leaves_room_for_the_others_at_the_start(tmp_path: Path) -> None:
    """More end users are blocked than there is room for, and longer; a key stays blocked."""
    fleet = Fleet(tmp_path)
    store, at = fleet.store(), fleet.at
    store.connect()
    room = Worker(fleet.store(), at).memory.standings.capacity
    key = blocked(SubjectKind.KEY, 1, at + HOUR)
    flood = [
        blocked(SubjectKind.END_USER, number, at + 2 * HOUR + number) for number in range(room + 9)
    ]
    store.write([kept(notice) for notice in [key, *flood]])
    [worker] = fleet.start(rounds=0)
    standings = worker.memory.standings
    assert len(standings) == room
    assert standings.get(key.subject) is not None
    assert standings.get(flood[0].subject) is None
    assert standings.get(flood[-1].subject) is not None
