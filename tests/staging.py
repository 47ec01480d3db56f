"""Stage a scenario: a file of streams becomes timestamped exchanges, and those become verdicts."""

from __future__ import annotations

import re
import tomllib
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from gateway_guard.actions import Action
from gateway_guard.exchange import Sampling, Turn
from gateway_guard.settings import parse_duration
from gateway_guard.timeline import Instant
from tests.driving import START_AT, Caller, Driver, Play, of_turns
from tests.peopled import PEOPLE, TEST_ITEMS, TRAIN_ITEMS
from tests.traffic import answer, prose, rare, sentence
from tests.voices import SPEAKS, said

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from gateway_guard.enforcement import Decision

_SLOT = re.compile(r"\{(prose|words|rare|number|pick|train|test) ?([^}]*)\}")
_COPY = re.compile(r"\{copy (\d+)\}")
_BLOCKED_SECONDS = 300.0
_POOLS = {"train": TRAIN_ITEMS, "test": TEST_ITEMS}


class Expected(msgspec.Struct, forbid_unknown_fields=True):
    """What must become of a stream.

    ``refused`` is the most that may be; ``within`` the request by which the first is refused, and
    ``share`` the least share refused from then on; ``reaches`` an action that some request has to
    suffer; ``verdict`` the least, ``at_most`` the most severe one that its key has in the end.
    ``hears`` names signals that speak of its first key then, ``silent`` others that must not.
    """

    refused: int | None = None
    within: int | None = None
    share: float = 0.0
    reaches: str = "pass"
    verdict: str = "pass"
    at_most: str = "block"
    hears: list[str] = []
    silent: list[str] = []


class Stream(msgspec.Struct, forbid_unknown_fields=True):
    """Requests of one kind, by the texts that they are made of.

    Slots are filled anew each time: ``{prose 200}`` characters, ``{words 8}``, ``{rare 8}`` words
    out of many thousands, ``{number 99}``, ``{pick a|b}``, ``{train}`` and ``{test}`` for items of
    public pools. Without ``workers`` requests, or conversations of several ``turns``, come when
    they like, ``every`` so often; workers each wait for their answer, and then so long. Keys are
    taken in turn; they are those of the stream ``owner``, if it is named. Answers are made up at
    the length ``answer``, unless ``says`` has their text, in which ``{copy 300}`` stands for
    characters out of the system text and the question; a share of them is declined, if it
    ``declines``. Questions come from one of ``networks`` in turn.
    """

    name: str
    count: int
    text: str
    expect: Expected
    systems: list[str] = []
    answer: tuple[int, int] = (100, 400)
    says: str = ""
    declines: float = 0.0
    reasoning: int = 0
    seconds: float = 6.0
    sampling: dict[str, Any] = {}
    tools: int = 0
    fed_by: Literal["user", "tool"] = "user"
    claims: list[tuple[str, str]] = []
    turns: int = 1
    reads: float = 20.0
    keys: int = 1
    users: int = 0
    owner: str | None = None
    network: str | None = None
    networks: int = 0
    organisation: str | None = None
    begins: str = "0s"
    every: str = "30s"
    workers: int = 0
    repeats: int = 0


class Scenario(msgspec.Struct, forbid_unknown_fields=True):
    """A claim about streams that reach one guard."""

    claim: str
    stream: list[Stream]
    warmup: str = "0s"


def read_scenario(path: Path) -> Scenario:
    """Read a scenario from a TOML file."""
    return msgspec.convert(tomllib.loads(path.read_text("utf-8")), Scenario)


class Stage:
    """One scenario under way."""

    def __init__(self, scenario: Scenario, seed: str) -> None:
        """Build the guard; all chance comes from the seed."""
        self.driver = Driver(warmup=scenario.warmup, model=PEOPLE)
        self.decisions: dict[str, list[Decision]] = {each.name: [] for each in scenario.stream}
        self._rng = Random(seed)
        self._due: list[tuple[float, int, Generator[float]]] = []
        self._number = count()
        for stream in scenario.stream:
            self._enter(stream)

    def play(self) -> None:
        """Let everything happen in the order of time."""
        while self._due:
            at, _, process = heappop(self._due)
            self.driver.now = Instant(at, at)
            wait = next(process, None)
            if wait is not None:
                self._schedule(at + wait, process)
        self.driver.flush()

    def caller(self, stream: Stream, number: int) -> Caller:
        """Return one of the keys of a stream."""
        name = f"{stream.owner or stream.name} {number % stream.keys}"
        network, client = stream.network or name, f"{stream.name} client"
        if stream.networks:
            network = client = f"{stream.name} {number % stream.networks}"
        return Caller(name, network, client, organisation=stream.organisation)

    def _schedule(self, at: float, process: Generator[float]) -> None:
        heappush(self._due, (at, next(self._number), process))

    def _enter(self, stream: Stream) -> None:
        begins, gap = START_AT + parse_duration(stream.begins), parse_duration(stream.every)
        rng, work = self._rng, self._asked(stream)
        if stream.workers:
            for worker in range(stream.workers):
                self._schedule(begins + 0.2 * worker, self._worker(stream, work, gap))
            return
        for number in range(stream.count // stream.turns):
            begins += rng.expovariate(1.0 / gap)
            self._schedule(begins, self._conversation(stream, number, work))

    def _worker(
        self, stream: Stream, work: Iterator[tuple[int, Play]], gap: float
    ) -> Generator[float]:
        """Ask one question after another; obey a ``Retry-After``, and give up on a question."""
        for number, asked in work:
            yield from self._exchange(stream, number, asked)
            refused = self.decisions[stream.name][-1]
            if refused.refused:
                yield refused.retry_after_seconds or _BLOCKED_SECONDS
            yield gap

    def _conversation(
        self, stream: Stream, number: int, work: Iterator[tuple[int, Play]]
    ) -> Generator[float]:
        history: tuple[Turn, ...] = ()
        for _ in range(stream.turns):
            asked = next(work)[1]
            system = tuple(turn for turn in asked.exchange.turns if turn.role == "system")
            own = asked.exchange.turns[len(system) :]
            exchange = msgspec.structs.replace(asked.exchange, turns=(*system, *history, *own))
            yield from self._exchange(
                stream, number, Play(exchange, asked.answer, asked.reasoning_chars)
            )
            if self.decisions[stream.name][-1].refused:
                return
            history = (*history, *own, Turn("assistant", asked.answer))
            yield self._rng.uniform(0.5, 1.5) * stream.reads

    def _exchange(self, stream: Stream, number: int, asked: Play) -> Generator[float]:
        driver = self.driver
        ticket = driver.admit(self.caller(stream, number), asked)
        self.decisions[stream.name].append(ticket.decision)
        if ticket.decision.refused:
            return
        yield self._rng.uniform(0.5, 1.5) * stream.seconds
        driver.start(ticket)
        driver.end(ticket, asked)

    def _asked(self, stream: Stream) -> Iterator[tuple[int, Play]]:
        rng, texts = self._rng, list[str]()
        for number in range(stream.count):
            if stream.repeats and number >= stream.repeats:
                text = texts[number % stream.repeats]
            else:
                text = filled(stream.text, rng)
                texts.append(text)
            yield number, self._composed(stream, text, number)

    def _composed(self, stream: Stream, text: str, number: int) -> Play:
        rng = self._rng
        systems = stream.systems
        turns = [Turn("system", filled(systems[number % len(systems)], rng))] if systems else []
        for asked, answered in stream.claims:
            turns += [Turn("user", filled(asked, rng)), Turn("assistant", filled(answered, rng))]
        if stream.fed_by == "tool":
            call = Turn("assistant", "", call_ids=(f"call-{number}",))
            turns += [Turn("user", sentence(rng, 9)), call, Turn("tool", text)]
        else:
            turns.append(Turn("user", text))
        composed = of_turns(
            *turns,
            answer=self._answered(stream, turns),
            sampling=Sampling(**stream.sampling),
            tool_definitions=stream.tools,
            end_user=f"user-{rng.randrange(stream.users)}" if stream.users else None,
        )
        return Play(composed.exchange, composed.answer, stream.reasoning)

    def _answered(self, stream: Stream, turns: list[Turn]) -> str:
        rng = self._rng
        if stream.declines and rng.random() < stream.declines:
            return "I'm sorry, but I can't help with that."
        if not stream.says:
            return f"{sentence(rng, 5)} {answer(rng, *stream.answer)}"
        asked = "\n".join(turn.text for turn in turns)

        def copied(slot: re.Match[str]) -> str:
            size = int(slot[1])
            begin = rng.randrange(max(1, len(asked) - size))
            return asked[begin : begin + size]

        return filled(_COPY.sub(copied, stream.says), rng)


def filled(text: str, rng: Random) -> str:
    """Fill the slots of a text."""

    def fill(slot: re.Match[str]) -> str:
        kind, given = str(slot[1]), str(slot[2])
        if kind == "pick":
            return rng.choice(given.split("|"))
        if kind == "rare":
            return " ".join(rare(rng) for _ in range(int(given)))
        if kind in _POOLS:
            return rng.choice(_POOLS[kind])
        if kind == "number":
            return str(rng.randint(2, int(given)))
        return prose(rng, int(given)) if kind == "prose" else sentence(rng, int(given))

    return _SLOT.sub(fill, text)


def failures(stage: Stage, stream: Stream) -> list[str]:
    """Return what of a stream's expectations was not met."""
    decisions, expected = stage.decisions[stream.name], stream.expect
    refused = [number for number, each in enumerate(decisions, start=1) if each.refused]
    first = refused[0] if refused else None
    action = stage.driver.action(stage.caller(stream, 0))
    found = []
    if expected.refused is not None and len(refused) > expected.refused:
        found.append(f"{len(refused)} refused, the first by {decisions[refused[0] - 1]}")
    if expected.within is not None and (first is None or first > expected.within):
        found.append(f"first refused: {first}")
    elif first is not None and len(refused) < expected.share * (len(decisions) - first + 1):
        found.append(f"only {len(refused)} refused of {len(decisions)}")
    if max(each.action for each in decisions) < Action[expected.reaches.upper()]:
        found.append(f"nothing worse than {max(each.action for each in decisions).label}")
    if not Action[expected.verdict.upper()] <= action <= Action[expected.at_most.upper()]:
        found.append(f"verdict {action.label}")
    return [f"{stream.name}: {each}" for each in (*found, *misheard(stage, stream))]


def misheard(stage: Stage, stream: Stream) -> list[str]:
    """Return which signals are not as loud about a stream's first key as they have to be."""
    expected = stream.expect
    if not expected.hears and not expected.silent:
        return []
    subject = stage.driver.subject(stage.caller(stream, 0))
    voices = said(stage.driver, subject) if subject is not None else {}
    quiet = [name for name in expected.hears if voices[name] < SPEAKS]
    loud = [name for name in expected.silent if voices[name] >= SPEAKS]
    return [f"{name} says {voices[name]:.2f}" for name in (*quiet, *loud)]
