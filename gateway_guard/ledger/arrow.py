"""Parquet, and the only place that knows how it is read and written.

The schema is version 1. It keeps to types that every engine knows: no unsigned integers, no nested
columns, instants in milliseconds of UTC.

``answers``: one row for each text that was served

    answer       int32      number of the row in its file, from 0
    writer       string     who entered it: one process from its start to its end
    batch        int32      which of the writer's batches it was entered with
    position     int32      its place in the batch; writer, batch and position are unique
    served_at    timestamp  when the answer had ended
    key          string     pseudonym of the month; so are end_user and organisation
    end_user     string     null where there is none
    organisation string     null where there is none
    template     string     keyed hash of the system text, or else of how the question begins; null
    model        string
    dialect      string
    id           string     keyed hash of the id that the upstream gave the answer; null
    part         string     answer or reasoning
    words        int32      characters count as words in scripts without spaces
    guarantee    int32      every verbatim run of so many words is found
    fingerprints int32      how many of them the other table has

``fingerprints``: their fingerprints, ascending

    fingerprint  int64      positive
    answer       int32      row of the file of the same name in ``answers``
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from gateway_guard.ledger.heads import LedgerError
from gateway_guard.ledger.merkle import Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from gateway_guard.ledger.fingerprints import Integers

SCHEMA_VERSION: Final = 1
_ROWS_A_GROUP: Final = 1 << 17
_ABOUT: Final = b"gateway_guard"
_DAMAGED: Final = "no Parquet"
_STRINGS = frozenset(
    {"writer", "key", "end_user", "organisation", "template", "model", "dialect", "id", "part"}
)
_OPTIONAL = frozenset({"end_user", "organisation", "template", "id"})
_NUMBERED = ("batch", "position", "words", "guarantee")
_AT: Final = pa.timestamp("ms", tz="UTC")
_KINDS = {
    **dict.fromkeys(_STRINGS, pa.string()),
    **dict.fromkeys(_NUMBERED, pa.int32()),
    "at_ms": _AT,
}
ANSWERS: Final = pa.schema(
    [
        pa.field("answer", pa.int32(), nullable=False),
        *(
            pa.field(
                "served_at" if name == "at_ms" else name, _KINDS[name], nullable=name in _OPTIONAL
            )
            for name in Row.__struct_fields__
        ),
        pa.field("fingerprints", pa.int32(), nullable=False),
    ]
)
FINGERPRINTS: Final = pa.schema(
    [
        pa.field("fingerprint", pa.int64(), nullable=False),
        pa.field("answer", pa.int32(), nullable=False),
    ]
)


class About(msgspec.Struct, frozen=True):
    """What a file of answers says about itself; ``replaces`` names what it was compacted from."""

    schema: int
    scheme: str
    replaces: tuple[str, ...] = ()


class Columns(NamedTuple):
    """Rows of a segment and their fingerprints: ``hashes[bounds[i]:bounds[i + 1]]`` of row i."""

    rows: list[Row]
    hashes: Integers
    bounds: Integers

    def of(self, answer: int) -> Integers:
        """Return the fingerprints of a row, ascending."""
        return self.hashes[self.bounds[answer] : self.bounds[answer + 1]]

    def leaf(self, answer: int) -> bytes:
        """Return the hash under which a row stands in the Merkle tree of its batch."""
        return self.rows[answer].leaf(self.of(answer).astype("<i8").tobytes())


class Tables(NamedTuple):
    """The two tables of a segment."""

    answers: pa.Table
    fingerprints: pa.Table


def tables_of(columns: Columns) -> Tables:
    """Return rows as tables."""
    numbers = np.arange(len(columns.rows), dtype=np.int32)
    arrays = [pa.array(numbers)]
    arrays += [
        pa.array([getattr(row, name) for row in columns.rows], _KINDS[name])
        for name in Row.__struct_fields__
    ]
    counts = np.diff(columns.bounds)
    arrays.append(pa.array(counts.astype(np.int32)))
    answers = pa.Table.from_arrays(arrays, schema=ANSWERS)
    return Tables(answers, _sorted(columns.hashes, np.repeat(numbers, counts)))


def joined(files: Sequence[tuple[Path, Path]]) -> Tables:
    """Return the tables of several segments as those of one; rows are no Python objects here."""
    answers = [_table(path, ANSWERS) for path, _ in files]
    prints = [_table(path, FINGERPRINTS) for _, path in files]
    befores = np.cumsum([0, *(one.num_rows for one in answers)])
    owners = [
        one.column("answer").to_numpy() + before.astype(np.int32)
        for one, before in zip(prints, befores, strict=False)
    ]
    hashes = [one.column("fingerprint").to_numpy() for one in prints]
    numbers = pa.array(np.arange(befores[-1], dtype=np.int32))
    whole = pa.concat_tables(answers).set_column(0, ANSWERS.field("answer"), numbers)
    return Tables(whole, _sorted(np.concatenate(hashes), np.concatenate(owners)))


def write_answers(path: Path, tables: Tables, about: About) -> None:
    """Write the rows of a segment."""
    table = tables.answers.replace_schema_metadata({_ABOUT: msgspec.json.encode(about)})
    _write(path, table, dictionary=sorted(_STRINGS - {"id"}))


def write_fingerprints(path: Path, tables: Tables) -> None:
    """Write the fingerprints of a segment."""
    _write(path, tables.fingerprints, dictionary=[])


def _sorted(hashes: Integers, answers: npt.NDArray[np.int32]) -> pa.Table:
    """Return fingerprints ascending, so that engines can pass row groups over."""
    order = np.argsort(hashes, kind="stable")
    arrays = [pa.array(hashes[order]), pa.array(answers[order])]
    return pa.Table.from_arrays(arrays, schema=FINGERPRINTS)


def count_rows(path: Path, schema: pa.Schema) -> int:
    """Return how many rows a file says it has.

    Raises:
        LedgerError: it is no file of a ledger, with this schema.

    """
    with _named(path), pq.ParquetFile(path) as file:
        if file.schema_arrow.names != schema.names:
            raise ValueError(path)
        return int(file.metadata.num_rows)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Say which file it is that cannot be read."""
    try:
        yield
    except FileNotFoundError as error:
        message = f"{path} is gone"
        hint = "if a writer has just joined or deleted segments, ask again"
        raise LedgerError(message, hint=hint) from error
    except (pa.ArrowException, OSError, LookupError, ValueError) as error:
        message = f"{path} is damaged, or no file of this ledger"
        hint = "put it elsewhere, and the file of the same name in the other table with it"
        raise LedgerError(message, hint=hint) from error


def _table(path: Path, schema: pa.Schema, ids: Sequence[str] = ()) -> pa.Table:
    """Read a file of a ledger, or the rows of it that have one of these ids."""
    count_rows(path, schema)  # others would be read as rows of nothing
    filters = [("id", "in", list(ids))] if ids else None
    with _named(path):
        return pq.read_table(path, schema=schema, partitioning=None, filters=filters)


def table(columns: Mapping[str, Sequence[str] | Integers]) -> pa.Table:
    """Return columns as other libraries take them over."""
    return pa.table({name: pa.array(column) for name, column in columns.items()})


def read_about(path: Path) -> About:
    """Return what a file of answers says about itself.

    Raises:
        LedgerError: it is no such file.

    """
    with _named(path):
        metadata = pq.read_schema(path).metadata or {}
        return msgspec.json.decode(metadata[_ABOUT], type=About)


def read_columns(answers: Path, fingerprints: Path) -> Columns:
    """Read a segment."""
    rows = _rows(_table(answers, ANSWERS))
    pairs = _table(fingerprints, FINGERPRINTS)
    owners = pairs.column("answer").to_numpy()
    order = np.argsort(owners, kind="stable")
    bounds = owners[order].searchsorted(np.arange(len(rows) + 1))
    return Columns(rows, pairs.column("fingerprint").to_numpy()[order], bounds)


def rows_with(path: Path, ids: Sequence[str]) -> list[tuple[int, Row]]:
    """Return the rows of a file of answers that have one of these ids, and their numbers.

    Raises:
        LedgerError: the file is gone, or damaged.

    """
    found = _table(path, ANSWERS, ids)
    return list(zip(found.column("answer").to_pylist(), _rows(found), strict=True))


def _rows(found: pa.Table) -> list[Row]:
    names = ["served_at" if name == "at_ms" else name for name in Row.__struct_fields__]
    lists = [_plain(found.column(name)) for name in names]
    return [Row(*values) for values in zip(*lists, strict=True)]


def read_rows(path: Path, *names: str) -> Iterator[dict[str, object]]:
    """Yield the rows of any Parquet file, with those of the named columns that it has.

    Raises:
        OSError: it is no such file.

    """
    try:
        with pq.ParquetFile(path) as file:
            present = [name for name in names if name in file.schema_arrow.names]
            for batch in file.iter_batches(columns=present):
                yield from batch.to_pylist()
    except pa.ArrowException as error:
        raise OSError(0, _DAMAGED) from error


def _plain(column: pa.ChunkedArray) -> list[Any]:
    """Return a column's values; instants as milliseconds."""
    return list((column.cast(pa.int64()) if column.type == _AT else column).to_pylist())


def _write(path: Path, table: pa.Table, *, dictionary: list[str]) -> None:
    pq.write_table(
        table,
        path,
        compression="zstd",
        row_group_size=_ROWS_A_GROUP,
        use_dictionary=dictionary,
        column_encoding={
            field.name: "DELTA_BINARY_PACKED"
            for field in table.schema
            if field.name not in _STRINGS
        }
        | ({"id": "PLAIN"} if "id" in table.schema.names else {}),
        version="2.6",
        write_statistics=True,
    )
