"""Everything that is remembered, and how the one memory setting is shared out."""

from __future__ import annotations

from hashlib import blake2b
from math import inf
from typing import TYPE_CHECKING

from cachetools import LRUCache

from gateway_guard.admission import SubjectTable
from gateway_guard.declined import Declined
from gateway_guard.history import History
from gateway_guard.placed import Placed
from gateway_guard.principal import SubjectKind
from gateway_guard.sketches.compact import InstantTable
from gateway_guard.sketches.popularity import Popularity
from gateway_guard.standing import Standings
from gateway_guard.subjects import TOLD_BY_TEXTS, half_of, hash_of, is_in_key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

_BYTES_A_STANDING = 1024
_REVOKED_KEPT = 4096
_FIRST_KEPT = 16384  # they never change, so some are kept where they are found faster
_SHARES = {"subjects": 0.70, "history": 0.14, "ages": 0.06, "first_uses": 0.05, "standings": 0.03}
"""Shares of the setting; the rest is for open exchanges and what the interpreter wastes."""


class Memory:
    """The tables that outlive a request, bounded together by the number of bytes given.

    ``ages_known`` says that the ages of all keys were read from a store, ``first_started_at`` when
    the first guard of the deployment ran, infinity where only this one is known.
    """

    def __init__(self, size_bytes: int, secret: bytes, *, shared: bool = False) -> None:
        """Share ``size_bytes`` out among the tables; the secret keys what must not be guessed.

        ``shared`` says that others' knowledge will be kept beside it.
        """
        sizes = {name: int(share * size_bytes) for name, share in _SHARES.items()}
        self.subjects = SubjectTable(sizes["subjects"], shared=shared)
        self.history = History(sizes["history"], derived(secret, b"history"))
        self.ages = InstantTable(sizes["ages"])
        self.first_uses = InstantTable(sizes["first_uses"])
        standings = max(64, sizes["standings"] // _BYTES_A_STANDING)
        self.standings = Standings(standings, content=TOLD_BY_TEXTS)
        self.popularity = Popularity()
        self.placed = Placed()
        self.declined = Declined()
        self._first_at: dict[bytes, float] = {}
        self.revoked: LRUCache[bytes, bool] = LRUCache(_REVOKED_KEPT)
        self.ages_known = False
        self.first_started_at = inf

    def share(self) -> None:
        """Begin to note what is new, for others to learn of."""
        self.history.share()
        self.ages.added, self.first_uses.added = {}, {}
        self.standings.changed, self.subjects.sightings = {}, {}

    def forget(self, subjects: Collection[bytes]) -> None:
        """Forget subjects as if they had never come, but for their standings."""
        for subject in subjects:
            self.subjects.erase(subject)
        keys = [subject for subject in subjects if subject[0] == SubjectKind.KEY]
        ends, seen = {key[-8:] for key in keys}, self.subjects.sightings or {}
        for sighting in [each for each in seen if each[0] in subjects or each[1] in ends]:
            del seen[sighting]
        hashes = {hash_of(key) for key in keys}
        for key in keys:
            self.revoked.pop(key, None)
            self.declined.forget(hash_of(key))
        if keys:
            halves = {half_of(hash_) for hash_ in hashes}
            self.history.forget(halves)
            self.placed.forget(halves)
            self.ages.remove(hashes)
            self.first_uses.remove(hashes, upper_halves=True)
            self._first_at.clear()

    def within(self, key: bytes) -> list[bytes]:
        """Return the ids that stand for templates within a key, as far as they are known."""
        known = {*self.subjects.ids(), *(subject for subject, _ in self.standings.items())}
        return [subject for subject in known if is_in_key(subject, key)]

    def learn_ages(self, instants: Iterable[tuple[int, float]]) -> None:
        """Take note of when keys had their first answer elsewhere or before, hash and instant."""
        for hash_, at in instants:
            self.ages.lower(hash_, at)
        self._first_at.clear()

    def learn_uses(self, instants: Iterable[tuple[int, float]]) -> None:
        """Take note of when something was first used elsewhere or before, hash and instant."""
        for hash_, at in instants:
            self.first_uses.lower(hash_, at)

    def first_at(self, key: bytes) -> float | None:
        """Return when a key had its first 2xx, wall-clock seconds, ``None`` if unknown."""
        at = self._first_at.get(key)
        if at is None:
            at = self.ages.get(hash_of(key))
            if at is not None:
                if len(self._first_at) >= _FIRST_KEPT:
                    self._first_at.clear()
                self._first_at[key] = at
        return at


def derived(secret: bytes, purpose: bytes) -> bytes:
    """Return a key of 32 bytes for one purpose."""
    return blake2b(purpose, key=secret, digest_size=32).digest()
