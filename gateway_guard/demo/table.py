"""The live table: who asks, how often, what the guard thinks of them and why."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Final

from gateway_guard.actions import Action
from gateway_guard.demo.clock import DAY, HOUR, MINUTE
from gateway_guard.terminal import Console, Group, Live, Table, Text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from gateway_guard.demo.tally import Results, Tally

REFRESH_SECONDS: Final = 0.25
STYLES: Final = {
    Action.PASS: "green",
    Action.WATCH: "cyan",
    Action.THROTTLE: "yellow",
    Action.PENALTY: "dark_orange",
    Action.BLOCK: "red",
}
KIND_STYLES: Final = {"harvest": "red", "hydra": "red", "reseller": "magenta", "victim": "blue"}
COLUMNS: Final = ("caller", "class", "keys", "requests", "refused", "score", "verdict", "reasons")
NUMBERS: Final = frozenset({"keys", "requests", "refused", "score"})


class LiveTable:
    """A table that is drawn anew a few times a second of real time."""

    def __init__(self, title: str, console: Console | None = None) -> None:
        self._title = title
        self._console = console or Console()
        self._live = Live(console=self._console, auto_refresh=False)
        self._drawn_at = 0.0

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the last table on the screen."""
        self._live.stop()

    def update(self, event_seconds: float, tallies: Sequence[Tally]) -> None:
        """Draw the table, if it is time."""
        now = perf_counter()
        if now - self._drawn_at >= REFRESH_SECONDS:
            self._drawn_at = now
            self._draw(event_seconds, tallies)

    def finish(self, results: Results, lines: Sequence[str]) -> None:
        """Draw the last table and a summary under it."""
        table = make_table(self._title, results.event_seconds, results.tallies)
        self._live.update(Group(table, *map(Text, lines)), refresh=True)

    def _draw(self, event_seconds: float, tallies: Sequence[Tally]) -> None:
        self._live.update(make_table(self._title, event_seconds, tallies), refresh=True)


def make_table(title: str, event_seconds: float, tallies: Sequence[Tally]) -> Table:
    """Return the table of everybody who has asked so far."""
    table = Table(title=f"{title} - {event_time(event_seconds)}", expand=True, title_justify="left")
    for column in COLUMNS:
        right = column in NUMBERS
        ratio = 1 if column == "reasons" else None
        table.add_column(
            column, justify="right" if right else "left", no_wrap=True, ratio=ratio, min_width=4
        )
    for tally in tallies:
        if tally.requests:
            table.add_row(*cells(tally))
    return table


def cells(tally: Tally) -> list[Text]:
    """Return one caller's cells."""
    caller, judged = tally.caller, tally.judgement
    action = judged.action if judged else Action.PASS
    return [
        Text(caller.name),
        Text(caller.kind, style=KIND_STYLES.get(caller.kind, "")),
        Text(f"{caller.keys}"),
        Text(f"{tally.requests}"),
        Text(f"{tally.refused}" if tally.refused else "-", style="bold" if tally.refused else ""),
        Text(f"{judged.score:+.1f}" if judged else "-"),
        Text(action.label, style=STYLES[action]),
        Text(", ".join(brief(reason) for reason in judged.reasons) if judged else ""),
    ]


def brief(reason: str) -> str:
    """Return the beginning of a reason, the signal and its value, without the sentence after it."""
    return reason.partition(" (")[0]


def event_time(seconds: float) -> str:
    """Return an instant of the story as a day and a time of day."""
    hour, minute = int(seconds % DAY // HOUR), int(seconds % HOUR // MINUTE)
    return f"day {int(seconds // DAY) + 1}, {hour:02d}:{minute:02d}"
