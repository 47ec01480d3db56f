"""Making a bundle: from an attribution to the answers, segments and heads that it rests on."""

from __future__ import annotations

from hashlib import sha256
from importlib.metadata import version
from math import log
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gateway_guard.instrumentation import utc
from gateway_guard.ledger import arrow
from gateway_guard.ledger.bundle import (
    DOES_NOT_PROVE,
    PROVES,
    VERSION,
    Bundle,
    Claim,
    Entry,
    Method,
    Sample,
    SegmentFiles,
    SuspectFile,
    packed,
)
from gateway_guard.ledger.chance import LEAST, LEVELS, NAMED_BELOW
from gateway_guard.ledger.duck import COMMON
from gateway_guard.ledger.files import digest_of
from gateway_guard.ledger.heads import Head, heads_file, read_heads
from gateway_guard.ledger.merkle import Paths
from gateway_guard.ledger.segments import ANSWERS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gateway_guard.ledger.attribution import Scored
    from gateway_guard.ledger.fingerprints import Integers
    from gateway_guard.ledger.gathering import Gathered, Opened
    from gateway_guard.ledger.report import Party, Report
    from gateway_guard.ledger.samples import Suspect
    from gateway_guard.ledger.segments import Segment


class Asked(NamedTuple):
    """What was asked: the files, and where their rows hold samples."""

    suspects: list[Suspect]
    field: str | None

    @property
    def texts(self) -> list[str]:
        """Return all samples."""
        return [text for suspect in self.suspects for text in suspect.texts]


def make_bundle(
    asked: Asked, gathered: Gathered, keys: Scored, found: Report, now: float
) -> Bundle:
    """Return the evidence for the keys that are named."""
    named = [
        (rank, party)
        for rank, (party, log_p) in enumerate(zip(found.keys, keys.log_ps, strict=False))
        if log_p < log(NAMED_BELOW)
    ]
    told = [keys.evidence(keys.order[rank]) for rank, _ in named]
    numbers = _union([samples for samples, _ in told])
    rows = _union([answers for _, answers in told])
    entries = _Entries(gathered.ledger)
    answers = [entries.entry(int(at)) for at in gathered.hits.answers[rows]]
    return Bundle(
        version=VERSION,
        made_at=utc(now) or "",
        field=asked.field,
        method=_method(gathered, found),
        suspects=[SuspectFile(s.name, s.sha256, len(s.texts)) for s in asked.suspects],
        claims=[
            _claim(keys, rank, party, answers, (numbers.searchsorted(one), rows.searchsorted(two)))
            for (rank, party), (one, two) in zip(named, told, strict=True)
        ],
        samples=_samples(asked.texts, gathered, numbers),
        answers=answers,
        segments=entries.segments,
        heads=entries.heads,
        proves=list(PROVES),
        does_not_prove=list(DOES_NOT_PROVE),
    )


class _Entries:
    """Finds answers in their segments, each with the way to its head."""

    def __init__(self, ledger: Opened) -> None:
        self._directory = ledger.directory
        self._all = [segment for part in ledger.parts for segment in part.segments]
        sizes = [
            arrow.count_rows(one.file(ledger.directory, ANSWERS), arrow.ANSWERS)
            for one in self._all
        ]
        self._ends = np.cumsum(sizes)
        self._open: tuple[int, arrow.Columns] | None = None
        self._trees: dict[tuple[str, int], Paths] = {}
        self._segment_places: dict[int, int] = {}
        self._head_places: dict[tuple[str, int], int] = {}
        self._chains: dict[str, list[Head]] = {}
        self.segments: list[SegmentFiles] = []
        self.heads: list[Head] = []

    def entry(self, answer: int) -> Entry:
        """Return an answer by its number; those of one segment must follow each other."""
        number = int(self._ends.searchsorted(answer, side="right"))
        columns = self._columns(number)
        row = answer - (int(self._ends[number - 1]) if number else 0)
        kept = columns.rows[row]
        return Entry(
            row=kept,
            fingerprints=packed(columns.of(row)),
            segment=self._segment(number),
            head=self._head(kept.writer, kept.batch),
            path=self._tree(columns, kept.writer, kept.batch).of(kept.position),
        )

    def _columns(self, number: int) -> arrow.Columns:
        if self._open is None or self._open[0] != number:
            self._trees = {}
            columns = arrow.read_columns(*self._all[number].files(self._directory))
            self._open = (number, columns)
        return self._open[1]

    def _tree(self, columns: arrow.Columns, writer: str, batch: int) -> Paths:
        if (writer, batch) not in self._trees:
            leaves = [
                columns.leaf(at)
                for at, row in enumerate(columns.rows)
                if (row.writer, row.batch) == (writer, batch)
            ]
            self._trees[writer, batch] = Paths(leaves)
        return self._trees[writer, batch]

    def _segment(self, number: int) -> int:
        if number not in self._segment_places:
            self._segment_places[number] = len(self.segments)
            self.segments.append(_files_of(self._all[number], self._directory))
        return self._segment_places[number]

    def _head(self, writer: str, batch: int) -> int:
        """Return the place of a batch's head, -1 where a crash has come before it."""
        if writer not in self._chains:
            path = heads_file(self._directory, writer)
            self._chains[writer] = read_heads(path) if path.exists() else []
        chain = self._chains[writer]
        if batch >= len(chain):
            return -1
        if (writer, batch) not in self._head_places:
            self._head_places[writer, batch] = len(self.heads)
            self.heads.append(chain[batch])
        return self._head_places[writer, batch]


def _files_of(segment: Segment, directory: Path) -> SegmentFiles:
    answers, fingerprints = map(digest_of, segment.files(directory))
    return SegmentFiles(segment.label, answers, fingerprints)


def _union(found: Sequence[Integers]) -> Integers:
    return np.unique(np.concatenate([np.zeros(0, np.int64), *found]))


def _claim(
    keys: Scored,
    rank: int,
    party: Party,
    answers: Sequence[Entry],
    places: tuple[Integers, Integers],
) -> Claim:
    """Return what is claimed of a key, with what its p-value follows from."""
    at, best = keys.order[rank], keys.best[rank]
    samples, rows = (place.tolist() for place in places)
    return Claim(
        key=party.key or "",
        organisation=party.organisation,
        pseudonyms=sorted({answers[row].row.key for row in rows}),
        samples=samples,
        answers=rows,
        level=best.share,
        matches=party.matches,
        exposure=float(keys.exposures[at]),
        null_matches=int(best.chance.counts[at]),
        null_exposure=float(best.chance.exposures[at]),
        shape=best.chance.shape,
        rate=best.chance.rate,
        log10_p=party.log10_p,
        log10_odds=party.log10_odds,
    )


def _samples(texts: Sequence[str], gathered: Gathered, numbers: Integers) -> list[Sample]:
    found = gathered.samples
    return [
        Sample(
            number,
            sha256(texts[number].encode("utf-8", "surrogatepass")).hexdigest(),
            packed(found.fingerprints[found.bounds[number] : found.bounds[number + 1]]),
        )
        for number in numbers.tolist()
    ]


def _method(gathered: Gathered, found: Report) -> Method:
    return Method(
        program=f"gateway-guard {version('gateway-guard')}",
        schemes=[part.winnower.scheme for part in gathered.ledger.parts],
        least_fingerprints=LEAST,
        boilerplate_above=COMMON,
        levels=list(LEVELS),
        correction=found.null.correction,
        threshold=found.null.threshold,
        keys=found.null.keys,
        samples=found.samples,
        ledger_answers=found.ledger_answers,
    )
