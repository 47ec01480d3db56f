"""A store's state, taken elsewhere: nothing is lost on the way, and nothing is counted twice."""

from __future__ import annotations

import time
from contextlib import ExitStack
from itertools import islice
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard import profile
from gateway_guard.actions import Action
from gateway_guard.exceptions import StoreError
from gateway_guard.statefile import telling
from gateway_guard.statefile.exporting import Exported, export
from gateway_guard.statefile.forgetting import forget
from gateway_guard.statefile.format import (
    EntryLine,
    Header,
    InstantsLine,
    StateFileError,
    StateReader,
    StateWriter,
)
from gateway_guard.statefile.importing import Imported, import_state
from gateway_guard.statefile.joining import SPARE_SLOTS, placed
from gateway_guard.stores import STANDING, Lease, Part, Store, open_store
from gateway_guard.stores.base import GROUPS, SCHEMA, STARTS
from gateway_guard.stores.memory import MemoryStore
from gateway_guard.stores.parts import LAYOUT, to_part
from gateway_guard.subjects import hash_of
from gateway_guard.syncing.news import AGES, HISTORY, NEWS, USES, News, Notice, decode, encode
from gateway_guard.syncing.notices import kept
from tests import valkeys
from tests.driving import Caller, play
from tests.syncing import KEEPING, Faulty, Fleet
from tests.traffic import HARVESTS, INNOCENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SECRET, OTHER_SECRET = b"s" * 32, b"o" * 32
KEY, OTHER = b"\x01" + bytes(14) + b"k", b"\x01" + bytes(14) + b"o"
ALICE, MALLORY = Caller("alice"), Caller("mallory", "203.0.113.0")
BACKENDS = ("valkey", "sentinel", "cluster")


def silent(_: int) -> None:
    """Tell nobody how far it is."""


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a server on a busy machine more time than a guard would."""
    monkeypatch.setattr("gateway_guard.stores.valkey.TIMEOUT_SECONDS", 5.0)


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, str]]:
    """Run a server of each kind."""
    with ExitStack() as stack:
        port = stack.enter_context(valkeys.standalone())
        sentinel = stack.enter_context(valkeys.watched("guards"))
        nodes = stack.enter_context(valkeys.cluster())
        yield {
            "valkey": f"valkey://127.0.0.1:{port}",
            "sentinel": f"valkey+sentinel://127.0.0.1:{sentinel}/guards",
            "cluster": "valkey+cluster://" + ",".join(f"127.0.0.1:{node}" for node in nodes),
        }


@pytest.fixture
def opened(tmp_path: Path, servers: dict[str, str]) -> Iterator[Callable[[str], Store]]:
    """Open stores by their kind, each with nothing in it; a file by any name."""
    stores: list[Any] = []

    def open_one(kind: str) -> Store:
        url = servers.get(kind, f"sqlite:///{tmp_path}/{kind}")
        store = open_store(url, time.time, KEEPING)
        store.connect()
        stores.append(store)
        return store

    yield open_one
    for store in stores:
        if hasattr(store, "_client"):
            store._client.flushall()  # noqa: SLF001
        store.close()


def exported(store: Store, path: Path) -> Exported:
    """Write a store's state into a file."""
    return export(store, path, "tests", SECRET, silent)


def read(path: Path, *secrets: bytes) -> list[Any]:
    """Return the lines of a file, in an order of their own: a store has none for most.

    What an import tells running guards of blocks is left out.
    """
    with path.open("rb") as file:
        lines = [*StateReader(file, secrets or (SECRET,))]
    found = [line for line in lines if not isinstance(line, InstantsLine) and not is_told(line)]
    return [*sorted(map(str, found)), instants(path)]


def is_told(line: object) -> bool:
    """Tell whether a line is an entry that an import made."""
    news = decode(line.data) if isinstance(line, EntryLine) else None
    return news is not None and news.slot == telling.SLOT


def instants(path: Path) -> dict[str, dict[int, float]]:
    """Return the instants in a file, by kind and hash, however they were cut into lines."""
    kinds: dict[str, dict[int, float]] = {}
    with path.open("rb") as file:
        for line in StateReader(file, (SECRET,)):
            if isinstance(line, InstantsLine):
                hashes, at = np.frombuffer(line.hashes, "<u8"), np.frombuffer(line.at, "<f8")
                of_kind = zip(hashes.tolist(), at.tolist(), strict=True)
                kinds.setdefault(line.kind, {}).update(of_kind)
    return kinds


def imported(path: Path, store: Store) -> Imported:
    """Join a file to a store."""
    with path.open("rb") as file:
        return import_state(StateReader(file, (SECRET,)), store, silent)


def part(subject: bytes = KEY, slot: int = 0, **fields: float) -> Part:
    """Return a part of one exchange: under which version, and since when its writer knows it."""
    row, known = profile.empty(), {"epoch": 100, "sequence": 1, "first_seen_at": 1000.0} | fields
    row["subject"] = np.frombuffer(subject, np.uint8)
    for name, value in known.items():
        row[name] = value
    row["linear"][0, :, profile.Slot.EXCHANGES] = 1.0
    return to_part(row, slot, 1000.0)


def filled(store: Store) -> None:
    """Put something of every kind into a store."""
    now = store.now()
    held = store.lease(60.0)
    store.lease(60.0)
    subjects = [bytes((1 + number % 8,)) + number.to_bytes(15) for number in range(450)]
    store.write([part(subject, held.slot, epoch=held.epoch) for subject in subjects])
    store.write([part(subject, 1, epoch=7, sequence=3) for subject in subjects[::3]])
    store.write([Part(subjects[0], GROUPS + 3, (0, 0, 1), b"\0")])
    blocked = Notice(subjects[4], revision=9, action=int(Action.BLOCK), until_at=now + 900)
    store.write([kept(blocked), kept(Notice(subjects[5], reset=8))])
    hashes = np.arange(2**63 - 1200, 2**63 + 1200, dtype=np.uint64)
    store.keep_instants(AGES, hashes, np.full(len(hashes), now - 9.5))
    store.keep_instants(USES, hashes[:3], np.array([1.0, 2.0, 3.0]))
    store.keep_instants(STARTS, np.zeros(1, np.uint64), np.array([now - 99]))
    for number in range(130):
        news = News(0, held.epoch, number, now, ages=(number.to_bytes(8), bytes(4)))
        store.append(NEWS, encode(news))
        store.append(HISTORY, encode(News(texts=number.to_bytes(8))))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_state_goes_to_another_store_and_back(
    opened: Callable[[str], Store], backend: str, tmp_path: Path
) -> None:
    """All of it, sums excepted; and importing twice is importing once."""
    one, two, three = opened("one"), opened(backend), opened("three")
    filled(one)
    paths = [tmp_path / f"{number}.state" for number in range(4)]
    done = exported(one, paths[0])
    assert done.subjects == 450
    first = imported(paths[0], two)
    # The part of before a pardon counts as nothing, and stays behind.
    assert (first.parts, first.new_parts, first.new_entries) == (601, 601, 260)
    exported(two, paths[1])
    again = imported(paths[0], two)
    assert (again.new_parts, again.new_entries) == (0, 0)
    exported(two, paths[2])
    imported(paths[2], three)
    exported(three, paths[3])
    assert read(paths[0]) == read(paths[1]) == read(paths[2]) == read(paths[3])
    assert [standing.subject for standing in three.standings(9)] == [b"\x05" + (4).to_bytes(15)]


def test_a_file_is_private_and_says_neither_key_nor_secret(tmp_path: Path) -> None:
    """Ids are hashes under the secret, which is named by a hash of its own."""
    fleet = Fleet(tmp_path)
    [worker] = fleet.start()
    fleet.ask(ALICE, islice(INNOCENTS["chat"](Random(1)), 10))
    fleet.end(worker)
    store = fleet.store()
    store.connect()
    path = tmp_path / "a.state"
    exported(store, path)
    store.close()
    assert path.stat().st_mode & 0o077 == 0
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []
    content = path.read_bytes()
    for told in (b"alice", SECRET, SECRET.hex().encode(), b"192.0.2"):
        assert told not in content
    header = msgspec.json.decode(content.splitlines()[0], type=Header)
    assert (header.schema, header.layout, header.namespace) == (SCHEMA, LAYOUT, "tests")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a file of a few lines."""
    store = memory()
    store.write([part(), part(OTHER)])
    store.keep_instants(AGES, np.array([1], np.uint64), np.array([5.0]))
    path = tmp_path_factory.mktemp("whole") / "whole.state"
    exported(store, path)
    return path


def memory() -> Store:
    """Return a store in memory."""
    return MemoryStore(2**22, lambda: 2000.0, KEEPING)


@given(data=st.data())
def test_a_file_that_is_cut_or_changed_is_refused(whole: Path, data: st.DataObject) -> None:
    """Wherever that is, and before anything of it is imported."""
    content = bytearray(whole.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        del content[place:]
    else:
        content[place] ^= data.draw(st.integers(1, 255))
    path = whole.with_name("changed.state")
    path.write_bytes(content)
    store = memory()
    with pytest.raises(StateFileError):
        imported(path, store)
    assert store.subjects("", 10).ids == []


def test_lines_that_are_left_out_moved_or_added_are_found(whole: Path) -> None:
    """Though each of them is as it was."""
    lines = whole.read_bytes().splitlines(keepends=True)
    path = whole.with_name("moved.state")
    for changed in (
        [*lines[:1], *lines[2:]],
        [lines[0], lines[2], lines[1], *lines[3:]],
        [*lines[:2], lines[1], *lines[2:]],
        [*lines, lines[-1]],
        lines[:-1],
        [],
    ):
        path.write_bytes(b"".join(changed))
        with pytest.raises(StateFileError):
            read(path)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("layout", LAYOUT + 1, f"layout {LAYOUT + 1}"),
        ("schema", SCHEMA + 1, f"schema {SCHEMA + 1}"),
        ("version", 9, "version 9"),
        ("format", "else", "no state of gateway-guard"),
    ],
)
def test_a_file_of_another_version_is_refused(
    whole: Path, field: str, value: object, said: str
) -> None:
    """And the message says which one, and which one is read here."""
    head, rest = whole.read_bytes().split(b"\n", 1)
    header = msgspec.json.decode(head) | {field: value}
    path = whole.with_name("other.state")
    path.write_bytes(msgspec.json.encode(header) + b"\n" + rest)
    with pytest.raises(StateFileError, match=said):
        read(path)


def test_a_file_of_another_secret_is_refused(whole: Path) -> None:
    """Its ids mean nothing there; the previous secret is known as well."""
    with pytest.raises(StateFileError, match="another secret"):
        read(whole, OTHER_SECRET)
    assert read(whole, OTHER_SECRET, SECRET) == read(whole)


def test_lines_that_nobody_here_knows_are_refused(whole: Path) -> None:
    """Though the file is as it was made; logs that nobody reads are passed over."""
    with whole.open("rb") as file:
        header = StateReader(file, (SECRET,)).header
    path = whole.with_name("unknown.state")
    for line, taken in ((EntryLine("gossip", b"x"), True), (header, False)):
        writer: Any = StateWriter(path, header, SECRET)
        writer.add(line)
        writer.finish()
        store = memory()
        if taken:
            assert imported(path, store).new_entries == 0
        else:
            with pytest.raises(StateFileError, match="nothing that is known"):
                imported(path, store)


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    """A store that fails half-way leaves nothing behind, and an older file as it was."""
    store: Any = Faulty(memory())
    store.write([part()])
    path = tmp_path / "a.state"
    path.write_bytes(b"older")
    store.fails_after = {"instants"}
    with pytest.raises(StoreError):
        exported(store, path)
    assert [each.name for each in tmp_path.iterdir()] == ["a.state"]
    assert path.read_bytes() == b"older"


def test_an_export_under_load_is_a_state_that_was(tmp_path: Path) -> None:
    """Each subject is in it once, as it was at some moment between begin and end."""
    fleet = Fleet(tmp_path)
    workers = fleet.start(2)
    callers = [Caller(f"key-{number}", f"network-{number}") for number in range(12)]
    plays = INNOCENTS["chat"](Random(1))
    for caller in callers:
        fleet.ask(caller, islice(plays, 10), seconds=1.0)
    fleet.wait(40)
    fleet.sync()

    def go_on(lines: int) -> None:
        if lines % 20 == 0 and fleet.at < until_at:
            fleet.ask(callers[lines % 12], islice(plays, 8), seconds=1.0)
            fleet.wait(31)
            fleet.sync()

    until_at = fleet.at + 800
    path, store = tmp_path / "a.state", fleet.store()
    store.connect()
    export(store, path, "tests", SECRET, go_on)
    for worker in workers:
        fleet.end(worker)
    other = Fleet(tmp_path / "other", at=fleet.at)
    target = other.store()
    target.connect()
    done = imported(path, target)
    assert done.new_parts == done.parts > 24
    [restored] = other.start(rounds=4)
    [still] = fleet.start(rounds=4)
    for caller in callers:
        for one in (other, fleet):
            one.ask(caller, [play("Anything else?")] * 3, seconds=1.0)
            one.sync()
        assert 10 <= restored.counted(caller) <= still.counted(caller) + 0.5
    target.close()
    store.close()


def test_an_import_into_a_store_that_is_in_use_loses_nothing(tmp_path: Path) -> None:
    """Neither what guards have counted there already, nor what they go on to count."""
    old, new = Fleet(tmp_path / "old"), Fleet(tmp_path / "new")
    for fleet, seed in ((old, 1), (new, 2)):
        fleet.start(2)
        fleet.ask(ALICE, islice(INNOCENTS["chat"](Random(seed)), 40), seconds=1.0)
        fleet.wait(40)
        fleet.sync()
        new.wait(3600 if fleet is old else 0)
    for worker in [*old.workers]:
        old.end(worker)
    path, source, target = tmp_path / "a.state", old.store(), new.store()
    for store in (source, target):
        store.connect()
    exported(source, path)
    for _ in range(2):
        imported(path, target)
        new.ask(ALICE, islice(INNOCENTS["chat"](Random(3)), 10), seconds=1.0)
        new.wait(40)
        new.sync()
    new.ask(ALICE, islice(INNOCENTS["chat"](Random(4)), 2), seconds=1.0)
    for worker in new.workers:
        assert worker.counted(ALICE) == pytest.approx(40 + 40 + 22, abs=3)
    for worker in [*new.workers]:
        new.end(worker)
    imported(path, target)
    [last] = new.start()
    new.ask(ALICE, islice(INNOCENTS["chat"](Random(5)), 4), seconds=1.0)
    new.sync()
    assert last.counted(ALICE) == pytest.approx(106, abs=3)
    source.close()
    target.close()


def test_an_imported_block_holds_at_guards_that_run(tmp_path: Path) -> None:
    """Within a round."""
    old, new = Fleet(tmp_path / "old"), Fleet(tmp_path / "new")
    [one], [two] = old.start(), new.start()
    for item in islice(HARVESTS["self_instruct"](Random(1)), 2000):
        one.ask(MALLORY, item)
        old.wait(20)
        if one.action(MALLORY) == Action.BLOCK:
            break
    old.end(one)
    new.wait(old.at - new.at)
    path, source, target = tmp_path / "a.state", old.store(), new.store()
    for store in (source, target):
        store.connect()
    exported(source, path)
    imported(path, target)
    new.sync(1)
    assert two.action(MALLORY) == Action.BLOCK
    source.close()
    target.close()


def test_what_was_erased_is_not_brought_back_by_an_older_file(tmp_path: Path) -> None:
    """Neither into the store that it was erased from, nor by a file that has both."""
    store, path = memory(), tmp_path / "a.state"
    store.write([part(), part(OTHER)])
    hashes = np.array([hash_of(KEY), hash_of(OTHER)], np.uint64)
    store.keep_instants(AGES, hashes, np.array([5.0, 6.0]))
    for log in (NEWS, HISTORY):
        packed = hashes.astype("<u8").tobytes()
        store.append(log, encode(News(at=1000.0, ages=(packed, bytes(8)), texts=packed)))
    exported(store, path)
    forget(store, [KEY], lambda: None, lift=False)
    for _ in range(2):
        imported(path, store)
        assert [each.slot for each in store.parts([KEY])[0]] == [STANDING]
        assert len(store.parts([OTHER])[0]) == 1
        assert store.instants(AGES, "", 9).hashes.tolist() == [hash_of(OTHER)]
        for log in (NEWS, HISTORY):
            for entry in store.entries(log, "", 99):
                assert hash_of(KEY).to_bytes(8, "little") not in entry.data


@pytest.mark.parametrize(
    ("known", "held", "slot"),
    [
        ({}, {}, 0),  # nobody there
        ({}, {0: 100}, 0),  # its own writer goes on
        ({}, {0: 500}, SPARE_SLOTS[0]),  # another one would write over it
        ({"epoch": 100, "sequence": 4}, {}, 0),  # the same writer, earlier
        ({"epoch": 100, "sequence": 5}, {}, None),  # the same
        ({"epoch": 101, "first_seen_at": 1000.0}, {}, None),  # has gone on from it
        ({"epoch": 90, "first_seen_at": 1000.0}, {}, 0),  # it has gone on from that one
        ({"epoch": 900, "first_seen_at": 2000.0}, {}, SPARE_SLOTS[0]),  # knows nothing of it
        ({"epoch": 900, "reset_epoch": 7}, {}, None),  # was pardoned since
    ],
)
def test_a_part_finds_its_place(
    known: dict[str, Any], held: dict[int, int], slot: int | None
) -> None:
    """By whether what is there was gone on from."""
    there = {0: part(**known)} if known else {}
    found = placed(part(sequence=5), there, held)
    assert (found.slot if found is not None else None) == slot


def test_a_part_finds_the_same_place_again() -> None:
    """Whoever holds its slot by then."""
    theirs, first = part(epoch=900, first_seen_at=2000.0), part(sequence=5)
    spare = placed(first, {0: theirs}, {})
    assert spare is not None
    assert placed(first, {spare.slot: spare}, {}) is None
    assert placed(first, {0: theirs, spare.slot: spare}, {0: 900}) is None
    later = placed(part(sequence=6), {0: theirs, spare.slot: spare}, {})
    assert later is not None
    assert later.slot == spare.slot


def test_of_more_unrelated_writers_than_there_is_room_for_the_newer_stay() -> None:
    """Each of the first ones has a place of its own."""
    kept: dict[int, Part] = {}
    for number in range(7):
        found = placed(part(epoch=100 + number, first_seen_at=1000.0 + number), kept, {})
        assert found is not None
        kept[found.slot] = found
    assert len(kept) == 5
    assert kept[0].version[1] == 100


def test_the_slots_of_an_import_are_taken_over_from_where_they_stood() -> None:
    """A later writer's parts are newer than those imported."""
    one, two = memory(), memory()
    one.outdate(Lease(3, 4000))
    for lease, _ in one.leases():
        two.outdate(lease)
    epochs = [two.lease(60.0) for _ in range(4)]
    assert Lease(3, 4001) in epochs
