"""The report for people: a table for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway_guard.ledger.report import Party, Report

HEADINGS: Final = (
    *("", "answers", "samples", "coverage", "first", "last", "p", "log10 odds", "by chance"),
)
MOST_SHOWN: Final = 20
KINDS: Final = ("key", "organisation", "template")
_DATE: Final = 10
_SMALL: Final = -3.0


def as_text(report: Report) -> str:
    """Return tables of keys, organisations and templates, and how to read them."""
    head = (
        f"{report.samples:,} samples, {report.matched_samples:,} of which match one key alone, "
        f"among {report.ledger_answers:,} answers"
    )
    parts = [head]
    for kind, found in zip(
        KINDS, (report.keys, report.organisations, report.templates), strict=True
    ):
        if found:
            parts.append(_table(kind, found[:MOST_SHOWN]))
    named = sum(party.named for party in report.keys)
    parts.append(
        f"named (*): {named}; p is corrected for {report.null.keys:,} keys after "
        f"{report.null.correction} and must be below {report.null.threshold:g}"
    )
    if report.unreadable_segments:
        parts.append(f"segments written under another secret: {report.unreadable_segments}")
    return "\n\n".join(parts)


def cells(kind: str, party: Party) -> tuple[str, ...]:
    """Return a row of the table."""
    name = {"key": party.key, "organisation": party.organisation, "template": party.template}[kind]
    return (
        f"{'*' if party.named else ' '} {name}",
        f"{party.answers:,}",
        f"{party.samples:,}",
        f"{party.coverage:.0%}",
        (party.first or "")[:_DATE],
        (party.last or "")[:_DATE],
        f"1e{party.log10_p:.0f}" if party.log10_p < _SMALL else f"{party.p_value:.3f}",
        f"{party.log10_odds:+.1f}",
        f"{party.expected:.2g} of {party.matches}",
    )


def _table(kind: str, found: Sequence[Party]) -> str:
    rows = [(kind, *HEADINGS[1:]), *(cells(kind, party) for party in found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if at else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
