"""DuckDB, and the only place that knows it: joins fingerprints with a ledger's files."""

from __future__ import annotations

from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, NamedTuple

import duckdb
import numpy as np

from gateway_guard.ledger import arrow
from gateway_guard.ledger.heads import LedgerError
from gateway_guard.ledger.segments import ANSWERS, FINGERPRINTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from gateway_guard.ledger.fingerprints import Integers
    from gateway_guard.ledger.segments import Segment

    Tell = Callable[[float], None]

COMMON: Final = 1000
"""What stands in more answers than this is boilerplate: it tells nothing of whose they were."""
UNITS: Final = ("key", "organisation", "template")
NOBODY: Final = -1
_PORTION_BYTES: Final = 128 << 20
_NULL_SEGMENTS: Final = 16


class Limits(NamedTuple):
    """How much of the machine is taken, and of the ledger: a part of all fingerprints."""

    threads: int = 2
    memory_bytes: int = 3 << 30
    part: float = 1.0


class Hits(NamedTuple):
    """Where fingerprints that were looked for stand, boilerplate aside; one entry for each place.

    ``rows`` says which of the answers that were met it is. Of these ``answers`` are their numbers
    among those of all segments, ascending, and ``units`` the numbers of their keys, organisations
    and templates. Where a key has none of these it stands for itself, with a number below
    ``NOBODY``. ``common`` are the fingerprints that are boilerplate.
    """

    fingerprints: Integers
    rows: Integers
    answers: Integers
    units: dict[str, Integers]
    at_ms: Integers
    common: Integers


class Sampled(NamedTuple):
    """Answers of the ledger, drawn at random: whose they are, and their fingerprints."""

    units: dict[str, Integers]
    fingerprints: Integers
    bounds: Integers


class Join:
    """One connection to the segments of a ledger."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        directory: Path,
        found: Sequence[Segment],
    ) -> None:
        """Take a fresh connection."""
        self._sql = connection
        self._files = {
            table: [str(segment.file(directory, table)) for segment in found]
            for table in (ANSWERS, FINGERPRINTS)
        }
        rows = [segment.file(directory, ANSWERS) for segment in found]
        sizes = [arrow.count_rows(path, arrow.ANSWERS) for path in rows]
        self.sizes = np.array(sizes, np.int64)
        paths = [segment.file(directory, FINGERPRINTS) for segment in found]
        self.fingerprints = sum(arrow.count_rows(path, arrow.FINGERPRINTS) for path in paths)
        self._bytes = [path.stat().st_size for path in paths]
        befores = np.cumsum(self.sizes) - self.sizes
        self._register("segment", file=self._files[ANSWERS], before=befores)
        self._register("printed", file=self._files[FINGERPRINTS], before=befores)

    def census(self, unit: str) -> dict[str, int]:
        """Return the pseudonyms of a kind of unit, and how many answers each has."""
        rows = self._sql.execute(
            f"SELECT {unit}, count(*) FROM read_parquet(?) WHERE {unit} IS NOT NULL GROUP BY 1",
            [self._files[ANSWERS]],
        ).fetchall()
        return {str(name): int(count) for name, count in rows}

    def name(self, unit: str, numbers: Mapping[str, int]) -> None:
        """Give each pseudonym of a kind of unit the number that it is counted under."""
        names, codes = list(numbers), np.fromiter(numbers.values(), np.int64, len(numbers))
        self._register(f"named_{unit}", name=names, number=codes)

    def draw(self, count: int, seed: int) -> Sampled:
        """Draw answers from a few segments, with their fingerprints."""
        random = np.random.default_rng(seed)
        chosen = random.permutation(len(self.sizes))[:_NULL_SEGMENTS]
        befores = np.cumsum(self.sizes) - self.sizes
        rows = np.concatenate(
            [np.arange(befores[at], befores[at] + self.sizes[at]) for at in np.sort(chosen)]
        )
        rows = np.sort(random.permutation(rows)[:count])
        self._register("drawn", answer=rows)
        files = [self._files[FINGERPRINTS][at] for at in chosen]
        whose = self._fetch(self._rows_of("drawn"))
        found = self._fetch(
            "SELECT d.answer AS answer, f.fingerprint AS fingerprint "
            "FROM read_parquet($files, filename = 'file') f JOIN printed s USING (file) "
            "JOIN drawn d ON d.answer = s.before + f.answer ORDER BY 1, 2",
            files=files,
        )
        bounds = found["answer"].searchsorted(np.append(rows, rows[-1:] + 1))
        return Sampled({unit: whose[unit] for unit in UNITS}, found["fingerprint"], bounds)

    def find(self, fingerprints: Integers, below: int, tell: Tell) -> Hits:
        """Return where fingerprints stand; they must be distinct, and all of them ``below``.

        Files are sorted, so that of each only what is below is read.
        """
        self._register("wanted", fingerprint=fingerprints)
        self._sql.execute("CREATE OR REPLACE TEMP TABLE probe AS FROM wanted")
        self._sql.execute("CREATE OR REPLACE TEMP TABLE hit (fingerprint BIGINT, answer BIGINT)")
        common = []
        for files, done in self._portions():
            self._sql.execute(
                "INSERT INTO hit SELECT f.fingerprint, s.before + f.answer "
                "FROM read_parquet($files, filename = 'file') f "
                "JOIN probe USING (fingerprint) JOIN printed s USING (file) "
                "WHERE f.fingerprint < $below",
                {"files": files, "below": below},
            )
            common.append(self._drop_common())
            tell(done)
        self._sql.execute("CREATE OR REPLACE TEMP TABLE met AS SELECT DISTINCT answer FROM hit")
        rows = self._fetch(self._rows_of("met"))
        hits = self._fetch("SELECT fingerprint, answer FROM hit ORDER BY fingerprint, answer")
        return Hits(
            fingerprints=hits["fingerprint"],
            rows=rows["answer"].searchsorted(hits["answer"]),
            answers=rows["answer"],
            units={unit: rows[unit] for unit in UNITS},
            at_ms=rows["at_ms"],
            common=np.unique(np.concatenate(common)) if common else np.zeros(0, np.int64),
        )

    def _drop_common(self) -> Integers:
        """Look no longer for what stands in too many answers; return it."""
        found = self._fetch(
            "SELECT fingerprint FROM hit GROUP BY 1 HAVING count(*) > $most", most=COMMON
        )["fingerprint"]
        if len(found):
            self._register("boilerplate", fingerprint=found)
            for table in ("hit", "probe"):
                self._sql.execute(
                    f"CREATE OR REPLACE TEMP TABLE {table} AS "
                    f"FROM {table} ANTI JOIN boilerplate USING (fingerprint)"
                )
        return found

    def _portions(self) -> Iterator[tuple[list[str], float]]:
        """Yield files to look into together, and the share that is done after them."""
        files: list[str] = []
        size = done = 0
        for file, length in zip(self._files[FINGERPRINTS], self._bytes, strict=True):
            files.append(file)
            size += length
            if size >= _PORTION_BYTES:
                done += size
                yield files, done / sum(self._bytes)
                files, size = [], 0
        if files:
            yield files, 1.0

    def _rows_of(self, table: str) -> str:
        """Return the query for whose the answers in a table are, in their order."""
        alone = f"{NOBODY} - 1 - key.number"
        units = ", ".join(f"coalesce({unit}.number, {alone}, {NOBODY}) AS {unit}" for unit in UNITS)
        joins = " ".join(
            f"LEFT JOIN named_{unit} {unit} ON {unit}.name = a.{unit}" for unit in UNITS
        )
        return (
            f"SELECT m.answer AS answer, {units}, epoch_ms(a.served_at) AS at_ms "
            f"FROM read_parquet($answers, filename = 'file') a JOIN segment s USING (file) "
            f"JOIN {table} m ON m.answer = s.before + a.answer {joins} ORDER BY 1"
        )

    def _fetch(self, query: str, **values: object) -> dict[str, Integers]:
        if "$answers" in query:
            values["answers"] = self._files[ANSWERS]
        found = self._sql.execute(query, values).fetchnumpy()
        return {name: np.asarray(column, np.int64) for name, column in found.items()}

    def _register(self, name: str, /, **columns: Sequence[str] | Integers) -> None:
        self._sql.register(name, arrow.table(columns))


@contextmanager
def joined(directory: Path, found: Sequence[Segment], limits: Limits) -> Iterator[Join]:
    """Open an engine of its own for these segments; what does not fit in memory is put on disk.

    Raises:
        LedgerError: a segment is damaged, or gone by now.

    """
    with TemporaryDirectory(prefix="gateway-guard-") as spill, duckdb.connect() as connection:
        for name, value in (
            ("threads", limits.threads),
            ("memory_limit", f"{limits.memory_bytes}B"),
            ("temp_directory", spill),
            ("preserve_insertion_order", False),
            ("enable_progress_bar", False),
            ("TimeZone", "UTC"),
        ):
            connection.execute(f"SET {name} = ?", [value])
        try:
            yield Join(connection, directory, found)
        except (duckdb.Error, OSError) as error:
            message = f"{directory} cannot be read: {str(error).splitlines()[0]}"
            hint = "if a writer has just joined or deleted segments, ask again"
            raise LedgerError(message, hint=hint) from error
