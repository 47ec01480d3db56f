"""The stage: the real engine on event time, and whatever callers do before it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from heapq import heappop, heappush
from itertools import count
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import msgspec

from gateway_guard.assembly import Starts, build_engine
from gateway_guard.enforcement import Decision
from gateway_guard.exchange import Outcome
from gateway_guard.instrumentation import Instrumentation
from gateway_guard.lab.judges import Judge
from gateway_guard.lab.lives import Life
from gateway_guard.memory import derived
from gateway_guard.model import SHIPPED, Model
from gateway_guard.policy import Policy
from gateway_guard.powers import Powers
from gateway_guard.principal import Principal, SubjectIds, SubjectKind
from gateway_guard.settings import Settings
from gateway_guard.standing import Standing
from gateway_guard.subjects import IMITABLE
from gateway_guard.timeline import Instant

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway_guard.engine import Engine
    from gateway_guard.lab.asks import Ask
    from gateway_guard.lab.judges import Observation
    from gateway_guard.pending import Ticket
    from gateway_guard.scoring import Score, Weights

Process = Generator[float, None, None]
"""Something that a caller does; it yields the seconds that it waits before it goes on."""

Heard = Callable[[Decision], None]
"""Is told what was decided on a request, and on each of its retries."""

SECRET: Final = b"the lab's own secret, which keys nothing else"
DIGEST_KEY: Final = derived(SECRET, b"history")
START_AT: Final = 1_900_000_000.0
PATH: Final = "/v1/chat/completions"
_FLUSH_SECONDS: Final = 30.0
RETRIES: Final = 2
_NEXT_SECONDS: Final = 1.0
_BLOCKED_SECONDS: Final = 300.0
_IDS: Final = SubjectIds(SECRET)


class Silence(Instrumentation):
    """Counts, and says nothing of its thousands of verdicts."""

    def event(self, name: str, /, **fields: object) -> None:
        """Let an event pass."""


class Caller(msgspec.Struct, frozen=True):
    """A key on the wire, and the life that is recorded of it."""

    principal: Principal
    life: Life


def caller(
    life: Life,
    *,
    name: str = "",
    network: str = "",
    client: str = "openai-python",
    organisation: str = "",
) -> Caller:
    """Return a caller with a key of its own, from a network of its own unless one is named.

    The name of its life is that of its key where the life is of one key only.
    """
    name = name or life.name
    key = _IDS.make(SubjectKind.KEY, name.encode())
    place = _IDS.make(SubjectKind.NETWORK, (network or name).encode())
    agent = _IDS.make(SubjectKind.CLIENT, client.encode())
    group = _IDS.make(SubjectKind.ORGANISATION, organisation.encode()) if organisation else None
    principal = Principal(
        key=key,
        key_id=key.hex(),
        anonymous=False,
        network=place,
        client=agent,
        organisation=group,
    )
    return Caller(principal, life)


class Stage:
    """One engine, its clock, and the processes before it."""

    _stepped = 0.0  # seconds by which the wall clock was set ahead

    def __init__(
        self,
        weights: Weights,
        *,
        of_source: Mapping[str, Weights] = MappingProxyType({}),
        model: Model = SHIPPED,
        observe: bool = False,
        **settings: float | str,
    ) -> None:
        """Build the engine as the middleware would; thresholds and rates are not jittered."""
        given: dict[str, float | str] = {"warmup": 0, "jitter": 0, "memory": "256MiB", **settings}
        self.settings = Settings.model_validate(given)
        self.now = Instant(START_AT, START_AT)
        self.engine = _engine(self.settings, model)
        rules = self.engine.rules
        self.judge = Judge(
            ladder=rules.assessment.ladder,
            minimum=rules.assessment.minimum,
            weights=weights,
            population=model.population,
            of_source=dict(of_source),
            observations=[] if observe else None,
        )
        self.engine.rules = msgspec.structs.replace(rules, assessment=self.judge)
        self._lives: dict[Life, None] = {}
        self._life_of: dict[bytes, Life] = {}
        self._powers = Powers(
            self.engine.memory,
            warm_at=rules.warm_at,
            aged_at=rules.aged_at,
            young_seconds=rules.young_seconds,
        )
        self._due: list[tuple[float, int, Process]] = []
        self._number = count()
        self._flushed_at = START_AT

    def join(self, caller: Caller) -> None:
        """Let a caller's life be recorded, and its subjects be judged as its source's.

        A life may be that of several callers.
        """
        life = caller.life
        self.judge.source_of[caller.principal.key] = f"{life.text_class}_{life.source}"
        self._lives[life] = None
        self._life_of[caller.principal.key] = life

    @property
    def lives(self) -> list[Life]:
        """Return all lives that are recorded, in the order in which they joined."""
        return list(self._lives)

    def enter(self, seconds: float, process: Process) -> None:
        """Begin a process so many seconds after the beginning."""
        self._schedule(START_AT + seconds, process)

    def spawn(self, process: Process) -> None:
        """Begin a process now."""
        self._schedule(self.now.steady, process)

    @property
    def elapsed_seconds(self) -> float:
        """Return how long the story has lasted."""
        return self.now.steady - START_AT

    def step_clock(self, seconds: float) -> None:
        """Set the wall clock ahead or back; what measures time knows nothing of it."""
        self._stepped += seconds

    def play(self) -> None:
        """Let everything happen in the order of time."""
        while self._due:
            at, _, process = heappop(self._due)
            self.now = Instant(at + self._stepped, at)
            if at - self._flushed_at >= _FLUSH_SECONDS:
                self.engine.flush(self.now)
                self._flushed_at = at
            wait = next(process, None)
            if wait is not None:
                self._schedule(at + wait, process)
        self.engine.flush(self.now)

    def observed(self) -> list[tuple[Life, Observation]]:
        """Return what was observed of keys, by whose lives they are."""
        life_of = self._life_of
        seen = self.judge.observations or ()
        return [(life_of[item.key], item) for item in seen if item.key in life_of]

    def _schedule(self, at: float, process: Process) -> None:
        heappush(self._due, (at, next(self._number), process))

    def exchange(
        self, caller: Caller, ask: Ask, heard: Heard | None = None, *, retries: int = RETRIES
    ) -> Generator[float, None, bool]:
        """Send a request as an SDK does, two obedient retries included; tell whether it was served.

        Who is blocked waits a while, so that a blocked caller's story takes its time; but not who
        has no patience for retries.
        """
        life = caller.life
        life.asks(self.now.steady, harvest=ask.harvest)
        for attempt in range(retries + 1):
            ticket = self._admit(caller, ask)
            decision = ticket.decision
            if heard is not None:
                heard(decision)
            if not decision.refused:
                yield ask.seconds
                self.engine.start(ticket, 200, self.now)
                outcome = Outcome(200, completed=True, answer=ask.answer)
                self.engine.settle(ticket, outcome, self.now)
                return True
            retry_after = decision.retry_after_seconds
            if retry_after is None or attempt == retries:
                life.refused(decision, harvest=ask.harvest)
                yield (retry_after or _BLOCKED_SECONDS) if retries else _NEXT_SECONDS
                return False
            yield retry_after
        return False

    def _admit(self, caller: Caller, ask: Ask) -> Ticket:
        ticket = self.engine.admit(caller.principal, ask.exchange, PATH, self.now)
        caller.life.judged(ticket.decision, self.now.steady)
        score = self._score(ticket)
        if score is not None:
            caller.life.scored(score)
        return ticket

    def _score(self, ticket: Ticket) -> Score | None:
        """Return the highest score among the subjects that could impose something on a request."""
        latest, standings = self.judge.latest, self.engine.memory.standings
        found = []
        for kind, id_ in ticket.ids:
            score = latest.get(id_)
            if score is None or kind in _POWERLESS:
                continue
            standing = standings.get(id_) or _NO_STANDING
            if kind not in IMITABLE or self._powers.answers_for(id_, ticket, standing, self.now):
                found.append(score)
        return max(found, key=lambda score: score.logit, default=None)


def _engine(settings: Settings, model: Model) -> Engine:
    """Build an engine as the middleware would."""
    return build_engine(
        settings,
        SECRET,
        starts=Starts(START_AT, START_AT, model),
        policy=lambda: _NO_POLICY,
        instruments=Silence(),
    )


_POWERLESS: Final = frozenset({SubjectKind.NETWORK, SubjectKind.CLIENT})
_NO_POLICY: Final = Policy()
_NO_STANDING: Final = Standing(watched_at=float("inf"))
