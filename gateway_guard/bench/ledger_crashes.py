"""Whether a ledger survives its writers: killed at any moment, again and again."""

from __future__ import annotations

import os
import select
from pathlib import Path
from signal import SIGKILL
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, cast

import numpy as np

from gateway_guard.bench.children import child
from gateway_guard.bench.ledger_report import Crashes
from gateway_guard.bench.ledger_scene import BEGIN, key_of
from gateway_guard.bench.ledger_texts import Composer
from gateway_guard.exceptions import GatewayGuardError
from gateway_guard.ledger import arrow
from gateway_guard.ledger.batches import Entries
from gateway_guard.ledger.fingerprints import Winnower
from gateway_guard.ledger.heads import Head, read_heads
from gateway_guard.ledger.maintenance import Limits, maintain
from gateway_guard.ledger.merkle import root_of
from gateway_guard.ledger.segments import segments_of
from gateway_guard.ledger.served import Served

if TYPE_CHECKING:
    from gateway_guard.bench.children import Say

_BATCH: Final = 12
_LONGEST_SECONDS: Final = 0.25
_PATIENCE_SECONDS: Final = 10.0
_MAINTAINED_EVERY: Final = 5
_KEEP: Final = Limits(keep_seconds=400 * 86_400.0, size_bytes=1 << 40)


def measure_crashes(kills: int) -> Crashes:
    """Kill so many writers, one after the other, at random moments of their work."""
    with child(say_crashes, kills) as process:
        return cast("Crashes", process.heard())


def say_crashes(say: Say, kills: int) -> None:
    """Do it in this process, which forks its writers: nothing here has threads yet."""
    with TemporaryDirectory(prefix="gateway-guard-") as place:
        directory, random = Path(place), np.random.default_rng(kills)
        composer, winnower = Composer(0, 10), Winnower(b"k" * 32)
        texts = [composer.text(answer) for answer in composer.fresh(_BATCH)]
        winnower.fingerprint(texts)
        committed = 0
        for number in range(kills):
            seconds = float(random.random()) * _LONGEST_SECONDS
            committed += _killed(directory, winnower, texts, number, seconds)
        say(_found(directory, kills, committed))


def _killed(
    directory: Path, winnower: Winnower, texts: list[str], number: int, seconds: float
) -> int:
    """Have a writer work for some time, kill it, and return how many answers it had written."""
    reads, writes = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reads)
        _work(directory, winnower, texts, number, writes)
    os.close(writes)
    written = b""
    if select.select([reads], [], [], _PATIENCE_SECONDS)[0]:  # it has begun
        select.select([], [], [], seconds)
        os.kill(pid, SIGKILL)
        while more := os.read(reads, 1 << 16):
            written += more
    os.waitpid(pid, 0)
    os.close(reads)
    return written.count(b"\n") * _BATCH


def _work(directory: Path, winnower: Winnower, texts: list[str], number: int, writes: int) -> None:
    """Write batch after batch, each reported once it is written, and keep house in between."""
    os.write(writes, b".")
    entries = Entries(directory, winnower, BEGIN + number)
    batch = 0
    while True:
        at = BEGIN + number * 3600.0 + batch
        entries.enter([Served(text, at, key_of(number)) for text in texts])
        entries.write(at)
        os.write(writes, b"\n")
        batch += 1
        if batch % _MAINTAINED_EVERY == 0:
            maintain(directory, _KEEP, BEGIN + 10 * 86_400.0)


def _found(directory: Path, kills: int, committed: int) -> Crashes:
    """Read everything that is there."""
    heads: dict[tuple[str, int], Head] = {}
    broken = 0
    for path in (directory / "heads").glob("*.jsonl"):
        try:
            heads |= {(head.writer, head.batch): head for head in read_heads(path)}
        except (GatewayGuardError, OSError, ValueError, KeyError):
            broken += 1
    leaves: dict[tuple[str, int], dict[int, bytes]] = {}
    found = segments_of(directory)
    for segment in found:
        try:
            columns = arrow.read_columns(*segment.files(directory))
        except (GatewayGuardError, OSError, ValueError, KeyError):
            broken += 1
            continue
        for at, row in enumerate(columns.rows):
            leaves.setdefault((row.writer, row.batch), {})[row.position] = columns.leaf(at)
    for place, head in heads.items():
        batch = leaves.get(place, {})
        broken += root_of([batch[at] for at in sorted(batch)]).hex() != head.root
    there = sum(len(batch) for place, batch in leaves.items() if place in heads)
    return Crashes(kills, committed, max(0, committed - there), len(found), broken)
