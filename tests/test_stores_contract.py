"""The contract of stores: one suite, and every backend passes it."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest

from gateway_guard.exceptions import StoreError
from gateway_guard.stores import STANDING, Lease, Part, Store, open_store
from gateway_guard.stores.base import GROUPS, VERSION, Keeping
from tests import valkeys

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BACKENDS = ("memory", "sqlite", "valkey", "redis", "sentinel", "cluster", "tls")
DAY = 86400.0
SUBJECT, OTHER = b"\x01" + bytes(15), b"\x02" + bytes(15)


@dataclass
class Place:
    """Where stores of one backend meet."""

    url: str
    one: Store | None = None
    opened: list[Store] = field(default_factory=list)

    def store(self, namespace: str = "tests", *, entries: int = 100) -> Store:
        """Connect to the place anew, in as far as one process's memory has several ways in."""
        keeping = Keeping(namespace, DAY, entries)
        if self.one is not None and namespace == "tests":
            return self.one
        store = open_store(self.url, time.time, keeping)
        store.connect()
        if self.url == "memory://" and namespace == "tests":
            self.one = store
        self.opened.append(store)
        return store


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Find or start what each backend needs, once, when it is asked for."""
    with ExitStack() as stack:
        yield _Addresses(stack, tmp_path_factory.mktemp("stores"))


class _Addresses(dict[str, str]):
    def __init__(self, stack: ExitStack, folder: Path) -> None:
        super().__init__()
        self._stack, self._folder = stack, folder

    def __missing__(self, backend: str) -> str:
        self[backend] = url = self._stack.enter_context(_started(backend, self._folder))
        return url


@contextmanager
def _started(backend: str, folder: Path) -> Iterator[str]:
    with ExitStack() as stack:
        if backend == "sentinel":
            port = stack.enter_context(valkeys.watched("guards"))
            yield f"valkey+sentinel://127.0.0.1:{port}/guards"
        elif backend == "cluster":
            ports = stack.enter_context(valkeys.cluster())
            yield "valkey+cluster://" + ",".join(f"127.0.0.1:{port}" for port in ports)
        elif backend == "tls":
            plain = stack.enter_context(valkeys.standalone(requirepass="s3cret"))
            port, ca = stack.enter_context(valkeys.terminated(plain, folder))
            yield f"rediss://default:s3cret@localhost:{port}/2?ca={ca}"
        elif backend in {"valkey", "redis"}:
            yield f"{backend}://127.0.0.1:{stack.enter_context(valkeys.standalone())}"
        else:
            yield {"memory": "memory://", "sqlite": f"sqlite:///{folder}/state"}[backend]


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a server on a busy machine more time than a guard would."""
    monkeypatch.setattr("gateway_guard.stores.valkey.TIMEOUT_SECONDS", 5.0)


@pytest.fixture(params=BACKENDS)
def place(
    request: pytest.FixtureRequest, addresses: dict[str, str], tmp_path: Path
) -> Iterator[Place]:
    """Give each test a place of its own, as far as namespaces or files make one."""
    url = addresses[request.param]
    found = Place(f"{url}-{tmp_path.name}" if request.param == "sqlite" else url)
    yield found
    for store in found.opened:
        _empty(store)
        store.close()


def _empty(store: Store) -> None:
    client = getattr(store, "_client", None)
    if client is not None:
        client.flushall()


def part(
    sequence: int, *, slot: int = 0, epoch: int = 1, reset: int = 0, data: bytes = b""
) -> Part:
    """Return a part of the subject that these tests are about."""
    return Part(SUBJECT, slot, (reset, epoch, sequence), data or b"%d" % sequence)


def standing(subject: bytes, until_at: float, *, revision: int = 1) -> Part:
    """Return what is kept of a standing."""
    return Part(subject, STANDING, (0, revision, 4), b"blocked", until_at)


def test_parts_are_read_as_they_were_written(place: Place) -> None:
    """By whoever asks, each writer's beside the others'."""
    store = place.store()
    parts = [part(7, slot=0), part(3, slot=12, data=bytes(range(256)) * 16)]
    store.write(parts)
    found, nothing = place.store().read([SUBJECT, OTHER])
    assert sorted(found, key=lambda each: each.slot) == parts
    assert nothing == []


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (2, 0, 2, 1, 2)])
def test_of_two_parts_in_a_slot_the_newer_one_stays(place: Place, order: tuple[int, ...]) -> None:
    """Whatever comes late, twice or in another order: sequence, then epoch, then reset."""
    for number in ("sequence", "epoch", "reset"):
        store = place.store(number)
        versions = [{"sequence": 900, "epoch": 1, "reset": 0} for _ in range(3)]
        for step, version in enumerate(versions):
            version[number] += step
            if number != "sequence":
                version["sequence"] -= step
        parts = [part(**version, data=b"%d" % step) for step, version in enumerate(versions)]
        for step in order:
            store.write([parts[step]])
        assert store.read([SUBJECT]) == [[parts[2]]]


def test_several_parts_of_one_slot_may_come_at_once(place: Place) -> None:
    """A writer may have fallen behind."""
    store = place.store()
    store.write([part(2), part(5), part(4)])
    assert store.read([SUBJECT]) == [[part(5)]]


def test_a_version_changes_with_what_is_kept_and_not_otherwise(place: Place) -> None:
    """So that nobody reads what he knows, his own part among it."""
    store, seen = place.store(), []
    for written in (None, part(2), part(1), part(2), part(3), part(1, slot=1), part(1, slot=7)):
        store.write([written] if written else [])
        seen.append(store.versions([SUBJECT, OTHER], 7))
    subject = [version for version, _ in seen]
    changed = [left != right for left, right in pairwise(subject)]
    assert changed == [True, False, False, True, True, False]
    assert {other for _, other in seen} == {0}


def test_many_subjects_are_asked_about_at_once(place: Place) -> None:
    """More than any statement or line of commands should be trusted with."""
    store = place.store()
    subjects = [number.to_bytes(16) for number in range(1200)]
    store.write([Part(subject, 0, (0, 1, 1), subject) for subject in subjects[::2]])
    found = store.read(subjects)
    assert [len(parts) for parts in found] == [1, 0] * 600
    assert all(parts[0].data == subjects[2 * at] for at, parts in enumerate(found[::2]))
    assert [version > 0 for version in store.versions(subjects, 7)] == [True, False] * 600


def test_a_slot_has_one_holder_and_his_successor_an_epoch_of_his_own(place: Place) -> None:
    """Whoever let go of it may not renew it."""
    one, two = place.store(), place.store()
    first, second = one.lease(60.0), two.lease(60.0)
    assert (first.slot, second.slot) == (0, 1)
    assert one.writers() == two.writers() == 2
    assert one.renew(first, 60.0)
    one.release(first)
    assert two.writers() == 1
    successor = two.lease(60.0)
    assert successor == Lease(0, first.epoch + 1)
    assert not one.renew(first, 60.0)
    assert two.renew(successor, 60.0)
    one.release(first)
    assert two.writers() == 2


def test_a_lease_that_is_not_renewed_ends(place: Place) -> None:
    """A worker that was killed comes back to its slot."""
    store = place.store()
    lost = store.lease(0.0)
    valkeys.wait_until(lambda: store.writers() == 0)
    assert store.lease(60.0) == Lease(lost.slot, lost.epoch + 1)
    assert not store.renew(lost, 60.0)


def test_a_store_that_lost_its_memory_learns_of_its_writers_anew(place: Place) -> None:
    """Each keeps his slot; whoever comes first gets one that nobody holds, or another epoch."""
    store = place.store()
    held = [Lease(0, 1_700_000_000), Lease(2, 1_700_000_000)]
    assert all(store.renew(lease, 60.0) for lease in held)
    assert store.writers() == 2
    assert store.lease(60.0).slot == 1
    assert all(store.renew(lease, 60.0) for lease in held)
    store.release(held[0])
    taken = store.lease(60.0)
    assert taken.slot == 0
    assert taken.epoch > held[0].epoch
    assert not store.renew(held[0], 60.0)


def test_what_an_old_epoch_writes_is_refused(place: Place) -> None:
    """A writer that was taken for dead comes too late, however much it has counted."""
    store = place.store()
    store.write([part(900, epoch=1), part(1, epoch=2)])
    store.write([part(901, epoch=1)])
    assert store.read([SUBJECT]) == [[part(1, epoch=2)]]


def test_standings_that_last_are_found_again(place: Place) -> None:
    """After a restart, the longest first, and those that are over not at all."""
    store, now = place.store(), time.time()
    ids = [bytes((number,)) * 16 for number in range(5)]
    ends = [now + 60, now + 3600, now - 1, 0.0, now + 600]
    lasting = [standing(id_, end) for id_, end in zip(ids, ends, strict=True)]
    store.write(lasting)
    assert place.store().standings(10) == [lasting[1], lasting[4], lasting[0]]
    assert store.standings(1) == [lasting[1]]
    assert store.read([ids[3]]) == [[lasting[3]]]


def test_a_pardon_ends_a_standing_for_good(place: Place) -> None:
    """It is the newer one, so what comes late does not bring the block back."""
    store, now = place.store(), time.time()
    block, pardon = standing(SUBJECT, now + 60), standing(SUBJECT, 0.0, revision=2)
    for written in (block, pardon, block):
        store.write([written])
    assert store.read([SUBJECT]) == [[pardon]]
    assert store.standings(10) == []


def test_a_log_is_read_on_from_where_one_was(place: Place) -> None:
    """In the order in which it was written, by each reader for himself."""
    store, reader = place.store(), place.store()
    assert reader.end("news") == ""
    store.append("news", b"one")
    after_one = reader.end("news")
    store.append("history", b"aside")
    for data in (b"two", bytes(range(256)), b"four"):
        store.append("news", data)
    entries = reader.entries("news", "", 10)
    assert [entry.data for entry in entries] == [b"one", b"two", bytes(range(256)), b"four"]
    assert entries[0].cursor == after_one
    assert [entry.data for entry in reader.entries("news", after_one, 2)] == [
        b"two",
        bytes(range(256)),
    ]
    assert reader.entries("news", entries[-1].cursor, 10) == []
    assert reader.end("news") == entries[-1].cursor


def test_of_instants_the_earliest_is_kept(place: Place) -> None:
    """An old key never comes back young, and no kind is taken for another."""
    store = place.store()
    hashes = np.array([0, 1, 2**63 - 1, 2**63, 2**64 - 1], np.uint64)
    store.keep_instants("ages", hashes, np.array([50.0, 60.0, 70.0, 80.0, 90.0]))
    store.keep_instants("ages", hashes, np.array([55.0, 40.0, 75.0, 10.0, 90.0]))
    store.keep_instants("uses", hashes[:1], np.array([5.0]))
    assert instants(place.store(), "ages", 2) == {
        0: 50.0,
        1: 40.0,
        2**63 - 1: 70.0,
        2**63: 10.0,
        2**64 - 1: 90.0,
    }
    assert instants(store, "uses", 2) == {0: 5.0}
    assert instants(store, "none", 2) == {}


def instants(store: Store, kind: str, most: int) -> dict[int, float]:
    """Return all instants of a kind, page by page."""
    found, after = dict[int, float](), ""
    while True:
        page = store.instants(kind, after, most)
        found |= zip(page.hashes.tolist(), page.at.tolist(), strict=True)
        after = page.after
        if not after:
            return found


def test_namespaces_know_nothing_of_each_other(place: Place) -> None:
    """One store serves several tenants."""
    ours, theirs = place.store("ours"), place.store("theirs")
    ours.write([part(1), standing(SUBJECT, time.time() + 60)])
    ours.append("news", b"ours")
    ours.keep_instants("ages", np.array([1], np.uint64), np.array([1.0]))
    ours.lease(60.0)
    assert theirs.read([SUBJECT]) == [[]]
    assert theirs.versions([SUBJECT], 7) == [0]
    assert theirs.standings(10) == []
    assert theirs.entries("news", "", 10) == []
    assert theirs.writers() == 0
    assert theirs.lease(60.0).slot == 0
    assert instants(theirs, "ages", 10) == {}


def test_pruning_leaves_what_is_to_be_kept(place: Place) -> None:
    """What was written lately, all that was used lately."""
    store = place.store()
    store.write([part(1), standing(OTHER, time.time() + 60)])
    store.append("news", b"one")
    store.keep_instants("ages", np.array([1], np.uint64), np.array([1.0]))
    store.prune()
    assert store.read([SUBJECT]) == [[part(1)]]
    assert len(store.standings(10)) == 1
    assert len(store.entries("news", "", 10)) == 1
    assert instants(store, "ages", 10) == {1: 1.0}


def test_of_a_subject_that_many_write_sums_are_read(place: Place) -> None:
    """Those that contain all of their parts, or are young; and they are no news to anybody."""
    store, now = place.store(), time.time()
    parts = [part(2, slot=slot) for slot in range(20)]
    store.write(parts)
    version = store.versions([SUBJECT], 0)
    versions = b"".join(slot.to_bytes(2) + VERSION.pack(0, 1, 2) for slot in range(8, 16))
    old = Part(SUBJECT, GROUPS + 1, (0, 0, int(1000 * (now - 60))), b"\x08" + versions)
    store.write([old])
    assert store.versions([SUBJECT], 0) == version
    own, others = parts[:8], parts[16:]
    assert slots(store.read([SUBJECT], 3)) == slots([[*own, old, *others]])
    assert slots(store.read([SUBJECT], 12)) == slots([parts])
    store.write([part(3, slot=9)])
    assert slots(store.read([SUBJECT], 3)) == slots([parts])
    young = Part(SUBJECT, GROUPS + 1, (0, 0, int(1000 * (now + 60))), old.data)
    store.write([young])
    assert slots(store.read([SUBJECT], 3)) == slots([[*own, young, *others]])
    store.write([part(1, slot=10, reset=5)])
    assert slots(store.read([SUBJECT], 3)) == slots([parts])


def slots(found: list[list[Part]]) -> list[int]:
    """Return which slots were read of one subject."""
    [parts] = found
    return sorted(part.slot for part in parts)


def test_whoever_closed_a_store_can_connect_again(place: Place) -> None:
    """What was written is still there; in between nothing can be asked."""
    store = place.store()
    store.write([part(1)])
    store.close()
    if store.durable:
        with pytest.raises(StoreError) as caught:
            store.read([SUBJECT])
        assert caught.value.data["kind"] == "closed"
    store.connect()
    assert store.read([SUBJECT]) == [[part(1)]]


def test_a_store_says_what_time_it_is(place: Place) -> None:
    """Its own, by which replicas agree."""
    assert place.store().now() == pytest.approx(time.time(), abs=60.0)


def test_all_subjects_are_found_page_by_page(place: Place) -> None:
    """Each with all of its parts, of its own namespace alone, and no sums."""
    store, other = place.store(), place.store("other")
    ids = [number.to_bytes(16) for number in range(1, 701)]
    store.write([Part(id_, slot, (0, 1, 1), id_) for id_ in ids for slot in (0, 9)])
    store.write([Part(ids[0], GROUPS, (0, 0, 1), b""), standing(ids[1], time.time() + 60)])
    other.write([part(1)])
    found, after, pages = list[bytes](), "", 0
    while True:
        page = store.subjects(after, 50)
        found, after, pages = found + page.ids, page.after, pages + 1
        if not after:
            break
    assert sorted(set(found)) == ids
    assert pages > 3
    sizes = [len(parts) for parts in store.parts([*ids[:3], OTHER])]
    assert sizes == [2, 3, 2, 0]


def test_what_was_counted_before_a_pardon_is_not_taken_any_more(place: Place) -> None:
    """Whatever slot and epoch it comes under; and what there is of it can be dropped."""
    store = place.store()
    store.write([part(1, slot=0), part(1, slot=3, reset=7), part(1, slot=GROUPS + 2)])
    seen = store.versions([SUBJECT], 5)
    pardon = Part(SUBJECT, STANDING, (7, 0, 1), b"pardoned")
    store.write([pardon, Part(OTHER, 0, (0, 1, 1), b"")])
    store.write([part(900, slot=0, epoch=9), part(900, slot=8, reset=6)])
    assert slots(store.parts([SUBJECT])) == [0, 3, STANDING]
    store.void([SUBJECT, OTHER, bytes(16)])
    assert store.parts([SUBJECT, OTHER]) == [
        [part(1, slot=3, reset=7), pardon],
        [Part(OTHER, 0, (0, 1, 1), b"")],
    ]
    store.write([part(1, slot=0, reset=7)])
    assert slots(store.parts([SUBJECT])) == [0, 3, STANDING]
    assert store.versions([SUBJECT], 5) != seen
    assert slots(store.read([SUBJECT], 0)) == [0, 3, STANDING]


def test_a_slot_goes_on_from_a_later_epoch(place: Place) -> None:
    """Whoever holds it loses it then, and nobody to an earlier one."""
    store = place.store()
    held = store.lease(60.0)
    assert store.leases() == [(held, True)]
    store.outdate(Lease(held.slot, held.epoch - 1))
    store.outdate(held)
    assert store.renew(held, 60.0)
    store.outdate(Lease(held.slot, held.epoch + 5))
    store.outdate(Lease(held.slot + 1, 77))
    assert store.leases() == [(Lease(held.slot, held.epoch + 5), False), (Lease(1, 77), False)]
    assert not store.renew(held, 60.0)
    assert store.lease(60.0) == Lease(held.slot, held.epoch + 6)
    assert store.lease(60.0) == Lease(1, 78)


def test_entries_and_instants_can_be_taken_out(place: Place) -> None:
    """Those that are named, and no others."""
    store = place.store()
    for data in (b"one", b"two", b"three"):
        store.append("news", data)
    store.append("history", b"two")
    entries = store.entries("news", "", 10)
    store.drop_entries("news", [entries[1].cursor])
    store.drop_entries("news", [])
    assert [entry.data for entry in store.entries("news", "", 10)] == [b"one", b"three"]
    assert len(store.entries("history", "", 10)) == 1
    hashes = np.array([1, 2**63 + 1, 5], np.uint64)
    for kind in ("ages", "uses"):
        store.keep_instants(kind, hashes, np.array([1.0, 2.0, 3.0]))
    store.drop_instants("ages", hashes[:2])
    store.drop_instants("none", hashes)
    assert instants(store, "ages", 10) == {5: 3.0}
    assert len(instants(store, "uses", 10)) == 3
