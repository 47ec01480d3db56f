"""A store that many machines share: Valkey, or Redis 7, alone, behind Sentinel or as a cluster.

Core commands only, each on one key, so that a cluster may put every key where it likes. What must
be compared before it is written is compared by a script on the server.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, cast

import numpy as np
from valkey import Valkey
from valkey.backoff import NoBackoff
from valkey.cluster import ClusterNode, ValkeyCluster
from valkey.exceptions import ValkeyError
from valkey.retry import Retry
from valkey.sentinel import Sentinel

from gateway_guard.exceptions import StoreError
from gateway_guard.stores.base import GROUPS, SCHEMA, STANDING, Entry, Instants, Lease, Part
from gateway_guard.stores.records import (
    LEASE,
    OUTDATE,
    READ,
    RENEW,
    VOID,
    WRITE,
    packed,
    unpacked,
    unpacked_all,
)
from gateway_guard.stores.resting import in_pieces
from gateway_guard.stores.valkey_holdings import SHARDS, ValkeyHoldings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from gateway_guard.stores.base import Hashes, Keeping, Times
    from gateway_guard.stores.urls import Address

# The client's own annotations are those of its two kinds at once, of which one is awaited.
Commands: TypeAlias = Any
Answer: TypeAlias = Any

TIMEOUT_SECONDS = 0.1
_SCRIPTS = (WRITE, READ, LEASE, RENEW, VOID, OUTDATE)
_TREND = 1000
_AT_ONCE = 16
"""Subjects in one pipeline: to pack and read the commands of more takes too long at a time."""


class ValkeyStore(ValkeyHoldings):
    """One server or several, as the address says."""

    shared = True
    durable = True

    def __init__(self, address: Address, keeping: Keeping) -> None:
        """Connect to nothing yet."""
        self._address, self._keeping = address, keeping
        self._begin = f"gateway_guard:{keeping.namespace}:".encode()
        self._client: Any = _Closed()
        self._scripts: dict[str, str] = {}

    def connect(self) -> None:
        """Find the server that takes writes, and teach it the scripts."""
        self.close()
        with _telling():
            client: Commands = _client_of(self._address, self._keeping.patience_seconds)
            self._client = client
            scripts = {text: client.script_load(text) for text in _SCRIPTS}
            self._scripts = {text: _first(answer) for text, answer in scripts.items()}
            key = self._begin + b"schema"
            client.set(key, SCHEMA, nx=True)
            version = int(client.get(key))
        if version != SCHEMA:
            message = "what the server keeps was written by another version of gateway-guard"
            hint = "set GATEWAY_GUARD_NAMESPACE to another name, or go on with that version"
            raise StoreError(message, hint=hint, kind="schema")

    def now(self) -> float:
        """Return the server's clock."""
        with _telling():
            seconds, microseconds = _first(self._client.time())
        return float(seconds) + float(microseconds) / 1e6

    def lease(self, seconds: float) -> Lease:
        """Take over the first slot that nobody holds."""
        found = self._run(LEASE, self._begin + b"writers", int(1000 * seconds), GROUPS)
        slot, epoch = cast("list[int]", found)
        return Lease(int(slot), int(epoch))

    def renew(self, lease: Lease, seconds: float) -> bool:
        """Hold a slot for longer."""
        return bool(self._run(RENEW, self._begin + b"writers", *lease, int(1000 * seconds)))

    def release(self, lease: Lease) -> None:
        """Let go of a slot."""
        self.renew(lease, 0.0)

    def writers(self) -> int:
        """Return how many slots are held."""
        now = self.now()
        with _telling():
            held = self._client.hvals(self._begin + b"writers")
        return sum(float(value.split()[1]) / 1000 > now for value in held)

    def write(self, parts: Sequence[Part]) -> None:
        """Keep what is newer."""
        if not parts:
            return
        keep = int(1000 * self._keeping.seconds)
        for piece in in_pieces(parts, _AT_ONCE):
            with self._pipeline() as pipeline:
                for part in piece:
                    arguments = (self._scripts[WRITE], 1, self._part_key(part.subject))
                    if part.slot == STANDING:
                        self._index(pipeline, part)
                    pipeline.execute_command("EVALSHA", *arguments, part.slot, packed(part), keep)

    def versions(self, subjects: Sequence[bytes], slot: int) -> list[int]:
        """Return the number of writes to each subject."""
        found: list[Answer] = []
        for piece in in_pieces(subjects, _AT_ONCE):
            with self._pipeline() as pipeline:
                for subject in piece:
                    pipeline.hmget(self._part_key(subject), "changes", f"own{slot}")
                found += pipeline.execute()
        return [int(changes or 0) - int(own or 0) for changes, own in found]

    def read(self, subjects: Sequence[bytes], slot: int = 0) -> list[list[Part]]:
        """Return what is to be read of each subject."""
        found: list[Answer] = []
        for piece in in_pieces(subjects, _AT_ONCE):
            with self._pipeline() as pipeline:
                for subject in piece:
                    arguments = (self._scripts[READ], 1, self._part_key(subject), slot)
                    pipeline.execute_command("EVALSHA", *arguments)
                found += pipeline.execute()
        return [
            unpacked_all(subject, fields) for subject, fields in zip(subjects, found, strict=True)
        ]

    def standings(self, most: int) -> list[Part]:
        """Return the standings that have not ended."""
        now, key = self.now(), self._begin + b"standings"
        with _telling():
            subjects = self._client.zrevrangebyscore(key, "+inf", f"({now}", 0, most)
        with self._pipeline() as pipeline:
            for subject in subjects:
                pipeline.hget(self._part_key(subject), STANDING)
            found = pipeline.execute()
        kept = zip(subjects, found, strict=True)
        parts = [unpacked(subject, STANDING, value) for subject, value in kept if value]
        # What came too late to be kept may have moved the index, never the part.
        lasting = [part for part in parts if part is not None and part.until_at > now]
        return sorted(lasting, key=lambda part: -part.until_at)

    def append(self, log: str, data: bytes) -> None:
        """Write an entry."""
        key, most = self._begin + b"log:" + log.encode(), self._keeping.entries
        with _telling():
            self._client.xadd(key, {"d": data}, maxlen=most, approximate=True)

    def entries(self, log: str, after: str, most: int) -> list[Entry]:
        """Return the entries that follow."""
        key = self._begin + b"log:" + log.encode()
        with _telling():
            found = self._client.xrange(key, f"({after}" if after else "-", "+", most)
        return [Entry(name.decode(), fields[b"d"]) for name, fields in found]

    def end(self, log: str) -> str:
        """Return the last entry's cursor."""
        with _telling():
            found = self._client.xrevrange(self._begin + b"log:" + log.encode(), count=1)
        return found[0][0].decode() if found else ""

    def keep_instants(self, kind: str, hashes: Hashes, at: Times) -> None:
        """Keep the earliest."""
        now, shards = self.now(), [dict[bytes, float]() for _ in range(SHARDS)]
        for hash_, instant in zip(hashes.tolist(), at.tolist(), strict=True):
            members, member = shards[hash_ % SHARDS], hash_.to_bytes(8)
            members[member] = min(instant, members.get(member, instant))
        with self._pipeline() as pipeline:
            for shard, members in enumerate(shards):
                if members:
                    key = self._instant_key(kind, shard)
                    pipeline.zadd(key, members, lt=True)
                    pipeline.zadd(key + b":used", dict.fromkeys(members, now), gt=True)

    def instants(self, kind: str, after: str, most: int) -> Instants:
        """Return a page: as much of one shard as the server gives at once."""
        shard, _, cursor = (after or "0 0").partition(" ")
        key = self._instant_key(kind, int(shard))
        with _telling():
            following, found = self._client.zscan(key, int(cursor), count=most)
        page = {int.from_bytes(member): at for member, at in found}
        further = f"{shard} {following}"
        if not following:
            further = f"{int(shard) + 1} 0" if int(shard) + 1 < SHARDS else ""
        hashes = np.array([*page], np.uint64)
        return Instants(further, hashes, np.array([*page.values()], np.float64))

    def close(self) -> None:
        """Let go of connections."""
        client, self._client = self._client, _Closed()
        with suppress(ValkeyError, OSError):
            client.close()

    def _index(self, pipeline: Commands, part: Part) -> None:
        key = self._begin + b"standings"
        if part.until_at > 0:
            pipeline.zadd(key, {part.subject: part.until_at})
        else:
            pipeline.zrem(key, part.subject)

    def _part_key(self, subject: bytes) -> bytes:
        return self._begin + b"part:" + subject

    def _instant_key(self, kind: str, shard: int) -> bytes:
        return self._begin + f"{kind}:{shard}".encode()

    def _run(self, script: str, key: bytes, *values: int) -> object:
        with _telling():
            answer: object = self._client.evalsha(self._scripts[script], 1, key, *values)
        return answer

    def _telling(self) -> AbstractContextManager[None]:
        return _telling()

    @contextmanager
    def _pipeline(self) -> Iterator[Commands]:
        """Send several commands at once; what is left of them when the block ends is sent then."""
        with _telling():
            many = {} if isinstance(self._client, ValkeyCluster) else {"transaction": False}
            with self._client.pipeline(**many) as pipeline:
                yield pipeline
                if len(pipeline):
                    pipeline.execute()


class _Closed:
    """Stands for a client that is not there."""

    def __getattr__(self, name: str) -> NoReturn:
        message = "the store is not open"
        raise StoreError(message, kind="closed", asked=name)

    def close(self) -> None:
        """Stay closed."""


def _client_of(address: Address, patience_seconds: float) -> Valkey | ValkeyCluster:
    """Return a client that gives up early and never tries again by itself."""
    timeout = max(TIMEOUT_SECONDS, patience_seconds)
    options: dict[str, Any] = {
        "username": address.username,
        "password": address.password,
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "retry": Retry(NoBackoff(), 0),
    }
    if address.tls:
        options |= {"ssl": True, "ssl_ca_certs": address.authorities}
    if address.form == "cluster":
        nodes = [ClusterNode(*place) for place in address.places]
        return ValkeyCluster(startup_nodes=nodes, cluster_error_retry_attempts=0, **options)
    options["db"] = address.database
    if address.form == "sentinel":
        watchers = {"username": address.sentinel_username, "password": address.sentinel_password}
        sentinel = Sentinel(
            address.places, sentinel_kwargs=options | watchers | {"db": 0}, **options
        )
        primary: Valkey = sentinel.master_for(address.service, valkey_class=Valkey)
        return primary
    [(host, port)] = address.places
    return Valkey(host=host, port=port, **options)


def _first(answer: Answer) -> Answer:
    """Return the answer of one node, where a cluster has several."""
    return next(iter(answer.values())) if isinstance(answer, dict) else answer


@contextmanager
def _telling() -> Iterator[None]:
    """Say in the house's own words what went wrong; the server's may quote what was sent."""
    try:
        yield
    except (ValkeyError, OSError) as error:
        message = f"the server failed: {type(error).__name__}"
        hint = "look at GATEWAY_GUARD_STORE, and whether the server answers within 100 ms"
        raise StoreError(message, hint=hint, kind=type(error).__name__.lower()) from None
