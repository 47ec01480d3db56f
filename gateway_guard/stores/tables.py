"""The tables of a file, and what is written to them with a condition."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from sqlite3 import Cursor

    Run: TypeAlias = Callable[..., Cursor]

AT_ONCE = 500
"""Variables that one statement may have, in the oldest SQLite around."""

TABLES = """
CREATE TABLE writers (ns TEXT, slot INTEGER, epoch INTEGER, until REAL, PRIMARY KEY (ns, slot));
CREATE TABLE changes (n INTEGER);
INSERT INTO changes VALUES (0);
CREATE TABLE parts (
  ns TEXT, subject BLOB, slot INTEGER, version BLOB, data BLOB, until REAL, at REAL, change INTEGER,
  PRIMARY KEY (ns, subject, slot)) WITHOUT ROWID;
CREATE INDEX written ON parts (ns, at);
CREATE INDEX lasting ON parts (ns, until) WHERE until > 0;
CREATE TABLE logs (n INTEGER PRIMARY KEY AUTOINCREMENT, ns TEXT, log TEXT, at REAL, data BLOB);
CREATE INDEX told ON logs (ns, log, n);
CREATE TABLE instants (
  ns TEXT, kind TEXT, hash INTEGER, at REAL, used REAL, PRIMARY KEY (ns, kind, hash)) WITHOUT ROWID;
"""
WRITE = """
INSERT INTO parts SELECT * FROM (VALUES {}) AS new WHERE NOT EXISTS (
  SELECT 1 FROM parts AS reset WHERE reset.ns = new.column1 AND reset.subject = new.column2
  AND reset.slot = 65535 AND substr(reset.version, 1, 4) > substr(new.column4, 1, 4))
ON CONFLICT DO UPDATE SET version = excluded.version, data = excluded.data, until = excluded.until,
at = excluded.at, change = excluded.change WHERE excluded.version > version
"""
VOID = """
DELETE FROM parts WHERE ns = ?1 AND subject = ?2 AND substr(version, 1, 4) < (
  SELECT substr(version, 1, 4) FROM parts WHERE ns = ?1 AND subject = ?2 AND slot = 65535)
"""
SUBJECTS = """
SELECT DISTINCT subject FROM parts WHERE ns = ? AND subject > ? ORDER BY subject LIMIT ?
"""
OUTDATE = """
INSERT INTO writers VALUES (?1, ?2, ?3, 0)
ON CONFLICT DO UPDATE SET epoch = ?3, until = 0 WHERE epoch < ?3
"""
KEEP_INSTANTS = """
INSERT INTO instants VALUES {}
ON CONFLICT DO UPDATE SET at = min(at, excluded.at), used = max(used, excluded.used)
"""
LASTING = """
SELECT subject, slot, version, data, until FROM parts
WHERE ns = ? AND until > ? AND until > 0 AND slot = ? ORDER BY until DESC LIMIT ?
"""
UNUSED = "SELECT kind, hash FROM instants WHERE ns = ? AND used < ? AND kind != ? LIMIT ?"
FORGET = "DELETE FROM instants WHERE ns = ? AND kind = ? AND hash = ? AND used < ?"
FREE = """
SELECT min(slot) FROM (SELECT 0 AS slot UNION SELECT slot + 1 FROM writers WHERE ns = ?)
WHERE slot NOT IN (SELECT slot FROM writers WHERE ns = ?)
"""
RENEW = """
INSERT INTO writers VALUES (?1, ?2, ?3, ?4)
ON CONFLICT DO UPDATE SET until = ?4 WHERE epoch = ?3
"""
TAKE = """
SELECT slot, epoch FROM writers WHERE ns = ? AND until <= ? AND slot < ? ORDER BY slot LIMIT 1
"""


def run_all(run: Run, what: str, rows: Sequence[tuple[object, ...]]) -> None:
    """Write many rows in few statements: after each of them the interpreter is to be had anew."""
    if not rows:
        return
    at_once, one = AT_ONCE // len(rows[0]), f"({','.join('?' * len(rows[0]))})"
    for begin in range(0, len(rows), at_once):
        piece = rows[begin : begin + at_once]
        run(what.format(",".join([one] * len(piece))), [*chain.from_iterable(piece)])
