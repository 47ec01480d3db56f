"""A campaign: what became of its requests, in the order in which they were first sent."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING, Final

from gateway_guard.actions import Action
from gateway_guard.lab.composer import CLIENTS
from gateway_guard.lab.lives import Life
from gateway_guard.lab.stage import RETRIES, START_AT, caller

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator
    from random import Random

    from gateway_guard.enforcement import Decision
    from gateway_guard.lab.asks import Ask
    from gateway_guard.lab.stage import Caller, Process, Stage

_MINUTE_SECONDS: Final = 60.0


class Campaign:
    """Keeps count of a campaign's requests, and of how many questions each of them asks."""

    def __init__(self, stage: Stage, source: str, name: str) -> None:
        """Begin with none; all of its keys live one life."""
        self.life = Life("harvest", source, name)
        self.served: list[bool] = []
        self.worst: list[Action] = []
        self.questions: list[int] = []
        self.asked_at: list[float] = []
        self._stage = stage

    def key(
        self,
        number: object,
        *,
        network: str = "",
        client: str = "openai-python",
        organisation: str = "",
    ) -> Caller:
        """Return one of its keys."""
        who = caller(
            self.life,
            name=f"{self.life.name} key {number}",
            network=network,
            client=client,
            organisation=organisation,
        )
        self._stage.join(who)
        return who

    def keys(self, count: int) -> list[Caller]:
        """Return so many keys, each of a network of its own, with everybody's clients."""
        clients = cycle(CLIENTS)
        return [self.key(number, client=next(clients)) for number in range(count)]

    def exchange(
        self, who: Caller, ask: Ask, *, questions: int = 1, retries: int = RETRIES
    ) -> Generator[float, None, bool]:
        """Send a request; tell whether it was served."""
        number = len(self.served)
        self.served.append(False)
        self.worst.append(Action.PASS)
        self.questions.append(questions)
        self.asked_at.append(self._stage.now.steady - START_AT)

        def heard(decision: Decision) -> None:
            self.worst[number] = max(self.worst[number], decision.action)

        served = yield from self._stage.exchange(who, ask, heard, retries=retries)
        self.served[number] = served
        return served

    def flood(
        self,
        rng: Random,
        asks: Iterator[Ask],
        keys: Iterable[Caller],
        *,
        per_minute: float,
        questions: int = 1,
    ) -> Process:
        """Send requests at a steady rate, whatever becomes of them, with the keys in turn."""
        mean = _MINUTE_SECONDS / per_minute
        for who, ask in zip(cycle(keys), asks, strict=False):
            self._stage.spawn(self._alone(who, ask, questions))
            yield rng.uniform(0.5, 1.5) * mean

    def _alone(self, who: Caller, ask: Ask, questions: int) -> Process:
        yield from self.exchange(who, ask, questions=questions)

    @property
    def first_refused(self) -> int | None:
        """Return the number of the first request that was not served, counted from 1."""
        return next((at for at, served in enumerate(self.served, start=1) if not served), None)

    def share_refused(self, after: int) -> float | None:
        """Return the share of questions refused after the first requests; ``None`` of none."""
        return self._share([not served for served in self.served], after)

    def share_throttled(self, after: int) -> float | None:
        """Return the share of questions that a throttle, or worse, stood against."""
        return self._share([worst >= Action.THROTTLE for worst in self.worst], after)

    def _share(self, flags: list[bool], after: int) -> float | None:
        asked = self.questions[after:]
        found = sum(n for n, flag in zip(asked, flags[after:], strict=True) if flag)
        return found / sum(asked) if asked else None
