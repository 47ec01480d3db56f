"""The fields that travel on, and those that end or begin at a proxy (RFC 9110, section 7.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Fields = Iterable[tuple[bytes, bytes]]

HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy",  # read as HTTP_PROXY by CGI programs ("httpoxy")
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
# Fields that the proxy writes itself. The server in front has answered an ``Expect`` already.
REPLACED: Final = HOP_BY_HOP | {b"expect", b"host", b"via", b"x-forwarded-for"}
# What anybody can claim about where a request came from.
CLAIMS: Final = frozenset(
    {
        b"forwarded",
        b"x-forwarded-host",
        b"x-forwarded-port",
        b"x-forwarded-prefix",
        b"x-forwarded-proto",
        b"x-forwarded-server",
        b"x-real-ip",
    }
)
PSEUDONYM: Final = b"gateway-guard"


def request_headers(
    scope: Mapping[str, Any], host: bytes, *, peer_is_trusted: bool
) -> list[tuple[bytes, bytes]]:
    """Return the fields that a request is forwarded with, lower-case, order and duplicates kept.

    ``X-Forwarded-For`` and ``Via`` are continued by one entry, whoever began them: who reads them
    from the right meets the socket's peer first. Other claims about the origin are believed of a
    trusted peer only, and otherwise replaced by what the socket shows.
    """
    fields: list[tuple[bytes, bytes]] = scope["headers"]
    left_out = REPLACED | connection_options(fields)
    if not peer_is_trusted:
        left_out |= CLAIMS
    if any(name == b"transfer-encoding" for name, _ in fields):
        # RFC 9112, section 6.3: beside a transfer coding, a length must not be forwarded.
        left_out |= {b"content-length"}
    kept = [field for field in fields if field[0] not in left_out]
    return [(b"host", host), *kept, *provenance(scope, {name for name, _ in kept})]


def connection_options(fields: Fields) -> frozenset[bytes]:
    """Return the lower-case names that the sender's ``Connection`` fields keep to this hop."""
    options = (value.split(b",") for name, value in fields if name == b"connection")
    return frozenset(option.strip().lower() for line in options for option in line)


def provenance(scope: Mapping[str, Any], present: set[bytes]) -> Fields:
    """Yield the fields that say where a request came from, save those already present."""
    fields = scope["headers"]
    version = scope.get("http_version", "1.1").encode()
    yield b"via", continued(fields, b"via", version + b" " + PSEUDONYM)
    if client := scope.get("client"):
        yield b"x-forwarded-for", continued(fields, b"x-forwarded-for", client[0].encode())
    if b"x-forwarded-proto" not in present:
        yield b"x-forwarded-proto", scope.get("scheme", "http").encode()
    asked_for = next((value for name, value in fields if name == b"host"), None)
    if asked_for is not None and b"x-forwarded-host" not in present:
        yield b"x-forwarded-host", asked_for


def continued(fields: Fields, name: bytes, entry: bytes) -> bytes:
    """Return the list under a name, repeated lines joined, with one more entry."""
    return b", ".join([*(value for field, value in fields if field == name), entry])


def framed(
    fields: list[tuple[bytes, bytes]], method: str, length: int | None
) -> list[tuple[bytes, bytes]]:
    """Return the fields, the body's length in bytes (None: not known) added if it is not there."""
    if any(name == b"content-length" for name, _ in fields):
        return fields
    if length is None:
        return [*fields, (b"transfer-encoding", b"chunked")]
    if length or method in {"POST", "PUT", "PATCH"}:
        return [*fields, (b"content-length", str(length).encode())]
    return fields


def response_headers(raw: Fields, status: int) -> list[tuple[bytes, bytes]]:
    """Return the fields that an answer is passed on with, lower-case, order and duplicates kept."""
    fields = [(name.lower(), value) for name, value in raw]
    left_out = HOP_BY_HOP | connection_options(fields)
    if status in {204, 304}:
        # No body follows, and servers hold an application to the length that it states.
        left_out |= {b"content-length"}
    return [field for field in fields if field[0] not in left_out]
