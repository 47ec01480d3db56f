"""Which store the settings mean."""

from __future__ import annotations

import os
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from gateway_guard.exceptions import ConfigurationError
from gateway_guard.settings import secret_survives
from gateway_guard.stores.base import Keeping
from gateway_guard.stores.memory import MemoryStore
from gateway_guard.stores.sqlite import SqliteStore
from gateway_guard.stores.urls import is_memory, server_address, sqlite_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway_guard.settings import Settings
    from gateway_guard.stores.base import Store

FILE_NAME = "state.sqlite3"
PART_OF_MEMORY = 0.06
"""Share of the memory setting for what a store in memory may hold."""


def is_shared(settings: Settings) -> bool:
    """Tell whether the store that the settings mean may be written to by others as well."""
    if settings.store is not None:
        return not is_memory(settings.store.get_secret_value())
    folder = settings.state_dir
    return folder is not None and os.access(folder, os.W_OK | os.X_OK)


def store_of(
    settings: Settings, clock: Callable[[], float], *, patience_seconds: float = 0.0
) -> Store:
    """Return the store that the settings mean; ``clock`` gives wall-clock seconds.

    Without ``STORE`` that is a file in the state directory, if there is one that can be written to,
    and else this process's memory.

    Raises:
        ConfigurationError: its URL cannot be used, or not with the rest.

    """
    kept_seconds, patience = settings.retention, patience_seconds
    keeping = Keeping(settings.namespace, kept_seconds, patience_seconds=patience)
    size_bytes = int(PART_OF_MEMORY * settings.memory)
    if settings.store is None:
        if settings.state_dir is not None and is_shared(settings):
            return SqliteStore(settings.state_dir / FILE_NAME, clock, keeping)
        return MemoryStore(size_bytes, clock, keeping)
    url = settings.store.get_secret_value()
    if not is_memory(url) and not secret_survives(settings):
        message = "GATEWAY_GUARD_STORE outlives this process and its secret does not"
        hint = "set GATEWAY_GUARD_SECRET or GATEWAY_GUARD_STATE_DIR, or its ids mean nothing"
        raise ConfigurationError(message, hint=hint, variable="GATEWAY_GUARD_SECRET")
    if not is_memory(url) and sqlite_path(url) is None and settings.secret is None:
        message = "GATEWAY_GUARD_STORE is shared by machines and GATEWAY_GUARD_SECRET is not set"
        hint = "set the same secret on each of them, or they will not know each other's ids"
        raise ConfigurationError(message, hint=hint, variable="GATEWAY_GUARD_SECRET")
    return open_store(url, clock, keeping, size_bytes=size_bytes)


def open_store(
    url: str, clock: Callable[[], float], keeping: Keeping, *, size_bytes: int = 2**24
) -> Store:
    """Return the store that a URL names, not connected yet; ``size_bytes`` bounds one in memory.

    Raises:
        ConfigurationError: the URL names none, or its client is not installed.

    """
    if is_memory(url):
        return MemoryStore(size_bytes, clock, keeping)
    path = sqlite_path(url)
    if path is not None:
        return SqliteStore(Path(path), clock, keeping)
    address = server_address(url)
    if find_spec("valkey") is None:
        message = "GATEWAY_GUARD_STORE names a server, whose client is not installed"
        hint = "pip install 'gateway-guard[valkey]'"
        raise ConfigurationError(message, hint=hint, variable="GATEWAY_GUARD_STORE")
    store: Store = import_module("gateway_guard.stores.valkey").ValkeyStore(address, keeping)
    return store
