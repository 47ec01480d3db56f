"""The report as one HTML file that needs nothing else: tables, and matched answers over time."""

from __future__ import annotations

from datetime import date, timedelta
from html import escape
from typing import TYPE_CHECKING, Final

from gateway_guard.ledger.shown import HEADINGS, KINDS, MOST_SHOWN, cells

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway_guard.ledger.report import Party, Report

_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 70em; padding: 0 1em; }
table { border-collapse: collapse; margin: 1em 0 2em; } caption { text-align: left; }
th, td { padding: .2em .8em; text-align: right; }
td:first-child, th:first-child { text-align: left; }
tr { border-bottom: 1px solid #ccc; } .named { font-weight: bold; }
td:first-child { font-family: monospace; } svg { background: #f6f6f6; } rect { fill: #369; }
"""
_WIDTH, _HEIGHT = 720, 120
_MEANING: Final = (
    "A sample counts for a key by fingerprints that no other key was served. A named key (*) had "
    "more of them than chance gives any of the keys, by what answers to others show. It was served "
    "these texts. That its holder passed them on, and that nobody else had them elsewhere, is not "
    "shown by this."
)


def as_html(report: Report) -> str:
    """Return the page."""
    head = (
        f"<h1>Whose answers these are</h1><p>{report.samples:,} samples, "
        f"{report.matched_samples:,} of which match one key alone, among "
        f"{report.ledger_answers:,} answers. p is corrected for {report.null.keys:,} keys after "
        f"{escape(report.null.correction)} and must be below {report.null.threshold:g}.</p>"
    )
    parts = [head, f"<p>{_MEANING}</p>"]
    for kind, found in zip(
        KINDS, (report.keys, report.organisations, report.templates), strict=True
    ):
        parts.append(_table(kind, found[:MOST_SHOWN]))
        parts += [_chart(kind, party) for party in found if party.named]
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        f"<title>Attribution</title><style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def _table(kind: str, found: Sequence[Party]) -> str:
    heads = "".join(f"<th>{escape(name)}</th>" for name in (kind, *HEADINGS[1:]))
    rows = "".join(
        f"<tr class='{'named' if party.named else 'other'}'>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in cells(kind, party))
        + "</tr>"
        for party in found
    )
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"


def _chart(kind: str, party: Party) -> str:
    """Return the matched answers by day, as shares of all that were matched."""
    first, last = min(party.days), max(party.days)
    begin = date.fromisoformat(first)
    count = (date.fromisoformat(last) - begin).days + 1
    total, most = sum(party.days.values()), max(party.days.values())
    width = _WIDTH / count
    bars = []
    for at in range(count):
        day = (begin + timedelta(days=at)).isoformat()
        number = party.days.get(day, 0)
        height = _HEIGHT * number / most
        bars.append(
            f"<rect x='{at * width:.2f}' y='{_HEIGHT - height:.2f}' width='{width * 0.9:.2f}' "
            f"height='{height:.2f}'><title>{day}: {number} ({number / total:.1%})</title></rect>"
        )
    name = {"key": party.key, "organisation": party.organisation, "template": party.template}[kind]
    return (
        f"<h2>{kind} {escape(str(name))}</h2><p>Matched answers by day, {first} to {last}, at most "
        f"{most} ({most / total:.1%} of {total:,}).</p><svg role='img' width='{_WIDTH}' "
        f"height='{_HEIGHT}' viewBox='0 0 {_WIDTH} {_HEIGHT}'>{''.join(bars)}</svg>"
    )
