"""Which store the settings mean, and what is said of addresses that mean none."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from gateway_guard.exceptions import ConfigurationError
from gateway_guard.settings import Settings, load_settings
from gateway_guard.stores import Store, choice, open_store, store_of
from gateway_guard.stores.base import Keeping
from gateway_guard.stores.memory import MemoryStore
from gateway_guard.stores.sqlite import SqliteStore
from gateway_guard.stores.urls import Address, server_address, sqlite_path
from gateway_guard.stores.valkey import ValkeyStore

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "open sesame"


def chosen(settings: Settings) -> Store:
    """Return the store of settings."""
    return store_of(settings, time.time)


def test_what_is_known_is_kept_in_the_state_directory(tmp_path: Path) -> None:
    """Whoever gave one wants it kept; whoever gave none has nothing left behind."""
    assert type(chosen(load_settings(state_dir=tmp_path))) is SqliteStore
    assert type(chosen(load_settings())) is MemoryStore
    assert type(chosen(load_settings(state_dir=tmp_path / "none"))) is MemoryStore
    assert type(chosen(load_settings(state_dir=tmp_path, store="memory://"))) is MemoryStore
    assert not list(tmp_path.iterdir())


def test_a_directory_that_cannot_be_written_to_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The secret may be mounted read-only."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert type(chosen(load_settings(state_dir=tmp_path))) is MemoryStore


def test_a_file_may_be_anywhere(tmp_path: Path) -> None:
    """Three slashes are relative to where the process runs, four are not."""
    url = f"sqlite:///{tmp_path}/a%20b.db"
    store = chosen(load_settings(store=url, secret="s"))
    store.connect()
    store.close()
    assert (tmp_path / "a b.db").stat().st_mode & 0o777 == 0o600
    assert sqlite_path("sqlite:///state.db") == "state.db"


def test_servers_need_a_secret_that_all_replicas_have(tmp_path: Path) -> None:
    """Made-up ones differ, and then no replica knows what another one means."""
    for url in ("valkey://db", "redis://db", "rediss://db"):
        with pytest.raises(ConfigurationError, match="GATEWAY_GUARD_SECRET"):
            chosen(load_settings(store=url, state_dir=tmp_path))
        assert type(chosen(load_settings(store=url, secret="s"))) is ValkeyStore


def test_what_outlives_the_process_needs_a_secret_that_does() -> None:
    """Ids in the file would mean nothing tomorrow."""
    with pytest.raises(ConfigurationError, match="GATEWAY_GUARD_STATE_DIR"):
        chosen(load_settings(store="sqlite:///x.db"))


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("valkey://db", Address((("db", 6379),))),
        ("redis://[::1]:7000/3", Address((("::1", 7000),), database=3)),
        (
            "rediss://guard:open%20sesame@db.example.com?ca=/etc/ca.pem",
            Address(
                (("db.example.com", 6379),),
                username="guard",
                password=PASSWORD,
                tls=True,
                authorities="/etc/ca.pem",
            ),
        ),
        ("valkeys://:p@db", Address((("db", 6379),), password="p", tls=True)),
        (
            "valkey+sentinel://:p@one,two:7/main/2?sentinel_password=q&sentinel_username=w",
            Address(
                (("one", 26379), ("two", 7)),
                form="sentinel",
                service="main",
                database=2,
                password="p",
                sentinel_username="w",
                sentinel_password="q",
            ),
        ),
        ("redis+cluster://a:1,b", Address((("a", 1), ("b", 6379)), form="cluster")),
    ],
)
def test_addresses_are_read_in_each_form(url: str, address: Address) -> None:
    """One server, sentinels or a cluster; with a user, with TLS."""
    assert server_address(url) == address


@pytest.mark.parametrize(
    "url",
    [
        *["", "db:6379", "mysql://db", "valkey+ring://db", "sqlite://", "sqlite:///", "memory://x"],
        *["valkey://", "valkey://a,b", "valkey://db:port", "valkey://db/zero", "valkey://db/1/2"],
        *["valkey+sentinel://a", "valkey+sentinel://a/main/x", "valkey+cluster://a/1"],
        *["valkey://db?timeout=9", "valkey://db?ca", "valkey://[::1"],
    ],
)
def test_addresses_that_mean_nothing_are_refused_with_a_hint(url: str) -> None:
    """Whatever is wrong with them, the password is not repeated."""
    with pytest.raises(ConfigurationError, match="GATEWAY_GUARD_STORE") as caught:
        open_store(url.replace("db", f"u:{PASSWORD}@db"), time.time, Keeping("n", 1.0))
    assert "valkey+sentinel://" in caught.value.hint
    assert PASSWORD not in str(caught.value)


def test_a_client_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes with an extra."""
    monkeypatch.setattr(choice, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match=r"gateway-guard\[valkey\]"):
        chosen(load_settings(store="valkey://db", secret="s"))


def test_the_password_in_an_address_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither by the settings nor by what is said of others; and it may stand in a file."""
    monkeypatch.setenv("GATEWAY_GUARD_STORE", f"valkey://:{PASSWORD}@db")
    assert PASSWORD not in repr(load_settings())
    with pytest.raises(ConfigurationError) as caught:
        load_settings(namespace="no spaces")
    assert PASSWORD not in str(caught.value)
    assert "write it like team-a" in caught.value.hint


def test_an_address_may_stand_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As secrets may."""
    path = tmp_path / "store"
    path.write_text("memory://\n", encoding="utf-8")
    monkeypatch.setenv("GATEWAY_GUARD_STORE_FILE", str(path))
    assert type(chosen(load_settings(state_dir=tmp_path))) is MemoryStore
