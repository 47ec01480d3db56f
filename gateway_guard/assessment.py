"""Scoring a subject when it is due: profile -> views -> evidence -> score -> standing."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from gateway_guard import profile, scoring, verdict
from gateway_guard.actions import Action
from gateway_guard.profile import Slot
from gateway_guard.scoring import SHIPPED, Weights
from gateway_guard.signals import SIGNALS, View
from gateway_guard.standing import Standing
from gateway_guard.subjects import MINIMUM_SAMPLE, POWERS, Subject
from gateway_guard.verdict import Ladder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gateway_guard.memory import Memory
    from gateway_guard.profile import Reading
    from gateway_guard.scoring import Score
    from gateway_guard.signals import Evidence
    from gateway_guard.timeline import Instant

_GROWTH = 12  # a score is read anew when its sample has grown by a twelfth
_GROWTH_OF_QUIET = 6  # one that is far below every threshold, or imposes nothing, may wait longer
_QUIET_MARGIN = 1.0
_WELL_KNOWN = 128


class Assessment(msgspec.Struct, frozen=True):
    """How subjects are scored here; ``minimum`` is the smallest sample that speaks."""

    ladder: Ladder
    minimum: float
    weights: Weights = SHIPPED

    def assess(
        self, memory: Memory, subject: Subject, now: Instant, *, warming: bool, aged: bool
    ) -> Standing:
        """Score a subject and move its standing; return the standing it has now.

        While the guard is warming, a throttle is the most severe action, and needs two families of
        evidence; until it is ``aged``, nothing speaks that depends on age.
        """
        standing = memory.standings.get(subject.id) or Standing()
        if standing.probation:
            standing.probation = False
            memory.subjects.discount(subject)
        row, elapsed = memory.subjects.project(subject, now)
        reading = profile.read(row, elapsed, now.wall)
        if standing.action > Action.PASS and not reading.slow[Slot.EXCHANGES]:
            _schedule(subject, reading, standing, quiet=False)
            return standing  # it was found elsewhere, on evidence that is not known here
        score = self.score(subject, reading, aged=aged)
        subject.logit = score.logit
        most = min(POWERS[subject.kind], _most(score) if warming else Action.BLOCK)
        with _confirmed(standing, now.wall, counted=subject.exchanges >= MINIMUM_SAMPLE):
            verdict.judge(standing, score, self.ladder, most=most, now=now.wall)
        if standing.action > Action.PASS or standing.offences:
            memory.standings.keep(subject.id, standing)
        else:
            memory.standings.forget(subject.id)
        quiet = score.logit < self.ladder.watch - _QUIET_MARGIN
        _schedule(subject, reading, standing, quiet=quiet)
        return standing

    def score(self, subject: Subject, reading: Reading, *, aged: bool) -> Score:
        """Score what is known of a subject."""
        seen = views(subject, reading, minimum=self.minimum, aged=aged)
        return highest([evidence_of(view) for view in seen], seen, self.weights)


def _most(score: Score) -> Action:
    """Return the most severe action of a guard that was mounted a while ago."""
    return Action.THROTTLE if score.corroborated else Action.WATCH


@contextmanager
def _confirmed(standing: Standing, now: float, *, counted: bool) -> Iterator[None]:
    """Judge anew a throttle that only pending exchanges had brought, once some have been counted.

    Their answers may tell that it was none; if not, it goes on where it was.
    """
    above, returns = standing.above, standing.returns
    confirming = standing.provisional and counted
    if confirming:
        standing.until_at = min(standing.until_at, now)
    yield
    throttled = standing.action == Action.THROTTLE
    if confirming and throttled:
        standing.above, standing.returns = above, returns
    standing.provisional = throttled and not counted


def views(
    subject: Subject,
    reading: Reading,
    *,
    minimum: float,
    aged: bool,
) -> tuple[View, ...]:
    """Return a subject as its fast and as its slow slice show it.

    The fast slice sees what a long innocent past would hide, the slow one what comes too rarely for
    the fast one.
    """
    return tuple(
        [
            View(
                subject.kind,
                sums,
                reading,
                aged=aged,
                minimum=minimum,
            )
            for sums in (reading.fast, reading.slow)
        ]
    )


def evidence_of(view: View) -> tuple[Evidence, ...]:
    """Return what the signals say of a view."""
    evidence = (signal(view) for signal in SIGNALS)
    return tuple([item for item in evidence if item is not None])


def highest(
    evidence: Sequence[tuple[Evidence, ...]], seen: Sequence[View], weights: Weights
) -> Score:
    """Return the highest of the scores that views give, by what the signals said of each."""
    scores = [
        scoring.score(items, view.exchanges, weights)
        for items, view in zip(evidence, seen, strict=True)
    ]
    return max(scores, key=lambda score: score.logit)


def best_score(subject: Subject, reading: Reading, *, minimum: float, aged: bool) -> Score:
    """Return the higher of the scores that the fast and the slow slice give."""
    seen = views(subject, reading, minimum=minimum, aged=aged)
    return highest([evidence_of(view) for view in seen], seen, SHIPPED)


def _schedule(subject: Subject, reading: Reading, standing: Standing, *, quiet: bool) -> None:
    """Say after how many more exchanges the subject is due: its means move slowly.

    One far from every threshold may wait a little longer, for other work to be done with it.
    """
    count = int(reading.slow[Slot.EXCHANGES])
    subject.fresh, patience = 0, 0
    if count < MINIMUM_SAMPLE:
        subject.due = MINIMUM_SAMPLE - count
    elif standing.action >= Action.THROTTLE:
        subject.due = 1
    elif POWERS[subject.kind] <= Action.WATCH:
        subject.due = max(4, count // _GROWTH_OF_QUIET)
        patience = subject.due
    elif quiet:
        subject.due = max(4, count // _GROWTH_OF_QUIET)
        patience = subject.due // 2
    else:
        subject.due = max(2, count // _GROWTH)
    subject.urgent, subject.near = subject.due + patience, not quiet
    passes = standing.action == Action.PASS and not standing.offences
    subject.quiet = quiet and passes and min(count, subject.exchanges) >= _WELL_KNOWN
