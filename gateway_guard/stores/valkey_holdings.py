"""What servers hold, for those who look through all of it or take some of it out.

All of it is looked through by SCAN, a part of a server's keys at a time; nothing waits for more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway_guard.stores import groups
from gateway_guard.stores.base import Lease, Part, Subjects
from gateway_guard.stores.records import OUTDATE, VOID, unpacked

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from gateway_guard.stores.base import Hashes, Keeping

SHARDS = 16
"""Instants are spread over so many keys, so that a cluster can share them out."""

_AT_ONCE = 1000


class ValkeyHoldings:
    """The part of the store that guards do without while they serve."""

    _begin: bytes
    _client: Any
    _keeping: Keeping
    _scripts: dict[str, str]

    if TYPE_CHECKING:  # what the store itself has

        def now(self) -> float:
            """Return the server's clock."""
            ...

        def _part_key(self, subject: bytes) -> bytes: ...
        def _instant_key(self, kind: str, shard: int) -> bytes: ...
        def _run(self, script: str, key: bytes, *values: int) -> object: ...
        def _pipeline(self) -> AbstractContextManager[Any]: ...
        def _telling(self) -> AbstractContextManager[None]: ...

    def subjects(self, after: str, most: int) -> Subjects:
        """Return a page: as much of one server as it gives at once."""
        place, _, cursor = (after or "0 0").partition(" ")
        nodes, begin = self._nodes(), self._part_key(b"")
        with self._telling():
            options = {"match": begin + b"*", "count": most} | nodes[int(place)]
            following, found = self._client.scan(int(cursor), **options)
        if isinstance(following, dict):
            [following] = following.values()
        further = f"{place} {following}"
        if not following:
            further = f"{int(place) + 1} 0" if int(place) + 1 < len(nodes) else ""
        return Subjects(further, [key[len(begin) :] for key in found])

    def parts(self, subjects: Sequence[bytes]) -> list[list[Part]]:
        """Return all but sums."""
        with self._pipeline() as pipeline:
            for subject in subjects:
                pipeline.hgetall(self._part_key(subject))
            found = pipeline.execute()
        return [_parts(subject, fields) for subject, fields in zip(subjects, found, strict=True)]

    def void(self, subjects: Sequence[bytes]) -> None:
        """Drop what counts as nothing."""
        with self._pipeline() as pipeline:
            for subject in subjects:
                pipeline.execute_command("EVALSHA", self._scripts[VOID], 1, self._part_key(subject))

    def leases(self) -> list[tuple[Lease, bool]]:
        """Return all slots."""
        now = self.now()
        with self._telling():
            held = self._client.hgetall(self._begin + b"writers")
        found = [(int(slot), *map(int, value.split())) for slot, value in held.items()]
        return [(Lease(slot, epoch), until > 1000 * now) for slot, epoch, until in sorted(found)]

    def outdate(self, lease: Lease) -> None:
        """Let a slot go on from an epoch."""
        self._run(OUTDATE, self._begin + b"writers", *lease)

    def drop_entries(self, log: str, cursors: Sequence[str]) -> None:
        """Drop entries."""
        if cursors:
            with self._telling():
                self._client.xdel(self._begin + b"log:" + log.encode(), *cursors)

    def drop_instants(self, kind: str, hashes: Hashes) -> None:
        """Forget instants."""
        with self._pipeline() as pipeline:
            for hash_ in hashes.tolist():
                key, member = self._instant_key(kind, hash_ % SHARDS), hash_.to_bytes(8)
                pipeline.zrem(key, member)
                pipeline.zrem(key + b":used", member)

    def prune(self) -> None:
        """Drop what is too old; parts expire by themselves."""
        now = self.now()
        oldest = now - self._keeping.seconds
        with self._pipeline() as pipeline:
            pipeline.zremrangebyscore(self._begin + b"standings", "-inf", now)
            for log in (b"news", b"history", b"orders"):
                first = f"{int(1000 * oldest)}"
                pipeline.xtrim(self._begin + b"log:" + log, minid=first, approximate=True)
        for kind in ("ages", "uses"):
            for shard in range(SHARDS):
                self._prune_instants(self._instant_key(kind, shard), oldest)

    def _prune_instants(self, key: bytes, oldest: float) -> None:
        with self._telling():
            client = self._client
            unused = client.zrangebyscore(key + b":used", "-inf", oldest, 0, _AT_ONCE)
            if unused:
                client.zrem(key, *unused)
                client.zrem(key + b":used", *unused)

    def _nodes(self) -> list[dict[str, Any]]:
        """Return how to address each server that has keys of its own, always in the same order."""
        if not hasattr(self._client, "get_primaries"):
            return [{}]
        nodes = sorted(self._client.get_primaries(), key=lambda node: str(node.name))
        return [{"target_nodes": node} for node in nodes]


def _parts(subject: bytes, fields: dict[bytes, bytes]) -> list[Part]:
    """Return the parts among the fields of a subject."""
    slots = [(int(name), value) for name, value in fields.items() if name.isdigit()]
    parts = [unpacked(subject, *each) for each in sorted(slots) if not groups.is_group(each[0])]
    return [part for part in parts if part is not None]
