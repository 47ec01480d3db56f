"""LiteLLM's proxy, its image, command and config untouched.

``LITELLM_WORKER_STARTUP_HOOKS=gateway_guard.mounts.litellm:install`` is run by each worker inside
the lifespan. An own module can import ``litellm.proxy.proxy_server:app`` and add or wrap instead,
with ``settings=guard_settings()``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from gateway_guard.mounts.stack import add_outermost
from gateway_guard.settings import load_settings

if TYPE_CHECKING:
    from gateway_guard.settings import Settings

KEY_SOURCES: Final = (
    "x-litellm-api-key",
    "authorization",
    "api-key",
    "x-api-key",
    "x-goog-api-key",
    "ocp-apim-subscription-key",
    "litellm_user_api_key",
    "?key",
)
"""Where LiteLLM 1.106 looks for a key, in its order; the last header on pass-through routes only.

A header of one's own (``litellm_key_header_name``) is named first in ``GATEWAY_GUARD_KEY_SOURCES``.
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
    return settings.model_copy(update={"key_sources": KEY_SOURCES})
