"""What a deployment keeps for itself: its secret, and the instant of its first start."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from functools import cache
from hashlib import blake2b
from secrets import token_bytes, token_hex
from typing import TYPE_CHECKING, Final

import structlog

from gateway_guard.exceptions import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from structlog.typing import FilteringBoundLogger

    from gateway_guard.settings.variables import Settings

_SECRET_BYTES: Final = 32
_INSTANT: Final = re.compile(r"\d+(\.\d+)?\s*", re.ASCII)
_PERSON: Final = b"gateway-guard"
_log: FilteringBoundLogger = structlog.get_logger("gateway_guard")


def deployment_secret(settings: Settings) -> bytes:
    """Return the 32 bytes that key every hash of this deployment.

    They are derived from ``SECRET``; without one they are made once and kept in the state
    directory, or for this process's life.

    Raises:
        ConfigurationError: the state directory cannot be used, or what it holds is damaged.

    """
    if settings.secret is not None:
        material = settings.secret.get_secret_value().encode("utf-8", "surrogatepass")
    elif settings.state_dir is not None:
        material = _keep(settings.state_dir / "secret", token_hex(_SECRET_BYTES)).encode()
    else:
        return _secret_of_this_process()
    return _derived(material)


def previous_secret(settings: Settings) -> bytes | None:
    """Return the 32 bytes that keyed every hash before ``SECRET`` was changed, if it was."""
    if settings.secret_previous is None:
        return None
    return _derived(settings.secret_previous.get_secret_value().encode("utf-8", "surrogatepass"))


def secret_survives(settings: Settings) -> bool:
    """Tell whether ids made today mean the same after a restart and in other workers."""
    return settings.secret is not None or settings.state_dir is not None


def first_started_at(settings: Settings, now: float) -> float:
    """Return when this deployment first ran: kept in the state directory, without one ``now``.

    An instant in the future, left by a clock that was wrong, counts as ``now``.

    Raises:
        ConfigurationError: the state directory cannot be used, or what it holds is damaged.

    """
    if settings.state_dir is None:
        return now
    path = settings.state_dir / "first_started_at"
    text = _keep(path, f"{now:.6f}")
    if not _INSTANT.fullmatch(text):
        raise _damaged(path)
    return min(float(text), now)


def _derived(material: bytes) -> bytes:
    return blake2b(material, digest_size=_SECRET_BYTES, person=_PERSON).digest()


@cache
def _secret_of_this_process() -> bytes:
    """Return a secret that nobody else has, the same at every call."""
    _log.warning("gateway_guard.secret_not_kept", hint="set GATEWAY_GUARD_SECRET or _STATE_DIR")
    return token_bytes(_SECRET_BYTES)


def _keep(path: Path, proposal: str) -> str:
    """Return the text kept under a path; the first of all processes that ask has its kept."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _create(path, proposal)
        text = path.read_text(encoding="ascii")
    except OSError as error:
        message = f"{path} cannot be kept: {error.strerror}"
        hint = "make GATEWAY_GUARD_STATE_DIR a directory that this process may write"
        raise ConfigurationError(message, hint=hint, path=str(path)) from None
    except UnicodeDecodeError:
        raise _damaged(path) from None
    if not text:
        raise _damaged(path)
    return text


def _create(path: Path, text: str) -> None:
    """Create a file with all of its text at once, unless another process was faster.

    A link appears complete or not at all, and never replaces what is there; so no reader sees a
    file that is still empty, and no two workers keep different texts.
    """
    draft = path.with_name(f".{path.name}.{token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(handle)
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()


def _damaged(path: Path) -> ConfigurationError:
    """Return the error for a kept file that holds something else."""
    hint = "put it back from a copy; once removed it is made anew, and what is known is lost"
    return ConfigurationError(f"{path} is damaged", hint=hint, path=str(path))
