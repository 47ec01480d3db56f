"""What an evaluation shows on a terminal."""

from __future__ import annotations

from typing import Any

from gateway_guard.terminal import Console, Table


def print_table(report: dict[str, Any]) -> None:
    """Print the figures of every class, of every source, and of every scenario."""
    console = Console()
    if report["composed"]:
        for variant in ("composed", "text_only"):
            console.print(_classes(variant, report[variant]))
        console.print(_sources(report))
    if report["scenarios"]:
        console.print(_scenarios(report["scenarios"]))


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


def _scenarios(scenarios: dict[str, Any]) -> Table:
    table = Table(title="scenarios", title_justify="left")
    for name in ("scenario", "met", "first refused", "refused after", "share", "innocents refused"):
        table.add_column(name, justify="left" if name == "scenario" else "right")
    for name, found in scenarios.items():
        table.add_row(
            name,
            "yes" if found["met"] else "no",
            _number(found.get("first_refused"), 0),
            _number(found.get("refused_after"), 0),
            _number(found.get("share_refused_after")),
            f"{found['innocent_refused']} of {found['innocent_requests']}",
        )
    return table


def _number(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
