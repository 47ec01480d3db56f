"""Where rows live when they are not hot: memory, SQLite, Valkey. One Protocol, one contract."""

from gateway_guard.stores.base import STANDING, Entry, Instants, Lease, Part, Store
from gateway_guard.stores.choice import is_shared, open_store, store_of
from gateway_guard.stores.link import Link

__all__ = [
    "STANDING",
    "Entry",
    "Instants",
    "Lease",
    "Link",
    "Part",
    "Store",
    "is_shared",
    "open_store",
    "store_of",
]
