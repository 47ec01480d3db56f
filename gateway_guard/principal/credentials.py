"""The credential in a header or a query, in the one form that all its spellings share."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable

_BEARER: Final = b"bearer "
_SCHEMES: Final = re.compile(rb"(?:bearer|basic) +", re.IGNORECASE)
_BARE_SCHEMES: Final = frozenset({b"bearer", b"basic"})


def credential(value: bytes) -> bytes:
    """Return the key in a header's value, empty where there is none.

    Gateways differ in where they take ``Bearer`` and ``Basic`` off: in any header, in any case,
    once or everywhere. If one key had several ids, its owner could leave a verdict behind by
    spelling it anew; so the words are taken off wherever they stand.
    """
    value = value.strip()
    if value[:7].lower() == _BEARER and value.count(b" ") == 1:
        return value[7:]
    if b" " in value:
        value = b" ".join(_SCHEMES.sub(b"", value).split())
    return b"" if value.lower() in _BARE_SCHEMES else value


def query_pattern(names: Iterable[str]) -> re.Pattern[bytes] | None:
    """Return a pattern that finds the values of query parameters, or ``None`` without names.

    It sees through percent-encoded names, as the servers behind do.
    """
    spelled = [b"".join(map(_spellings, name.encode())) for name in names]
    return re.compile(rb"(?:^|&)(?:" + b"|".join(spelled) + rb")=([^&]+)") if spelled else None


def query_values(pattern: re.Pattern[bytes], query: bytes) -> list[bytes]:
    """Return the first and the last value found in a query string; servers take either."""
    found = pattern.findall(query)
    return [unquote_to_bytes(value.replace(b"+", b" ")) for value in found[:1] + found[1:][-1:]]


def _spellings(byte: int) -> bytes:
    """Return a pattern for a byte as it is and percent-encoded in either case."""
    plain = re.escape(bytes((byte,)))
    encoded = re.sub(
        rb"[A-F]", lambda digit: b"[" + digit[0] + digit[0].lower() + b"]", b"%02X" % byte
    )
    return b"(?:" + plain + b"|%" + encoded + b")"
