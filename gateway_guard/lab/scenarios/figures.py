"""The figures that every scenario reports, under names that stay."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gateway_guard.lab.lives import Life
    from gateway_guard.lab.scenarios.campaign import Campaign
    from gateway_guard.lab.scenarios.run import Run
    from gateway_guard.lab.scenarios.setup import Report

_SUMMED = (
    "requests",
    "harvest_requests",
    "harvest_refused",
    "innocent_keys",
    "innocent_requests",
    "innocent_refused",
    "innocent_blocked",
)


def of_run(run: Run, after: int, **particular: object) -> Report:
    """Return the figures of one run; what was refused counts after so many requests.

    A campaign that is shorter than twice as many counts from its middle on.
    """
    lives, campaign = run.stage.lives, run.campaign
    innocent = [life for life in lives if life.innocent_requests]
    return {
        "requests": sum(life.requests for life in lives),
        "harvest_requests": sum(life.harvest_requests for life in lives),
        "harvest_refused": sum(life.harvest_refused for life in lives),
        **_of_campaign(campaign, after),
        "innocent_keys": len(innocent),
        "innocent_requests": sum(life.innocent_requests for life in innocent),
        "innocent_refused": sum(life.innocent_refused for life in innocent),
        "innocent_blocked": sum(life.barred is not None for life in innocent),
        "refusals": _refusals(innocent),
        **particular,
    }


def _of_campaign(campaign: Campaign, after: int) -> Report:
    after = min(after, len(campaign.served) // 2)
    return {
        "first_refused": campaign.first_refused,
        "refused_after": after,
        "share_refused_after": rounded(campaign.share_refused(after)),
        "share_throttled_after": rounded(campaign.share_throttled(after)),
    }


def _refusals(lives: Iterable[Life]) -> list[Report]:
    """Return on what grounds innocents were refused: by whose account, and by which signals."""
    found: Counter[tuple[str, ...]] = Counter()
    for life in lives:
        for (subject, *signals), count in life.refusals.items():
            found[life.text_class, life.source, subject, *signals] += count
    return [
        {
            "class": text_class,
            "source": source,
            "subject": subject,
            "signals": signals,
            "requests": count,
        }
        for (text_class, source, subject, *signals), count in found.most_common()
    ]


def curve(campaign: Campaign, step: int) -> list[Report]:
    """Return the share that was refused of each so many requests."""
    parts = [campaign.served[at : at + step] for at in range(0, len(campaign.served), step)]
    return [
        {"from": number * step + 1, "share": rounded(part.count(False) / len(part))}
        for number, part in enumerate(parts)
    ]


def total(aim: str, reports: Mapping[str, Report], *, met: bool, **particular: object) -> Report:
    """Return what several runs come to: sums, and the worst of what is no sum."""
    runs = list(reports.values())
    firsts = [run["first_refused"] for run in runs]
    shares = {
        name: min((run[name] for run in runs if run[name] is not None), default=None)
        for name in ("share_refused_after", "share_throttled_after")
    }
    return {
        "aim": aim,
        "met": met and bool(runs),
        **{name: sum(run[name] for run in runs) for name in _SUMMED},
        "first_refused": None if None in firsts else max(firsts, default=None),
        "refused_after": max((run["refused_after"] for run in runs), default=0),
        **shares,
        "refusals": [item for run in runs for item in run["refusals"]],
        "campaigns": dict(reports),
        **particular,
    }


def at_least(share: float | None, least: float) -> bool:
    """Tell whether a share is known and large enough."""
    return share is not None and share >= least


def within(number: float | None, most: float) -> bool:
    """Tell whether a number is known and no larger than it may be."""
    return number is not None and number <= most


def rounded(share: float | None) -> float | None:
    """Return a share with as many digits as it is worth."""
    return None if share is None else round(share, 4)
