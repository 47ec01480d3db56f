"""Ray Serve: the guard in every HTTP proxy of the cluster.

``RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH=gateway_guard.mounts.ray:middlewares`` is called where a
proxy starts, and in replicas that take requests themselves. The last layer is the outermost.
"""

from __future__ import annotations

from starlette.middleware import Middleware

from gateway_guard.middleware import GuardMiddleware
from gateway_guard.settings import load_settings


def middlewares() -> list[Middleware]:
    """Return the layers that a proxy adds.

    Raises:
        ConfigurationError: a variable cannot be used; the proxy does not start.

    """
    return [Middleware(GuardMiddleware, settings=load_settings())]
