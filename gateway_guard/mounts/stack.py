"""What the mounts share: the guard as the outermost layer of an application, once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway_guard.middleware import GuardMiddleware

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from gateway_guard.settings import Settings


def add_outermost(app: Starlette, settings: Settings | None = None) -> bool:
    """Add the guard to an application that may be running; tell whether it was not there yet.

    A running application has built its layers and admits no further one, so they are forgotten, to
    be built anew with the next request.
    """
    layers: list[Any] = app.user_middleware
    if any(layer.cls is GuardMiddleware for layer in layers):
        return False
    app.middleware_stack = None
    app.add_middleware(GuardMiddleware, settings=settings)
    return True
