"""What is counted for each caller while the story runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gateway_guard.demo.guard import Judgement
    from gateway_guard.demo.script import Caller, Request

FORBIDDEN: Final = 403


@dataclass(slots=True)
class Tally:
    """One caller's counts: every HTTP request that the guard saw, an SDK's retries included.

    ``worst`` is the most severe thing that was decided on a request of the caller, between equals
    the one with the higher score.
    """

    caller: Caller
    requests: int = 0
    refused: int = 0
    blocked: int = 0
    harvest_requests: int = 0
    harvest_refused: int = 0
    first_refused_at: int | None = None
    worst: Judgement | None = None

    def count(self, request: Request, judgement: Judgement | None, refusal: int | None) -> None:
        """Count a request that the guard has decided on; ``refusal`` is the status of a refusal."""
        self.requests += 1
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
    def judgement(self) -> Judgement | None:
        """The worst decision on the caller's requests."""
        return self.worst

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
