"""Forget: nothing is kept of somebody, in a store and by the guards that use it.

First the guards are told, and let go of what they hold; then, once they had the time to, the store
is searched for everything that is about the subjects. Whoever was away is told when he returns.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from gateway_guard.principal import SubjectKind
from gateway_guard.statefile.orders import Ordered, erase
from gateway_guard.statefile.telling import Teller
from gateway_guard.statefile.walking import entries_of, instants_of, subjects_of
from gateway_guard.subjects import is_in_key
from gateway_guard.syncing.erasing import Erasure
from gateway_guard.syncing.news import AGES, HISTORY, NEWS, USES, decode, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway_guard.stores.base import Store

_ENTRIES_AT_ONCE = 100


class Forgotten(NamedTuple):
    """What became of each subject, and how much was taken out of the store."""

    subjects: list[Ordered]
    instants: int
    entries: int


def forget(
    store: Store, subjects: Sequence[bytes], pause: Callable[[], None], *, lift: bool
) -> Forgotten:
    """Have nothing kept of subjects; ``pause`` is how long guards take to hear of it.

    Raises:
        StoreError: the store failed; what is left is erased by forgetting again.

    """
    ordered = erase(store, subjects, lift=lift)
    pause()
    keys = [subject for subject in subjects if subject[0] == SubjectKind.KEY]
    ordered |= erase(store, _within(store, keys), lift=lift)
    erased = [*ordered]
    for begin in range(0, len(erased), _ENTRIES_AT_ONCE):
        store.void(erased[begin : begin + _ENTRIES_AT_ONCE])
    resets = {subject: reset for subject, (reset, _) in ordered.items()}
    erasure = Erasure(resets, before=inf)
    instants = sum(_drop_instants(store, erasure, kind) for kind in (AGES, USES)) if keys else 0
    entries = sum(_rewrite(store, erasure, log) for log in (NEWS, HISTORY))
    return Forgotten([said for _, said in ordered.values()], instants, entries)


def _within(store: Store, keys: Sequence[bytes]) -> list[bytes]:
    """Return what stands for templates within keys."""
    found = dict[bytes, None]()
    for ids in subjects_of(store) if keys else ():
        within = [id_ for id_ in ids if any(is_in_key(id_, key) for key in keys)]
        found |= dict.fromkeys(within)
    return [*found]


def _drop_instants(store: Store, erasure: Erasure, kind: str) -> int:
    dropped = 0
    for page in instants_of(store, kind):
        theirs = erasure.of_keys if kind == AGES else erasure.shown
        hashes = theirs(page.hashes)
        if len(hashes):
            store.drop_instants(kind, hashes)
        dropped += len(hashes)
    return dropped


def _rewrite(store: Store, erasure: Erasure, log: str) -> int:
    """Put what entries say of others in their place, and take out those that say of subjects."""
    teller, cursors = Teller(store), []
    for entry in entries_of(store, log):
        news = decode(entry.data)
        left = erasure.without(news) if news is not None else news
        if left is not None and left != news:
            # Whoever has heard the rest hears nothing new, and whoever has not still does, but for
            # sightings: those of waiting subjects would be counted twice.
            left.sightings, left.notices = [], [replace(each, added=0) for each in left.notices]
            if log == HISTORY:
                store.append(log, encode(left))
            elif not left.empty:
                teller.hand_on(left, (log,))
            cursors.append(entry.cursor)
    store.drop_entries(log, cursors)
    return len(cursors)
