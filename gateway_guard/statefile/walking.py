"""Walking through a store, a page at a time, so that guards hardly notice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway_guard.stores.base import STARTS
from gateway_guard.syncing.news import AGES, HISTORY, NEWS, ORDERS, USES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gateway_guard.stores.base import Entry, Instants, Part, Store

KINDS = (AGES, USES, STARTS)
LOGS = (NEWS, HISTORY, ORDERS)
_SUBJECTS_AT_ONCE = 200
_INSTANTS_AT_ONCE = 1000
_ENTRIES_AT_ONCE = 100


def subjects_of(store: Store) -> Iterator[list[bytes]]:
    """Yield the ids of all subjects, some at a time; an id may come again."""
    page = store.subjects("", _SUBJECTS_AT_ONCE)
    while page.after:
        yield page.ids
        page = store.subjects(page.after, _SUBJECTS_AT_ONCE)
    yield page.ids


def instants_of(store: Store, kind: str) -> Iterator[Instants]:
    """Yield all instants of a kind, some at a time."""
    page = store.instants(kind, "", _INSTANTS_AT_ONCE)
    while page.after:
        yield page
        page = store.instants(kind, page.after, _INSTANTS_AT_ONCE)
    yield page


def entries_of(store: Store, log: str) -> Iterator[Entry]:
    """Yield the entries of a log up to its present end."""
    end, after, last = store.end(log), "", False
    while not last:
        entries = store.entries(log, after, _ENTRIES_AT_ONCE)
        for entry in entries:
            yield entry
            last = entry.cursor == end
            if last:
                break
        if not entries:
            break
        after = entries[-1].cursor


def lasting(parts: Sequence[Part]) -> list[Part]:
    """Return the parts of one subject that count: none of before its last pardon."""
    reset = max((part.version[0] for part in parts), default=0)
    return [part for part in parts if part.version[0] >= reset]
