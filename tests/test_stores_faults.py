"""Stores that fail: away, slow, full, read-only, damaged, of another version, not for everybody."""

from __future__ import annotations

import re
import socket
import sqlite3
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from valkey import Valkey

from gateway_guard.exceptions import StoreError
from gateway_guard.instrumentation import Instrumentation
from gateway_guard.stores import STANDING, Link, Part, Store, open_store
from gateway_guard.stores.base import Keeping
from gateway_guard.stores.memory import MemoryStore
from gateway_guard.stores.sqlite import SqliteStore
from tests import valkeys

if TYPE_CHECKING:
    from collections.abc import Callable


DAY = 86400.0
KEEPING = Keeping("tests", DAY)
SUBJECT = b"\x01" + bytes(15)
PART = Part(SUBJECT, 0, (0, 1, 1), b"x")


def file_store(folder: Path, *, entries: int = 100) -> SqliteStore:
    """Return a store in a folder, not connected yet."""
    return SqliteStore(folder / "state", time.time, Keeping("tests", DAY, entries))


def kind_of(work: Callable[[], object]) -> str:
    """Return in one word how some work fails."""
    with pytest.raises(StoreError) as caught:
        work()
    assert caught.value.hint
    return str(caught.value.data["kind"])


def test_a_file_that_is_no_database_is_put_aside(tmp_path: Path) -> None:
    """What it holds may be worth something to somebody; the guard begins anew."""
    (tmp_path / "state").write_bytes(b"not a database, whatever it is" * 100)
    store = file_store(tmp_path)
    assert kind_of(store.connect) == "sqlite_notadb"
    store.connect()
    store.write([PART])
    assert store.read([SUBJECT]) == [[PART]]
    assert (tmp_path / "state.damaged").read_bytes().startswith(b"not a database")
    store.close()


def test_a_file_that_is_damaged_inside_is_put_aside_once(tmp_path: Path) -> None:
    """Each worker finds out for himself, and the second one keeps what the first one began."""
    one, two = file_store(tmp_path), file_store(tmp_path)
    one.connect()
    one.write([Part(bytes(16), slot, (0, 1, 1), bytes(3000)) for slot in range(200)])
    one.close()
    two.connect()
    two.close()
    path = tmp_path / "state"
    data = bytearray(path.read_bytes())
    data[8192:-4096] = b"\xa5" * (len(data) - 12288)
    path.write_bytes(data)
    for store in (one, two):
        store.connect()
        assert kind_of(partial(store.read, [bytes(16)])) == "sqlite_corrupt"
    one.connect()
    one.write([PART])
    two.connect()
    assert two.read([SUBJECT]) == [[PART]]
    for store in (one, two):
        store.close()


def test_a_file_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    """Whoever goes back to an older guard loses nothing."""
    with closing(sqlite3.connect(tmp_path / "state")) as database:
        database.execute("PRAGMA user_version = 99")
        database.execute("CREATE TABLE later (x)")
        database.commit()
    before = (tmp_path / "state").read_bytes()
    store = file_store(tmp_path)
    assert kind_of(store.connect) == "schema"
    assert (tmp_path / "state").read_bytes() == before


def test_a_disk_that_is_full_fails_a_write_and_no_read(tmp_path: Path) -> None:
    """Nothing is half-written, and what was there stays."""
    store = file_store(tmp_path)
    store.connect()
    store.write([PART])
    vars(store)["_database"].execute("PRAGMA max_page_count = 12")
    parts = [Part(bytes(16), slot, (0, 1, 1), bytes(3000)) for slot in range(50)]
    assert kind_of(lambda: store.write(parts)) == "sqlite_full"
    assert store.read([SUBJECT, bytes(16)]) == [[PART], []]
    store.close()


def test_a_file_that_may_only_be_read_fails_a_write_and_no_read(tmp_path: Path) -> None:
    """A disk was mounted anew, read-only, after an error."""
    store = file_store(tmp_path)
    store.connect()
    store.write([PART])
    vars(store)["_database"].execute("PRAGMA query_only = ON")
    assert kind_of(lambda: store.write([PART])) == "sqlite_readonly"
    assert store.read([SUBJECT]) == [[PART]]
    store.close()


def test_a_file_that_somebody_else_holds_fails_soon(tmp_path: Path) -> None:
    """A worker that hangs in the middle of a write keeps the others for a tenth of a second."""
    store = file_store(tmp_path)
    store.connect()
    with closing(sqlite3.connect(tmp_path / "state", isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        assert kind_of(lambda: store.write([PART])) == "sqlite_busy"
        assert store.read([SUBJECT]) == [[]]
    store.write([PART])
    assert store.read([SUBJECT]) == [[PART]]
    store.close()


def test_a_directory_that_cannot_be_made_fails(tmp_path: Path) -> None:
    """The path leads through a file."""
    (tmp_path / "state").write_bytes(b"")
    store = SqliteStore(tmp_path / "state" / "file", time.time, KEEPING)
    assert kind_of(store.connect) in {"notadirectoryerror", "fileexistserror"}


def test_files_and_memory_forget_what_is_older_than_they_are_to_keep(tmp_path: Path) -> None:
    """Servers let it expire by themselves; what was used lately stays."""
    now = [1e9]
    file = SqliteStore(tmp_path / "state", lambda: now[0], KEEPING)
    for store in (file, MemoryStore(2**20, lambda: now[0], KEEPING)):
        now[0] = 1e9
        store.connect()
        other = Part(bytes(16), 0, (0, 1, 1), b"y")
        fill(store, [PART, other])
        now[0] += 0.75 * DAY
        store.write([Part(SUBJECT, 0, (0, 1, 2), b"x")])
        now[0] += 0.75 * DAY
        store.prune()
        assert [len(parts) for parts in store.read([SUBJECT, other.subject])] == [1, 0]
        assert store.entries("news", "", 9) == []
        store.close()


def fill(store: Store, parts: list[Part]) -> None:
    """Write parts and an entry."""
    store.write(parts)
    store.append("news", b"one")


def test_logs_keep_their_newest_entries(tmp_path: Path) -> None:
    """A cursor whose entry is gone stands where it stood."""
    store = file_store(tmp_path, entries=3)
    store.connect()
    for number in range(9):
        store.append("news", b"%d" % number)
    first = store.entries("news", "", 1)[0].cursor
    store.prune()
    assert [entry.data for entry in store.entries("news", "", 9)] == [b"6", b"7", b"8"]
    assert len(store.entries("news", first, 9)) == 3
    store.close()


def test_memory_is_bounded_and_keeps_what_was_used_last() -> None:
    """Sparse parts of subjects that were evicted, as many as there is room for."""
    store = MemoryStore(100_000, time.time, KEEPING)
    for number in range(200):
        store.write([Part(number.to_bytes(16), 0, (0, 1, 1), bytes(600))])
        store.read([bytes(16)])
    found = [bool(parts) for parts in store.read([number.to_bytes(16) for number in range(200)])]
    assert 80 <= sum(found) <= 100
    assert found[0]
    assert found[-1]


def test_a_server_that_is_not_there_fails_soon() -> None:
    """Nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    store = open_store(f"valkey://127.0.0.1:{port}", time.time, KEEPING)
    assert kind_of(store.connect) == "connectionerror"


def test_a_server_that_does_not_answer_fails_soon() -> None:
    """It accepts a connection and says nothing, for a tenth of a second."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        store = open_store(f"valkey://127.0.0.1:{port}", time.time, KEEPING)
        assert kind_of(store.connect) == "timeouterror"


def test_servers_refuse_a_wrong_password_and_a_foreign_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither the password nor what was sent stands in what is said."""
    monkeypatch.setattr("gateway_guard.stores.valkey.TIMEOUT_SECONDS", 5.0)
    with valkeys.standalone(requirepass="right") as port:
        wrong = open_store(f"valkey://:hidden@127.0.0.1:{port}", time.time, KEEPING)
        with pytest.raises(StoreError) as caught:
            wrong.connect()
        assert "auth" in str(caught.value.data["kind"])
        assert "hidden" not in str(caught.value)
        right = open_store(f"valkey://:right@127.0.0.1:{port}", time.time, KEEPING)
        right.connect()
        client = vars(right)["_client"]
        client.hset(b"gateway_guard:tests:part:" + SUBJECT, "0", b"short")
        assert right.read([SUBJECT]) == [[]]
        client.set("gateway_guard:tests:schema", 99)
        assert kind_of(right.connect) == "schema"
        right.close()


def test_a_user_with_few_rights_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that README names, on keys of the guard's own."""
    monkeypatch.setattr("gateway_guard.stores.valkey.TIMEOUT_SECONDS", 5.0)
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    [rights] = re.findall(r"`ACL SETUSER guard (on >password .*?)`", readme)
    with valkeys.standalone() as port:
        with Valkey(port=port) as client:
            client.execute_command("ACL", "SETUSER", "guard", *rights.split())
        store = open_store(f"valkey://guard:password@127.0.0.1:{port}", time.time, KEEPING)
        store.connect()
        lease = store.lease(60.0)
        assert store.renew(lease, 60.0)
        assert store.writers() == 1
        store.write([PART, Part(SUBJECT, STANDING, (0, 0, 1), b"x", time.time() + 60)])
        assert len(store.read([SUBJECT])[0]) == 2
        assert len(store.standings(9)) == store.versions([SUBJECT], 0)[0] == 1
        store.append("news", b"one")
        assert store.end("news") == store.entries("news", "", 9)[0].cursor
        store.keep_instants("ages", np.array([1], np.uint64), np.array([1.0]))
        assert store.instants("ages", "", 9).after
        store.prune()
        store.close()


class Shaky:
    """Some work that does what it is told to."""

    def __init__(self) -> None:
        self.now = 0.0
        self.seconds = 0.0
        self.error: Exception | None = None
        self.asked = 0

    def __call__(self, _: Store) -> int:
        """Take some time, then fail or not."""
        self.asked += 1
        self.now += self.seconds
        if self.error is not None:
            raise self.error
        return self.asked


class Told(Instrumentation):
    """Keeps what would have been logged."""

    def __init__(self, timer: Callable[[], float]) -> None:
        super().__init__(timer)
        self.said: list[str] = []

    def event(self, name: str, /, **_: object) -> None:
        """Keep a name."""
        self.said.append(name)

    def _write(self, level: str, name: str, fields: dict[str, object]) -> None:
        self.said.append(f"{level} {name} {fields.get('error')}")


@pytest.fixture
def shaky() -> Shaky:
    """Work, at instant 0."""
    return Shaky()


@pytest.fixture
def link(shaky: Shaky) -> Link:
    """A link to a store in memory."""
    store = MemoryStore(2**20, time.time, KEEPING)
    return Link(store, Told(lambda: shaky.now), lambda: shaky.now)


def told(link: Link) -> Told:
    """Return what a link tells."""
    instruments = vars(link)["_instruments"]
    assert isinstance(instruments, Told)
    return instruments


def test_a_link_is_asked_less_and_less_often_while_it_fails(link: Link, shaky: Shaky) -> None:
    """And tells of it once."""
    shaky.error = StoreError("gone", kind="gone")
    for _ in range(600):
        assert link.attempt(shaky) is None
        shaky.now += 0.1
    assert shaky.asked == 7
    assert told(link).said == ["warning store_down gone"]
    assert told(link).gauges["store_up"] == 0.0
    shaky.error, shaky.now = None, 120.0
    assert link.attempt(shaky) == 8
    assert link.up
    assert told(link).said == ["warning store_down gone", "store_up"]
    assert told(link).gauges["store_up"] == 1.0


def test_a_link_that_flaps_is_told_of_once_a_minute(link: Link, shaky: Shaky) -> None:
    """Down at every other attempt, for five minutes."""
    for number in range(3000):
        shaky.error = StoreError("gone", kind="gone") if number % 2 else None
        link.attempt(shaky)
        shaky.now += 0.1
    assert len(told(link).said) <= 12
    assert shaky.asked < 60


def test_a_link_that_is_slow_counts_as_down_and_its_work_as_done(link: Link, shaky: Shaky) -> None:
    """Two seconds a call; the connection stays as it is."""
    shaky.seconds = 2.0
    assert link.attempt(shaky) == 1
    assert told(link).gauges["store_up"] == 0.0
    assert told(link).said == ["warning store_down slow"]
    shaky.now, shaky.seconds = 60.0, 0.0
    assert link.attempt(shaky) == 2
    assert link.up
    assert link.connections == 1


def test_a_link_connects_anew_after_a_failure(link: Link, shaky: Shaky) -> None:
    """A cancelled call may have left an answer for the next one."""
    link.attempt(shaky)
    shaky.error = StoreError("gone", kind="gone")
    link.attempt(shaky)
    shaky.error, shaky.now = None, 60.0
    link.attempt(shaky)
    assert link.connections == 2
    link.close()


def test_the_guards_own_failure_beside_the_path_is_counted(link: Link, shaky: Shaky) -> None:
    """It must not come back with every attempt."""
    shaky.error = ValueError("a bug")
    assert link.attempt(shaky) is None
    assert told(link).counters["errors", "ValueError"] == 1
    assert told(link).counters["store_failures", "internal_error"] == 1
    assert not link.up
