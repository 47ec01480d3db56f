"""What an operator orders holds at every worker, whatever it knew, and wherever it was."""

from __future__ import annotations

import time
from collections import Counter
from itertools import islice
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from valkey import Valkey

from gateway_guard.actions import Action
from gateway_guard.principal import SubjectIds, SubjectKind
from gateway_guard.statefile.forgetting import Forgotten, forget
from gateway_guard.statefile.orders import Ordered, pardon
from gateway_guard.statefile.walking import LOGS, entries_of, instants_of, subjects_of
from gateway_guard.stores import STANDING, Part, Store, open_store
from gateway_guard.subjects import half_of, hash_of, is_in_key
from gateway_guard.syncing.news import AGES, NEWS, USES, Notice, decode
from gateway_guard.syncing.notices import kept
from tests import valkeys
from tests.driving import DAY, SECRET, Caller, play
from tests.syncing import KEEPING, Faulty, Fleet, Worker
from tests.traffic import HARVESTS, INNOCENTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gateway_guard.syncing.news import News
    from tests.driving import Play

ALICE, MALLORY = Caller("alice"), Caller("mallory", "203.0.113.0")
MEMBER = Caller("mallory", "203.0.113.0", organisation="acme")
HISTORY = [("How deep is the lake?", "About forty metres, at its north end.")]


class ServedFleet(Fleet):
    """Workers over a server."""

    url = ""

    def store(self) -> Store:
        """Return a store of its own for a worker."""
        store = open_store(self.url, time.time, KEEPING)
        vars(store)["now"] = lambda: self.at  # its time passes with that of the workers
        return store


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Run a server, for as long as tests need it."""
    with valkeys.standalone() as port:
        yield f"valkey://127.0.0.1:{port}"


@pytest.fixture(params=["sqlite", "valkey"])
def fleet(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Fleet]:
    """A place for state, and nobody there yet."""
    if request.param == "sqlite":
        yield Fleet(tmp_path)
        return
    monkeypatch.setattr("gateway_guard.stores.valkey.TIMEOUT_SECONDS", 5.0)
    fleet = ServedFleet(None, at=float(int(time.time())))
    fleet.url = request.getfixturevalue("server")
    yield fleet
    for worker in fleet.workers:
        worker.link.close()
    with Valkey.from_url(fleet.url) as client:
        client.flushall()


def operators(fleet: Fleet) -> Store:
    """Return a store as the command line opens it."""
    store = fleet.store()
    store.connect()
    return store


def forgotten(fleet: Fleet, *subjects: bytes, lift: bool = False) -> Forgotten:
    """Erase subjects while the workers that hold rounds go on."""
    store = operators(fleet)
    done = forget(store, subjects, lambda: fleet.sync(2), lift=lift)
    store.close()
    return done


def talk(fleet: Fleet) -> None:
    """Have a caller's conversation begin, and others' as well, at all workers."""
    plays = INNOCENTS["chat"](Random(1))
    for caller in (MEMBER, ALICE):
        fleet.ask(caller, [play(*HISTORY[0])] * 2)
        fleet.ask(caller, islice(plays, 20))
    fleet.wait(70)
    fleet.sync()


def traces(fleet: Fleet, key: bytes) -> Counter[str]:
    """Count what a store has of a key but its tombstone."""
    store, found = operators(fleet), Counter[str]()
    half = half_of(hash_of(key))
    for ids in subjects_of(store):
        for parts in store.parts([id_ for id_ in ids if id_ == key or is_in_key(id_, key)]):
            found["parts"] += sum(part.slot != STANDING for part in parts)
    for page in instants_of(store, AGES):
        found["ages"] += hash_of(key) in page.hashes.tolist()
    for page in instants_of(store, USES):
        found["uses"] += sum(half_of(hash_) == half for hash_ in page.hashes.tolist())
    for log in LOGS:
        for entry in entries_of(store, log):
            news = decode(entry.data)
            assert news is not None
            found[log] += told_of(news, key)
    store.close()
    return +found


def told_of(news: News, key: bytes) -> bool:
    """Tell whether an entry says something of a key, but that it is erased."""
    notices = [notice for notice in news.notices if notice.subject == key and not notice.erased]
    packed = news.texts + news.pairs + news.uses[0] + news.ages[0]
    hashes = [*np.frombuffer(packed, "<u8").tolist(), *(place for place, _ in news.hits)]
    seen = [seen for seen in news.sightings if seen[0] == key or seen[1] == key[-8:]]
    return bool(notices or seen) or half_of(hash_of(key)) in map(half_of, hashes)


def is_observed(worker: Worker, caller: Caller) -> bool:
    """Tell whether a request is taken for one that goes on from the answer it was served."""
    ticket = worker.ask(caller, play("And how wide?", "Two kilometres.", history=HISTORY))
    worker.flush()
    assert ticket.contribution is not None
    return not ticket.contribution.single


def test_whoever_holds_an_erased_key_in_memory_does_not_bring_it_back(fleet: Fleet) -> None:
    """Not with a round, not with its last word; and nothing of others' is lost."""
    one, two = fleet.start(2)
    talk(fleet)
    key = MALLORY.principal.key
    assert {"parts", "ages", "uses", "news", "history"} <= traces(fleet, key).keys()
    done = forgotten(fleet, key)
    assert done.subjects[0] == Ordered(id=key.hex(), kind="key", known=True, verdict="none")
    assert done.instants >= 2
    assert done.entries >= 2
    for worker in (one, two):
        assert worker.subject(MALLORY) is None
        assert worker.known_since(MALLORY) is None
    fleet.wait(70)
    fleet.sync()
    for worker in (one, two):
        fleet.end(worker)
    assert not traces(fleet, key)
    [three] = fleet.start(rounds=8)
    assert is_observed(three, ALICE)
    fleet.sync()
    assert three.counted(ALICE) == pytest.approx(23, abs=2.1)


@pytest.mark.parametrize("trimmed", [False, True])
def test_whoever_was_away_when_a_key_was_erased_does_not_bring_it_back(
    fleet: Fleet, *, trimmed: bool
) -> None:
    """He hears of it before he says anything, though the news be long gone."""
    fleet.start()
    away, link = away_worker(fleet)
    talk(fleet)
    link.away = True
    fleet.ask(MALLORY, islice(INNOCENTS["chat"](Random(2)), 20))
    fleet.wait(70)
    fleet.sync()
    key = MALLORY.principal.key
    forgotten(fleet, key)
    if trimmed:
        store = operators(fleet)
        store.drop_entries(NEWS, [entry.cursor for entry in entries_of(store, NEWS)])
        store.close()
    assert away.counted(MALLORY) > 10
    link.away = False
    fleet.wait(70)
    fleet.sync()
    assert away.subject(MALLORY) is None
    assert away.known_since(MALLORY) is None
    fleet.end(away)
    assert not traces(fleet, key)


def away_worker(fleet: Fleet) -> tuple[Worker, Faulty]:
    """Start a worker whose store can be made to fail; return both."""
    link: Any = Faulty(fleet.store())
    worker = Worker(link, fleet.at)
    fleet.workers.append(worker)
    fleet.sync(2)
    return worker, link


def test_a_key_begins_anew_after_it_was_erased(fleet: Fleet) -> None:
    """Its age, what it was served, and what was counted of it."""
    one, two = fleet.start(2)
    talk(fleet)
    fleet.wait(30 * DAY)
    forgotten(fleet, MALLORY.principal.key)
    assert is_observed(one, ALICE)
    assert not is_observed(one, MALLORY)
    since = one.known_since(MALLORY)
    assert since == int(one.now.wall)
    fleet.sync()
    fleet.ask(MALLORY, islice(INNOCENTS["chat"](Random(2)), 20))
    fleet.wait(40)
    fleet.sync()
    for worker in (one, two):
        assert worker.counted(MALLORY) == pytest.approx(21, abs=5)  # but for their first round
    fleet.end(one)
    fleet.end(two)
    [three] = fleet.start(rounds=8)
    assert not is_observed(three, MALLORY)
    assert is_observed(three, ALICE)
    # A worker that began later has nothing to let go of, though it finds the tombstone.
    for _ in range(4):
        three.ask(MALLORY, play("What else?"))
        fleet.sync(2)
    assert three.known_since(MALLORY) == since
    assert three.counted(MALLORY) > 15


def block(fleet: Fleet, worker: Worker, caller: Caller) -> None:
    """Have a caller harvest at one worker until it is blocked there."""
    for item in islice(HARVESTS["self_instruct"](Random(1)), 2000):
        worker.ask(caller, item)
        fleet.wait(20)
        if worker.action(caller) == Action.BLOCK:
            break
    fleet.sync()
    assert {each.action(caller) for each in fleet.workers} == {Action.BLOCK}


def actions(fleet: Fleet) -> set[Action]:
    """Return what the caller has coming at each worker."""
    return {worker.action(MALLORY) for worker in fleet.workers}


def test_whoever_is_blocked_is_not_let_go_by_being_erased(fleet: Fleet) -> None:
    """Nothing is kept but the verdict, until it ends; then he begins anew."""
    one, _ = fleet.start(2)
    block(fleet, one, MALLORY)
    before = one.standing(MALLORY)
    assert before is not None
    assert before.reasons
    ends_at, offences = before.until_at, before.offences
    [said, *_] = forgotten(fleet, MALLORY.principal.key).subjects
    assert (said.verdict, said.action) == ("kept", "block")
    [three] = fleet.start()
    for worker in fleet.workers:
        standing = worker.standing(MALLORY)
        assert standing is not None
        assert (standing.action, standing.offences) == (Action.BLOCK, offences)
        assert standing.until_at == pytest.approx(ends_at, abs=2.0)
        assert (standing.reasons, standing.families, standing.score) == ((), frozenset(), 0.0)
        assert worker.ask(MALLORY, play("Hello?")).decision.refused
    fleet.wait(ends_at - three.now.wall + DAY)
    assert not three.ask(MALLORY, play("Hello?")).decision.refused
    assert three.counted(MALLORY) <= 1


def test_an_erasure_can_lift_the_verdict_too(fleet: Fleet) -> None:
    """Where the operator says so."""
    one, _ = fleet.start(2)
    block(fleet, one, MALLORY)
    [said, *_] = forgotten(fleet, MALLORY.principal.key, lift=True).subjects
    assert (said.verdict, said.action) == ("lifted", "block")
    fleet.start()
    assert actions(fleet) == {Action.PASS}


def test_templates_within_a_key_go_with_it(fleet: Fleet) -> None:
    """They are found by the key, in memory and in the store."""
    fleet.start(2)
    key = MALLORY.principal.key
    within = bytes((SubjectKind.TEMPLATE_IN_KEY,)) + bytes(8) + key[-7:]
    store = operators(fleet)
    from_nobody = store.parts([key])
    assert from_nobody == [[]]
    store.write([Part(within, 0, (0, 1, 1), b"profile")])
    done = forgotten(fleet, key)
    assert [said.id for said in done.subjects] == [key.hex(), within.hex()]
    assert [part.slot for part in store.parts([within])[0]] == [STANDING]
    store.close()


@pytest.mark.parametrize("kind", [SubjectKind.END_USER, SubjectKind.ORGANISATION])
def test_end_users_and_organisations_can_be_erased(fleet: Fleet, kind: SubjectKind) -> None:
    """Without the key that they came with."""
    one, two = fleet.start(2)
    plays = [asked_by("bob", item) for item in islice(INNOCENTS["chat"](Random(1)), 30)]
    fleet.ask(MEMBER, plays)
    fleet.wait(40)
    fleet.sync()
    ids = SubjectIds(SECRET)
    named = {
        SubjectKind.END_USER: ids.make(SubjectKind.END_USER, MALLORY.principal.key, b"bob"),
        SubjectKind.ORGANISATION: ids.make(SubjectKind.ORGANISATION, b"acme"),
    }
    store = operators(fleet)
    assert len(store.parts([named[kind]])[0]) >= 2
    counted = one.counted(MALLORY)
    forgotten(fleet, named[kind])
    fleet.wait(40)
    fleet.sync()
    assert [part.slot for part in store.parts([named[kind]])[0]] == [STANDING]
    assert one.memory.subjects.get(named[kind]) is two.memory.subjects.get(named[kind]) is None
    assert one.counted(MALLORY) == pytest.approx(counted, rel=0.1)
    store.close()


def asked_by(name: str, item: Play) -> Play:
    """Return a request that names an end user."""
    exchange = msgspec.structs.replace(item.exchange, end_user=name)
    return type(item)(exchange, item.answer)


def test_a_pardon_holds_at_every_worker_for_good(fleet: Fleet) -> None:
    """At those that run, within a round; at one that was away; at one that starts later."""
    one, _ = fleet.start(2)
    away, link = away_worker(fleet)
    block(fleet, one, MALLORY)
    link.away = True
    fleet.sync()
    store = operators(fleet)
    [said] = pardon(store, [MALLORY.principal.key])
    assert (said.known, said.verdict, said.action) == (True, "lifted", "block")
    fleet.sync(1)
    assert away.action(MALLORY) == Action.BLOCK
    assert {worker.action(MALLORY) for worker in fleet.workers[:2]} == {Action.PASS}
    store.drop_entries(NEWS, [entry.cursor for entry in entries_of(store, NEWS)])
    link.away = False
    fleet.wait(70)
    fleet.sync()
    fleet.start()
    assert actions(fleet) == {Action.PASS}
    for worker in fleet.workers:
        assert not worker.ask(MALLORY, play("May I?")).decision.refused
        assert worker.counted(MALLORY) < 5
    fleet.sync()
    assert actions(fleet) == {Action.PASS}
    store.close()


def test_a_template_is_pardoned_by_its_id(fleet: Fleet) -> None:
    """As the log tells it."""
    fleet.start()
    store = operators(fleet)
    template = bytes((SubjectKind.TEMPLATE, 1)) + bytes(6) + b"template"
    [unknown] = pardon(store, [template])
    assert not unknown.known
    assert store.parts([template]) == [[]]
    blocked = Notice(template, revision=1, action=int(Action.BLOCK), until_at=store.now() + 3600)
    store.write([kept(blocked)])
    [said] = pardon(store, [template])
    assert (said.kind, said.verdict) == ("template", "lifted")
    assert store.standings(10) == []
    store.close()
