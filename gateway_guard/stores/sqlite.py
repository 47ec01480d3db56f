"""A store in one file, for the workers of one machine: SQLite with a write-ahead log.

What was written survives the end of a process at any moment; the last writes before a power failure
may be lost, and nothing is ever half-written.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gateway_guard.exceptions import StoreError
from gateway_guard.stores import groups, tables
from gateway_guard.stores.base import (
    GROUPS,
    SCHEMA,
    STANDING,
    STARTS,
    VERSION,
    Entry,
    Instants,
    Lease,
)
from gateway_guard.stores.sqlite_holdings import PARTS, SqliteHoldings, part_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gateway_guard.stores.base import Hashes, Keeping, Part, Times
    from gateway_guard.stores.tables import Run

_BUSY_SECONDS = 0.1
_TRIES = 3


class SqliteStore(SqliteHoldings):
    """A file that all workers of one machine may have open."""

    shared = True
    durable = True

    def __init__(self, path: Path, clock: Callable[[], float], keeping: Keeping) -> None:
        """Open nothing yet; ``clock`` gives wall-clock seconds."""
        self._path, self._clock, self._keeping = path, clock, keeping
        self._ns = keeping.namespace
        self._database: sqlite3.Connection | None = None
        self._opened_file, self._damaged = 0, False

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self._path

    def connect(self) -> None:
        """Open the file; one that was found damaged is put aside, and a new one begun."""
        self.close()
        with self._telling():
            if self._damaged:
                self._put_aside()
            for tries in range(_TRIES):
                try:
                    self._database = self._opened()
                    break
                except sqlite3.OperationalError as error:
                    # Workers that start together make the tables one after the other.
                    if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or tries == _TRIES - 1:
                        raise

    def now(self) -> float:
        """Return the machine's clock."""
        return self._clock()

    def lease(self, seconds: float) -> Lease:
        """Take over the first slot that nobody holds."""
        with self._writing() as run:
            now = self._clock()
            found = run(tables.TAKE, (self._ns, now, GROUPS)).fetchone()
            if found is None:
                found = run(tables.FREE, (self._ns, self._ns)).fetchone()[0], int(now) - 1
            lease = Lease(found[0], found[1] + 1)
            row = (self._ns, *lease, now + seconds)
            run("INSERT OR REPLACE INTO writers VALUES (?, ?, ?, ?)", row)
        return lease

    def renew(self, lease: Lease, seconds: float) -> bool:
        """Hold a slot for longer."""
        with self._writing() as run:
            row = (self._ns, *lease, self._clock() + seconds)
            return run(tables.RENEW, row).rowcount == 1

    def release(self, lease: Lease) -> None:
        """Let go of a slot."""
        self.renew(lease, 0.0)

    def writers(self) -> int:
        """Return how many slots are held."""
        what = "SELECT count(*) FROM writers WHERE ns = ? AND until > ?"
        return int(self._rows(what, self._ns, self._clock())[0][0])

    def write(self, parts: Sequence[Part]) -> None:
        """Keep what is newer, all of it or nothing."""
        if not parts:
            return
        with self._writing() as run:
            run("UPDATE changes SET n = n + 1")
            change, now = run("SELECT n FROM changes").fetchone()[0], self._clock()
            # What a standing forbids of its subject's parts must be there before they are.
            for first in (True, False):
                piece = [part for part in parts if (part.slot == STANDING) is first]
                rows = [self._row(part, now, change) for part in piece]
                tables.run_all(run, tables.WRITE, rows)

    def versions(self, subjects: Sequence[bytes], slot: int) -> list[int]:
        """Return the number of the last write of each subject."""
        what = """
        SELECT subject, max(CASE slot WHEN ?1 THEN 0 ELSE change END) FROM parts
        WHERE ns = ?2 AND subject IN ({}) GROUP BY 1
        """
        found = dict(self._rows_of(what, subjects, slot))
        return [found.get(subject, 0) for subject in subjects]

    def read(self, subjects: Sequence[bytes], slot: int = 0) -> list[list[Part]]:
        """Return what is to be read of each subject."""
        found: dict[bytes, list[Part]] = {subject: [] for subject in subjects}
        for row in self._rows_of(PARTS, subjects):
            found[row[0]].append(part_of(row))
        return [groups.chosen(found[subject], slot, self._clock()) for subject in subjects]

    def standings(self, most: int) -> list[Part]:
        """Return the standings that have not ended."""
        rows = self._rows(tables.LASTING, self._ns, self._clock(), STANDING, most)
        return [part_of(row) for row in rows]

    def append(self, log: str, data: bytes) -> None:
        """Write an entry."""
        with self._writing() as run:
            row = (self._ns, log, self._clock(), data)
            run("INSERT INTO logs (ns, log, at, data) VALUES (?, ?, ?, ?)", row)

    def entries(self, log: str, after: str, most: int) -> list[Entry]:
        """Return the entries that follow."""
        what = "SELECT n, data FROM logs WHERE ns = ? AND log = ? AND n > ? ORDER BY n LIMIT ?"
        rows = self._rows(what, self._ns, log, int(after or 0), most)
        return [Entry(str(number), data) for number, data in rows]

    def end(self, log: str) -> str:
        """Return the last entry's cursor."""
        [[last]] = self._rows("SELECT max(n) FROM logs WHERE ns = ? AND log = ?", self._ns, log)
        return "" if last is None else str(last)

    def keep_instants(self, kind: str, hashes: Hashes, at: Times) -> None:
        """Keep the earliest."""
        with self._writing() as run:
            now = self._clock()
            pairs = zip(hashes.view(np.int64).tolist(), at.tolist(), strict=True)
            rows = [(self._ns, kind, hash_, instant, now) for hash_, instant in pairs]
            tables.run_all(run, tables.KEEP_INSTANTS, rows)

    def instants(self, kind: str, after: str, most: int) -> Instants:
        """Return a page, in the order of the hashes as signed numbers."""
        what = """
        SELECT hash, at FROM instants WHERE ns = ? AND kind = ? AND (? OR hash > ?)
        ORDER BY hash LIMIT ?
        """
        rows = self._rows(what, self._ns, kind, not after, int(after or 0), most)
        hashes = np.array([hash_ for hash_, _ in rows], np.int64).view(np.uint64)
        cursor = str(rows[-1][0]) if len(rows) == most else ""
        return Instants(cursor, hashes, np.array([at for _, at in rows], np.float64))

    def prune(self) -> None:
        """Drop what is too old, and the entries that are too many."""
        oldest, most = self._clock() - self._keeping.seconds, self._keeping.entries
        # To look through a million instants takes a while, in which nobody else could write.
        unused = self._rows(tables.UNUSED, self._ns, oldest, STARTS, most)
        with self._writing() as run:
            run("DELETE FROM parts WHERE ns = ? AND at < ?", (self._ns, oldest))
            for kind, hash_ in unused:
                run(tables.FORGET, (self._ns, kind, hash_, oldest))
            run("DELETE FROM logs WHERE ns = ? AND at < ?", (self._ns, oldest))
            logs = run("SELECT DISTINCT log FROM logs WHERE ns = ?", (self._ns,)).fetchall()
            for (log,) in logs:
                row = (self._ns, log, self._ns, log, most)
                run(
                    "DELETE FROM logs WHERE ns = ? AND log = ? AND n <= (SELECT n FROM logs "
                    "WHERE ns = ? AND log = ? ORDER BY n DESC LIMIT 1 OFFSET ?)",
                    row,
                )

    def close(self) -> None:
        """Close the file."""
        database, self._database = self._database, None
        if database is not None:
            with suppress(sqlite3.Error):
                database.close()

    def _opened(self) -> sqlite3.Connection:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._path.exists():
            self._path.touch(mode=0o600)
        self._opened_file = self._path.stat().st_ino
        # One thread at a time, but the one that closes may be another than the one that writes.
        database = sqlite3.connect(
            self._path,
            timeout=max(_BUSY_SECONDS, self._keeping.patience_seconds),
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            self._prepare(database)
        except BaseException:
            database.close()
            raise
        return database

    def _prepare(self, database: sqlite3.Connection) -> None:
        """Make the tables of an empty file; leave one of a later version alone."""
        [version] = database.execute("PRAGMA user_version").fetchone()
        if version not in {0, SCHEMA}:
            message = f"{self._path} was written by another version of gateway-guard"
            hint = "name another file, or go on with that version"
            raise StoreError(message, hint=hint, kind="schema")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute("PRAGMA secure_delete = ON")  # what is erased is overwritten
        database.execute("BEGIN IMMEDIATE")
        [version] = database.execute("PRAGMA user_version").fetchone()
        if version == 0:
            for statement in tables.TABLES.split(";"):
                database.execute(statement)
            database.execute(f"PRAGMA user_version = {SCHEMA}")
        database.execute("COMMIT")

    def _put_aside(self) -> None:
        """Rename a damaged file, unless another worker has; somebody may still read some of it."""
        self._damaged = False
        if not self._path.exists() or self._path.stat().st_ino != self._opened_file:
            return
        for end in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                Path(f"{self._path}{end}").rename(f"{self._path}.damaged{end}")

    def _row(self, part: Part, now: float, change: int) -> tuple[object, ...]:
        """Return what is kept of a part; sums are no change."""
        version, change = VERSION.pack(*part.version), 0 if groups.is_group(part.slot) else change
        return self._ns, part.subject, part.slot, version, part.data, part.until_at, now, change

    def _rows(self, what: str, *values: object) -> list[Any]:
        with self._telling():
            return _connected(self._database).execute(what, values).fetchall()

    def _rows_of(self, what: str, subjects: Sequence[bytes], *first: int) -> Iterator[Any]:
        for begin in range(0, len(subjects), tables.AT_ONCE):
            asked = subjects[begin : begin + tables.AT_ONCE]
            yield from self._rows(what.format(",".join("?" * len(asked))), *first, self._ns, *asked)

    @contextmanager
    def _writing(self) -> Iterator[Run]:
        """Do several things as one."""
        with self._telling():
            database = _connected(self._database)
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database.execute
                database.execute("COMMIT")
            except BaseException:
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Say in the house's own words what went wrong."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            self._damaged = self._damaged or _is_damaged(error)
            kind = getattr(error, "sqlite_errorname", type(error).__name__)
            hint = "the file, its directory and the disk must be writable for this process"
            raise StoreError(str(error), hint=hint, kind=kind.lower()) from error


def _connected(database: sqlite3.Connection | None) -> sqlite3.Connection:
    if database is None:
        message = "the store is not open"
        raise StoreError(message, kind="closed")
    return database


def _is_damaged(error: Exception) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
