"""LiteLLM's proxy, its image, command and config untouched.

``LITELLM_WORKER_STARTUP_HOOKS=gateway_guard.mounts.litellm:install`` is run by each worker inside
the lifespan. An own module can import ``litellm.proxy.proxy_server:app`` and add or wrap instead,
with ``settings=guard_settings()``.
"""

from __future__ import annotations

import json
import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gateway_guard.mounts.stack import add_outermost
from gateway_guard.settings import KEY_SOURCE_PRESETS, load_settings

if TYPE_CHECKING:
    from gateway_guard.settings import Settings

KEY_SOURCES: Final = KEY_SOURCE_PRESETS["litellm"]
"""Where LiteLLM 1.106 looks for a key; in `litellm_user_api_key` on pass-through routes only.

A header of the operator's own (``litellm_key_header_name``) comes before all of them.
"""


def install() -> None:
    """Put the guard around the proxy of this worker; a second call does nothing.

    Raises:
        ConfigurationError: a variable or the policy file cannot be used; the worker does not start.

    """
    app = import_module("litellm.proxy.proxy_server").app
    if add_outermost(app, guard_settings()):
        # Built now, so that what is wrong with the configuration is told now.
        app.middleware_stack = app.build_middleware_stack()


def guard_settings() -> Settings:
    """Return the settings, with LiteLLM's own places for keys where nobody has named others.

    Raises:
        ConfigurationError: a variable cannot be used.

    """
    settings = load_settings()
    if "key_sources" in settings.model_fields_set:
        return settings
    sources = tuple(dict.fromkeys((*_own_headers(), *KEY_SOURCES)))
    return settings.model_copy(update={"key_sources": sources})


def _own_headers() -> tuple[str, ...]:
    """Return the header that LiteLLM's configuration file names for keys, if it names one.

    LiteLLM reads the file only after its hooks have run.
    """
    path = _config_path()
    if not path.is_file():
        return ()
    match import_module("yaml").safe_load(path.read_text(encoding="utf-8")):
        case {"general_settings": {"litellm_key_header_name": str(name)}}:
            return (name.lower(),)
    return ()


def _config_path() -> Path:
    """Return where LiteLLM's configuration file is, in the places where LiteLLM looks for it.

    Its command passes its own options on to workers, as JSON.
    """
    path = os.environ.get("CONFIG_FILE_PATH") or os.environ.get("WORKER_CONFIG") or ""
    if path.startswith("{"):
        path = json.loads(path).get("config") or ""
    return Path(path)
