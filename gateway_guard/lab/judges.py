"""Scoring in the lab: the real one, by a model that never saw the source that is judged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gateway_guard.assessment import Assessment, evidence_of, highest, views
from gateway_guard.principal import SubjectKind
from gateway_guard.scoring import Score, Weights
from gateway_guard.signals import Evidence

if TYPE_CHECKING:
    from gateway_guard.profile import Reading
    from gateway_guard.subjects import Subject


class Observation(msgspec.Struct, frozen=True):
    """What the signals said of a key, as one slice shows it, after so many of its exchanges."""

    key: bytes
    exchanges: float
    evidence: tuple[Evidence, ...]


class Judge(Assessment, frozen=True):
    """An assessment that takes notes, and weighs a subject by whose it is.

    ``of_source`` has the weights that judge each source and ``source_of`` that of each key; others
    are judged by ``weights``. ``latest`` keeps the newest score of every subject, and
    ``observations``, where it is a list, what was seen of keys.
    """

    of_source: dict[str, Weights] = msgspec.field(default_factory=dict)
    source_of: dict[bytes, str] = msgspec.field(default_factory=dict)
    latest: dict[bytes, Score] = msgspec.field(default_factory=dict)
    observations: list[Observation] | None = None

    def score(self, subject: Subject, reading: Reading, *, aged: bool) -> Score:
        """Score as everywhere, and take note."""
        seen = views(subject, reading, minimum=self.minimum, aged=aged, population=self.population)
        evidence = [evidence_of(view) for view in seen]
        source = self.source_of.get(subject.owner, "")
        score = highest(evidence, seen, self.of_source.get(source, self.weights))
        self.latest[subject.id] = score
        if self.observations is not None and subject.kind is SubjectKind.KEY:
            self.observations.extend(
                Observation(subject.id, view.exchanges, items)
                for view, items in zip(seen, evidence, strict=True)
            )
        return score
