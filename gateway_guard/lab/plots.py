"""Plots of an evaluation, as SVG that stands in the page itself."""

from __future__ import annotations

from collections import defaultdict
from io import StringIO
from math import inf
from typing import TYPE_CHECKING, Final

import matplotlib as mpl
from matplotlib.figure import Figure

from gateway_guard.lab.report import of_class
from gateway_guard.lab.statistics import roc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

    from gateway_guard.lab.lives import Life

    Lives = Mapping[str, Sequence[Life]]

_COLOURS: Final = {"human": "#2a7f62", "app": "#3667a6", "harvest": "#b3422f"}
_LINES: Final = {"composed": "-", "text_only": "--"}
_SHOWN: Final = 12
_MOST_REQUESTS: Final = 240
_HIGHEST_SHOWN, _LOWEST_SHOWN = 8.0, -8.0


def svg(figure: Figure) -> str:
    """Return a figure as an SVG element, the same bytes for the same figure."""
    with mpl.rc_context({"svg.hashsalt": "gateway-guard", "svg.fonttype": "none"}):
        buffer = StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _axes(title: str, across: str, up: str, *, height: float = 3.6) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7.2, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def roc_plot(lives: Lives) -> str:
    """Return the curve of true against false positives, for people and for programs."""
    figure, axes = _axes("Harvests against each class", "innocents above", "harvests above")
    for variant, line in _LINES.items():
        harvest = [life.highest for life in of_class(lives[variant], "harvest")]
        for name in ("human", "app"):
            others = [life.highest for life in of_class(lives[variant], name)]
            points = roc(harvest, others)
            label = f"{name}, {variant}"
            axes.plot(*zip(*points, strict=True), line, color=_COLOURS[name], label=label)
    axes.legend(frameon=False, loc="lower right")
    return svg(figure)


def trajectories_plot(lives: Sequence[Life]) -> str:
    """Return how scores rise over the requests of some keys of each class, the highest first."""
    figure, axes = _axes("Scores over a key's requests", "requests", "score (logits)")
    for name, colour in _COLOURS.items():
        chosen = sorted(of_class(lives, name), key=lambda life: -life.highest)
        step = max(1, len(chosen) // _SHOWN) if name == "harvest" else 1
        for number, life in enumerate(chosen[::step][:_SHOWN]):
            if life.trajectory:
                points = [(at, min(_HIGHEST_SHOWN, score)) for at, score in life.trajectory]
                label = None if number else name
                across, up = zip(*points, strict=True)
                axes.step(across, up, where="post", color=colour, alpha=0.5, lw=1, label=label)
    axes.axhline(0.0, color="black", lw=0.8)
    axes.set_xlim(0, _MOST_REQUESTS)
    axes.legend(frameon=False, loc="upper right")
    return svg(figure)


def delay_plot(lives: Lives) -> str:
    """Return which share of harvesting keys has been throttled after so many requests."""
    figure, axes = _axes("How soon harvests are throttled", "requests", "keys throttled")
    for variant, line in _LINES.items():
        harvest = of_class(lives[variant], "harvest")
        found = sorted(inf if life.detected is None else life.detected for life in harvest)
        up = [sum(at <= count for at in found) for count in range(_MOST_REQUESTS + 1)]
        shares = [count / max(1, len(found)) for count in up]
        axes.plot(range(len(shares)), shares, line, color=_COLOURS["harvest"], label=variant)
    axes.set_ylim(0, 1.02)
    axes.legend(frameon=False, loc="lower right")
    return svg(figure)


def contributions_plot(lives: Sequence[Life]) -> str:
    """Return what each signal adds to the highest score, on average over a source's keys."""
    sums: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    keys: dict[str, int] = defaultdict(int)
    for life in lives:
        name = f"{life.text_class} {life.source}"
        keys[name] += 1
        for signal, share in life.shares.items():
            sums[signal][name] += share
    names = sorted(keys, reverse=True)
    height = 1.6 + 0.24 * len(names)
    figure, axes = _axes("What scores are made of", "logits above the bias", "", height=height)
    left = [0.0] * len(names)
    for signal in sorted(sums):
        width = [sums[signal][name] / keys[name] for name in names]
        axes.barh(names, width, left=left, label=signal.replace("_", " "))
        left = [begin + more for begin, more in zip(left, width, strict=True)]
    axes.legend(frameon=False, fontsize=7, ncols=4, loc="upper center", bbox_to_anchor=(0.4, -0.12))
    return svg(figure)


def confusions_plot(lives: Sequence[Life]) -> str:
    """Return the spread of the highest scores of every source's keys, around the threshold."""
    scores: dict[str, list[float]] = defaultdict(list)
    for life in lives:
        height = min(_HIGHEST_SHOWN, max(_LOWEST_SHOWN, life.highest))
        scores[f"{life.text_class} {life.source}"].append(height)
    names = sorted(scores, reverse=True)
    height = 1.2 + 0.24 * len(names)
    figure, axes = _axes("Highest score of every key", "score (logits)", "", height=height)
    for row, name in enumerate(names):
        colour = _COLOURS[name.partition(" ")[0]]
        axes.plot(scores[name], [row] * len(scores[name]), "|", color=colour, ms=8)
    axes.set_yticks(range(len(names)), names)
    axes.axvline(0.0, color="black", lw=0.8)
    return svg(figure)
