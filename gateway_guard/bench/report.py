"""What was measured: as a value, as JSON for programs, as a table for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from gateway_guard.bench import fleet_report, ledger_report, store_report
from gateway_guard.bench.fleet_report import Fleet
from gateway_guard.bench.ledger_report import Ledger
from gateway_guard.bench.store_report import Stores

if TYPE_CHECKING:
    from collections.abc import Callable


class Added(msgspec.Struct, frozen=True):
    """Microseconds added to a request, or to a streamed chunk; ``guard_30k`` is a 30 KB history."""

    replay: float
    limits: float
    slowapi: float
    basehttp: float
    guard_2k: float
    guard_2k_one: float
    guard_30k: float
    guard_200k: float
    per_chunk: float


class InProcess(msgspec.Struct, frozen=True):
    """Microseconds of the bare application for one request, and what is added to them.

    ``first_us`` is what the guard adds to a key's first requests, which it weighs one by one.
    """

    bare_us: float
    added_us: Added
    first_us: float


class Kept(msgspec.Struct, frozen=True):
    """Throughput behind uvicorn as a share of the bare application's."""

    slowapi: float
    limits: float
    guard: float


class Proxy(msgspec.Struct, frozen=True):
    """Requests a second of a plain httpx proxy and of the guarded one, and the latter's p99."""

    plain_httpx: float
    ours: float
    p99_ms: float


class Scale(msgspec.Struct, frozen=True):
    """Microseconds added to a request with a thousand and with a million subjects seen."""

    us_at_1e3: float
    us_at_1e6: float


class Flood(msgspec.Struct, frozen=True):
    """Resident bytes: what is allowed, and the most that was seen."""

    rss_bound: int
    rss: int


class Buffers(msgspec.Struct, frozen=True):
    """A flood of large bodies: bytes allowed and resident, refusals, and how long others waited."""

    budget: int
    rss_before: int
    rss_peak: int
    refused: int
    others_p99_ms: float
    bare_p99_ms: float


class Served(msgspec.Struct, frozen=True):
    """A way to ask a model that a server serves, and the tokens that were spent on it unseen."""

    mount: str
    path: str
    encoding: str
    credential: str
    unseen_tokens: int


class Turned(msgspec.Struct, frozen=True):
    """A way that a server turns away, so that nothing is spent; status 0 is no answer at all."""

    mount: str
    path: str
    encoding: str
    credential: str
    status: int


class Bypass(msgspec.Struct, frozen=True):
    """Ways to ask the models behind guarded servers: those that are served, and all others."""

    ways: list[Served]
    rejected: list[Turned]


Remark = tuple[str, str]


class Report(msgspec.Struct):
    """One run; a part that was not measured is ``None``.

    ``remarks`` on a part are for people: what, and what was found.
    """

    in_process: InProcess | None = None
    kept: Kept | None = None
    proxy: Proxy | None = None
    scale: Scale | None = None
    flood: Flood | None = None
    buffers: Buffers | None = None
    bypass: Bypass | None = None
    ledger: Ledger | None = None
    fleet: Fleet | None = None
    store: Stores | None = None
    remarks: dict[str, list[Remark]] = {}


Row = tuple[str, str, str]

_MIB = 1 << 20
_ADDED = (
    ("replay", "body read and replayed", ""),
    ("limits", "limits, one in-memory window", ""),
    ("slowapi", "slowapi, one in-memory limit", ""),
    ("basehttp", "BaseHTTPMiddleware that does nothing", ""),
    ("guard_2k", "guard, 2 KB prompt, six kinds of subjects", "50 us"),
    ("guard_2k_one", "guard, 2 KB prompt, a key alone", ""),
    ("guard_30k", "guard, 30 KB history", ""),
    ("guard_200k", "guard, 200 KB history", "400 us"),
    ("per_chunk", "guard, each streamed chunk", "2 us"),
)


def as_dict(report: Report) -> dict[str, object]:
    """Return the report for programs; what was not measured is null."""
    whole = report.in_process
    parts = {
        "bare_us": whole and whole.bare_us,
        "added_us": whole and whole.added_us,
        "kept": report.kept,
        "proxy": report.proxy,
        "scale": report.scale,
        "flood": report.flood,
        "buffers": report.buffers,
        "ledger": report.ledger,
        "fleet": report.fleet,
        "store": report.store,
        "bypass": report.bypass and report.bypass.ways,
        "bypass_rejected": report.bypass and report.bypass.rejected,
    }
    return {name: _rounded(part) for name, part in msgspec.to_builtins(parts).items()}


def _rounded(value: object) -> object:
    if isinstance(value, dict):
        return {name: _rounded(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    return round(value, 3) if isinstance(value, float) else value


def as_table(report: Report) -> str:
    """Return the report as a table: what, how much, and the budget where there is one."""
    rows: list[Row] = [("", "measured", "budget")]
    for name, rows_of in _ROWS.items():
        part = getattr(report, name)
        rows += rows_of(part) if part is not None else []
        rows += [(f"  {what}", found, "") for what, found in report.remarks.get(name, ())]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(_line(row, widths) for row in rows)


def _line(row: Row, widths: list[int]) -> str:
    what, found, budget = row
    return f"{what:<{widths[0]}}  {found:>{widths[1]}}  {budget:>{widths[2]}}".rstrip()


def _in_process_rows(part: InProcess) -> list[Row]:
    added = [
        (f"  + {what}", _us(getattr(part.added_us, name)), budget) for name, what, budget in _ADDED
    ]
    first = ("  + guard, 2 KB prompt, a key's first requests", _us(part.first_us), "")
    return [("in process: bare application", _us(part.bare_us), ""), *added, first]


def _kept_rows(part: Kept) -> list[Row]:
    return [
        ("behind uvicorn: throughput kept by limits", f"{part.limits:.2f}", ""),
        ("  by slowapi", f"{part.slowapi:.2f}", ""),
        ("  by the guard", f"{part.guard:.2f}", ">= 0.60"),
    ]


def _proxy_rows(part: Proxy) -> list[Row]:
    return [
        ("proxy: plain httpx, no guard", f"{part.plain_httpx:,.0f} req/s", ""),
        ("  gateway-guard serve", f"{part.ours:,.0f} req/s", f">= {3 * part.plain_httpx:,.0f}"),
        ("  its slowest of a hundred", f"{part.p99_ms:.1f} ms", "50 ms"),
    ]


def _scale_rows(part: Scale) -> list[Row]:
    return [
        ("scale: added with 10^3 subjects seen", _us(part.us_at_1e3), ""),
        ("  with 10^6", _us(part.us_at_1e6), f"{1.2 * part.us_at_1e3:.1f} us"),
    ]


def _flood_rows(part: Flood) -> list[Row]:
    bound = f"{part.rss_bound / _MIB:.0f} MiB"
    return [("memory: resident after the floods", f"{part.rss / _MIB:.0f} MiB", bound)]


def _buffers_rows(part: Buffers) -> list[Row]:
    allowed = f"{(part.rss_before + part.budget) / _MIB:.0f} MiB"
    return [
        ("large bodies of strangers: resident at most", f"{part.rss_peak / _MIB:.0f} MiB", allowed),
        ("  refused with 503", f"{part.refused:,}", ""),
        ("  others' slowest of a hundred, bare", f"{part.bare_p99_ms:.0f} ms", ""),
        ("  with the guard", f"{part.others_p99_ms:.0f} ms", f"{1.25 * part.bare_p99_ms:.0f} ms"),
    ]


def _bypass_rows(part: Bypass) -> list[Row]:
    rows: list[Row] = []
    for mount in dict.fromkeys(way.mount for way in part.ways):
        ways = [way for way in part.ways if way.mount == mount]
        turned = sum(way.mount == mount for way in part.rejected)
        rows += [
            (f"bypass: ways to ask that {mount} serves", str(len(ways)), ""),
            ("  that it turns away", str(turned), ""),
            ("  tokens spent unseen", str(sum(way.unseen_tokens for way in ways)), "0"),
        ]
        rows += [
            (f"    {way.path}, {way.encoding}, {way.credential}", str(way.unseen_tokens), "")
            for way in ways
            if way.unseen_tokens
        ]
    return rows


_ROWS: Final[dict[str, Callable[[Any], list[Row]]]] = {
    "in_process": _in_process_rows,
    "kept": _kept_rows,
    "proxy": _proxy_rows,
    "scale": _scale_rows,
    "flood": _flood_rows,
    "buffers": _buffers_rows,
    "ledger": ledger_report.rows_of,
    "fleet": fleet_report.rows_of,
    "store": store_report.rows_of,
    "bypass": _bypass_rows,
}


def _us(value: float) -> str:
    return f"{value:.1f} us"
