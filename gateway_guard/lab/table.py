"""What an evaluation shows on a terminal."""

from __future__ import annotations

from typing import Any

from gateway_guard.terminal import Console, Table


def print_table(report: dict[str, Any]) -> None:
    """Print the figures of every class, then those of every source."""
    console = Console()
    for variant in ("composed", "text_only"):
        console.print(_classes(variant, report[variant]))
    console.print(_sources(report))


def _classes(variant: str, result: dict[str, Any]) -> Table:
    table = Table(title=f"{variant}: AUC {_number(result['auc'], 4)}", title_justify="left")
    for name in ("class", "keys", "throttled", "blocked", "margin", "requests p50", "p95"):
        table.add_column(name, justify="left" if name == "class" else "right")
    point = result["operating_point"]
    for name, noun in (("human", "keys"), ("app", "programs"), ("harvest", "keys")):
        row = point[name]
        delay = row.get("requests_to_detection", {})
        table.add_row(
            name,
            *(str(row[column]) for column in (noun, "throttled", "blocked")),
            _number(row.get("margin_logits")),
            *(_number(delay.get(share), 0) for share in ("p50", "p95")),
        )
    refused, requests = point["innocent_refused"], point["innocent_requests"]
    table.caption = f"{refused} of {requests} requests of the innocent refused"
    return table


def _sources(report: dict[str, Any]) -> Table:
    table = Table(title="sources (composed, text only)", title_justify="left")
    for name in ("source", "keys", "throttled", "highest", "median", "throttled", "highest"):
        table.add_column(name, justify="left" if name == "source" else "right")
    for name, row in report["composed"]["sources"].items():
        plain = report["text_only"]["sources"][name]
        table.add_row(
            name,
            str(row["keys"]),
            str(row["throttled"]),
            _number(row["highest"]),
            _number(row["median"]),
            str(plain["throttled"]),
            _number(plain["highest"]),
        )
    return table


def _number(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
