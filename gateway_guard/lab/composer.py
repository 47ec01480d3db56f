"""How the keys of a cast ask: as their kind is documented to, or all by the same law."""

from __future__ import annotations

from random import Random
from statistics import median
from typing import TYPE_CHECKING, Final

from gateway_guard.demo import pipelines
from gateway_guard.demo.lengths import token_room
from gateway_guard.exchange import Sampling
from gateway_guard.lab.asks import Ask, Manner, Writer
from gateway_guard.lab.doings import Talking, arrivals, worker
from gateway_guard.lab.lives import Life
from gateway_guard.lab.stage import DIGEST_KEY, Caller, Stage, caller

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gateway_guard.demo.pipelines import Pipeline
    from gateway_guard.demo.script import Parameters
    from gateway_guard.lab.casting import Part
    from gateway_guard.lab.laws import Laws
    from gateway_guard.lab.material import Talk

_SHORT_ANSWER_CHARS: Final = 60
_BATCH_SHARE: Final = 0.5
_BATCH_SHARE_OF_LONG: Final = 0.1
# Labels are given to whole data sets at a time; long texts are written while somebody waits.
_BATCH_WORKERS: Final = (4, 8, 16)
_DEFAULT_BUDGETS: Final = (None, None, 1024, 4096)
_OWN_ROOM_SHARE: Final = 0.6
_PROGRAM_TEMPERATURES: Final = (None, 0.0, 0.0, 0.2, 0.7)
_PERSON_GAP: Final = (8.5, 1.2)  # of the logarithm of seconds between two sittings
_STAGGER_SECONDS: Final = 0.2
_BURSTY_SHARE: Final = 0.25
_BURST: Final = (20, 40)
_BURST_PAUSE_SECONDS: Final = (600.0, 3600.0)
CLIENTS: Final = ("openai-python", "openai-js", "anthropic-python", "anthropic-js", "curl")


class Composer:
    """Lets the keys of a cast come on stage.

    ``composed`` gives people, programs and pipelines their documented habits; otherwise parameters,
    pace and clients come from the one law, and nothing but the texts differs.
    """

    def __init__(self, stage: Stage, laws: Laws, seed: int, *, composed: bool) -> None:
        """Draw everything from ``seed`` and the names of the parts."""
        self.stage = stage
        self.laws = laws
        self.writer = Writer(laws, DIGEST_KEY, seed)
        self._seed = seed
        self._composed = composed

    def enter(self, part: Part, at: float, pipeline: Pipeline | None = None) -> Life:
        """Let a key begin so many seconds after the beginning; return its life to be."""
        rng = Random(f"{self._seed}:{part.name}")
        life = Life(part.text_class, part.source, part.name)
        life.talks, life.chinese = len(part.talks), part.chinese
        who = caller(life, client=rng.choice(CLIENTS))
        self.stage.join(who)
        self.go_on(part, who, rng, at, pipeline)
        return life

    def go_on(
        self, part: Part, who: Caller, rng: Random, at: float, pipeline: Pipeline | None = None
    ) -> None:
        """Let a caller that is there ask what a part holds."""
        if not self._composed:
            self._by_law(part, who, rng, at)
        elif part.text_class == "human":
            self._person(part, who, rng, at)
        elif part.text_class == "app":
            self._program(part, who, rng, at)
        else:
            self._harvest(part, who, rng, at, pipeline or nearest(part))

    def _by_law(self, part: Part, who: Caller, rng: Random, at: float) -> None:
        """Ask one thing after another, as real clients' requests follow each other."""
        manner = Manner(self.laws.sampling(rng), stream=rng.random() < 1 / 2)
        talking = Talking(self.stage, who, self.writer, rng, manner)
        gaps = self.laws.gaps(rng)
        process = talking.one_by_one(
            iter(part.talks), gaps.__next__, harvest=part.text_class == "harvest"
        )
        self.stage.enter(at, process)

    def _person(self, part: Part, who: Caller, rng: Random, at: float) -> None:
        talking = Talking(self.stage, who, self.writer, rng, Manner(stream=True))
        process = talking.one_by_one(iter(part.talks), lambda: rng.lognormvariate(*_PERSON_GAP))
        self.stage.enter(at, process)

    def _program(self, part: Part, who: Caller, rng: Random, at: float) -> None:
        manner = Manner(_program_sampling(rng, part), stream=rng.random() < 1 / 4)
        stage, batch = self.stage, rng.random() < _batch_share(part)
        if not part.single:
            talking = Talking(stage, who, self.writer, rng, manner)
            stage.enter(at, talking.as_they_come(iter(part.talks), self.laws.gaps(rng)))
            return
        asks = self._asks(rng, part.talks, manner)
        if not batch:
            stage.enter(at, arrivals(stage, who, asks, self.laws.gaps(rng)))
            return
        for number in range(rng.choice(_BATCH_WORKERS)):
            stage.enter(at + number * _STAGGER_SECONDS, worker(stage, who, asks, _never))

    def _harvest(self, part: Part, who: Caller, rng: Random, at: float, pipeline: Pipeline) -> None:
        """Run a pipeline's workers: most keys as it was published, some in bursts."""
        stage, workers = self.stage, pipeline.concurrency
        burst = _BURST if rng.random() < _BURSTY_SHARE else None
        pause = pausing(rng, pipeline.pause_seconds, burst)
        manner = Manner(sampling_of(pipeline.parameters, seeded=pipeline.seeded), pipeline.system)
        if pipeline is pipelines.DIALOGUE:
            talks = iter(part.talks)
            talking = Talking(stage, who, self.writer, rng, manner)
            for number in range(workers):
                process = talking.one_by_one(talks, pause, harvest=True, at_once=True)
                stage.enter(at + number * _STAGGER_SECONDS, process)
            return
        asks = self._asks(rng, part.talks, manner, harvest=True)
        for number in range(workers):
            stage.enter(at + number * _STAGGER_SECONDS, worker(stage, who, asks, pause))

    def _asks(
        self, rng: Random, talks: Sequence[Talk], manner: Manner, *, harvest: bool = False
    ) -> Iterator[Ask]:
        for talk in talks:
            yield self.writer.ask(rng, talk[0], manner, harvest=harvest)


def nearest(part: Part) -> Pipeline:
    """Return the published pipeline whose shape a part's texts have."""
    return pipelines.nearest([row for talk in part.talks for row in talk])


def sampling_of(parameters: Parameters, *, seeded: bool = False) -> Sampling:
    """Return a pipeline's published parameters as an exchange has them."""
    return Sampling(
        temperature=parameters.temperature,
        top_p=parameters.top_p,
        max_tokens=parameters.max_tokens,
        thinking_tokens=parameters.thinking_tokens,
        answers=parameters.n,
        stops=len(parameters.stop),
        logprobs=parameters.logprobs,
        top_logprobs=parameters.top_logprobs,
        logit_bias=len(parameters.logit_bias),
        seeded=seeded or parameters.seed is not None,
    )


def pausing(
    rng: Random, seconds: float, burst: tuple[int, int] | None = None
) -> Callable[[], float]:
    """Return what pauses for ``seconds``, and after a burst of so many requests for long."""
    left = rng.randint(*burst) if burst else 0

    def pause() -> float:
        nonlocal left
        left -= 1
        if burst is None or left:
            return seconds
        left = rng.randint(*burst)
        return rng.uniform(*_BURST_PAUSE_SECONDS)

    return pause


def _program_sampling(rng: Random, part: Part) -> Sampling:
    """Draw a program's parameters: many make room for what they expect, others set a default."""
    known = [int(row.output_len) for talk in part.talks for row in talk if row.output_len]
    budget = rng.choice(_DEFAULT_BUDGETS)
    if known and rng.random() < _OWN_ROOM_SHARE:
        budget = token_room(known)
    return Sampling(temperature=rng.choice(_PROGRAM_TEMPERATURES), max_tokens=budget)


def _batch_share(part: Part) -> float:
    """Return how likely a program is to work through a data set with nobody waiting."""
    lengths = [int(row.output_len) for talk in part.talks for row in talk if row.output_len]
    short = bool(lengths) and median(lengths) <= _SHORT_ANSWER_CHARS
    return _BATCH_SHARE if short else _BATCH_SHARE_OF_LONG


def _never() -> float:
    return 0.0
