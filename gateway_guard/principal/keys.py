"""What `gateway-guard key-id` does: from a raw key to the id that operators see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway_guard.exceptions import ConfigurationError
from gateway_guard.principal.claims import Claims
from gateway_guard.principal.credentials import credential
from gateway_guard.principal.ids import SubjectIds, SubjectKind
from gateway_guard.settings import deployment_secret, secret_survives

if TYPE_CHECKING:
    from gateway_guard.settings import Settings


def key_id_of(line: bytes, settings: Settings) -> str:
    """Return the id of a raw key, or of whom a token names, read with the line break at its end.

    Raises:
        ConfigurationError: there is no key, or no secret under which the guard would give the
            same id.

    """
    if not secret_survives(settings):
        message = "without a lasting secret a key has another id in every process"
        hint = "set GATEWAY_GUARD_SECRET or GATEWAY_GUARD_STATE_DIR to what the guard has"
        raise ConfigurationError(message, hint=hint)
    key = credential(line.rstrip(b"\r\n"))
    if not key:
        message = "there is no key on the standard input"
        raise ConfigurationError(message, hint="pipe it in: it must not stand on a command line")
    ids, claim = SubjectIds(deployment_secret(settings)), settings.key_claim
    claimed = Claims(claim, ids, 0).claimed(key) if claim else None
    return (claimed or ids.make(SubjectKind.KEY, key)).hex()
