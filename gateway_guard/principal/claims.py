"""What a token says of its bearer, believed once an upstream has accepted that very token.

Nothing is verified here, so anybody can write anybody's name into a token. Until an upstream has
answered it with success a token is a key of its own, and what it says of others is nothing.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode
from typing import TYPE_CHECKING, Any, Final

import msgspec
from cachetools import LRUCache

from gateway_guard.principal.ids import SubjectKind

if TYPE_CHECKING:
    from gateway_guard.principal.ids import SubjectIds

_BYTES_OF_MEMORY_A_TOKEN: Final = 2**15
_FEWEST_KEPT: Final = 1024
_LONGEST_TOKEN: Final = 2**14
_BEGIN: Final = b"eyJ"  # what `{"` is in base64
_DOTS: Final = 2
_CLAIM: Final = b"claim"
_DECODER: Final = msgspec.json.Decoder(dict[str, Any])


class Claims:
    """Knows which tokens were accepted, and whose keys they are then; the latest are kept."""

    def __init__(self, name: str, ids: SubjectIds, memory: int) -> None:
        """Take the name of the claim, and the bytes that the guard may remember in all."""
        self._name = name
        self._ids = ids
        kept = max(_FEWEST_KEPT, memory // _BYTES_OF_MEMORY_A_TOKEN)
        self._accepted: LRUCache[bytes, bytes] = LRUCache(kept)

    def accepted(self, token_id: bytes) -> bytes | None:
        """Return the key that an accepted token stands for, ``None`` for all others."""
        return self._accepted.get(token_id)

    def accept(self, token_id: bytes, claimed: bytes) -> None:
        """Believe a token from now on."""
        self._accepted[token_id] = claimed

    def forget(self, token_id: bytes) -> None:
        """Believe a token no longer: it has expired, or was withdrawn."""
        self._accepted.pop(token_id, None)

    def claimed(self, token: bytes) -> bytes | None:
        """Return the key that a token claims to stand for, ``None`` where it claims nothing."""
        claims = _payload(token)
        value = claims.get(self._name)
        if not isinstance(value, str | int) or isinstance(value, bool) or value == "":
            return None
        # Two issuers may have the same name for different people.
        parts = (self._name, str(claims.get("iss", "")), str(value))
        named = (part.encode("utf-8", "surrogatepass") for part in parts)
        return self._ids.make(SubjectKind.KEY, _CLAIM, *named)


def _payload(token: bytes) -> dict[str, Any]:
    """Return what a signed token says (RFC 7519), nothing where it is none."""
    if not token.startswith(_BEGIN) or len(token) > _LONGEST_TOKEN or token.count(b".") != _DOTS:
        return {}
    payload = token.split(b".")[1]
    try:
        return _DECODER.decode(urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)))
    except (ValueError, RecursionError, msgspec.MsgspecError):
        return {}
