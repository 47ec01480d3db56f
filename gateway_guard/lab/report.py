"""From lives to the report: stable keys, one entry for each class and each source."""

from __future__ import annotations

from collections import Counter
from math import inf
from typing import TYPE_CHECKING, Any, Final

from gateway_guard.lab.material import name_of
from gateway_guard.lab.statistics import auc, interval, quantile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from gateway_guard.lab.lives import Life
    from gateway_guard.lab.material import Material

Report = dict[str, Any]

_HOUR_SECONDS: Final = 3600.0
_THRESHOLD: Final = 0.0


def result_of(lives: Sequence[Life], material: Material) -> Report:
    """Return what became of all keys of one way of composing traffic."""
    by_class = {name: of_class(lives, name) for name in ("human", "app", "harvest")}
    human, app, harvest = by_class["human"], by_class["app"], by_class["harvest"]
    against = {"human": auc_of(harvest, human), "app": auc_of(harvest, app)}
    known = [value for value in against.values() if value is not None]
    return {
        "auc": min(known, default=None),
        "auc_against": against,
        "operating_point": {
            "human": _people(human),
            "app": _programs(app),
            "harvest": _harvest(harvest),
            "innocent_requests": sum(life.innocent_requests for life in lives),
            "innocent_refused": sum(life.innocent_refused for life in lives),
            "refusals": _refusals(lives),
        },
        "languages": {
            name: summary([life for life in lives if life.chinese is chinese])
            for name, chinese in (("english", False), ("chinese", True))
        },
        "sources": {
            name_of(source): _source(lives, source.text_class, source.name, len(source.rows))
            for source in material.sources
        },
    }


def of_class(lives: Iterable[Life], text_class: str) -> list[Life]:
    """Return the lives of one class."""
    return [life for life in lives if life.text_class == text_class]


def auc_of(harvest: Sequence[Life], innocent: Sequence[Life]) -> float | None:
    """Return how well the highest score over a life tells harvests from innocents."""
    found = auc([life.highest for life in harvest], [life.highest for life in innocent])
    return None if found is None else round(found, 4)


def summary(lives: Sequence[Life]) -> Report:
    """Return the figures of a part of all keys."""
    harvest = of_class(lives, "harvest")
    against = {name: auc_of(harvest, of_class(lives, name)) for name in ("human", "app")}
    known = [value for value in against.values() if value is not None]
    return {
        "auc": min(known, default=None),
        "human": _counts(of_class(lives, "human"), "keys"),
        "app": _counts(of_class(lives, "app"), "programs"),
        "harvest": _harvest(harvest),
    }


def _counts(lives: Sequence[Life], noun: str) -> Report:
    throttled = sum(life.detected is not None for life in lives)
    return {
        noun: len(lives),
        "throttled": throttled,
        "blocked": sum(life.blocked is not None for life in lives),
        "interval": interval(throttled, len(lives)),
        "throttled_at_worst_jitter": sum(life.highest >= _THRESHOLD - _JITTER for life in lives),
    }


def _people(lives: Sequence[Life]) -> Report:
    found = _counts(lives, "keys")
    talks = sum(life.talks for life in lives)
    found["conversations"] = talks
    found["interval_of_conversations"] = interval(found["throttled"], talks)
    found["margin_logits"] = _margin(lives)
    return found


def _programs(lives: Sequence[Life]) -> Report:
    return _counts(lives, "programs") | {"margin_logits": _margin(lives)}


def _margin(lives: Sequence[Life]) -> float | None:
    """Return how far the nearest of all stayed below the threshold, over its whole life."""
    highest = max((life.highest for life in lives), default=None)
    return None if highest is None else round(_THRESHOLD - highest, 2)


def _harvest(lives: Sequence[Life]) -> Report:
    found = _counts(lives, "keys")
    del found["throttled_at_worst_jitter"]
    found["missed_at_worst_jitter"] = sum(life.highest < _THRESHOLD + _JITTER for life in lives)
    found["requests_to_detection"] = _quantiles(lives, lambda life: life.detected)
    found["hours_to_detection"] = _quantiles(lives, _hours)
    return found


def _quantiles(lives: Sequence[Life], of: Callable[[Life], float | None]) -> Report:
    """Return quantiles over all keys; one that was never detected counts as infinity."""
    values = [inf if (value := of(life)) is None else float(value) for life in lives]
    return {"p50": quantile(values, 0.5), "p95": quantile(values, 0.95)}


def _hours(life: Life) -> float | None:
    if life.detected_at is None:
        return None
    return (life.detected_at - life.began_at) / _HOUR_SECONDS


def _refusals(lives: Iterable[Life]) -> list[Report]:
    """Return why innocents were refused, request by request, the most frequent reason first."""
    counted: Counter[tuple[str, str, str, tuple[str, ...]]] = Counter()
    for life in lives:
        for (subject, *signals), count in life.refusals.items():
            counted[life.source, life.name, subject, tuple(signals)] += count
    return [
        {
            "source": source,
            "key": name,
            "subject": subject,
            "signals": list(signals),
            "requests": count,
        }
        for (source, name, subject, signals), count in counted.most_common()
    ]


def _source(lives: Sequence[Life], text_class: str, name: str, rows: int) -> Report:
    own = [life for life in of_class(lives, text_class) if life.source == name]
    found = _counts(own, "keys")
    innocent = [life for life in lives if life.text_class != "harvest"]
    found |= {
        "class": text_class,
        "rows": rows,
        "highest": quantile([life.highest for life in own], 1.0),
        "median": quantile([life.highest for life in own], 0.5),
        "refused": sum(life.innocent_refused + life.harvest_refused for life in own),
    }
    if text_class == "harvest":
        found["auc"] = auc_of(own, innocent)
        found["requests_to_detection"] = _quantiles(own, lambda life: life.detected)
    return found


_JITTER: Final = 0.1
"""By so many logits a deployment's secret moves the threshold, as the settings ship."""
