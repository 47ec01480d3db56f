"""Standing: what a subject has coming, kept apart from its profile so that it outlives it."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from gateway_guard.actions import Action

if TYPE_CHECKING:
    from collections.abc import Iterable

_LOOKED_AT = 16


class Said(NamedTuple):
    """What others were told of a standing: the verdict, and how it goes on."""

    verdict: tuple[object, ...]
    above: int
    paced_at: float
    held_until_at: float


@dataclass(slots=True, eq=False)
class Standing:
    """What the last verdicts said of one subject.

    Instants are wall-clock seconds, except ``paced_at``, ``retry_at`` and ``told_at``, which are
    monotonic. ``above`` counts the exchanges admitted while the score stood above the threshold.
    From ``told_at`` on requests were told to come at ``retry_at``: ``early`` counts those that came
    before, ``told`` those that may. ``provisional`` says that only pending exchanges brought it,
    ``probation`` that a block has ended and its evidence is to be discounted.
    ``announced`` is what the log was last told: an action, with the rate or the end that it has.
    ``revision`` counts the changes that other writers were told of, theirs included; ``shown`` is
    what they were last told. Of what an ``operator`` said nothing automatic takes anything back.
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
    revision: int = 0
    shown: Said | None = None
    operator: bool = False


class Standings:
    """The standings of all subjects that have one, bounded.

    Where there are too many, the kind of subject gives way that has the most of them, so that no
    flood of one kind takes the room of another. Kinds are told apart by the first byte of an id.
    A subject that passes and never offended has none. ``by_content`` are those of templates and
    corpora that only show once a text has been read. Where ``changed`` is a dictionary, what has
    changed is noted there, for other writers to learn of.
    """

    def __init__(self, capacity: int, *, content: bytes | tuple[bytes, ...] = b"\0") -> None:
        """Keep at most ``capacity`` standings; ids told by texts begin with ``content``."""
        self.capacity = capacity
        self._content = content
        self._standings: dict[bytes, Standing] = {}
        self._by_kind: dict[int, OrderedDict[bytes, Standing]] = {}  # oldest change first
        self.by_content: set[bytes] = set()
        self.changed: dict[bytes, Standing] | None = None

    def __len__(self) -> int:
        """Return the number of standings kept."""
        return len(self._standings)

    def get(self, subject: bytes) -> Standing | None:
        """Return a subject's standing, or ``None``."""
        return self._standings.get(subject)

    def items(self) -> Iterable[tuple[bytes, Standing]]:
        """Return every subject with its standing."""
        return self._standings.items()

    def keep(self, subject: bytes, standing: Standing) -> None:
        """Keep a standing; of too many, the oldest goes that refuses nothing.

        The search is short. Where it finds none, the one goes of those found that ends first.
        """
        self._standings[subject] = standing
        of_kind = self._by_kind.setdefault(subject[0], OrderedDict())
        of_kind[subject] = standing
        of_kind.move_to_end(subject)
        self.note(subject, standing)
        if subject.startswith(self._content):
            self.by_content.add(subject)
        if len(self._standings) > self.capacity:
            self._make_room()

    def forget(self, subject: bytes) -> None:
        """Drop a standing that says nothing any more."""
        standing = self._standings.get(subject)
        if standing is not None:
            self.note(subject, standing)
            self._drop(subject)

    def note(self, subject: bytes, standing: Standing) -> None:
        """Take note that a standing has changed, or may have."""
        if self.changed is not None:
            self.changed[subject] = standing

    def _drop(self, subject: bytes) -> None:
        del self._standings[subject], self._by_kind[subject[0]][subject]
        self.by_content.discard(subject)

    def _make_room(self) -> None:
        of_kind = max(self._by_kind.values(), key=len)
        looked_at = list(islice(of_kind.items(), _LOOKED_AT))
        for subject, standing in looked_at:
            if not standing.action.refuses:
                self._drop(subject)
                return
            of_kind.move_to_end(subject)
        soonest, _ = min(looked_at, key=lambda item: item[1].until_at)
        self._drop(soonest)
