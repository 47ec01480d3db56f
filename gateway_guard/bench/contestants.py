"""Who is measured: the same application, alone and behind each middleware."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pydantic import SecretStr
from starlette.middleware import Middleware

from gateway_guard.bench.apps import NoOp, Replay, chat_app
from gateway_guard.bench.errors import MeasurementError
from gateway_guard.bench.limits_app import Limit
from gateway_guard.bench.slowapi_app import limited_app
from gateway_guard.bench.traffic import ORGANISATION_HEADER
from gateway_guard.middleware import GuardMiddleware
from gateway_guard.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.types import ASGIApp

BARE: Final = "bare"
GUARD: Final = "guard"
_OUT_OF_REACH: Final = 1000.0


class Contestant(NamedTuple):
    """An application, and the guard before it if there is one."""

    app: ASGIApp
    guard: GuardMiddleware | None = None

    def flush(self) -> None:
        """Count what the guard has settled and put off."""
        if self.guard is not None:
            self.guard.engine.flush(self.guard.guard.timeline.now())

    def failures(self) -> list[str]:
        """Return the errors that the guard has met, and would hide from its callers."""
        counters = self.guard.instruments.counters if self.guard is not None else {}
        return [label for name, label in counters if name == "errors"]


def check(failures: Sequence[str]) -> None:
    """Make sure that a guard has worked.

    Raises:
        MeasurementError: if there are failures.

    """
    if failures:
        message = f"the guard that is measured failed with {', '.join(failures)}"
        raise MeasurementError(message)


def guard_settings(**overrides: object) -> Settings:
    """Return the defaults, whatever the environment says, with a proxy that names organisations."""
    values: dict[str, Any] = {
        "trusted_proxies": (ip_network("127.0.0.0/8"),),
        "organisation_header": ORGANISATION_HEADER,
        "secret": SecretStr("bench"),
    }
    return Settings.model_construct(**{**values, **overrides})


def lenient_settings(**overrides: object) -> Settings:
    """Return settings under which everybody passes, though all are scored.

    One program that asks for minutes is not what the guard was made to judge, and a refusal costs
    less than what is measured.
    """
    thresholds = ("watch_logit", "throttle_logit", "block_logit")
    return guard_settings(**dict.fromkeys(thresholds, _OUT_OF_REACH), **overrides)


def guarded(app: ASGIApp, **settings: object) -> Contestant:
    """Mount the guard before an application."""
    guard = GuardMiddleware(app, settings=lenient_settings(**settings))
    return Contestant(guard, guard)


def _mounted(*middleware: Middleware) -> Contestant:
    return Contestant(chat_app(middleware))


CONTESTANTS: Final[dict[str, Callable[[], Contestant]]] = {
    BARE: _mounted,
    "replay": lambda: _mounted(Middleware(Replay)),
    "limits": lambda: _mounted(Middleware(Limit)),
    "slowapi": lambda: Contestant(limited_app()),
    "basehttp": lambda: _mounted(Middleware(NoOp)),
    GUARD: lambda: guarded(chat_app()),
}
