"""The fields that travel on, and those that end or begin at a proxy (RFC 9110, section 7.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

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
# Beside a body that does not follow, servers hold an application to the length that it states.
BODILESS: Final = HOP_BY_HOP | {b"content-length"}
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
REPLACED_OR_CLAIMED: Final = REPLACED | CLAIMS
# What nearly every client sends, and what names no field that stays for another reason.
USUAL_CONNECTION: Final = frozenset({b"keep-alive", b"Keep-Alive"})
LENGTH: Final = frozenset({b"content-length"})
NONE: Final[frozenset[bytes]] = frozenset()
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
    left_out = REPLACED if peer_is_trusted else REPLACED_OR_CLAIMED
    ended = [field for field in fields if field[0] in left_out]
    if further := connection_options(ended) | superseded(ended):
        left_out |= further
    kept = [field for field in fields if field[0] not in left_out]
    # A stranger's claims are never kept.
    present = {name for name, _ in kept} if peer_is_trusted else NONE
    return [(b"host", host), *kept, *provenance(scope, ended, present)]


def connection_options(fields: Fields) -> frozenset[bytes]:
    """Return the lower-case names that the sender's ``Connection`` fields keep to this hop."""
    options = NONE
    for name, value in fields:
        if name == b"connection" and value not in USUAL_CONNECTION:
            options |= {option.strip().lower() for option in value.split(b",")}
    return options


def superseded(fields: Fields) -> frozenset[bytes]:
    """Return ``content-length`` beside a transfer coding (RFC 9112, section 6.3)."""
    for name, _ in fields:
        if name == b"transfer-encoding":
            return LENGTH
    return NONE


def provenance(
    scope: Mapping[str, Any], ended: Fields, present: Collection[bytes]
) -> list[tuple[bytes, bytes]]:
    """Return the fields that say where a request came from, save those already present.

    ``ended`` holds at least the fields that are not passed on as they came.
    """
    version = scope.get("http_version", "1.1").encode()
    added = [(b"via", continued(ended, b"via", version + b" " + PSEUDONYM))]
    if client := scope.get("client"):
        entry = continued(ended, b"x-forwarded-for", client[0].encode())
        added.append((b"x-forwarded-for", entry))
    if b"x-forwarded-proto" not in present:
        added.append((b"x-forwarded-proto", scope.get("scheme", "http").encode()))
    asked_for = [value for name, value in ended if name == b"host"]
    if asked_for and b"x-forwarded-host" not in present:
        added.append((b"x-forwarded-host", asked_for[0]))
    return added


def continued(fields: Fields, name: bytes, entry: bytes) -> bytes:
    """Return the list under a name, repeated lines joined, with one more entry."""
    return b", ".join([*[value for field, value in fields if field == name], entry])


def framed(
    fields: list[tuple[bytes, bytes]], method: str, length: int | None
) -> list[tuple[bytes, bytes]]:
    """Return the fields, the body's length in bytes (None: not known) added if it is not there."""
    for name, _ in fields:
        if name == b"content-length":
            return fields
    if length is None:
        return [*fields, (b"transfer-encoding", b"chunked")]
    if length or method in {"POST", "PUT", "PATCH"}:
        return [*fields, (b"content-length", str(length).encode())]
    return fields


def response_headers(raw: Fields, status: int) -> list[tuple[bytes, bytes]]:
    """Return the fields that an answer is passed on with, lower-case, order and duplicates kept."""
    fields = [(name.lower(), value) for name, value in raw]
    left_out = BODILESS if status in {204, 304} else HOP_BY_HOP
    if further := connection_options(fields):
        left_out |= further
    return [field for field in fields if field[0] not in left_out]
