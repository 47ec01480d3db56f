"""The policy file on disk: read at the start, and again whenever it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from gateway_guard.exceptions import ConfigurationError
from gateway_guard.instrumentation import utc
from gateway_guard.policy.document import parse_policy
from gateway_guard.policy.rules import Entitlement, Policy
from gateway_guard.settings import format_size

if TYPE_CHECKING:
    from pathlib import Path

    from structlog.typing import FilteringBoundLogger

    from gateway_guard.settings import Settings

_LARGEST_BYTES: Final = 2**20
# A timer that runs as often as the looks are due must not miss every second one by a hair.
_PUNCTUAL: Final = 0.9
_log: FilteringBoundLogger = structlog.get_logger("gateway_guard")


class PolicyFile:
    """The operator's policy as it stands.

    ``current`` is the last good one. ``stale`` tells that the file has become unusable since,
    ``rejected`` counts how often that happened.

    Raises:
        ConfigurationError: the file cannot be used at the start.

    """

    def __init__(self, settings: Settings, now: float) -> None:
        """Read the file that the settings name; without one nothing is special."""
        self._path = settings.policy
        self._check_seconds = settings.policy_check_seconds
        self._checked_at = now
        self._seen: tuple[int, ...] = ()
        self._told: set[Entitlement] = set()
        self.stale = False
        self.rejected = 0
        self.current = Policy()
        if self._path is not None:
            self._seen = _signature(self._path)
            self.current = read_policy(self._path)
        self._tell_expired(now)

    def adopt(self, former: bytes, key: bytes) -> None:
        """Let what was laid down for a key under the previous secret hold under this one."""
        renamed = self.current.renamed(former, key)
        if renamed is not None:
            self.current = renamed
            ids = {"former_id": former.hex(), "key_id": key.hex()}
            _log.warning("gateway_guard.former_id", **ids, hint="write the new one in the policy")

    def refresh(self, now: float) -> bool:
        """Look whether the file has changed, and tell whether there is a new policy.

        This reads a disk: it belongs into background work, at any pace, with the wall clock.
        """
        if abs(now - self._checked_at) < self._check_seconds * _PUNCTUAL:
            return False
        self._checked_at = now
        changed = self._path is not None and self._reload(self._path)
        self._tell_expired(now)
        return changed

    def _reload(self, path: Path) -> bool:
        """Read the file if it is another one than last time."""
        signature = _signature(path)
        if signature == self._seen:
            return False
        self._seen = signature
        try:
            self.current = read_policy(path)
        except ConfigurationError as error:
            self.stale = True
            self.rejected += 1
            _log.error("gateway_guard.policy_rejected", reason=str(error), **error.data)
            return False
        self.stale = False
        _log.info("gateway_guard.policy_loaded", entitlements=len(self.current.entitlements))
        return True

    def _tell_expired(self, now: float) -> None:
        """Log each entitlement once that no longer counts."""
        expired = self.current.expired(now)
        for entry in expired:
            if entry not in self._told:
                _log.warning(
                    "gateway_guard.entitlement_expired",
                    key_id=entry.key.hex() if entry.key else None,
                    end_user=entry.end_user,
                    organisation=entry.organisation,
                    purpose=entry.purpose,
                    expired=utc(entry.expires_at),
                )
        self._told = set(expired)


def read_policy(path: Path) -> Policy:
    """Return the policy in a file.

    Raises:
        ConfigurationError: it cannot be read, or it is no policy; with the reason and the line.

    """
    try:
        return parse_policy(_read_text(path))
    except ConfigurationError as error:
        message = f"the policy {path} cannot be used: {error.args[0]}"
        raise ConfigurationError(message, hint=error.hint, path=str(path), **error.data) from None


def _read_text(path: Path) -> str:
    """Return a file's text, with the line where it stops being one in the error."""
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_BYTES + 1)
    except OSError as error:
        hint = "name a file that this process may read"
        raise ConfigurationError(str(error.strerror), hint=hint) from None
    if len(content) > _LARGEST_BYTES:
        raise ConfigurationError("it is larger than " + format_size(_LARGEST_BYTES))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        message = f"not UTF-8 text (line {line})"
        raise ConfigurationError(message, hint="save it as UTF-8", line=line) from None


def _signature(path: Path) -> tuple[int, ...]:
    """Return numbers that change when a file does; none where there is no file."""
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_mtime_ns, status.st_size, status.st_ino
