"""Corpora as subjects: a pool that is harvested over many keys, and who must not suffer for it."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import pytest

from gateway_guard.actions import Action
from gateway_guard.exchange import Sampling
from gateway_guard.principal import SubjectKind
from gateway_guard.subjects import corpus_id
from tests.driving import DAY, Caller, Driver, Play, ids_of, play
from tests.peopled import PEOPLE, TEST, TEST_ITEMS, TRAIN, TRAIN_ITEMS
from tests.traffic import answer, chat, classify, prose, search, sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gateway_guard.model import Corpus

INNOCENT = [Caller(f"old-{number}", f"place-{number}") for number in range(30)]


def asked(item: str, rng: Random) -> Play:
    """Ask an item as it is, for a long answer."""
    sampling = Sampling(temperature=0.7, max_tokens=4096)
    return play(item, answer(rng, 900, 2400), sampling=sampling)


def items(pool: Sequence[str], seed: int) -> Iterator[Play]:
    """Ask all items of a pool in another order each time it is through."""
    rng = Random(seed)
    while True:
        for item in rng.sample(pool, len(pool)):
            yield asked(item, rng)


def now_and_then(seed: int) -> Iterator[Play]:
    """Talk like everybody, and put one item of the train split in ten."""
    rng = Random(seed)
    talks, questions = chat(rng), items(TRAIN_ITEMS, seed)
    while True:
        for _ in range(9):
            yield next(talks)
        yield next(questions)


def mixture(seed: int) -> Iterator[Play]:
    """Do what innocents do."""
    rng = Random(seed)
    kinds = [chat(rng), search(rng), classify(rng)]
    return kinds[seed % 3]


class World:
    """A guard of some weeks, with old keys that go on with what they do."""

    def __init__(self, *, corpora: tuple[Corpus, ...] = (TRAIN, TEST)) -> None:
        """Let the old keys be known."""
        model = msgspec.structs.replace(PEOPLE, corpora=corpora)
        self.driver = Driver(model=model, memory="128MiB")
        self.refused: dict[str, int] = {}
        self._plays = {caller: mixture(at) for at, caller in enumerate(INNOCENT)}
        self.driver.meet(*INNOCENT)
        self.driver.wait(20 * DAY)

    def add(self, caller: Caller, plays: Iterator[Play], known: int = 30) -> None:
        """Let another old key have done what it does for some days."""
        self._plays[caller] = plays
        self.driver.meet(caller)
        for _ in range(known):
            self.driver.wait(4 * 3600)
            self.ask(caller, next(plays))
        self.driver.wait(10 * DAY)

    def ask(self, caller: Caller, what: Play, seconds: float = 0.0) -> bool:
        """Have something asked, and count refusals; tell whether this is one."""
        refused = self.driver.ask(caller, what, seconds=seconds).decision.refused
        self.refused[caller.key or ""] = self.refused.get(caller.key or "", 0) + refused
        return refused

    def innocents(self, rng: Random) -> None:
        """Let one of the old keys ask."""
        caller = rng.choice(list(self._plays))
        self.ask(caller, next(self._plays[caller]))


class Toll(NamedTuple):
    """Which of a campaign's requests were refused, and how many of each old key's."""

    campaign: list[bool]
    innocent: dict[str, int]
    driver: Driver


def campaign(
    world: World, *, keys: int = 1000, each: int = 4, wrapped: Callable[[str], str] = str
) -> Toll:
    """Have the pool asked under fresh keys, a hundred a minute, among innocents."""
    rng, found = Random(9), []
    order = [number % keys for number in range(keys * each)]
    questions = [rng.sample(TRAIN_ITEMS, len(TRAIN_ITEMS)) for _ in range(4)]
    flat = [item for some in questions for item in some]
    world.refused.clear()
    for number, key in enumerate(order):
        caller = Caller(f"fresh-{key}", f"n-{key}", "python-requests 2")
        found.append(world.ask(caller, asked(wrapped(flat[number]), rng), seconds=0.4))
        world.driver.wait(0.2)
        if number % 4 == 0:
            world.innocents(rng)
    innocent = {key: count for key, count in world.refused.items() if not key.startswith("fresh")}
    return Toll(found, innocent, world.driver)


@pytest.fixture(scope="module")
def toll() -> Toll:
    """A campaign beside an evaluation, and beside somebody who asks train items now and then."""
    world = World()
    world.add(Caller("evaluation"), items(TEST_ITEMS, 1))
    world.add(Caller("curious"), now_and_then(2))
    return campaign(world)


def test_raw_questions_of_a_known_pool_over_a_thousand_keys_are_refused(toll: Toll) -> None:
    """Four of five at least, once the campaign has asked two thousand."""
    later = toll.campaign[2000:]
    assert sum(later) >= 0.8 * len(later)


def test_nobody_else_is_refused_meanwhile(toll: Toll) -> None:
    """Neither people and programs nor an evaluation of the test split, nor who is curious."""
    assert {key: count for key, count in toll.innocent.items() if count} == {}
    assert {"evaluation", "curious"} <= toll.innocent.keys()


def test_it_is_the_corpus_that_is_found(toll: Toll) -> None:
    """No key of a campaign asks enough to be suspected itself."""
    standing = toll.driver.memory.standings.get(corpus_id(TRAIN.id))
    assert standing is not None
    assert standing.action >= Action.THROTTLE
    assert any("corpus_overlap" in reason for reason in standing.reasons)
    assert toll.driver.action(Caller("fresh-1")) == Action.PASS


def test_without_the_corpus_the_campaign_goes_on() -> None:
    """What is asked has nothing else in common."""
    found = campaign(World(corpora=(TEST,)), keys=150).campaign
    assert sum(found) < 0.2 * len(found)


def test_a_wrapper_of_its_own_for_each_question_changes_nothing() -> None:
    """Neither template nor ends of the texts are the same twice."""
    rng = Random(4)
    world = World()
    found = campaign(
        world,
        keys=250,
        wrapped=lambda item: f"{sentence(rng, 8)} {item} {sentence(rng, 8)}",
    ).campaign
    assert sum(found[500:]) >= 0.8 * len(found[500:])


def test_requests_speak_for_the_corpora_that_they_are_from() -> None:
    """Once they were read; an item of an evaluation speaks for none."""
    driver, rng = Driver(model=PEOPLE), Random(1)
    texts = [TRAIN_ITEMS[0], TEST_ITEMS[0], prose(rng, 300)]
    tickets = [driver.ask(Caller("alice"), asked(text, rng)) for text in texts]
    driver.flush()
    found = [ids_of(ticket, SubjectKind.CORPUS) for ticket in tickets]
    assert found == [[corpus_id(TRAIN.id)], [], []]


def test_an_evaluation_of_the_train_split_under_an_old_key_goes_on_in_a_campaign() -> None:
    """It asks the same few items every night, for short answers."""
    world, rng = World(), Random(6)
    nightly = [play(item, answer(rng, 20, 60)) for item in TRAIN_ITEMS[:40]]
    caller = Caller("nightly")

    def every_night() -> Iterator[Play]:
        while True:
            yield from nightly

    world.add(caller, every_night(), known=80)
    assert campaign(world, keys=200).innocent["nightly"] == 0
