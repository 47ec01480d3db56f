"""Compaction and retention: few large files instead of many small ones, and none for ever."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing, suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

from gateway_guard.ledger import arrow, segments
from gateway_guard.ledger.files import make_directory
from gateway_guard.ledger.heads import LedgerError
from gateway_guard.ledger.pseudonyms import IDENTITIES, day_of
from gateway_guard.ledger.segments import COMPACTED, Segment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

COMPACTED_ANSWERS: Final = 1 << 16
"""Answers of a compacted segment: more would take a serving process too much memory."""
_FEWEST: Final = 8
_UNFINISHED_SECONDS: Final = 86_400.0
_MONTH: Final = len("2026-11")
_LOCK: Final = "maintenance.lock"
_SMALL_BYTES: Final = COMPACTED_ANSWERS * 300 // 2


class Limits(NamedTuple):
    """What is kept: for how long after its day, and how many bytes in all."""

    keep_seconds: float
    size_bytes: int


def maintain(directory: Path, limits: Limits, now: float) -> bool:
    """Delete and compact, unless another process is at it; tell whether it was done.

    Raises:
        LedgerError: a file is damaged, or is none of the ledger's; the rest was done all the same.

    """
    make_directory(directory)
    with closing(sqlite3.connect(directory / _LOCK, timeout=0, isolation_level=None)) as lock:
        try:
            # The lock goes with the process that has it, however that ends.
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            return False
        _clear(directory, now)
        _retire(directory, limits, now)
        _compact_all(directory, day_of(now))
    return True


def _compact_all(directory: Path, today: str) -> None:
    failure: LedgerError | None = None
    for group in _groups(directory, today):
        try:
            compact(directory, group)
        except LedgerError as error:
            failure = failure or error
    if failure is not None:
        raise failure


def compact(directory: Path, group: Sequence[Segment]) -> Segment:
    """Join segments of one day into one, and delete them; what their heads commit to stays."""
    names = tuple(segment.name for segment in group)
    digest = sha256("\n".join(names).encode()).hexdigest()[:16]
    whole = Segment(group[0].scheme, group[0].day, f"{COMPACTED}{digest}")
    joined = arrow.joined([segment.files(directory) for segment in group])
    segments.commit(directory, whole, joined, replaces=names)
    for segment in group:
        segments.remove(directory, segment)
    return whole


def _groups(directory: Path, today: str) -> Iterator[list[Segment]]:
    """Yield segments that are better joined: many of this day, or any two of an earlier one."""
    small: dict[tuple[str, str], list[Segment]] = {}
    for segment in segments.segments_of(directory, damaged=True):
        if segment.bytes_on(directory) < _SMALL_BYTES:
            small.setdefault((segment.scheme, segment.day), []).append(segment)
    for (_, day), found in small.items():
        fewest = _FEWEST if day == today else 2
        for group in _packed(directory, found):
            if len(group) >= fewest:
                yield group


def _packed(directory: Path, found: Sequence[Segment]) -> Iterator[list[Segment]]:
    """Yield groups of about as many bytes as a compacted segment has."""
    group: list[Segment] = []
    size = 0
    for segment in found:
        group.append(segment)
        size += segment.bytes_on(directory)
        if size >= 2 * _SMALL_BYTES:
            yield group
            group, size = [], 0
    yield group


def _retire(directory: Path, limits: Limits, now: float) -> None:
    """Delete the days that are too old, and the oldest as long as all are too large."""
    oldest = day_of(now - limits.keep_seconds)
    found = segments.segments_of(directory, damaged=True)
    sizes = {segment: segment.bytes_on(directory) for segment in found}
    total = sum(sizes.values())
    days = sorted({segment.day for segment in found})
    for day in days:
        if day >= oldest and (total <= limits.size_bytes or day == days[-1]):
            continue
        for segment in [one for one in found if one.day == day]:
            segments.remove(directory, segment)
            total -= sizes[segment]
    kept = segments.segments_of(directory, damaged=True)
    first = min([segment.day for segment in kept], default=day_of(now))
    # A writer may have noted whom it is about to write down answers to.
    first = min(first, day_of(now - _UNFINISHED_SECONDS))
    _forget_identities(directory, first[:_MONTH])
    _forget_heads(directory, oldest)


def _forget_identities(directory: Path, first_month: str) -> None:
    """Delete who is behind pseudonyms under which nothing is kept."""
    for place in (directory / IDENTITIES).glob("????-??"):
        if place.name < first_month:
            shutil.rmtree(place, ignore_errors=True)


def _forget_heads(directory: Path, oldest: str) -> None:
    """Delete chains whose last head is older than all that is kept."""
    for path in (directory / "heads").glob("*.jsonl"):
        if day_of(path.stat().st_mtime) < oldest:
            path.unlink(missing_ok=True)


def _clear(directory: Path, now: float) -> None:
    """Delete what crashes have left, once it is certain that nobody is still writing it."""
    for segment in segments.leftovers(directory):
        paths = segment.files(directory)
        newest = max([_modified(path) for path in paths])
        if now - newest > _UNFINISHED_SECONDS or segment.name in _compacted(directory, segment):
            segments.remove(directory, segment)
    for path in segments.drafts(directory):
        if now - _modified(path) > _UNFINISHED_SECONDS:
            path.unlink(missing_ok=True)


def _compacted(directory: Path, segment: Segment) -> set[str]:
    """Return the names that compacted segments of the same day replace."""
    place = segment.file(directory, segments.ANSWERS).parent
    files = place.glob(f"{COMPACTED}*.parquet")
    found: set[str] = set()
    for path in files:
        with suppress(LedgerError):
            found.update(arrow.read_about(path).replaces)
    return found


def _modified(path: Path) -> float:
    with suppress(FileNotFoundError):
        return path.stat().st_mtime
    return 0.0
