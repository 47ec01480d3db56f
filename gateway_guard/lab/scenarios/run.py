"""One engine, and before it a campaign that hides among people and programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from gateway_guard.lab.asks import Manner
from gateway_guard.lab.casting import people, programs
from gateway_guard.lab.composer import CLIENTS, Composer, sampling_of
from gateway_guard.lab.lives import Life
from gateway_guard.lab.material import name_of
from gateway_guard.lab.scenarios.campaign import Campaign
from gateway_guard.lab.scenarios.sources import pipeline_of
from gateway_guard.lab.stage import Stage, caller

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from random import Random

    from gateway_guard.corpora import Row, Source
    from gateway_guard.lab.asks import Ask
    from gateway_guard.lab.casting import Part
    from gateway_guard.lab.material import Talk
    from gateway_guard.lab.scenarios.setup import Setup

DAY: Final = 86400.0
HOUR: Final = 3600.0
CAMPAIGN_AT: Final = 15 * DAY
OLD_SHARE: Final = 0.8
"""Of the innocents so many were there long before a campaign; the others are as new as its keys."""
_EARLY_TALKS: Final = 4


class Run:
    """A stage whose weights never saw the campaign's sources, and a campaign to come upon it."""

    def __init__(
        self,
        setup: Setup,
        sources: Sequence[Source],
        name: str,
        *,
        memory: str = "256MiB",
        warmup: float = 0.0,
    ) -> None:
        """Build the engine; ``name`` is the campaign's, ``warmup`` in seconds."""
        self.setup = setup
        self.held_out = frozenset(map(name_of, sources))
        self.stage = Stage(
            setup.weights_without(self.held_out), model=setup.model, memory=memory, warmup=warmup
        )
        self.composer = Composer(self.stage, setup.laws, setup.seed, composed=True)
        source = sources[0].name if len(sources) == 1 else ""
        self.campaign = Campaign(self.stage, source, name)
        self.rng = setup.rng("run", name)

    def asks(
        self, source: Source, rows: Sequence[Row], *, system: str | None = None
    ) -> Iterator[Ask]:
        """Yield the requests that a source's pipeline makes of rows."""
        pipeline = pipeline_of(source)
        sampling = sampling_of(pipeline.parameters, seeded=pipeline.seeded)
        manner = Manner(sampling, system or pipeline.system)
        for row in rows:
            yield self.composer.writer.ask(self.rng, row, manner, harvest=True)

    def weigh_apart(self, *sources: str) -> None:
        """Have the keys of innocent sources judged by weights that never saw their own."""
        for source in sources:
            weights = self.setup.weights_without(frozenset({source}))
            self.stage.judge.of_source.setdefault(source, weights)

    def hide(self, keys: int, requests: int, *, at: float = CAMPAIGN_AT) -> list[Life]:
        """Let people and programs be there before a campaign begins, and go on all the while.

        Most are old by then. One in two of so many keys is a program, as far as there are enough.
        """
        setup, rng = self.setup, self.setup.rng("innocents")
        chosen = []
        for parts in (programs(setup.material, setup.seed), people(setup.material, setup.seed)):
            rng.shuffle(parts)
            chosen += parts[: keys // 2]
        self.weigh_apart(*{f"{part.text_class}_{part.source}" for part in chosen})
        return [self.settle_in(cut(part, requests), rng, at) for part in chosen]

    def settle_in(self, part: Part, rng: Random, at: float) -> Life:
        """Let one innocent come, perhaps long before, and return its life to be."""
        life = Life(part.text_class, part.source, part.name)
        who = caller(life, client=rng.choice(CLIENTS))
        self.stage.join(who)
        early = rng.random() < OLD_SHARE
        if early:
            before = msgspec.structs.replace(part, talks=part.talks[:_EARLY_TALKS])
            self.composer.go_on(before, who, rng, rng.uniform(0.0, DAY))
        rest = msgspec.structs.replace(part, talks=part.talks[_EARLY_TALKS * early :])
        self.composer.go_on(rest, who, rng, at + rng.uniform(-HOUR, HOUR))
        return life


def cut(part: Part, requests: int) -> Part:
    """Return the beginning of what a key asks."""
    taken: list[Talk] = []
    made = 0
    for talk in part.talks:
        if made >= requests:
            break
        taken.append(talk[: requests - made])
        made += len(taken[-1])
    return msgspec.structs.replace(part, talks=tuple(taken))
