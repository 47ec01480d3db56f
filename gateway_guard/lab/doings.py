"""What callers do: workers that wait for answers, arrivals that do not, conversations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway_guard.lab.asks import continued

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    from gateway_guard.exchange import Turn
    from gateway_guard.lab.asks import Ask, Manner, Writer
    from gateway_guard.lab.material import Talk
    from gateway_guard.lab.stage import Caller, Process, Stage


def worker(
    stage: Stage, caller: Caller, asks: Iterator[Ask], pause: Callable[[], float]
) -> Process:
    """Ask one question after another, each when the one before is answered."""
    for ask in asks:
        yield from stage.exchange(caller, ask)
        yield pause()


def arrivals(stage: Stage, caller: Caller, asks: Iterator[Ask], gaps: Iterator[float]) -> Process:
    """Ask whenever something comes up, whatever is under way."""
    for ask, gap in zip(asks, gaps, strict=False):
        stage.spawn(_alone(stage, caller, ask))
        yield gap


def _alone(stage: Stage, caller: Caller, ask: Ask) -> Process:
    yield from stage.exchange(caller, ask)


class Talking:
    """Holds conversations in one manner: what was said and served is sent back each time."""

    def __init__(
        self, stage: Stage, caller: Caller, writer: Writer, rng: Random, manner: Manner
    ) -> None:
        """Draw everything from ``rng``."""
        self._stage = stage
        self._caller = caller
        self._writer = writer
        self._rng = rng
        self._manner = manner

    def talk(self, talk: Talk, *, harvest: bool = False, at_once: bool = False) -> Process:
        """Hold one conversation; ``at_once`` leaves no time to read an answer."""
        history: tuple[Turn, ...] = ()
        for number, row in enumerate(talk):
            if number and not at_once:
                yield self._writer.laws.thought(self._rng, row)
            ask = self._writer.ask(self._rng, row, self._manner, history, harvest=harvest)
            served = yield from self._stage.exchange(self._caller, ask)
            if not served:
                return
            history = continued(history, ask)

    def one_by_one(
        self,
        talks: Iterator[Talk],
        pause: Callable[[], float],
        *,
        harvest: bool = False,
        at_once: bool = False,
    ) -> Process:
        """Hold one conversation after another."""
        for talk in talks:
            yield from self.talk(talk, harvest=harvest, at_once=at_once)
            yield pause()

    def as_they_come(
        self, talks: Iterator[Talk], gaps: Iterator[float], *, harvest: bool = False
    ) -> Process:
        """Begin conversations whenever somebody comes, whatever is under way."""
        for talk, gap in zip(talks, gaps, strict=False):
            self._stage.spawn(self.talk(talk, harvest=harvest))
            yield gap
