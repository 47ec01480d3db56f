"""Standing: what a subject has coming, kept apart from its profile so that it outlives it."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from gateway_guard.actions import Action

_LOOKED_AT = 16


@dataclass(slots=True, eq=False)
class Standing:
    """What the last verdicts said of one subject.

    Instants are wall-clock seconds, except ``paced_at``, ``retry_at`` and ``told_at``, which are
    monotonic. ``above`` counts the exchanges admitted while the score stood above the threshold.
    From ``told_at`` on requests were told to come at ``retry_at``: ``early`` counts those that came
    before, ``told`` those that may. ``provisional`` says that only pending exchanges brought it,
    ``probation`` that a block has ended and its evidence is to be discounted.
    ``announced`` is what the log was last told: an action, with the rate or the end that it has.
    """

    action: Action = Action.PASS
    score: float = 0.0
    reasons: tuple[str, ...] = ()
    until_at: float = 0.0
    watched_at: float = 0.0
    penalty_until_at: float = 0.0
    paced_at: float = 0.0
    retry_at: float = 0.0
    told_at: float = 0.0
    above: int = 0
    early: int = 0
    told: int = 0
    offences: int = 0
    returns: int = 0
    provisional: bool = False
    probation: bool = False
    refused: int = 0
    announced: tuple[Action, float] = (Action.PASS, 0.0)
    families: frozenset[str] = field(default_factory=frozenset)


class Standings:
    """The standings of all subjects that have one, least recently changed first, bounded.

    A subject that passes and never offended has none. ``by_content`` are those of templates and
    corpora that only show once a text has been read.
    """

    def __init__(self, capacity: int, *, content: bytes | tuple[bytes, ...] = b"\0") -> None:
        """Keep at most ``capacity`` standings; ids told by texts begin with ``content``."""
        self._capacity = capacity
        self._content = content
        self._standings: OrderedDict[bytes, Standing] = OrderedDict()
        self.by_content: set[bytes] = set()

    def __len__(self) -> int:
        """Return the number of standings kept."""
        return len(self._standings)

    def get(self, subject: bytes) -> Standing | None:
        """Return a subject's standing, or ``None``."""
        return self._standings.get(subject)

    def keep(self, subject: bytes, standing: Standing) -> None:
        """Keep a standing; of too many, the oldest goes that refuses nothing.

        The search is short, so now and then one that refuses goes as well.
        """
        self._standings[subject] = standing
        self._standings.move_to_end(subject)
        if subject.startswith(self._content):
            self.by_content.add(subject)
        if len(self._standings) > self._capacity:
            self._make_room()

    def forget(self, subject: bytes) -> None:
        """Drop a standing that says nothing any more."""
        self._standings.pop(subject, None)
        self.by_content.discard(subject)

    def _make_room(self) -> None:
        for _ in range(_LOOKED_AT):
            subject, standing = next(iter(self._standings.items()))
            if not standing.action.refuses:
                break
            self._standings.move_to_end(subject)
        self.forget(next(iter(self._standings)))
