"""Arrival traces: when real clients of real servers sent their requests."""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import msgspec

from gateway_guard.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FEWEST_GAPS: Final = 20


class Trace(msgspec.Struct, frozen=True):
    """The seconds between one client's requests, in order."""

    gaps: tuple[float, ...]


def read_traces(folder: Path) -> Iterator[Trace]:
    """Yield the clients of every ``*.csv.gz`` in a folder that have enough requests.

    Requests without a session are one client's, as nothing tells them apart.

    Raises:
        ConfigurationError: if a file has no ``timestamp`` column of numbers.

    """
    for path in sorted(folder.glob("*.csv.gz")) if folder.is_dir() else ():
        for instants in _sessions(path).values():
            ordered = sorted(instants)
            gaps = tuple(later - at for at, later in pairwise(ordered))
            if len(gaps) >= _FEWEST_GAPS:
                yield Trace(gaps)


def _sessions(path: Path) -> dict[str, list[float]]:
    sessions: dict[str, list[float]] = defaultdict(list)
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            try:
                sessions[row.get("session") or ""].append(float(row["timestamp"]))
            except (KeyError, TypeError, ValueError) as error:
                message = f"{path.name}: a line without a timestamp"
                raise ConfigurationError(message) from error
    return sessions
