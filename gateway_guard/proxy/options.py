"""What an operator can set on the proxy, and the address it forwards to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import httpx

from gateway_guard.exceptions import ConfigurationError

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

UPSTREAM_HINT: Final = "give the upstream as http://host:port or https://host, with a path at most"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyOptions:
    """Time-outs, limits and trust of one proxy.

    Attributes:
        connect_seconds: how long the upstream may take to accept a connection.
        read_seconds: how long it may stay silent, before its answer and between two parts of it.
            Ten minutes is what the providers' SDKs wait for a long completion.
        pool_seconds: how long a request may wait for one of the connections to become free.
        max_connections: connections to the upstream, busy and idle.
        max_in_flight: requests that are forwarded at the same time; one more is answered with 503.
        trusted_proxies: networks of peers whose ``Forwarded`` and ``X-Forwarded-*`` are believed;
            ``unix`` for peers without an address.

    """

    connect_seconds: float = 5.0
    read_seconds: float = 600.0
    pool_seconds: float = 5.0
    max_connections: int = 1000
    max_in_flight: int = 1000
    trusted_proxies: tuple[IPv4Network | IPv6Network | str, ...] = ()

    @property
    def timeout(self) -> dict[str, float]:
        """The time-outs as httpx hands them to a transport, in seconds."""
        read, connect, pool = self.read_seconds, self.connect_seconds, self.pool_seconds
        return {"connect": connect, "read": read, "write": read, "pool": pool}


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where requests go: the origin, its ``Host`` field, and the path put before theirs."""

    origin: httpx.URL
    host: bytes
    prefix: bytes


def parse_upstream(address: str) -> Upstream:
    """Read the address of the upstream.

    Raises:
        ConfigurationError: if it is no absolute http or https URL, or carries more than a path.

    """
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL as error:
        message = f"the upstream {address!r} is no URL: {error}"
        raise ConfigurationError(message, hint=UPSTREAM_HINT) from error
    if url.scheme not in {"http", "https"} or not url.host:
        message = f"the upstream {address!r} is no http or https address"
        raise ConfigurationError(message, hint=UPSTREAM_HINT)
    if url.userinfo or url.query or url.fragment:
        # Not repeated in the message: what stands there may be a password or a key.
        message = f"the upstream at {url.host} must carry no user, query or fragment"
        raise ConfigurationError(message, hint=UPSTREAM_HINT)
    return Upstream(url.copy_with(raw_path=b"/"), url.netloc, url.raw_path.rstrip(b"/"))
