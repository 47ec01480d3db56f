"""The report as a page: one file, with tables and plots, that needs nothing else."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, Final

from gateway_guard.lab.plots import (
    confusions_plot,
    contributions_plot,
    delay_plot,
    roc_plot,
    trajectories_plot,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gateway_guard.lab.lives import Life
    from gateway_guard.lab.report import Report

_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem;
  color: #1c2321; background: #fff }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2.5rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem }
th, td { padding: .2rem .7rem; border-bottom: 1px solid #d9dfdc; text-align: right }
th:first-child, td:first-child { text-align: left }
svg { max-width: 100%; height: auto } .wide { overflow-x: auto } small { color: #5b6663 }
"""
_REFUSALS_SHOWN: Final = 50
_PROLOGUE: Final = (
    "<p>Seed {seed}, {waves} keys of each harvesting source, version {version} of the weights. "
    "The threshold is 0 logits.</p>"
)


def page(report: Report, lives: Mapping[str, Sequence[Life]]) -> str:
    """Return the whole page."""
    weights = report["weights"]
    parts = [
        f"<h1>Detection, judged with {escape(weights['name'])} weights</h1>",
        _PROLOGUE.format(**weights),
        *(_single_keys(report, lives) if report["composed"] else ()),
        *_scenarios(report["scenarios"]),
    ]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Detection</title><style>{_STYLE}</style><body>{''.join(parts)}</body></html>\n"
    )


def _single_keys(report: Report, lives: Mapping[str, Sequence[Life]]) -> Iterable[str]:
    for name in ("composed", "text_only"):
        yield from _classes(name, report[name])
    yield "<h2>Plots</h2>"
    yield roc_plot(lives)
    yield delay_plot(lives)
    yield trajectories_plot(lives["composed"])
    yield contributions_plot(lives["composed"])
    yield confusions_plot(lives["composed"])
    yield from _sources(report)
    yield from _refusals(report["composed"]["operating_point"]["refusals"])


def _classes(name: str, result: Report) -> Iterable[str]:
    point = result["operating_point"]
    yield f"<h2>{escape(name)}: AUC {_shown(result['auc'])}</h2>"
    rows = []
    for text_class, noun in (("human", "keys"), ("app", "programs"), ("harvest", "keys")):
        row = point[text_class]
        delay = row.get("requests_to_detection", {})
        columns = (row[noun], row["throttled"], row["blocked"], row["interval"])
        rows.append(
            [text_class, *columns, row.get("margin_logits"), delay.get("p50"), delay.get("p95")]
        )
    head = ["class", "keys", "throttled", "blocked", "95% interval", "margin", "p50", "p95"]
    yield _table(head, rows)
    refused, requests = point["innocent_refused"], point["innocent_requests"]
    yield f"<p><small>{refused} of {requests} requests of the innocent were refused.</small></p>"


def _sources(report: Report) -> Iterable[str]:
    yield "<h2>Sources</h2>"
    head = ["source", "keys", "throttled", "blocked", "highest", "median", "p50", "p95", "text AUC"]
    rows = []
    for name, row in report["composed"]["sources"].items():
        delay = row.get("requests_to_detection", {})
        figures = [row[key] for key in ("keys", "throttled", "blocked", "highest", "median")]
        plain = report["text_only"]["sources"][name].get("auc")
        rows.append([name, *figures, delay.get("p50"), delay.get("p95"), plain])
    yield _table(head, rows)


def _refusals(refusals: Sequence[Report]) -> Iterable[str]:
    yield "<h2>Innocents refused, and why</h2>"
    if not refusals:
        yield "<p>None.</p>"
        return
    keys = ("key", "subject", "signals", "requests")
    yield _table(list(keys), [[item[key] for key in keys] for item in refusals[:_REFUSALS_SHOWN]])


def _scenarios(scenarios: Mapping[str, Report]) -> Iterable[str]:
    if not scenarios:
        return
    yield "<h2>Scenarios</h2>"
    keys = (
        *("aim", "met", "first_refused", "share_refused_after", "refused_after"),
        *("innocent_refused", "innocent_requests"),
    )
    rows = [[name, *(found.get(key) for key in keys)] for name, found in scenarios.items()]
    yield _table(["scenario", *(key.replace("_", " ") for key in keys)], rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    def line(tag: str, cells: Sequence[Any]) -> str:
        shown = "".join(f"<{tag}>{escape(_shown(cell))}</{tag}>" for cell in cells)
        return f"<tr>{shown}</tr>"

    body = "".join(line("td", row) for row in rows)
    return f'<div class="wide"><table>{line("th", head)}{body}</table></div>'


def _shown(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    return str(value)
