"""SGLang: the guard in its HTTP server, by being installed beside it.

SGLang calls what is named under the entry points ``sglang.srt.plugins`` in each of its processes;
``SGLANG_PLUGINS`` restricts which. With several tokenizer workers each imports an application of
its own, from the path in ``SGLANG_HTTP_SERVER_APP_PATH``. Its server in Rust shows no request to
Python: ``gateway-guard serve`` stands in front of that one.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Final

from gateway_guard.middleware import GuardMiddleware
from gateway_guard.mounts.stack import add_outermost
from gateway_guard.settings import load_settings

if TYPE_CHECKING:
    from starlette.applications import Starlette

_SERVER: Final = "sglang.srt.entrypoints.http_server"
_HOOKS: Final = "sglang.srt.plugins.hook_registry"
_WORKER_APP: Final = "SGLANG_HTTP_SERVER_APP_PATH"


def register() -> None:
    """Ask to be called before the HTTP server starts.

    SGLang logs what a plugin raises and starts without it, but not what a hook raises.
    """
    hooks = import_module(_HOOKS)
    target = f"{_SERVER}._setup_and_run_http_server"
    hooks.HookRegistry.register(target, mount, hooks.HookType.BEFORE)


def mount(*_: object, **__: object) -> None:
    """Put the guard into this process's application, and into those of its workers.

    Raises:
        ConfigurationError: a variable or the policy file cannot be used; the server does not start.

    """
    _guarded_app()
    os.environ.setdefault(_WORKER_APP, f"{__name__}:app")


def __getattr__(name: str) -> Starlette:
    """Return ``app``: SGLang's application with the guard in it.

    Raises:
        AttributeError: something else is asked for.
        ConfigurationError: a variable or the policy file cannot be used.

    """
    if name != "app":
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return _guarded_app()


def _guarded_app() -> Starlette:
    """Return the application of this process, guarded."""
    app: Starlette = import_module(_SERVER).app
    settings = load_settings()
    if add_outermost(app, settings):
        # The layers are built when the server runs, where what is wrong would be overheard.
        GuardMiddleware(app, settings=settings)
    return app
