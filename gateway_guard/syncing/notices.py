"""Standings as writers tell each other of them, and what becomes of what is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachetools import LRUCache

from gateway_guard.actions import Action
from gateway_guard.principal import SubjectKind
from gateway_guard.standing import Said, Standing
from gateway_guard.stores.base import STANDING, Part
from gateway_guard.syncing.news import Notice, encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway_guard.memory import Memory
    from gateway_guard.syncing.clocks import Shift
    from gateway_guard.syncing.rows import Rows
    from gateway_guard.timeline import Instant

_RESETS_KEPT = 65_536
_HOLD_SECONDS = 60.0  # that a throttle goes on is told once a minute


class Notices:
    """Tells of standings that have changed here, and takes over those that changed elsewhere."""

    def __init__(self, memory: Memory, rows: Rows, now: Callable[[], Instant]) -> None:
        """Begin with nothing told; ``now`` gives the present."""
        self._memory, self._rows, self._now = memory, rows, now
        self._began_at = now().wall  # who begins after an erasure has nothing of before it
        self._resets: LRUCache[bytes, int] = LRUCache(_RESETS_KEPT)
        self._erased: LRUCache[bytes, int] = LRUCache(_RESETS_KEPT)
        self._to_erase: dict[bytes, int] = {}

    def collect(self, shift: Shift) -> list[Notice]:
        """Return what others should know of what has changed since the last time."""
        standings = self._memory.standings
        changed, standings.changed = standings.changed or {}, {}
        told = (self._told(subject, standing, shift) for subject, standing in changed.items())
        return [notice for notice in told if notice is not None]

    def _told(self, subject: bytes, standing: Standing, shift: Shift) -> Notice | None:
        said, before = _said(standing), standing.shown or _SAYS_NOTHING
        if said == before:
            return None
        seen = standing.revision
        if before.verdict != said.verdict:
            standing.revision = max(seen + 1, int(shift.wall_out(self._now().wall)))
        standing.shown = said
        return self._notice(subject, standing, shift, seen, max(0, said.above - before.above))

    def _notice(
        self, subject: bytes, standing: Standing, shift: Shift, seen: int = 0, added: int = 0
    ) -> Notice:
        return Notice(
            subject=subject,
            reset=self._resets.get(subject, 0),
            operator=standing.operator,
            revision=standing.revision,
            action=int(standing.action),
            score=standing.score,
            reasons=standing.reasons,
            families=tuple(sorted(standing.families)),
            until_at=shift.wall_out(standing.until_at),
            watched_at=shift.wall_out(standing.watched_at),
            penalty_until_at=shift.wall_out(standing.penalty_until_at),
            paced_at=shift.steady_out(standing.paced_at),
            seen=seen,
            above=standing.above,
            added=added,
            offences=standing.offences,
            returns=standing.returns,
            probation=standing.probation,
            provisional=standing.provisional,
        )

    def lasting(self, shift: Shift) -> list[Notice]:
        """Return all that refuses something, for a store that may have lost its memory."""
        standings = self._memory.standings.items()
        return [
            self._notice(subject, standing, shift)
            for subject, standing in standings
            if standing.action > Action.WATCH
        ]

    def hear(self, notice: Notice, shift: Shift, *, again: bool = False) -> None:
        """Take over what is truer than what is known here.

        ``again`` says that it may have been heard before, so that nothing is added up.
        """
        subject, standings = notice.subject, self._memory.standings
        self._forgive(subject, notice.reset)
        if notice.erased and notice.reset >= shift.wall_out(self._began_at):
            self._erase(subject, notice.reset)
        if notice.reset < self._resets.get(subject, 0):
            return
        known = standings.get(subject) or Standing()
        before = known.shown or _SAYS_NOTHING
        untold = known.above - before.above
        above = known.above + (0 if again else notice.added)
        paced_at = max(known.paced_at, shift.steady_in(notice.paced_at))
        truer = _is_truer(notice, known, unsaid=_said(known).verdict != before.verdict)
        if truer:
            _adopt(known, notice, shift)
            above = max(above, notice.above) if known.action >= Action.THROTTLE else 0
        elif known.revision == notice.revision and known.action == notice.action:
            known.until_at = max(known.until_at, shift.wall_in(notice.until_at))
        elif known.revision < notice.revision:
            # Whoever told of it did not know what is known here, and is to be told again.
            known.revision, before = notice.revision, _SAYS_NOTHING
            standings.note(subject, known)
        known.above, known.paced_at = above, paced_at
        said = _said(known)
        known.shown = said if truer else before
        known.shown = known.shown._replace(above=max(0, above - untold), paced_at=said.paced_at)
        self._keep(subject, known)

    def _keep(self, subject: bytes, standing: Standing) -> None:
        """Keep a standing that was heard of, without telling of it."""
        standings = self._memory.standings
        changed, standings.changed = standings.changed, None
        if standing.action > Action.PASS or standing.offences:
            standings.keep(subject, standing)
        else:
            standings.forget(subject)
        standings.changed = changed

    def pardon(self, subject: bytes, shift: Shift) -> Notice:
        """Clear a subject of everything, here and for good; return what others should know."""
        at = int(shift.wall_out(self._now().wall))
        self._forgive(subject, max(at, self._resets.get(subject, 0) + 1))
        return Notice(subject, reset=self._resets[subject], revision=at, seen=at)

    def take_erased(self) -> dict[bytes, int]:
        """Return the subjects that were erased elsewhere since the last time, with their resets."""
        erased, self._to_erase = self._to_erase, {}
        return erased

    def _erase(self, subject: bytes, reset: int) -> None:
        """Have nothing kept of a subject, nor of the templates within it, if that is new."""
        if reset <= self._erased.get(subject, 0):
            return
        within = self._memory.within(subject) if subject[0] == SubjectKind.KEY else []
        for each in (subject, *within):
            self._forgive(each, reset)
            self._erased[each] = self._to_erase[each] = reset

    def _forgive(self, subject: bytes, reset: int) -> None:
        """Let a standing and a row of before a reset count as nothing."""
        if reset <= self._resets.get(subject, 0):
            return
        self._resets[subject] = reset
        changed, self._memory.standings.changed = self._memory.standings.changed, None
        self._memory.standings.forget(subject)
        self._memory.standings.changed = changed
        if changed is not None:
            changed.pop(subject, None)
        held = self._memory.subjects.get(subject)
        if held is not None and held.row >= 0:
            self._rows.reset(held, reset)


def kept(notice: Notice) -> Part:
    """Return a standing as a store keeps it."""
    ends_at = notice.ends_at if notice.action > Action.WATCH else 0.0
    return Part(notice.subject, STANDING, notice.rank, encode(notice), ends_at)


def _said(standing: Standing) -> Said:
    """Return what of a standing others must know.

    That a subject is watched, or no longer, each finds out for himself: who knows least of it must
    not say so to all.
    """
    throttled = standing.action == Action.THROTTLE
    verdict = (
        int(standing.action) if standing.action > Action.WATCH else 0,
        standing.until_at if standing.action == Action.BLOCK else 0.0,
        standing.penalty_until_at,
        standing.offences,
        standing.probation,
        standing.provisional,
    )
    held_until_at = standing.until_at // _HOLD_SECONDS if throttled else 0.0
    return Said(verdict, standing.above, standing.paced_at if throttled else 0.0, held_until_at)


_SAYS_NOTHING = _said(Standing())


def _is_truer(notice: Notice, known: Standing, *, unsaid: bool) -> bool:
    """Tell whether what is told of a subject beats what is known of it.

    What an operator said beats what is automatic. Of the rest the newer is true; of what two
    writers found without knowing of each other the more severe. What is ``unsaid`` nobody else can
    have known.
    """
    rank = notice.reset, int(known.operator), (known.revision << 8) + known.action
    knew = notice.seen >= known.revision and not unsaid
    if int(notice.operator) != rank[1] or knew:
        return notice.rank > rank
    same = notice.action == known.action
    return notice.action > known.action or (same and notice.rank > rank)


def _adopt(standing: Standing, notice: Notice, shift: Shift) -> None:
    standing.action, standing.operator = Action(notice.action), notice.operator
    standing.revision, standing.score = notice.revision, notice.score
    standing.reasons, standing.families = notice.reasons, frozenset(notice.families)
    standing.until_at = shift.wall_in(notice.until_at)
    standing.watched_at = shift.wall_in(notice.watched_at)
    standing.penalty_until_at = shift.wall_in(notice.penalty_until_at)
    standing.offences = max(standing.offences, notice.offences)
    standing.returns = max(standing.returns, notice.returns)
    standing.probation, standing.provisional = notice.probation, notice.provisional
