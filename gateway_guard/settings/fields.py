"""The types that variables have: how each is read, shown and explained."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import unquote, urlsplit

from pydantic import BeforeValidator, Field, SecretStr

from gateway_guard.settings.units import (
    format_duration,
    format_size,
    parse_duration,
    parse_list,
    parse_size,
)

if TYPE_CHECKING:
    from collections.abc import Callable

Network = IPv4Network | IPv6Network
UNIX: Final = "unix"

# In the order in which each upstream looks for the key: the first one that is there counts.
KEY_SOURCE_PRESETS: Final = {
    "default": (
        "authorization",
        "x-api-key",
        "api-key",
        "x-goog-api-key",
        "?key",
        "sec-websocket-protocol",
    ),
    "litellm": (
        "x-litellm-api-key",
        "authorization",
        "api-key",
        "x-api-key",
        "x-goog-api-key",
        "ocp-apim-subscription-key",
        "?key",
        "litellm_user_api_key",
        "sec-websocket-protocol",
    ),
    "openai": ("authorization", "sec-websocket-protocol"),
    "azure": ("api-key", "authorization", "ocp-apim-subscription-key", "?api-key"),
    "anthropic": ("x-api-key", "authorization"),
    "gemini": ("x-goog-api-key", "?key", "authorization"),
}

STORE_MEANING: Final = (
    "where profiles, verdicts and ages are kept and shared: `memory://`, `sqlite:///path`, "
    "`valkey://` or `redis://`; a file in the state directory if there is one, else memory"
)
NAMESPACE_MEANING: Final = (
    "deployments with different names share a store and know nothing of each other"
)
RETENTION: Final = "how long a store keeps what is known of a subject that comes no more"
_TOKEN: Final = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
_KEY_SOURCE: Final = re.compile(r"\?[A-Za-z0-9_.~-]+|" + _TOKEN.pattern)
_IMPORTABLE: Final = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*(?:\.[^\W\d]\w*)*")
_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")
_JITTER_SWITCH: Final = {"on": 0.1, "true": 0.1, "yes": 0.1, "off": 0.0, "false": 0.0, "no": 0.0}
_STEPS: Final = ("slow", "slower", "slowest")
_FASTEST: Final = 6_000.0
_LONGEST_CONTACT: Final = 200
_NAMESPACE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_LONGEST_CLAIM: Final = 100


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of variable, for people: its name, how to write it, and how a value is shown."""

    name: str
    hint: str
    show: Callable[[Any], str] = str


def _parse_key_sources(value: object) -> tuple[str, ...]:
    """Return header names in lower case, and query parameters with their question mark.

    A preset stands for what it lists; what was listed before it keeps its place.
    """
    entries = [entry if entry[0] == "?" else entry.lower() for entry in parse_list(value)]
    listed = [KEY_SOURCE_PRESETS.get(entry, (entry,)) for entry in entries]
    sources = tuple(dict.fromkeys(source for sources in listed for source in sources))
    strange = [source for source in sources if not _KEY_SOURCE.fullmatch(source)]
    if strange or not sources or len(set(entries)) < len(entries):
        presets = ", ".join(KEY_SOURCE_PRESETS)
        message = f"not a list of distinct header names, ?parameters and presets ({presets})"
        raise ValueError(message)
    return sources


def _parse_header_name(value: object) -> str | None:
    """Return a header's name in lower case."""
    if value is None:
        return None
    name = str(value).strip().lower()
    if not _TOKEN.fullmatch(name):
        message = "not the name of a header"
        raise ValueError(message)
    return name


def _parse_importable(value: object) -> str | None:
    """Return the name of something in a module."""
    if value is None:
        return None
    name = str(value).strip()
    if not _IMPORTABLE.fullmatch(name):
        message = "not the name of something in a module"
        raise ValueError(message)
    return name


def _parse_networks(value: object) -> tuple[Network | str, ...]:
    """Return networks in their shortest form; the word ``unix`` stands for itself."""
    return tuple(_parse_network(entry) for entry in parse_list(value))


def _parse_network(entry: str) -> Network | str:
    """Return one network, an IPv4 one where IPv6 only wraps it."""
    if entry.lower() == UNIX:
        return UNIX
    network: Network = ipaddress.ip_network(entry)
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        mapped = network.network_address.ipv4_mapped
        network = ipaddress.IPv4Network((int(mapped or 0), network.prefixlen - 96))
    if network.prefixlen == 0:
        message = f"{entry} would believe anybody's headers"
        raise ValueError(message)
    return network


def _parse_paths(value: object) -> tuple[Path, ...]:
    """Return the paths of files."""
    return tuple(Path(entry) for entry in parse_list(value))


def _parse_jitter(value: object) -> float:
    """Return a share; switches are understood too."""
    text = str(value).strip().lower()
    return _JITTER_SWITCH[text] if text in _JITTER_SWITCH else float(text)


def _parse_rates(value: object) -> tuple[float, ...]:
    """Return the requests a minute of the three steps, each stricter than the one before."""
    rates = tuple(float(entry) for entry in parse_list(value))
    if len(rates) != len(_STEPS) or not _FASTEST >= rates[0] > rates[1] > rates[2] >= 1:
        message = "not three falling rates, the last at least 1"
        raise ValueError(message)
    return rates


def _parse_contact(value: object) -> str:
    """Return text that can stand in a sentence."""
    text = str(value).strip()
    if not text.isprintable() or not 0 < len(text) <= _LONGEST_CONTACT:
        message = "not one line of text"
        raise ValueError(message)
    return text


def _parse_namespace(value: object) -> str:
    """Return a name that can stand in keys."""
    name = str(value).strip()
    if not _NAMESPACE.fullmatch(name):
        message = "not a name of letters, digits, dots, dashes and underscores, 64 at most"
        raise ValueError(message)
    return name


def _parse_url(value: object) -> object:
    """Return a URL, which may hold a password, as it was given; an empty one is none."""
    return None if value == "" else value


def _parse_claim(value: object) -> str | None:
    """Return the name of a claim."""
    if value is None:
        return None
    name = str(value).strip()
    if not name.isprintable() or not 0 < len(name) <= _LONGEST_CLAIM:
        message = "not the name of a claim"
        raise ValueError(message)
    return name


def _parse_directory(value: object) -> Path | None:
    """Return the directory that a ``file:`` URL names."""
    if value is None or isinstance(value, Path):
        return value
    url = urlsplit(str(value).strip())
    path = Path(unquote(url.path))
    if url.scheme != "file" or url.netloc not in {"", "localhost"} or not path.is_absolute():
        message = "not the URL of a directory on this machine"
        raise ValueError(message)
    return path


def _join(entries: tuple[object, ...]) -> str:
    """Write a list as it is read."""
    return ",".join(f"{entry:g}" if isinstance(entry, float) else str(entry) for entry in entries)


def _number(value: float) -> str:
    """Write a number without needless digits."""
    return f"{value:g}"


DURATION: Final = Kind("duration", "write it like 7d, 1h30m, 15m or 90s", format_duration)
SIZE: Final = Kind("size", "write it like 512MiB, 32MB or 65536", format_size)
NUMBER: Final = Kind("number", "write a number like 0.25", _number)

Duration = Annotated[float, BeforeValidator(parse_duration), DURATION]
PositiveDuration = Annotated[Duration, Field(gt=0)]
Size = Annotated[int, BeforeValidator(parse_size), Field(gt=0), SIZE]
Number = Annotated[float, Field(allow_inf_nan=False), NUMBER]
Share = Annotated[float, Field(gt=0, le=1), NUMBER]
Count = Annotated[int, Field(gt=0), Kind("number", "write a whole number like 10")]
Jitter = Annotated[
    float,
    BeforeValidator(_parse_jitter),
    Field(ge=0, le=0.5),
    Kind("share", "write on, off, or a number from 0 to 0.5", _number),
]
KeySources = Annotated[
    tuple[str, ...],
    BeforeValidator(_parse_key_sources),
    Kind("comma list", "write it like authorization,x-api-key,?key or litellm", _join),
]
Importable = Annotated[
    str | None,
    BeforeValidator(_parse_importable),
    Kind("module:name", "write it like package.module:app"),
]
Networks = Annotated[
    tuple[Network | str, ...],
    BeforeValidator(_parse_networks),
    Kind("comma list", "write it like 10.0.0.0/8,fd00::/8,unix", _join),
]
Paths = Annotated[
    tuple[Path, ...],
    BeforeValidator(_parse_paths),
    Kind("comma list", "write it like /etc/guard/one.corpus,/etc/guard/other.corpus", _join),
]
Rates = Annotated[
    tuple[float, float, float],
    BeforeValidator(_parse_rates),
    Kind("comma list", "write it like 10,3,1", _join),
]
HeaderName = Annotated[
    str | None,
    BeforeValidator(_parse_header_name),
    Kind("header", "write it like x-organisation"),
]
ClaimName = Annotated[
    str | None,
    BeforeValidator(_parse_claim),
    Kind("claim", "write it like sub"),
]
Directory = Annotated[
    Path | None,
    BeforeValidator(_parse_directory),
    Kind("URL", "write it like file:///var/lib/gateway-guard/ledger"),
]
Run = Annotated[int, Field(ge=9, le=1000), Kind("number", "write a number of words like 24")]
Namespace = Annotated[str, BeforeValidator(_parse_namespace), Kind("name", "write it like team-a")]
StoreUrl = Annotated[
    SecretStr | None,
    BeforeValidator(_parse_url),
    Kind("URL", "write memory://, sqlite:///path or valkey://user:password@host:6379/0"),
]
Contact = Annotated[
    str,
    BeforeValidator(_parse_contact),
    Kind("text", f"write at most {_LONGEST_CONTACT} characters on one line"),
]
