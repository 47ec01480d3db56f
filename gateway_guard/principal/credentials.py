"""The credential in a header or a query, in the one form that all its spellings share."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable

_BEARER: Final = b"bearer "
_BASIC: Final = b"basic "
_SIGNED: Final = b"aws4-hmac-sha256"
_PROTOCOL: Final = b"openai-insecure-api-key."
# What Python strips from text: some servers do so with what stands in a header.
_BLANKS: Final = b" \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0"
_AS_SPACES: Final = bytes.maketrans(_BLANKS, b" " * len(_BLANKS))
_CREDENTIAL: Final = re.compile(rb"Credential=(?:Bearer\s+)?([^/\s,]+)")
_SCHEMES: Final = re.compile(rb"(?:bearer|basic) +", re.IGNORECASE)
_BARE_SCHEMES: Final = frozenset({b"bearer", b"basic"})


def credential(value: bytes) -> bytes:
    """Return the key in a header's value, empty where there is none.

    Gateways differ in where they take ``Bearer`` and ``Basic`` off: in any header, in any case,
    once or everywhere. If one key had several ids, its owner could leave a verdict behind by
    spelling it anew; so the words are taken off wherever they stand.
    """
    value = value.strip(_BLANKS)
    if value[:7].lower() == _BEARER and value.count(b" ") == 1:
        return value[7:].strip(_BLANKS)
    value = value.translate(_AS_SPACES)
    if b" " in value:
        value = _without_scheme(value)
    return b"" if value.lower() in _BARE_SCHEMES else value


def protocol_credential(value: bytes) -> bytes:
    """Return the key among the subprotocols that a browser offers for a websocket."""
    offered = (protocol.strip(_BLANKS) for protocol in value.split(b","))
    return next((it[len(_PROTOCOL) :] for it in offered if it.startswith(_PROTOCOL)), b"")


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


def _without_scheme(value: bytes) -> bytes:
    """Return what stands behind a scheme, or in a signature (AWS Signature Version 4)."""
    lower = value.lower()
    if lower.startswith(_SIGNED):
        found = sorted(_CREDENTIAL.finditer(value), key=_is_plain)
        return found[0][1] if found else value
    if lower.startswith(_BASIC):
        return _canonical(value[len(_BASIC) :])
    return b" ".join(_SCHEMES.sub(b"", value).split())


def _is_plain(found: re.Match[bytes]) -> bool:
    """Put a key that is named as a bearer's before all others, as LiteLLM does."""
    return b" " not in found[0]


def _canonical(value: bytes) -> bytes:
    """Return a user and his password in the one way to write them, anything else as it is."""
    try:
        decoded = b64decode(value)
    except binascii.Error:
        decoded = b""
    if b":" in decoded and decoded.isascii() and decoded.decode().isprintable():
        return b64encode(decoded)
    return b" ".join(_SCHEMES.sub(b"", value).split())


def _spellings(byte: int) -> bytes:
    """Return a pattern for a byte as it is and percent-encoded in either case."""
    plain = re.escape(bytes((byte,)))
    encoded = re.sub(
        rb"[A-F]", lambda digit: b"[" + digit[0] + digit[0].lower() + b"]", b"%02X" % byte
    )
    return b"(?:" + plain + b"|%" + encoded + b")"
