"""What is counted for each caller while the story runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gateway_guard.demo.guard import Guard, Judgement
    from gateway_guard.demo.script import Caller, Request

FORBIDDEN: Final = 403


@dataclass(slots=True)
class Tally:
    """One caller's counts: every HTTP request that the guard saw, an SDK's retries included.

    ``worst`` is the most severe thing that was decided on a request of the caller, between equals
    the one with the higher score; ``opinion`` is what the guard thinks of its keys by themselves.
    """

    caller: Caller
    requests: int = 0
    refused: int = 0
    blocked: int = 0
    harvest_requests: int = 0
    harvest_refused: int = 0
    first_refused_at: int | None = None
    keys: dict[str, None] = field(default_factory=dict)
    worst: Judgement | None = None
    opinion: Judgement | None = None

    def count(self, request: Request, judgement: Judgement | None, refusal: int | None) -> None:
        """Count a request that the guard has decided on; ``refusal`` is the status of a refusal."""
        self.requests += 1
        self.keys[request.identity.key] = None
        self.refused += refusal is not None
        self.blocked += refusal == FORBIDDEN
        if request.harvest:
            self._count_harvest(refused=refusal is not None)
        if judgement is not None and (self.worst is None or judgement.rank > self.worst.rank):
            self.worst = judgement

    def _count_harvest(self, *, refused: bool) -> None:
        self.harvest_requests += 1
        self.harvest_refused += refused
        if refused and self.first_refused_at is None:
            self.first_refused_at = self.harvest_requests

    @property
    def convicted(self) -> bool:
        """Tell whether the caller's requests ever had a refusal coming."""
        return self.worst is not None and self.worst.action.refuses

    @property
    def judgement(self) -> Judgement | None:
        """The worst decision that had consequences, else what is thought of the caller's keys.

        A watch that comes from what a caller shares with others, such as its client, says nothing
        about the caller.
        """
        return self.worst if self.convicted else self.opinion

    def ask(self, guard: Guard) -> None:
        """Ask the guard for its opinion of the caller's keys and keep the worst."""
        opinions = [found for key in self.keys if (found := guard.opinion(key)) is not None]
        self.opinion = max(opinions, key=lambda found: found.rank, default=None)

    @property
    def innocent_requests(self) -> int:
        """Requests that harvest nothing."""
        return self.requests - self.harvest_requests

    @property
    def innocent_refused(self) -> int:
        """Refused requests that harvest nothing."""
        return self.refused - self.harvest_refused


@dataclass(slots=True)
class Results:
    """Everybody's counts at the end, and how long it took in real time and in event time."""

    tallies: list[Tally]
    wall_seconds: float
    event_seconds: float
