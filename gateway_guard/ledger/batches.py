"""Batches: what is gathered of answers until it becomes a segment with a head."""

from __future__ import annotations

from datetime import UTC, datetime
from secrets import token_hex
from typing import TYPE_CHECKING, Final

import numpy as np

from gateway_guard.instrumentation import utc
from gateway_guard.ledger import segments
from gateway_guard.ledger.arrow import SCHEMA_VERSION, Columns, tables_of
from gateway_guard.ledger.files import digest_of
from gateway_guard.ledger.heads import GENESIS, Head, append_head
from gateway_guard.ledger.merkle import Row, Tree
from gateway_guard.ledger.pseudonyms import Pseudonyms, day_of
from gateway_guard.ledger.segments import Segment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gateway_guard.ledger.fingerprints import Fingerprints, Integers, Winnower
    from gateway_guard.ledger.served import Served

_MONTH: Final = len("2026-11")


class _Batch:
    """The rows of one day since the last segment."""

    __slots__ = ("bounds", "count", "day", "hashes", "number", "rows", "tree")

    def __init__(self, day: str, number: int) -> None:
        self.day = day
        self.number = number
        self.rows: list[Row] = []
        self.hashes: list[Integers] = []
        self.bounds = [0]
        self.tree = Tree()

    def add(self, row: Row, hashes: Integers) -> None:
        self.rows.append(row)
        self.hashes.append(hashes)
        self.bounds.append(self.bounds[-1] + len(hashes))
        self.tree.add(row.leaf(hashes.astype("<i8").tobytes()))

    def columns(self) -> Columns:
        return Columns(self.rows, np.concatenate(self.hashes), np.array(self.bounds))


class Entries:
    """Enters texts into a ledger under one writer's name; not safe for several threads."""

    def __init__(self, directory: Path, winnower: Winnower, now: float) -> None:
        """Begin a chain of heads of its own."""
        self._directory = directory
        self._winnower = winnower
        self.writer = f"{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%S}-{token_hex(4)}"
        self._pseudonyms = Pseudonyms(directory, self.writer)
        self._open: dict[str, _Batch] = {}
        self._batches = 0
        self._previous = GENESIS

    def __len__(self) -> int:
        """Return the number of texts that are not written yet."""
        return sum(len(batch.rows) for batch in self._open.values())

    def enter(self, served: Sequence[Served]) -> None:
        """Fingerprint texts and keep what is left of them until it is written."""
        found = self._winnower.fingerprint([one.text for one in served])
        self._pseudonyms.refresh()
        for number, one in enumerate(served):
            day = day_of(one.at)
            batch = self._open.get(day)
            if batch is None:
                batch = self._open[day] = _Batch(day, self._batches)
                self._batches += 1
            batch.add(self._row(one, batch, found, number), found.of(number))

    def write(self, now: float) -> int:
        """Write everything as segments, each with its head; return the number of texts."""
        count = len(self)
        if count:
            self._pseudonyms.save()
        for batch in self._open.values():
            self._write(batch, now)
        self._open = {}
        return count

    def _row(self, one: Served, batch: _Batch, found: Fingerprints, number: int) -> Row:
        month, of = batch.day[:_MONTH], self._pseudonyms.of
        return Row(
            writer=self.writer,
            batch=batch.number,
            position=len(batch.rows),
            at_ms=int(one.at * 1000),
            key=of(month, "key", one.key) or "",
            end_user=of(month, "end_user", one.end_user),
            organisation=of(month, "organisation", one.organisation),
            template=None if one.template is None else one.template.hex(),
            model=one.model,
            dialect=one.dialect,
            id=None if one.answer_id is None else one.answer_id.hex(),
            part=one.part,
            words=int(found.words[number]),
            guarantee=int(found.guarantees[number]),
        )

    def _write(self, batch: _Batch, now: float) -> None:
        name = f"{self.writer}-{batch.number:06d}"
        segment = Segment(self._winnower.scheme, batch.day, name)
        columns = batch.columns()
        segments.commit(self._directory, segment, tables_of(columns))
        answers, fingerprints = map(digest_of, segment.files(self._directory))
        head = Head(
            version=SCHEMA_VERSION,
            writer=self.writer,
            batch=batch.number,
            previous=self._previous,
            written_at=utc(now) or "",
            segment=segment.label,
            answers=len(columns.rows),
            fingerprints=len(columns.hashes),
            root=batch.tree.root().hex(),
            answers_sha256=answers,
            fingerprints_sha256=fingerprints,
        )
        append_head(self._directory, head)
        self._previous = head.hash()
