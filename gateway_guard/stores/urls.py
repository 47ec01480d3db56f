"""Addresses of stores, as ``GATEWAY_GUARD_STORE`` has them.

===============================================  ==================================================
``memory://``                                    this process alone
``sqlite:///path``                               a file; ``sqlite:////var/...`` from the root
``valkey://user:password@host:6379/0``           one server; ``valkeys``, ``rediss`` over TLS
``valkey+sentinel://host:26379,host/name``       the primary that the sentinels name
``valkey+cluster://host:6379,host``              a cluster, found at any of its nodes
===============================================  ==================================================

``redis`` and ``rediss`` mean the same as ``valkey`` and ``valkeys``. ``?ca=/path`` names the
authorities that vouch for a server's certificate, ``?sentinel_username=`` and
``?sentinel_password=`` what the sentinels ask for.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from gateway_guard.exceptions import ConfigurationError

HINT: Final = (
    "write memory://, sqlite:///path, valkey://user:password@host:6379/0, "
    "valkey+sentinel://host:26379,host/name or valkey+cluster://host,host; "
    "redis for valkey, and valkeys or rediss for TLS"
)
_SCHEMES: Final = {"valkey": False, "redis": False, "valkeys": True, "rediss": True}
_PORTS: Final = {"": 6379, "cluster": 6379, "sentinel": 26379}
_OPTIONS: Final = frozenset({"ca", "sentinel_username", "sentinel_password"})


class Address(msgspec.Struct, frozen=True):
    """Where servers are, and how to talk to them; ``form`` is empty for one that stands alone."""

    places: tuple[tuple[str, int], ...]
    form: str = ""
    service: str = ""
    database: int = 0
    username: str | None = None
    password: str | None = None
    sentinel_username: str | None = None
    sentinel_password: str | None = None
    tls: bool = False
    authorities: str | None = None


def sqlite_path(url: str) -> str | None:
    """Return the path of a file that a URL names, ``None`` for a URL of another kind.

    Raises:
        ConfigurationError: it names none.

    """
    scheme, _, rest = url.partition("://")
    if scheme != "sqlite":
        return None
    if not rest.startswith("/") or len(rest) < len("/x"):
        message = "sqlite:// has no path"
        raise _unusable(message)
    return unquote(rest[1:])


def is_memory(url: str) -> bool:
    """Tell whether a URL means this process's memory."""
    return url.rstrip("/") == "memory:"


def server_address(url: str) -> Address:
    """Return the address that a URL stands for.

    Raises:
        ConfigurationError: it stands for none; the message does not quote it, for its password.

    """
    scheme, _, form = url.partition("://")[0].partition("+")
    if scheme not in _SCHEMES or form not in _PORTS:
        message = f"no store goes by {url.partition(':')[0][:20]!r}"
        raise _unusable(message)
    try:
        parts = urlsplit(url)
        credentials, _, hosts = parts.netloc.rpartition("@")
        places = tuple(_place(host, _PORTS[form]) for host in hosts.split(","))
        options = dict(parse_qsl(parts.query, strict_parsing=True) if parts.query else ())
    except ValueError:
        message = "a host, port or option cannot be read"
        raise _unusable(message) from None
    if options.keys() - _OPTIONS or (not form and len(places) > 1):
        message = "it has options that mean nothing, or several hosts that are no cluster"
        raise _unusable(message)
    username, _, password = credentials.partition(":")
    service, database = _path(parts.path, form)
    return Address(
        places=places,
        form=form,
        service=service,
        database=database,
        username=unquote(username) or None,
        password=unquote(password) or None,
        sentinel_username=options.get("sentinel_username"),
        sentinel_password=options.get("sentinel_password"),
        tls=_SCHEMES[scheme],
        authorities=options.get("ca"),
    )


def _place(host: str, port: int) -> tuple[str, int]:
    parts = urlsplit(f"//{host}")
    if not parts.hostname or parts.path:
        raise ValueError(host)
    return parts.hostname, parts.port or port


def _path(path: str, form: str) -> tuple[str, int]:
    """Return the name of a service and the number of a database."""
    steps = [unquote(step) for step in path.split("/") if step]
    service = steps.pop(0) if form == "sentinel" and steps else ""
    database = steps.pop(0) if steps and form != "cluster" else "0"
    if steps or not database.isdecimal() or (form == "sentinel" and not service):
        message = "the path is a database's number, after a service's name for sentinels"
        raise _unusable(message)
    return service, int(database)


def _unusable(reason: str) -> ConfigurationError:
    message = f"GATEWAY_GUARD_STORE=(not shown) cannot be used: {reason}"
    return ConfigurationError(message, hint=HINT, variable="GATEWAY_GUARD_STORE")
