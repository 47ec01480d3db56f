"""The ledger: what it costs, what it finds, and what it survives."""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from gateway_guard.bench.children import child
from gateway_guard.bench.ledger_crashes import measure_crashes
from gateway_guard.bench.ledger_report import Attributed, Ledger
from gateway_guard.bench.ledger_scene import Size, compose
from gateway_guard.bench.ledger_tampering import measure_tampering
from gateway_guard.bench.ledger_trials import LIMITS, Trials
from gateway_guard.bench.ledger_writing import measure_waiting, measure_writing
from gateway_guard.bench.loops import run
from gateway_guard.ledger.gathering import LOOKING, gather, opened
from gateway_guard.ledger.report import Report, report, score_all
from gateway_guard.ledger.samples import read_suspects

if TYPE_CHECKING:
    from gateway_guard.bench.children import Say
    from gateway_guard.bench.ledger_scene import Scene

KEY: Final = b"k" * 32
_KIBIBYTE: Final = 1024
_PART: Final = 1 / 8


class Spent(NamedTuple):
    """What an attribution took: time, all threads' time, bytes at most.

    The last is how many fingerprints of the ledger were read in a second.
    """

    seconds: float
    cpu_seconds: float
    rss: int
    scanned_per_second: float


class LedgerEffort(NamedTuple):
    """How much is done: ``pool`` texts are what ``draws`` without any taken sample come from."""

    size: Size
    written: int
    rounds: int
    requests: int
    known: int
    pool: int
    draws: int
    few: int
    kills: int
    changes: int


FULL: Final = LedgerEffort(
    size=Size(answers=1_000_000, keys=5_000, samples=10_000),
    written=32_768,
    rounds=7,
    requests=4_000,
    known=256,
    pool=200_000,
    draws=200,
    few=20,
    kills=50,
    changes=400,
)
QUICK: Final = LedgerEffort(
    size=Size(answers=60_000, keys=1_000, samples=2_000),
    written=8_192,
    rounds=3,
    requests=1_000,
    known=64,
    pool=10_000,
    draws=50,
    few=10,
    kills=10,
    changes=60,
)


def measure_ledger(effort: LedgerEffort) -> Ledger:
    """Measure everything; what is under way is shown on standard error."""
    written = measure_writing(effort.written)
    waited = run(
        measure_waiting(rounds=effort.rounds, requests=effort.requests, known=effort.known)
    )
    crashes = measure_crashes(effort.kills)
    with TemporaryDirectory(prefix="gateway-guard-") as place:
        tampering = measure_tampering(Path(place), effort.changes)
    with TemporaryDirectory(prefix="gateway-guard-") as place:
        directory = Path(place)
        sys.stderr.write(f"  writing {effort.size.answers:,} answers ...\n")
        scene = compose(directory / "ledger", KEY, effort.size)
        trials = Trials(scene, opened(directory / "ledger", [KEY]), effort.size.samples)
        sys.stderr.write("  attributing ...\n")
        attributed = _attributed(directory, scene, trials, effort.size)
        kinds = trials.kinds()
        sight, innocent = trials.sight(effort.pool, effort.draws, effort.few)
    return Ledger(written, waited, attributed, kinds, sight, innocent, crashes, tampering)


def _attributed(directory: Path, scene: Scene, trials: Trials, size: Size) -> Attributed:
    """Attribute a data set as the command does, in a process of its own."""
    suspect = directory / "suspect.jsonl"
    texts = scene.taken + trials.fresh(size.samples - len(scene.taken))
    suspect.write_text("\n".join(json.dumps({"output": text}) for text in texts), encoding="utf-8")
    found, spent = _heard(suspect, directory / "ledger", 1.0)
    partly, part_spent = _heard(suspect, directory / "ledger", _PART)
    named = {party.key: party for party in found.keys if party.named}
    right = [named[thief] for thief in scene.thieves if thief in named]
    return Attributed(
        answers=found.ledger_answers,
        keys=size.keys,
        samples=found.samples,
        thieves=len(scene.thieves),
        named=len(right),
        others=len(named) - len(right),
        worst_log10_p=max([party.log10_p for party in right], default=0.0),
        seconds=spent.seconds,
        cpu_seconds=spent.cpu_seconds,
        rss=spent.rss,
        scanned_per_second=spent.scanned_per_second,
        part=_PART,
        part_seconds=part_spent.seconds,
        part_named=sum(party.named for party in partly.keys if party.key in scene.thieves),
    )


def _heard(suspect: Path, ledger: Path, part: float) -> tuple[Report, Spent]:
    with child(say_attributed, str(suspect), str(ledger), part) as process:
        return cast("tuple[Report, Spent]", process.heard())


def say_attributed(say: Say, suspect: str, directory: str, part: float) -> None:
    """Attribute in this process; say the report, and what it took."""
    told: list[float] = []

    def tell(what: str, share: float) -> None:
        del share
        if what == LOOKING:
            told.append(perf_counter())

    begun, worked = perf_counter(), process_time()
    [read] = read_suspects([Path(suspect)], None)
    limits = LIMITS._replace(part=part)
    gathered = gather(opened(Path(directory), [KEY]), read.texts, limits, tell)
    scan = gathered.fingerprints / (told[-1] - told[0])
    found = report(gathered, score_all(gathered))
    seconds, worked = perf_counter() - begun, process_time() - worked
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KIBIBYTE
    say((found, Spent(seconds, worked, rss, scan)))
