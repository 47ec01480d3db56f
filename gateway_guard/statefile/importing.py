"""Import: a file is joined to what a store keeps; to do so twice changes nothing more."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gateway_guard.statefile.format import EntryLine, InstantsLine, PartLine, SlotLine
from gateway_guard.statefile.joining import placed
from gateway_guard.statefile.telling import Teller
from gateway_guard.statefile.walking import LOGS, entries_of
from gateway_guard.stores.base import STANDING, STARTS, Lease, Part
from gateway_guard.syncing.erasing import Erasure
from gateway_guard.syncing.news import AGES, NEWS, ORDERS, decode, decode_notice, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gateway_guard.statefile.format import StateReader
    from gateway_guard.stores.base import Store

_PARTS_AT_ONCE = 100


class Imported(NamedTuple):
    """What was in a file, and how much of it the store did not know yet."""

    lines: int
    parts: int
    new_parts: int
    new_entries: int


def import_state(reader: StateReader, store: Store, tell: Callable[[int], None]) -> Imported:
    """Join a checked file to a connected store; ``tell`` hears of lines read.

    What was erased in either is not brought back by the other.

    Raises:
        StoreError: the store failed; to import again goes on from where it ended.

    """
    told = [line.data for line in reader if isinstance(line, EntryLine) and line.log == ORDERS]
    told += [entry.data for entry in entries_of(store, ORDERS)]
    joiner = _Joiner(store, erasure_of(told))
    for number, line in enumerate(reader, 2):
        joiner.take(line)
        tell(number)
    joiner.finish()
    return Imported(reader.lines, joiner.parts, joiner.new_parts, joiner.new_entries)


def erasure_of(orders: Iterable[bytes]) -> Erasure:
    """Return what was to be erased by orders."""
    resets: dict[bytes, int] = {}
    for order in orders:
        news = decode(order)
        for notice in news.notices if news is not None else ():
            if notice.erased:
                resets[notice.subject] = max(notice.reset, resets.get(notice.subject, 0))
    return Erasure(resets)


class _Joiner:
    """Takes lines one after the other, and gives them to a store some at a time."""

    def __init__(self, store: Store, erasure: Erasure) -> None:
        self._store, self._erasure = store, erasure
        self._waiting: list[Part] = []
        self._held: dict[int, int] | None = None
        self._known: dict[str, set[bytes]] = {}
        self._blocks: list[Part] = []
        self.parts = self.new_parts = self.new_entries = 0

    def take(self, line: SlotLine | PartLine | InstantsLine | EntryLine) -> None:
        if isinstance(line, SlotLine):
            self._store.outdate(Lease(line.slot, line.epoch))
        elif isinstance(line, PartLine):
            part = Part(line.subject, line.slot, line.version, line.data, line.until_at)
            self._waiting.append(part)
            if len(self._waiting) >= _PARTS_AT_ONCE:
                self._join()
        elif isinstance(line, InstantsLine):
            self._keep(line)
        else:
            self._tell(line)

    def finish(self) -> None:
        """Write what still waits, and tell guards of those that are refused from now on."""
        self._join()
        notices = [decode_notice(part.data) for part in self._blocks]
        known = [notice for notice in notices if notice is not None]
        if known:
            Teller(self._store).tell(known, (NEWS,))

    def _join(self) -> None:
        waiting, self._waiting = self._waiting, []
        subjects = [*dict.fromkeys(part.subject for part in waiting)]
        found = self._store.parts(subjects)
        kept = {
            subject: {part.slot: part for part in parts}
            for subject, parts in zip(subjects, found, strict=True)
        }
        if self._held is None:
            self._held = {lease.slot: lease.epoch for lease, held in self._store.leases() if held}
        written = []
        for part in sorted(waiting, key=lambda each: each.slot != STANDING):
            reset = self._erasure.reset(part.subject)
            of_subject = kept[part.subject]
            there = placed(part, of_subject, self._held) if part.version[0] >= reset else None
            before = of_subject.get(there.slot) if there is not None else None
            if there is not None and (before is None or before.version < there.version):
                of_subject[there.slot] = there
                written.append(there)
        self._store.write(written)
        now = self._store.now() if written else 0.0
        self._blocks += [part for part in written if part.until_at > now]
        self.parts, self.new_parts = self.parts + len(waiting), self.new_parts + len(written)

    def _keep(self, line: InstantsLine) -> None:
        hashes, at = np.frombuffer(line.hashes, "<u8"), np.frombuffer(line.at, "<f8")
        if line.kind != STARTS:
            chosen = self._erasure.of_keys if line.kind == AGES else self._erasure.shown
            kept = ~np.isin(hashes, chosen(hashes)) | (at > self._erasure.latest)
            hashes, at = hashes[kept], at[kept]
        if len(hashes):
            self._store.keep_instants(line.kind, hashes.astype(np.uint64), at.astype(np.float64))

    def _tell(self, line: EntryLine) -> None:
        """Write an entry that the log does not have yet."""
        if line.log not in LOGS:
            return
        if line.log not in self._known:
            entries = entries_of(self._store, line.log)
            self._known[line.log] = {_digest(entry.data) for entry in entries}
        news, data = decode(line.data), line.data
        if news is not None and line.log != ORDERS:
            told = self._erasure.without(news)
            data = data if told == news else encode(told)
        if _digest(data) not in self._known[line.log]:
            self._known[line.log].add(_digest(data))
            self._store.append(line.log, data)
            self.new_entries += 1


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=16).digest()
