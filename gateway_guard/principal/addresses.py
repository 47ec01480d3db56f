"""Where a request comes from: the socket's peer, or whom trusted proxies say they speak for."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Final

from gateway_guard.settings import UNIX

if TYPE_CHECKING:
    from collections.abc import Iterable

_ADDRESSES_KEPT: Final = 4096
_LONGEST_ADDRESS: Final = 64
_LONGEST_CHAIN: Final = 1024
_PREFIX_BYTES: Final = {4: 3, 6: 6}

Address = IPv4Address | IPv6Address


class Addresses:
    """Turns peers and forwarded headers into network prefixes, /24 and /48 as 3 and 6 bytes.

    A prefix is empty where there is no address: a unix socket, or a server that does not say.
    """

    def __init__(self, trusted: Iterable[IPv4Network | IPv6Network | str]) -> None:
        """Take the networks of trusted proxies; ``unix`` trusts peers without an address."""
        entries = tuple(trusted)
        self._networks = tuple(entry for entry in entries if not isinstance(entry, str))
        self._trusts_unix = UNIX in entries
        self.peer = lru_cache(maxsize=_ADDRESSES_KEPT)(self._peer)
        self._cached_origin = lru_cache(maxsize=_ADDRESSES_KEPT)(self._origin)

    def origin(self, peer: str | None, chain: bytes, forwarded: bytes) -> bytes:
        """Return the prefix of the client behind a trusted peer.

        ``chain`` holds the lines of X-Forwarded-For, ``forwarded`` those of RFC 7239, joined by
        commas. Both are walked from the right: what stands left of the first hop that is not
        trusted was written by strangers.
        """
        return self._cached_origin(peer, chain[-_LONGEST_CHAIN:], forwarded[-_LONGEST_CHAIN:])

    def _peer(self, host: str | None) -> tuple[bytes, bool]:
        """Return a peer's prefix, and whether its headers are believed."""
        if not host:
            return b"", self._trusts_unix
        address = parse_address(host)
        return prefix_of(address), address is not None and self._trusts(address)

    def _origin(self, peer: str | None, chain: bytes, forwarded: bytes) -> bytes:
        """Return the prefix that the headers lead to.

        A proxy that writes one of the two headers passes the other one on as the client sent it;
        so where they lead to different clients, neither is believed.
        """
        nearest = parse_address(peer or "")
        leads = {
            self._walk(nearest, hops)
            for header, hops in ((chain, _entries(chain)), (forwarded, _fors(forwarded)))
            if header
        }
        return prefix_of(leads.pop() if len(leads) == 1 else nearest)

    def _walk(self, nearest: Address | None, hops: list[str]) -> Address | None:
        """Return the rightmost hop that is not trusted, or the last one that can be read."""
        for hop in reversed(hops):
            address = parse_address(hop)
            if address is None:
                break
            nearest = address
            if not self._trusts(address):
                break
        return nearest

    def _trusts(self, address: Address) -> bool:
        """Tell whether an address is a trusted proxy's."""
        return any(address in network for network in self._networks)


def parse_address(text: str) -> Address | None:
    """Return the address in ``1.2.3.4``, ``1.2.3.4:80``, ``[::1]:80`` or ``fe80::1%eth0``."""
    text = text.strip().strip('"')
    if len(text) > _LONGEST_ADDRESS:
        return None
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def prefix_of(address: Address | None) -> bytes:
    """Return the network that an address belongs to."""
    return address.packed[: _PREFIX_BYTES[address.version]] if address else b""


def _entries(header: bytes) -> list[str]:
    """Return the entries of a comma list; the first one may be cut and is left out then."""
    entries = header.decode("latin-1").split(",")
    return entries[1:] if len(header) >= _LONGEST_CHAIN else entries


def _fors(header: bytes) -> list[str]:
    """Return what stands after ``for=`` in each element, and nothing where it does not."""
    elements = [element.split(";") for element in _entries(header)]
    return [next(filter(None, map(_for, pairs)), "") for pairs in elements]


def _for(pair: str) -> str:
    """Return the value of a ``for`` pair."""
    name, _, value = pair.partition("=")
    return value if name.strip().lower() == "for" else ""
