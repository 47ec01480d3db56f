"""Whether changed bytes are found, in a bundle and in the segments that it names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gateway_guard.bench.ledger_report import Tampering
from gateway_guard.bench.ledger_scene import Size, compose
from gateway_guard.bench.ledger_trials import LIMITS
from gateway_guard.ledger.bundle import write_bundle
from gateway_guard.ledger.bundling import Asked, make_bundle
from gateway_guard.ledger.gathering import gather, opened
from gateway_guard.ledger.heads import LedgerError
from gateway_guard.ledger.report import report, score_all
from gateway_guard.ledger.samples import Suspect
from gateway_guard.ledger.verifying import verify

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_KEY = b"k" * 32
_SMALL = Size(answers=4_000, keys=250, samples=300)


def measure_tampering(directory: Path, changes: int) -> Tampering:
    """Make a small ledger and a bundle, and change bytes of them, drawn by lot."""
    ledger, path = directory / "ledger", directory / "bundle"
    scene = compose(ledger, _KEY, _SMALL)
    asked = Asked([Suspect("taken", "", scene.taken)], None)
    gathered = gather(opened(ledger, [_KEY]), asked.texts, LIMITS, lambda *_: None)
    scored = score_all(gathered)
    write_bundle(path, make_bundle(asked, gathered, scored[0], report(gathered, scored), 0.0))
    bundle, complaints = verify(path, ledger=ledger)
    segments = [
        ledger / table / f"{one.segment}.parquet"
        for one in bundle.segments
        for table in ("answers", "fingerprints")
    ]
    random = np.random.default_rng(changes)
    found = list(_found(random, path, ledger, [path] * len(segments) + segments, changes))
    return Tampering(bool(bundle.claims) and not complaints, len(found), sum(found))


def _found(
    random: np.random.Generator, bundle: Path, ledger: Path, files: list[Path], changes: int
) -> Iterator[bool]:
    """Change a byte at a time, and yield whether that was found."""
    for number in range(changes):
        path = files[number % len(files)]
        whole = path.read_bytes()
        at, bit = int(random.integers(len(whole))), 1 << int(random.integers(8))
        path.write_bytes(whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :])
        try:
            yield bool(verify(bundle, ledger=ledger)[1])
        except LedgerError:
            yield True
        path.write_bytes(whole)
