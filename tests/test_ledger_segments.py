"""Segments: whole or absent, read by any engine, joined and deleted without losing what counts."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import duckdb
import polars as pl
import pytest

from gateway_guard.ledger import arrow, segments
from gateway_guard.ledger.batches import Entries
from gateway_guard.ledger.heads import GENESIS, LedgerError, heads_file, read_heads
from gateway_guard.ledger.maintenance import Limits, maintain
from gateway_guard.ledger.merkle import EMPTY, Paths, Tree, climb, root_of
from gateway_guard.ledger.pseudonyms import read_identities
from gateway_guard.ledger.segments import segments_of
from tests.ledgers import DAY, NOON, WINNOWER, key_id, prose, served, write

if TYPE_CHECKING:
    from gateway_guard.ledger.merkle import Row

GENEROUS = Limits(keep_seconds=400 * DAY, size_bytes=1 << 40)


def contents(directory: Path) -> dict[tuple[str, int, int], tuple[Row, bytes]]:
    """Return what counts in a ledger: every row and its leaf, by where it was entered."""
    found = {}
    for segment in segments_of(directory):
        columns = arrow.read_columns(*segment.files(directory))
        for number, row in enumerate(columns.rows):
            place = (row.writer, row.batch, row.position)
            assert place not in found
            found[place] = (row, columns.leaf(number))
    return found


def fill(directory: Path, days: int = 3, writers: int = 3) -> None:
    """Write a few segments on each of several days, the last of which ends at noon."""
    random = Random(days)
    for day in range(days):
        at = NOON - (days - 1 - day) * DAY
        for writer in range(writers):
            answers = [served(prose(random, 60), f"key-{writer}", at, "org") for _ in range(5)]
            write(directory, answers, at)


def test_the_readme_says_what_each_column_is() -> None:
    """Whoever reads the files with an engine of his own finds every name there."""
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    table = readme.partition("### The ledger's files")[2].partition("\n## ")[0]
    columns = {*arrow.ANSWERS.names, *arrow.FINGERPRINTS.names}
    assert [name for name in sorted(columns) if f"`{name}`" not in table] == []


def test_two_engines_read_the_same_from_it(tmp_path: Path) -> None:
    """DuckDB and Polars, by nothing but the files, with days and schemes from their paths."""
    fill(tmp_path)
    fingerprints = f"{tmp_path}/fingerprints/*/*/*.parquet"
    answers = f"{tmp_path}/answers/*/*/*.parquet"
    query = """
        SELECT day, key, part, count(*) AS rows, min(fingerprint) AS least, max(served_at) AS last
        FROM read_parquet(?, hive_partitioning = true, filename = 'file') f
        JOIN (SELECT * REPLACE (replace(file, 'answers', 'fingerprints') AS file)
              FROM read_parquet(?, hive_partitioning = true, filename = 'file')) a
          USING (file, answer, day, scheme)
        GROUP BY day, key, part ORDER BY day, key"""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        first = connection.execute(query, [fingerprints, answers]).fetchall()
    one = pl.scan_parquet(fingerprints, hive_partitioning=True, include_file_paths="file")
    other = pl.scan_parquet(answers, hive_partitioning=True, include_file_paths="file")
    name = pl.col("file").str.extract(r"([^/\\]+)\.parquet$")
    second = (
        one.with_columns(name)
        .join(other.drop("fingerprints").with_columns(name), on=["file", "answer", "day", "scheme"])
        .group_by("day", "key", "part")
        .agg(pl.len(), pl.col("fingerprint").min(), pl.col("served_at").max())
        .sort("day", "key")
        .collect()
    )
    assert len(first) == 9
    assert [(str(row[0]), *row[1:5]) for row in first] == [
        (str(row[0]), *row[1:5]) for row in second.rows()
    ]
    assert [row[5].timestamp() for row in first] == [row[5].timestamp() for row in second.rows()]


def test_fingerprints_ascend_so_that_engines_pass_row_groups_over(tmp_path: Path) -> None:
    """No row group of a file overlaps the next one."""
    random = Random(7)
    write(tmp_path, [served(prose(random, 40_000), "a") for _ in range(40)])
    [segment] = segments_of(tmp_path)
    with duckdb.connect() as connection:
        ranges = connection.execute(
            "SELECT stats_min::BIGINT, stats_max::BIGINT FROM parquet_metadata(?) "
            "WHERE path_in_schema = 'fingerprint' ORDER BY row_group_id",
            [str(segment.file(tmp_path, segments.FINGERPRINTS))],
        ).fetchall()
    assert len(ranges) > 1
    assert all(one[1] <= other[0] for one, other in pairwise(ranges))


def test_what_is_joined_stays_what_its_heads_commit_to(tmp_path: Path) -> None:
    """Few files are left, and every row and leaf is what it was."""
    fill(tmp_path, days=3, writers=8)
    before = contents(tmp_path)
    assert maintain(tmp_path, GENEROUS, NOON)
    assert [segment.day for segment in segments_of(tmp_path)] == [
        "2027-01-12",
        "2027-01-13",
        "2027-01-14",
    ]
    after = contents(tmp_path)
    assert after == before
    for path in (tmp_path / "heads").iterdir():
        for head in read_heads(path):
            batch = [leaf for place, (_, leaf) in sorted(after.items()) if place[0] == head.writer]
            assert root_of(batch).hex() == head.root


def test_of_today_only_many_segments_are_joined(tmp_path: Path) -> None:
    """Else the same rows would be written again and again."""
    fill(tmp_path, days=1, writers=7)
    maintain(tmp_path, GENEROUS, NOON)
    assert len(segments_of(tmp_path)) == 7


def test_a_crash_while_joining_counts_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the joined segment is there and the others are still, they do not count."""
    fill(tmp_path, days=2)
    before = contents(tmp_path)
    monkeypatch.setattr(segments, "remove", lambda *_: None)
    maintain(tmp_path, GENEROUS, NOON)
    assert contents(tmp_path) == before
    monkeypatch.undo()
    assert len(segments.leftovers(tmp_path)) == 3
    maintain(tmp_path, GENEROUS, NOON)
    assert segments.leftovers(tmp_path) == []
    assert contents(tmp_path) == before


def test_what_a_crash_has_left_is_deleted_after_a_day(tmp_path: Path) -> None:
    """Not at once: somebody may be writing it."""
    fill(tmp_path, days=1, writers=1)
    [whole] = segments_of(tmp_path)
    half = whole._replace(name="half")
    half.file(tmp_path, segments.FINGERPRINTS).write_bytes(b"PAR1")
    (tmp_path / "drafts" / "draft").write_bytes(b"PAR1")
    modified = half.file(tmp_path, segments.FINGERPRINTS).stat().st_mtime
    keep = Limits(keep_seconds=3650 * DAY, size_bytes=1 << 40)
    maintain(tmp_path, keep, modified + 60)
    assert segments.leftovers(tmp_path) == [half]
    maintain(tmp_path, keep, modified + 2 * DAY)
    assert segments.leftovers(tmp_path) == []
    assert segments.drafts(tmp_path) == []
    assert segments_of(tmp_path) == [whole]


def test_days_that_are_too_old_go_and_with_them_whose_they_were(tmp_path: Path) -> None:
    """The mapping of a month goes with its last day."""
    fill(tmp_path, days=20, writers=1)
    assert {path.name for path in (tmp_path / "identities").iterdir()} == {"2026-12", "2027-01"}
    maintain(tmp_path, Limits(keep_seconds=4 * DAY, size_bytes=1 << 40), NOON)
    assert min(segment.day for segment in segments_of(tmp_path)) == "2027-01-10"
    assert {path.name for path in (tmp_path / "identities").iterdir()} == {"2027-01"}


def test_beyond_the_size_the_oldest_days_go(tmp_path: Path) -> None:
    """The newest day stays in any case."""
    fill(tmp_path, days=4, writers=2)
    sizes = [segment.bytes_on(tmp_path) for segment in segments_of(tmp_path)]
    maintain(tmp_path, Limits(400 * DAY, sum(sizes) // 2 + 1000), NOON)
    assert [segment.day for segment in segments_of(tmp_path)] == ["2027-01-13"] + ["2027-01-14"] * 2
    maintain(tmp_path, Limits(400 * DAY, 1), NOON)
    assert {segment.day for segment in segments_of(tmp_path)} == {"2027-01-14"}


def test_one_process_at_a_time_keeps_house(tmp_path: Path) -> None:
    """Another one that finds it at work goes on with its own."""
    fill(tmp_path)
    with closing(sqlite3.connect(tmp_path / "maintenance.lock", isolation_level=None)) as lock:
        lock.execute("BEGIN EXCLUSIVE")
        assert not maintain(tmp_path, GENEROUS, NOON)
    assert maintain(tmp_path, GENEROUS, NOON)


def test_writers_share_a_directory_and_the_pseudonyms_of_a_month(tmp_path: Path) -> None:
    """The same key is the same to all of them, in another month it is another one."""
    text = prose(Random(1), 60)
    write(tmp_path, [served(text, "ann", NOON), served(text, "ben", NOON)])
    write(tmp_path, [served(text, "ann", NOON), served(text, "ann", NOON - 20 * DAY)])
    names = [row.key for row, _ in contents(tmp_path).values()]
    identities = read_identities(tmp_path)
    assert len(set(names)) == 3
    assert sorted(identities[name].id for name in names) == sorted(
        [key_id("ann")] * 3 + [key_id("ben")]
    )


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 8, 13])
def test_the_way_from_every_leaf_leads_to_the_root(size: int) -> None:
    """And from no other leaf."""
    leaves = [bytes([number]) * 32 for number in range(size)]
    for position, leaf in enumerate(leaves):
        path = Paths(leaves).of(position)
        assert climb(leaf, path) == root_of(leaves)
        assert climb(b"\xff" * 32, path) != root_of(leaves)
    assert Tree().root() == EMPTY


def test_a_changed_head_breaks_the_chain(tmp_path: Path) -> None:
    """Be it any byte of it; a last line that a crash has cut does not count."""
    entries = Entries(tmp_path, WINNOWER, NOON)
    for number in range(3):
        entries.enter([served(prose(Random(number), 60), "ann")])
        entries.write(NOON)
    path = heads_file(tmp_path, entries.writer)
    heads = read_heads(path)
    assert heads[0].previous == GENESIS
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"version":1,')
    assert read_heads(path) == heads
    second = whole.splitlines(keepends=True)[1]
    at = whole.index(second)
    for offset in range(0, len(second), 7):
        changed = bytearray(whole)
        changed[at + offset] ^= 1
        path.write_bytes(bytes(changed))
        with pytest.raises(LedgerError, match="does not follow"):
            read_heads(path)


def test_the_schema_says_its_version_and_scheme(tmp_path: Path) -> None:
    """In each file of answers, with what it was compacted from."""
    fill(tmp_path, days=2, writers=2)
    names = {segment.name for segment in segments_of(tmp_path) if segment.day == "2027-01-13"}
    maintain(tmp_path, GENEROUS, NOON)
    [joined] = [segment for segment in segments_of(tmp_path) if segment.name.startswith("c-")]
    about = arrow.read_about(joined.file(tmp_path, segments.ANSWERS))
    assert about == arrow.About(1, WINNOWER.scheme, about.replaces)
    assert set(about.replaces) == names
