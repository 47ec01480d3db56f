"""Segments: pairs of Parquet files, each pair whole or absent, below one directory.

::

    DIR/answers/scheme=v1-k8-0f3a9c11/day=2026-11-24/NAME.parquet
    DIR/fingerprints/scheme=v1-k8-0f3a9c11/day=2026-11-24/NAME.parquet

The answers come last and make the pair one; fingerprints without them are what a crash has left.
"""

from __future__ import annotations

from contextlib import suppress
from secrets import token_hex
from typing import TYPE_CHECKING, Final, NamedTuple

from gateway_guard.ledger import arrow
from gateway_guard.ledger.files import make_directory, put
from gateway_guard.ledger.heads import LedgerError

if TYPE_CHECKING:
    from pathlib import Path

    from gateway_guard.ledger.arrow import Tables

COMPACTED: Final = "c-"
"""What the names of segments begin with that others were joined to."""
_SUFFIX: Final = ".parquet"
_DRAFTS: Final = "drafts"
ANSWERS: Final = "answers"
FINGERPRINTS: Final = "fingerprints"


class Segment(NamedTuple):
    """One segment: what it is comparable with, its day, its name."""

    scheme: str
    day: str
    name: str

    @property
    def label(self) -> str:
        """Return what heads and bundles call it."""
        return f"scheme={self.scheme}/day={self.day}/{self.name}"

    def file(self, directory: Path, table: str) -> Path:
        """Return where one of its files is, or would be."""
        place = directory / table / f"scheme={self.scheme}" / f"day={self.day}"
        return place / f"{self.name}{_SUFFIX}"

    def files(self, directory: Path) -> tuple[Path, Path]:
        """Return where its answers and its fingerprints are."""
        return self.file(directory, ANSWERS), self.file(directory, FINGERPRINTS)

    def bytes_on(self, directory: Path) -> int:
        """Return the bytes of its files that are there."""
        total = 0
        for path in self.files(directory):
            with suppress(FileNotFoundError):
                total += path.stat().st_size
        return total


def commit(
    directory: Path, segment: Segment, tables: Tables, replaces: tuple[str, ...] = ()
) -> None:
    """Write a segment so that it is there as a whole, or not at all."""
    make_directory(directory / _DRAFTS)
    answers, fingerprints = segment.files(directory)
    draft = directory / _DRAFTS / f"{segment.name}-{token_hex(4)}"
    arrow.write_fingerprints(draft, tables)
    put(draft, fingerprints)
    arrow.write_answers(draft, tables, arrow.About(arrow.SCHEMA_VERSION, segment.scheme, replaces))
    put(draft, answers)


def remove(directory: Path, segment: Segment) -> None:
    """Delete a segment; its answers first, so that no half of it counts."""
    for path in segment.files(directory):
        path.unlink(missing_ok=True)
        with suppress(OSError):
            path.parent.rmdir()


def segments_of(directory: Path, *, damaged: bool = False) -> list[Segment]:
    """Return the segments of a ledger by day, without those whose answers were compacted.

    Raises:
        LedgerError: a file does not say what it replaces, unless ``damaged`` ones shall count too.

    """
    found = _named(directory, ANSWERS)
    replaced: set[tuple[str, str, str]] = set()
    for segment in found:
        if segment.name.startswith(COMPACTED):
            with suppress(*([LedgerError] if damaged else [])):
                about = arrow.read_about(segment.file(directory, ANSWERS))
                replaced |= {(segment.scheme, segment.day, name) for name in about.replaces}
    return sorted((s for s in found if s not in replaced), key=lambda s: (s.day, s))


def leftovers(directory: Path) -> list[Segment]:
    """Return the segments that do not count: halves, and what was compacted already."""
    everything = {*_named(directory, ANSWERS), *_named(directory, FINGERPRINTS)}
    return sorted(everything - set(segments_of(directory, damaged=True)))


def drafts(directory: Path) -> list[Path]:
    """Return the files that were never finished, or are being written."""
    return sorted((directory / _DRAFTS).glob("*"))


def _named(directory: Path, table: str) -> list[Segment]:
    found = []
    for path in (directory / table).glob(f"scheme=*/day=*/*{_SUFFIX}"):
        scheme, day = path.parent.parent.name, path.parent.name
        name = path.name.removesuffix(_SUFFIX)
        found.append(Segment(scheme.removeprefix("scheme="), day.removeprefix("day="), name))
    return found
