"""ASGI scope -> principal, in one pass over the headers."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

from gateway_guard.principal.addresses import Addresses
from gateway_guard.principal.claims import Claims
from gateway_guard.principal.credentials import (
    credential,
    protocol_credential,
    query_pattern,
    query_values,
)
from gateway_guard.principal.ids import SubjectIds, SubjectKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gateway_guard.settings import Settings

# What stays the same over the requests of one program; retry counts and time-outs do not.
CLIENT_HEADERS: Final = (
    "user-agent",
    "x-goog-api-client",
    "x-stainless-arch",
    "x-stainless-lang",
    "x-stainless-os",
    "x-stainless-package-version",
    "x-stainless-runtime",
    "x-stainless-runtime-version",
)
_PROTOCOLS: Final = "sec-websocket-protocol"
_FORWARDED_HEADERS: Final = ("x-forwarded-for", "forwarded")
_KEPT: Final = 4096
_LONGEST_CLIENT: Final = 1024
_LONGEST_PEER: Final = 64
_LONGEST_NAME: Final = 256
_ANONYMOUS: Final = b"anonymous"


class Principal(msgspec.Struct, frozen=True, gc=False):
    """Who sends a request, in keyed ids of 16 bytes.

    ``key`` is the credential's id, or that of ``anonymous@network``; ``key_id`` is the same as
    operators see it. ``doubled`` is the id of a second, different credential in the same request,
    ``further`` those of a third and more, which no honest client sends. ``organisation`` is set
    where a trusted proxy has named one.

    ``token`` is the id of the token that ``key`` was read in, where claims are. ``claimed`` is the
    key that a token would stand for which no upstream has accepted yet. ``former`` is what ``key``
    was called under the previous secret.
    """

    key: bytes
    key_id: str
    anonymous: bool
    network: bytes
    client: bytes
    doubled: bytes | None = None
    organisation: bytes | None = None
    organisation_name: str | None = None
    further: tuple[bytes, ...] = ()
    token: bytes | None = None
    claimed: bytes | None = None
    former: bytes | None = None


class PrincipalReader:
    """Reads who sends a request; what it remembers of them are bounded caches."""

    def __init__(self, settings: Settings, secret: bytes, previous: bytes | None = None) -> None:
        """Prepare for the settings; ``secret`` keys every id, ``previous`` did so before."""
        sources = () if settings.keys == "ignore" else settings.key_sources
        names = [*sources, *CLIENT_HEADERS, *_FORWARDED_HEADERS, settings.organisation_header]
        self._places = {
            name.encode(): at for at, name in enumerate(names) if name and name[0] != "?"
        }
        self._blank = [b""] * len(names)
        self._clients_at = len(sources)
        self._forwarded_at = self._clients_at + len(CLIENT_HEADERS)
        parameters = [name for name in sources if name[0] == "?"]
        self._query = query_pattern(name[1:] for name in parameters)
        self._query_at = sources.index(parameters[0]) if parameters else 0
        self._protocol_at = sources.index(_PROTOCOLS) if _PROTOCOLS in sources else -1
        self._ids = SubjectIds(secret)
        self._past = SubjectIds(previous) if previous is not None else None
        self._claim = settings.key_claim
        self._claims = Claims(self._claim, self._ids, settings.memory) if self._claim else None
        self._addresses = Addresses(settings.trusted_proxies)
        self._network_ids = lru_cache(maxsize=_KEPT)(self._make_network_ids)
        self._client_id = lru_cache(maxsize=_KEPT)(self._make_client_id)

    def read(self, scope: Mapping[str, Any]) -> Principal:
        """Return who sends a request; headers may hold any bytes, and the same name twice."""
        values, repeated = self._pick(scope)
        if self._protocol_at >= 0 and values[self._protocol_at]:
            values[self._protocol_at] = protocol_credential(values[self._protocol_at])
        credentials = [credential(value) for value in values[: self._clients_at] if value]
        if repeated:
            credentials += self._repeated(values, repeated)
        prefix, trusted = self._origin(scope.get("client"), values)
        network, anonymous = self._network_ids(prefix)
        found = [value for value in dict.fromkeys(credentials) if value]
        keys = [self._key(value) for value in found]
        key = keys[0] if keys else anonymous
        name = _name(values[-1]) if trusted else None
        principal = Principal(
            key=key,
            key_id=key.hex(),
            anonymous=not keys,
            network=network,
            client=self._client_of(values),
            doubled=keys[1] if len(keys) > 1 else None,
            organisation=self._ids.make(SubjectKind.ORGANISATION, name.encode()) if name else None,
            organisation_name=name,
            further=tuple(keys[2:]),
        )
        if self._claims is not None:
            principal = self._read_claims(self._claims, principal, found)
        return principal if self._past is None else self._with_past(principal, found, prefix)

    def accept(self, principal: Principal) -> None:
        """Believe from now on what the token of a request claims that an upstream answered."""
        if self._claims is not None and principal.token is not None and principal.claimed:
            self._claims.accept(principal.token, principal.claimed)

    def forget(self, principal: Principal) -> None:
        """Believe no longer what the token of a request claims that an upstream turned away."""
        if self._claims is not None and principal.token is not None:
            self._claims.forget(principal.token)

    def key_id(self, raw: bytes) -> bytes:
        """Return the id of a key as it stands in a header, with or without its scheme."""
        return self._key(credential(raw))

    def _read_claims(self, claims: Claims, principal: Principal, found: list[bytes]) -> Principal:
        """Return a principal whose keys are those that accepted tokens stand for.

        Of two credentials nobody here knows which one the upstream accepts. So what one claims is
        not believed then: a stranger's forgery would be, beside his own key.
        """
        if principal.anonymous:
            return principal
        tokens = (principal.key, *filter(None, (principal.doubled, *principal.further)))
        keys = list(dict.fromkeys(claims.accepted(token) or token for token in tokens))
        return msgspec.structs.replace(
            principal,
            key=keys[0],
            key_id=keys[0].hex(),
            doubled=keys[1] if len(keys) > 1 else None,
            further=tuple(keys[2:]),
            token=tokens[0],
            claimed=claims.claimed(found[0]) if tokens == (keys[0],) else None,
        )

    def _with_past(self, principal: Principal, found: list[bytes], prefix: bytes) -> Principal:
        """Return a principal with what its key was called under the previous secret."""
        past = self._past or self._ids
        former: bytes | None
        if principal.anonymous:
            network = past.make(SubjectKind.NETWORK, prefix)
            former = past.make(SubjectKind.KEY, _ANONYMOUS, network)
        elif self._claim and principal.key != principal.token:
            former = Claims(self._claim, past, 0).claimed(found[0])
        else:
            former = past.make(SubjectKind.KEY, found[0])
        return msgspec.structs.replace(principal, former=former)

    def _pick(self, scope: Mapping[str, Any]) -> tuple[list[bytes], list[tuple[int, bytes]]]:
        """Return the first value of everything that is looked for, and the values after it."""
        values, repeated, places = self._blank.copy(), [], self._places
        for name, value in scope["headers"]:
            at = places.get(name)
            if at is not None:
                if values[at]:
                    repeated.append((at, value))
                else:
                    values[at] = value
        query = scope.get("query_string")
        if query and self._query:
            found = query_values(self._query, query)
            values[self._query_at] = found[0] if found else b""
            repeated += [(self._query_at, value) for value in found[1:]]
        return values, repeated

    def _repeated(self, values: list[bytes], repeated: list[tuple[int, bytes]]) -> list[bytes]:
        """Return the last credential of each source that was repeated, and complete the rest.

        Servers take the first or the last line of a header. A proxy adds its own behind those
        that the client sent, so the last organisation counts and the chain is read as a whole.
        """
        later: dict[int, list[bytes]] = {}
        for at, value in repeated:
            later.setdefault(at, [values[at]]).append(value)
        for at, lines in later.items():
            if at >= self._clients_at:
                values[at] = lines[-1] if at == len(values) - 1 else b",".join(lines)
        lasts = [(at, lines[-1]) for at, lines in later.items() if at < self._clients_at]
        return [
            credential(protocol_credential(last) if at == self._protocol_at else last)
            for at, last in lasts
        ]

    def _origin(self, client: Sequence[Any] | None, values: list[bytes]) -> tuple[bytes, bool]:
        """Return the network of the client, and whether its proxy's word counts."""
        host = client[0] if client else None
        if host is not None and not (isinstance(host, str) and len(host) <= _LONGEST_PEER):
            return b"", False
        prefix, trusted = self._addresses.peer(host)
        chain, forwarded = values[self._forwarded_at : self._forwarded_at + 2]
        if trusted and (chain or forwarded):
            prefix = self._addresses.origin(host, chain, forwarded)
        return prefix, trusted

    def _client_of(self, values: list[bytes]) -> bytes:
        """Return the id of the program that sends the request, whatever its address."""
        program = b"\0".join(values[self._clients_at : self._forwarded_at])
        if len(program) > _LONGEST_CLIENT:
            return self._make_client_id(program)
        return self._client_id(program)

    def _key(self, value: bytes) -> bytes:
        """Return the id of a credential."""
        return self._ids.make(SubjectKind.KEY, value)

    def _make_client_id(self, program: bytes) -> bytes:
        """Return the id of a program."""
        return self._ids.make(SubjectKind.CLIENT, program)

    def _make_network_ids(self, prefix: bytes) -> tuple[bytes, bytes]:
        """Return the id of a network, and that of those who come from it without a credential."""
        network = self._ids.make(SubjectKind.NETWORK, prefix)
        return network, self._ids.make(SubjectKind.KEY, _ANONYMOUS, network)


def _name(value: bytes) -> str | None:
    """Return an organisation's name, if a header has one that can be shown."""
    name = value[:_LONGEST_NAME].decode("utf-8", "replace").strip()
    return name if name and name.isprintable() else None
