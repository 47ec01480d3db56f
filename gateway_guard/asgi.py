"""The guard in front of whatever application the environment names.

``GATEWAY_GUARD_APP=module:app uvicorn gateway_guard.asgi:app``, or ``GATEWAY_GUARD_APP_FACTORY``
with a function that makes the application. Nothing is read before ``app`` is asked for.
"""

from __future__ import annotations

import inspect
from functools import cache, reduce
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from gateway_guard.exceptions import ConfigurationError
from gateway_guard.middleware import GuardMiddleware
from gateway_guard.settings import load_settings, variable

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp

    from gateway_guard.settings import Settings


class Name(NamedTuple):
    """What a setting says, ``module:name``."""

    setting: str
    text: str

    def unusable(self, hint: str, reason: str) -> ConfigurationError:
        """Return the error that says why it cannot be used."""
        name = variable(self.setting)
        return ConfigurationError(f"{name}={self.text!r} {reason}", hint=hint, variable=name)


def __getattr__(name: str) -> GuardMiddleware:
    """Return ``app``; it is made when it is first asked for.

    Raises:
        AttributeError: something else is asked for.
        ConfigurationError: no application is named, or what is named cannot be served.

    """
    if name != "app":
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return guarded_app()


@cache
def guarded_app() -> GuardMiddleware:
    """Return the one guard of this process, in front of the named application."""
    settings = load_settings()
    return GuardMiddleware(_named_app(settings), settings=settings)


def _named_app(settings: Settings) -> ASGIApp:
    """Return the application that the settings name."""
    if settings.app is not None:
        name = Name("app", settings.app)
        return _application(name, _found(name))
    if settings.app_factory is None:
        message = f"neither {variable('app')} nor {variable('app_factory')} is set"
        hint = f"name the application to guard: {variable('app')}=package.module:app"
        raise ConfigurationError(message, hint=hint)
    name = Name("app_factory", settings.app_factory)
    factory = _found(name)
    if not callable(factory):
        hint = f"an application itself is named in {variable('app')}"
        raise name.unusable(hint, "is no function")
    return _application(name, factory())


def _found(name: Name) -> object:
    """Return what a name stands for."""
    module_name, _, path = name.text.partition(":")
    if module_name == __name__:
        hint = "name the application that the guard shall stand in front of"
        raise name.unusable(hint, "is the guard itself")
    try:
        module = import_module(module_name)
    except ImportError as error:
        hint = "start where the module can be imported from, or set PYTHONPATH"
        raise name.unusable(hint, f"cannot be imported: {error}") from error
    try:
        found: object = reduce(getattr, path.split("."), module)
    except AttributeError as error:
        hint = f"write behind the colon what it is called in {module_name}"
        raise name.unusable(hint, f"does not exist: {error}") from error
    return found


def _application(name: Name, made: object) -> ASGIApp:
    """Return what was found or made, if it takes what an ASGI server passes."""
    if not (callable(made) and _takes_a_scope(made)):
        hint = f"a function that makes an application is named in {variable('app_factory')}"
        raise name.unusable(hint, "gives no ASGI application")
    return made


def _takes_a_scope(made: Callable[..., object]) -> bool:
    """Tell whether it can be called with a scope, ``receive`` and ``send``."""
    try:
        inspect.signature(made).bind(None, None, None)
    except TypeError:
        return False
    except ValueError:  # compiled code need not have a signature
        return True
    return True
