"""Score + standing -> standing: the ladder, its hysteresis and its probation."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

import msgspec

from gateway_guard.actions import Action

if TYPE_CHECKING:
    from gateway_guard.scoring import Score
    from gateway_guard.standing import Standing

THROTTLE_HOLD_SECONDS = 900.0
"""How long a first throttle lasts after the score last stood above its threshold."""

_HYSTERESIS = 0.5  # logits a score must fall below a threshold to lose what it brought
_MOST_RETURNS = 5
_BLOCK_GROWTH = 4.0  # each further offence is blocked this much longer
_MOST_GROWTH = 64  # offences after which no block can grow any more, whatever its limits


class Ladder(msgspec.Struct, frozen=True):
    """Thresholds in log-odds, smallest samples in exchanges, and times in seconds, jitter included.

    Because weights are public, each deployment moves thresholds and samples by an amount that only
    its secret knows.
    """

    watch: float
    throttle: float
    block: float
    throttle_sample: float
    block_sample: float
    step_exchanges: int
    block_first_seconds: float
    block_longest_seconds: float
    block_jitter: float
    secret: bytes


def jitter(secret: bytes, name: str, width: float) -> float:
    """Return a number in [-width, width] that depends on the secret and the name alone."""
    digest = blake2b(name.encode(), key=secret, digest_size=8).digest()
    return width * (int.from_bytes(digest) / (1 << 63) - 1.0)


def judge(standing: Standing, score: Score, ladder: Ladder, *, most: Action, now: float) -> None:
    """Move a standing to where its score puts it, to ``most`` at most; ``now`` is wall-clock time.

    A block needs two families that agree and a subject that went on through the whole first step
    of the throttle; one that runs is neither cut short nor made longer.
    """
    lapse(standing, now)
    standing.score, standing.families = score.logit, score.families
    target = _target(standing, score, ladder)
    if target == Action.BLOCK and standing.above < ladder.step_exchanges:
        target = Action.THROTTLE
    target = min(target, most)
    if target > Action.PASS and not standing.watched_at:
        standing.watched_at = now
    if target >= Action.WATCH:
        standing.reasons = score.reasons
    if standing.action < Action.BLOCK:
        _move(standing, target, ladder, now)


def _target(standing: Standing, score: Score, ladder: Ladder) -> Action:
    def reached(action: Action, threshold: float) -> bool:
        return score.logit >= threshold - (_HYSTERESIS if standing.action >= action else 0.0)

    if score.families and score.exchanges >= ladder.throttle_sample:
        enough = score.corroborated and score.exchanges >= ladder.block_sample
        if enough and reached(Action.BLOCK, ladder.block):
            return Action.BLOCK
        if reached(Action.THROTTLE, ladder.throttle):
            return Action.THROTTLE
    return Action.WATCH if score.families and reached(Action.WATCH, ladder.watch) else Action.PASS


def _move(standing: Standing, target: Action, ladder: Ladder, now: float) -> None:
    if target == Action.BLOCK:
        standing.until_at = now + _block_seconds(standing, ladder, now)
        standing.offences += 1
    elif target == Action.THROTTLE:
        standing.returns += standing.action < Action.THROTTLE
        standing.until_at = now + _hold_seconds(standing)
    elif standing.action >= Action.THROTTLE:
        return  # it lapses when its time is over
    if target == Action.PASS:
        standing.watched_at = 0.0
    standing.action = target


def _hold_seconds(standing: Standing) -> float:
    """Return how long a throttle holds; who comes back to one is held twice as long each time."""
    return THROTTLE_HOLD_SECONDS * 2.0 ** min(max(0, standing.returns - 1), _MOST_RETURNS)


def _block_seconds(standing: Standing, ladder: Ladder, now: float) -> float:
    seconds = ladder.block_first_seconds * _BLOCK_GROWTH ** min(standing.offences, _MOST_GROWTH)
    name = f"block/{now}/{standing.offences}"
    spread = 1.0 + jitter(ladder.secret, name, ladder.block_jitter)
    return min(ladder.block_longest_seconds, seconds) * spread


def lapse(standing: Standing, now: float) -> bool:
    """End what has run its time: a block ends in a throttle on probation, a throttle in a watch.

    Return whether something ended.
    """
    if now < standing.until_at or standing.action < Action.THROTTLE:
        return False
    if standing.action == Action.BLOCK:
        standing.action, standing.probation = Action.THROTTLE, True
        standing.until_at = now + THROTTLE_HOLD_SECONDS
    else:
        standing.action = Action.WATCH
    standing.above = 0
    return True
