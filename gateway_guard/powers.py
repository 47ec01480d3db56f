"""What a subject may impose on one request.

Nobody answers for what somebody else does under the same name.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import msgspec

from gateway_guard.actions import Action
from gateway_guard.assessment import Assessment
from gateway_guard.enforcement import Pacing
from gateway_guard.model import SHIPPED, Model
from gateway_guard.subjects import IMITABLE, POWERS, hash_of, under_key

if TYPE_CHECKING:
    from gateway_guard.memory import Memory
    from gateway_guard.pending import Ticket
    from gateway_guard.standing import Standing
    from gateway_guard.subjects import SubjectId
    from gateway_guard.timeline import Instant


class Rules(msgspec.Struct, frozen=True):
    """What a deployment decides once: how subjects are scored and paced, what holds how long.

    ``model`` is what texts are compared with.
    """

    assessment: Assessment
    pacing: Pacing
    warm_at: float
    aged_at: float
    young_seconds: float
    warmup_seconds: float
    answer_timeout_seconds: float
    read_budget: int
    shadow: bool
    model: Model = SHIPPED


class Powers:
    """Knows how old keys are and since when they have used a template."""

    def __init__(
        self,
        memory: Memory,
        *,
        warm_at: float,
        aged_at: float,
        young_seconds: float,
        warmup_seconds: float = inf,
    ) -> None:
        """Block nobody before ``warm_at``, call nobody young before ``aged_at`` (wall clock).

        A first start that a store remembers counts from there for ``warmup_seconds``.
        """
        self._memory = memory
        self._warm_at = warm_at
        self._warmup_seconds = warmup_seconds
        self._aged_at = aged_at
        self._young_seconds = young_seconds

    def warming(self, now: Instant) -> bool:
        """Tell whether the guard has run too briefly since its first start to block anybody."""
        return now.wall < min(self._warm_at, self._memory.first_started_at + self._warmup_seconds)

    def knows_ages(self, now: Instant) -> bool:
        """Tell whether it is known which keys are old: by this process, or from a store."""
        return now.wall >= self._aged_at or (self._memory.ages_known and not self.warming(now))

    def young(self, key_hash: int, first_at: float | None, now: Instant) -> bool:
        """Tell whether a key whose first answer came at ``first_at`` is known to be young."""
        if not self.knows_ages(now) or self._memory.ages.uncertain(key_hash, first_at):
            return False
        return first_at is None or now.wall - first_at < self._young_seconds

    def most(self, subject: SubjectId, ticket: Ticket, standing: Standing, now: Instant) -> Action:
        """Return the most that a subject may impose on this request."""
        kind, id_ = subject
        if ticket.principal.anonymous and id_ == ticket.key.id:
            return Action.THROTTLE
        if kind not in IMITABLE or self.answers_for(id_, ticket, standing, now):
            return POWERS[kind]
        return Action.WATCH

    def answers_for(self, shared: bytes, ticket: Ticket, standing: Standing, now: Instant) -> bool:
        """Tell whether a key answers for a template or an organisation that others show too.

        It does when it is young, or first came with it after the evidence against it began.
        """
        if not self.knows_ages(now):
            return False
        if ticket.young:
            return True
        uses = self._memory.first_uses
        use = under_key(hash_of(shared), ticket.key_hash)
        first_at = uses.get(use)
        if uses.uncertain(use, first_at):
            return False
        return first_at is None or first_at > standing.watched_at

    def suspected_in_key(self, template: bytes, ticket: Ticket, now: Instant) -> bool:
        """Tell whether a template is suspected and the key answers only for its own use of it."""
        standing = self._memory.standings.get(template)
        if standing is None or standing.action < Action.WATCH:
            return False
        return not self.answers_for(template, ticket, standing, now)
