"""``gateway-guard bench``: which parts there are, and how much is done for each."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Final, NamedTuple

from gateway_guard.bench import fleet, ledger, store
from gateway_guard.bench.buffers import measure_buffers
from gateway_guard.bench.bypass import check_installed, measure_bypass
from gateway_guard.bench.flood import MEMORY_BYTES, measure_flood
from gateway_guard.bench.in_process import measure_in_process
from gateway_guard.bench.loops import run
from gateway_guard.bench.report import Flood, Report, as_dict, as_table
from gateway_guard.bench.scale import measure_scale
from gateway_guard.bench.store_servers import program
from gateway_guard.bench.strangers import Wave
from gateway_guard.bench.throughput import measure_kept, measure_proxy
from gateway_guard.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gateway_guard.bench.fleet import FleetEffort
    from gateway_guard.bench.ledger import LedgerEffort
    from gateway_guard.bench.store import StoreEffort


_BYPASS: Final = "bypass"
_FLEET: Final = "fleet"
_STORE: Final = "store"


class Effort(NamedTuple):
    """How much is done for each figure.

    ``known`` is how many requests every key has made before its requests count.
    """

    rounds: int
    known: int
    load_rounds: int
    load_requests: int
    subjects: int
    flood: int
    wave: Wave
    ledger: LedgerEffort
    fleet: FleetEffort
    store: StoreEffort


FULL: Final = Effort(
    rounds=100,
    known=256,
    load_rounds=7,
    load_requests=4_000,
    subjects=1_000_000,
    flood=100_000,
    wave=Wave(200, 10_000_000, 20.0),
    ledger=ledger.FULL,
    fleet=fleet.FULL,
    store=store.FULL,
)
QUICK: Final = Effort(
    rounds=15,
    known=64,
    load_rounds=3,
    load_requests=1_000,
    subjects=100_000,
    flood=5_000,
    wave=Wave(200, 10_000_000, 5.0),
    ledger=ledger.QUICK,
    fleet=fleet.QUICK,
    store=store.QUICK,
)


def bench(*, only: str, quick: bool, as_json: bool) -> None:
    """Measure and print the results; ``only`` names parts, separated by commas, empty for all.

    Raises:
        ConfigurationError: if there is no part of such a name, or a part needs what is missing.
        MeasurementError: if something that was to be measured did not work.

    """
    names = parts_of(only)
    if _BYPASS in names:
        check_installed()
    if _FLEET in names:
        fleet.check_installed()
    if _STORE in names:
        program()
    report = measure(names, QUICK if quick else FULL)
    text = json.dumps(as_dict(report)) if as_json else as_table(report)
    sys.stdout.write(text + "\n")


def parts_of(only: str) -> list[str]:
    """Return the names of the parts to measure, in their order; long ones only where named.

    Raises:
        ConfigurationError: if there is no part of such a name.

    """
    names = {name.strip() for name in only.split(",") if name.strip()}
    unknown = ", ".join(sorted(names - set(PARTS)))
    if unknown:
        message = f"there is nothing to measure by the name of {unknown}"
        raise ConfigurationError(message, hint=f"choose from {', '.join(PARTS)}")
    return [name for name in PARTS if name in (names or PARTS.keys() - {_FLEET, _STORE})]


def measure(names: Iterable[str], effort: Effort) -> Report:
    """Measure parts; what is under way is shown on standard error."""
    report = Report()
    for name in names:
        what, part = PARTS[name]
        sys.stderr.write(f"measuring {what} ...\n")
        part(report, effort)
    return report


def _in_process(report: Report, effort: Effort) -> None:
    report.in_process = run(measure_in_process(rounds=effort.rounds, known=effort.known))


def _kept(report: Report, effort: Effort) -> None:
    rounds, requests, known = effort.load_rounds, effort.load_requests, effort.known
    report.kept, rate = run(measure_kept(rounds=rounds, requests=requests, known=known))
    report.remarks["kept"] = [("of the bare application's", f"{rate:,.0f} req/s")]


def _proxy(report: Report, effort: Effort) -> None:
    rounds, requests, known = effort.load_rounds, effort.load_requests // 2, effort.known
    report.proxy = run(measure_proxy(rounds=rounds, requests=requests, known=known))


def _scale(report: Report, effort: Effort) -> None:
    subjects, rounds, known = effort.subjects, effort.rounds, effort.known
    report.scale = run(measure_scale(subjects=subjects, rounds=rounds, known=-(-known // 4)))
    if subjects != FULL.subjects:
        report.remarks["scale"] = [("for quickness, 10^6 stands for", f"{subjects:,}")]


def _flood(report: Report, effort: Effort) -> None:
    found = measure_flood(effort.flood)
    report.flood = Flood(rss_bound=found.rss_before + MEMORY_BYTES, rss=found.rss)
    report.remarks["flood"] = [
        ("of keys never accepted, keys used once, templates", f"{effort.flood:,} each"),
        ("a key throttled before is throttled after", _yes(holds=found.still_throttled)),
        ("a template known before is known after", _yes(holds=found.still_known)),
    ]


def _buffers(report: Report, effort: Effort) -> None:
    rounds = max(1, effort.load_rounds // 2)
    report.buffers = run(measure_buffers(effort.wave, rounds=rounds))


def _bypass(report: Report, effort: Effort) -> None:
    del effort  # a way that is left out is the one that leads past
    report.bypass = measure_bypass()


def _ledger(report: Report, effort: Effort) -> None:
    report.ledger = ledger.measure_ledger(effort.ledger)


def _fleet(report: Report, effort: Effort) -> None:
    report.fleet = fleet.measure_fleet(effort.fleet)


def _store(report: Report, effort: Effort) -> None:
    report.store = store.measure_store(effort.store)


def _yes(*, holds: bool) -> str:
    return "yes" if holds else "NO"


PARTS: Final[dict[str, tuple[str, Callable[[Report, Effort], None]]]] = {
    "in-process": ("what is added to a request, in process", _in_process),
    "kept": ("the throughput that is kept behind uvicorn", _kept),
    "proxy": ("the proxy beside a plain one", _proxy),
    "scale": ("requests among a million subjects", _scale),
    "flood": ("memory under floods", _flood),
    "buffers": ("large bodies of strangers", _buffers),
    "ledger": ("the ledger and attribution", _ledger),
    _FLEET: ("many guards over one store, beside one", _fleet),
    _STORE: ("what stores cost and survive", _store),
    _BYPASS: ("whether any way leads past the guard", _bypass),
}
