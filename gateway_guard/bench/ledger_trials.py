"""How well samples are attributed: changed in several ways, few among many, and not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from gateway_guard.bench.ledger_report import Innocent, Kind, Sight
from gateway_guard.ledger.attribution import chances, score_samples
from gateway_guard.ledger.chance import NAMED_BELOW
from gateway_guard.ledger.duck import Limits
from gateway_guard.ledger.evidence import Samples, holders
from gateway_guard.ledger.fingerprints import ranges
from gateway_guard.ledger.gathering import gather

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway_guard.bench.ledger_scene import Scene
    from gateway_guard.bench.ledger_texts import Composer
    from gateway_guard.ledger.attribution import Scored
    from gateway_guard.ledger.fingerprints import Integers
    from gateway_guard.ledger.gathering import Gathered, Opened

LIMITS: Final = Limits(threads=2)
_LOG_NAMED: Final = float(np.log(NAMED_BELOW))
_LOG_FALSE: Final = (float(np.log(0.05)), _LOG_NAMED)
_WORDS_CHANGED: Final = 0.1


class Trials:
    """Attributes samples of a scene; texts that are not in its ledger are made as needed."""

    def __init__(self, scene: Scene, ledger: Opened, samples: int) -> None:
        """Try with so many samples at a time."""
        self._scene = scene
        self._ledger = ledger
        self._samples = samples

    def fresh(self, count: int) -> list[str]:
        """Return texts that nobody was served."""
        composer = self._scene.composer
        return [composer.text(answer) for answer in composer.fresh(count)]

    def kinds(self) -> list[Kind]:
        """Try every way to change samples."""
        composer, taken = self._scene.composer, self._scene.taken
        other = taken[1:] + taken[:1]
        rest = self.fresh(self._samples - len(taken))
        return [
            self._kind(name, [*map(change, taken, other), *rest], mixed=name == "mixed")
            for name, change in _changes(composer)
        ]

    def _kind(self, name: str, texts: list[str], *, mixed: bool) -> Kind:
        gathered = _gathered(self._ledger, texts)
        scored = _scored(gathered)
        whose = self._scene.whose
        right = [{one} for one in whose]
        if mixed:
            right = [{one, two} for one, two in zip(whose, whose[1:] + whose[:1], strict=True)]
        named = _named(scored)
        told, good = 0, set()
        for at in named:
            key = gathered.names["key"][at]
            samples = scored.evidence(at)[0].tolist()
            told += len(samples)
            good |= {(one, key) for one in samples if one < len(right) and key in right[one]}
        found = len({one for one, _ in good})
        names = {gathered.names["key"][at] for at in named}
        thieves = set(self._scene.thieves)
        return Kind(
            kind=name,
            named=len(names & thieves),
            others=len(names - thieves),
            precision=len(good) / told if told else 1.0,
            recall=found / len(right),
        )

    def sight(self, pool: int, draws: int, few: int) -> tuple[list[Sight], Innocent]:
        """Hide few samples among many, and none; draws are taken from a pool of fresh texts."""
        taken = self._scene.taken
        gathered = _gathered(self._ledger, [*taken, *self.fresh(pool)])
        found = holders(gathered.hits, "key")
        by_chance = chances(gathered, "key", found)
        random = np.random.default_rng(1)
        owners = np.array([self._scene.thieves.index(one) for one in self._scene.whose])

        def draw(matching: int) -> tuple[Scored, str]:
            thief = int(random.integers(len(self._scene.thieves)))
            mine = random.choice(np.flatnonzero(owners == thief), matching, replace=False)
            count = min(pool, self._samples - matching)
            rest = len(taken) + random.choice(pool, count, replace=False)
            chosen = gathered._replace(samples=_some(gathered.samples, np.append(mine, rest)))
            scored = score_samples(chosen, "key", found, by_chance)
            return scored, self._scene.thieves[thief]

        most = int(np.bincount(owners).min())
        seen = [
            _sight(matching, [draw(matching) for _ in range(few)], gathered)
            for matching in (1, 10, 100)
            if matching <= most
        ]
        worst = [min(draw(0)[0].log_ps, default=0.0) for _ in range(draws)]
        shares = [float(np.mean([one < limit for one in worst])) for limit in _LOG_FALSE]
        return seen, Innocent(draws, *shares)


def _changes(composer: Composer) -> list[tuple[str, Callable[[str, str], str]]]:
    """Return the ways to change a sample, each by its name; mixing takes another one."""
    return [
        ("verbatim", lambda one, _: one),
        ("half", lambda one, _: composer.half(one)),
        ("10% of words changed", lambda one, _: composer.changed(one, _WORDS_CHANGED)),
        ("mixed", composer.mixed),
        ("paraphrased", lambda one, _: composer.paraphrased(one)),
    ]


def _gathered(ledger: Opened, texts: Sequence[str]) -> Gathered:
    return gather(ledger, texts, LIMITS, lambda *_: None)


def _scored(gathered: Gathered) -> Scored:
    found = holders(gathered.hits, "key")
    return score_samples(gathered, "key", found, chances(gathered, "key", found))


def _named(scored: Scored) -> list[int]:
    """Return the keys that are named."""
    pairs = zip(scored.order, scored.log_ps, strict=True)
    return [at for at, log_p in pairs if log_p < _LOG_NAMED]


def _sight(matching: int, drawn: list[tuple[Scored, str]], gathered: Gathered) -> Sight:
    names = gathered.names["key"]
    named, others, ps = 0, 0, []
    for scored, thief in drawn:
        found = {names[at] for at in _named(scored)}
        named += thief in found
        others += bool(found - {thief})
        log_ps = {names[at]: log_p for at, log_p in zip(scored.order, scored.log_ps, strict=True)}
        ps.append(log_ps.get(thief, 0.0) / np.log(10.0))
    count = len(drawn)
    return Sight(matching, count, named / count, others / count, float(np.median(ps)))


def _some(samples: Samples, chosen: Integers) -> Samples:
    """Return some of the samples, in this order."""
    sizes = samples.bounds[chosen + 1] - samples.bounds[chosen]
    prints = samples.fingerprints[ranges(samples.bounds[chosen], sizes)]
    return Samples(prints, np.append(0, np.cumsum(sizes)))
