"""Drive an engine through exchanges at instants of a test's own: no clock, no socket, no sleep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict, Unpack

from gateway_guard.actions import Action
from gateway_guard.assembly import Starts, build_engine
from gateway_guard.exchange import (
    Answer,
    AnswerText,
    Exchange,
    Outcome,
    Sampling,
    Turn,
    name_digest,
    text_digest,
)
from gateway_guard.instrumentation import Instrumentation
from gateway_guard.memory import derived
from gateway_guard.model import SHIPPED, Model
from gateway_guard.policy import Policy
from gateway_guard.principal import Principal, SubjectIds, SubjectKind
from gateway_guard.profile import read
from gateway_guard.settings import Settings
from gateway_guard.subjects import hash_of
from gateway_guard.timeline import Instant

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway_guard.contribution import Contribution
    from gateway_guard.pending import Ticket
    from gateway_guard.profile import Reading
    from gateway_guard.standing import Standing
    from gateway_guard.subjects import Subject

SECRET = b"known to these tests alone"
START_AT = 1_900_000_000.0
HOUR, DAY = 3600.0, 86400.0
PATH = "/v1/chat/completions"
_IDS = SubjectIds(SECRET)
_DIGEST_KEY = derived(SECRET, b"history")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, by raw names that become keyed ids."""

    key: str | None
    network: str = "192.0.2.0"
    client: str = "openai-python 2"
    organisation: str | None = None
    second: str | None = None

    @property
    def principal(self) -> Principal:
        """What the engine knows of the caller."""
        network = _IDS.make(SubjectKind.NETWORK, self.network.encode())
        key = _key(self.key) if self.key else _IDS.make(SubjectKind.KEY, b"anonymous", network)
        organisation = self.organisation
        return Principal(
            key=key,
            key_id=key.hex(),
            anonymous=self.key is None,
            network=network,
            client=_IDS.make(SubjectKind.CLIENT, self.client.encode()),
            doubled=_key(self.second) if self.second else None,
            organisation=_IDS.make(SubjectKind.ORGANISATION, organisation.encode())
            if organisation
            else None,
            organisation_name=organisation,
        )


def _key(raw: str) -> bytes:
    return _IDS.make(SubjectKind.KEY, raw.encode())


class Recorder(Instrumentation):
    """Keeps what would have been logged."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[dict[str, object]] = []

    def event(self, name: str, /, **fields: object) -> None:
        """Keep one event."""
        self.events.append({"event": name, **fields})


@dataclass(frozen=True, slots=True)
class Play:
    """One exchange in full: what is asked and what would be answered."""

    exchange: Exchange
    answer: str
    reasoning_chars: int = 0


class Fields(TypedDict, total=False):
    """What else an exchange may say."""

    model: str
    sampling: Sampling
    stream: bool
    tool_definitions: int
    end_user: str | None


def play(
    text: str,
    answer: str = "Yes.",
    *,
    system: str | None = None,
    history: Iterable[tuple[str, str]] = (),
    **fields: Unpack[Fields],
) -> Play:
    """Compose an exchange: system text, pairs of earlier turns, the newest user text."""
    turns = [Turn("system", system)] if system else []
    for asked, answered in history:
        turns += [Turn("user", asked), Turn("assistant", answered)]
    return of_turns(*turns, Turn("user", text), answer=answer, **fields)


def of_turns(*turns: Turn, answer: str = "Yes.", **fields: Unpack[Fields]) -> Play:
    """Compose an exchange of turns."""
    given: Fields = {"model": "large-1", **fields}
    return Play(Exchange(dialect="openai_chat", turns=turns, **given), answer)


def digest(text: str) -> bytes:
    """Return how the engine of these tests identifies an answer."""
    return text_digest(text, _DIGEST_KEY)


def name_of(name: str) -> bytes:
    """Return how the engine of these tests identifies the name of an answer."""
    return name_digest(name, _DIGEST_KEY)


class Driver:
    """An engine, its one present instant, and what can happen to an exchange."""

    def __init__(
        self,
        *,
        policy: Policy | None = None,
        model: Model = SHIPPED,
        started_at: float = START_AT,
        **settings: float | str,
    ) -> None:
        """Build the engine as the middleware would; without a warm-up and without jitter."""
        defaults: dict[str, float | str] = {"warmup": 0, "jitter": 0, "memory": "64MiB"}
        self.settings = Settings.model_validate({**defaults, **settings})
        self.policy = policy or Policy()
        self.now = Instant(started_at, started_at)
        self.instruments = Recorder()
        self.engine = build_engine(
            self.settings,
            SECRET,
            starts=Starts(started_at, started_at, model),
            policy=lambda: self.policy,
            instruments=self.instruments,
        )
        self.memory = self.engine.memory

    def wait(self, seconds: float) -> None:
        """Let time pass on both clocks."""
        self.now = Instant(self.now.wall + seconds, self.now.steady + seconds)

    def step_clock(self, seconds: float) -> None:
        """Set the wall clock; the timer does not notice."""
        self.now = Instant(self.now.wall + seconds, self.now.steady)

    def admit(self, caller: Caller, asked: Play) -> Ticket:
        """Send a request; it stays open unless it is refused."""
        return self.engine.admit(caller.principal, asked.exchange, PATH, self.now)

    def start(self, ticket: Ticket, status: int = 200) -> None:
        """Let the answer start."""
        self.engine.start(ticket, status, self.now)

    def end(
        self,
        ticket: Ticket,
        asked: Play | None = None,
        status: int | None = 200,
        *,
        cut: bool = False,
    ) -> None:
        """Let the exchange end, with the answer that was prepared for it."""
        answer, texts = None, tuple[AnswerText, ...]()
        if asked is not None and status == 200:
            answer, texts = answer_of(asked), (AnswerText((asked.answer,)),)
        outcome = Outcome(status, completed=not cut, answer=answer, texts=texts)
        self.engine.settle(ticket, outcome, self.now)

    def ask(
        self, caller: Caller, asked: Play, *, seconds: float = 0.0, status: int = 200
    ) -> Ticket:
        """Send a request and, unless it is refused, have it answered ``seconds`` later."""
        ticket = self.admit(caller, asked)
        self.wait(seconds)
        if not ticket.decision.refused:
            self.start(ticket, status)
            self.end(ticket, asked, status)
        return ticket

    def meet(self, *callers: Caller) -> None:
        """Let callers have their first successful answer."""
        for caller in callers:
            self.ask(caller, play("Hello there, is anybody listening?", "Hello."))

    def flush(self) -> None:
        """Read and count what has happened."""
        self.engine.flush(self.now)

    def subject(self, caller: Caller) -> Subject | None:
        """Find the caller's key where it is held."""
        return self.memory.subjects.get(caller.principal.key)

    def reading(self, subject: Subject) -> Reading:
        """Read a subject's profile as scores do."""
        row, elapsed = self.memory.subjects.project(subject, self.now)
        return read(row, elapsed, self.now.wall)

    def standing(self, caller: Caller) -> Standing | None:
        """Find the standing of the caller's key."""
        return self.memory.standings.get(caller.principal.key)

    def action(self, caller: Caller) -> Action:
        """Tell what the caller's key has coming."""
        standing = self.standing(caller)
        return standing.action if standing is not None else Action.PASS

    def verified(self, caller: Caller) -> bool:
        """Tell whether an upstream stands by the caller's key."""
        return self.engine.verified(caller.principal)

    def known_since(self, caller: Caller) -> float | None:
        """Tell when the caller's key first had an answer."""
        return self.memory.ages.get(hash_of(caller.principal.key))


class PromptDriver(Driver):
    """A driver that has the texts of every request read as soon as it is decided."""

    def admit(self, caller: Caller, asked: Play) -> Ticket:
        """Send a request, and have it read."""
        ticket = super().admit(caller, asked)
        self.flush()
        return ticket


def answer_of(asked: Play) -> Answer:
    """Return what the guard sees of a prepared answer, as often as it was asked for."""
    return Answer(
        output_chars=len(asked.answer) * max(1, asked.exchange.sampling.answers),
        reasoning_chars=asked.reasoning_chars,
        finish="stop",
        digests=(digest(asked.answer),),
    )


def ids_of(ticket: Ticket, kind: SubjectKind) -> list[bytes]:
    """Return the ids of one kind that a request speaks for, as far as they are known."""
    return [id_ for each, id_ in ticket.ids if each == kind]


def contribution_of(ticket: Ticket) -> Contribution:
    """Return what an exchange that was read will add."""
    assert ticket.contribution is not None
    return ticket.contribution


def subjects_of(ticket: Ticket, kind: SubjectKind) -> list[Subject]:
    """Return the subjects of one kind that an exchange speaks for, once it was read."""
    return [subject for subject, _ in ticket.shares if subject.kind == kind]
