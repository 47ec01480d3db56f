"""Ray Serve's proxy, as far as it deals with the guard: its callback, its layers, its server."""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from starlette.middleware import Middleware

from gateway_guard import Action, GuardMiddleware
from gateway_guard.exceptions import ConfigurationError
from tests.callers import CHAT, KEY, asking, counted, sentence
from tests.servers import serving
from tests.spawning import ROOT
from tests.upstreams import ANSWER, Model

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {"authorization": f"Bearer {KEY.decode()}"}


class RequestId:
    """Ray's own layer, which is always the innermost: it numbers answers."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add a header to the answer."""

        async def numbered(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-request-id", b"1")]
            await send(message)

        await self.app(scope, receive, numbered)


def called(path: str) -> list[Any]:
    """Call a callback by its path, and take only layers of Starlette, in a list."""
    module, _, name = path.rpartition(":" if ":" in path else ".")
    made = getattr(import_module(module), name)()
    assert isinstance(made, list)
    assert all(isinstance(layer, Middleware) for layer in made)
    return made


def layered(app: ASGIApp, layers: list[Any]) -> Any:  # noqa: ANN401
    """Put layers around an application as Ray does, one after the other."""
    for layer in [Middleware(RequestId), *layers]:
        app = layer.cls(app, *layer.args, **layer.kwargs)
    return app


def served(app: ASGIApp) -> ASGIApp:
    """Return the application as Ray serves it: nobody tells it of the lifespan."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "root_path": "/llm"}, receive, send)

    return serve


def callback() -> str:
    """Return the callback that the example tells operators to name."""
    text = (ROOT / "examples" / "ray_app.py").read_text("utf-8")
    found = re.search(r"RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH=(\S+)", text)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("path", [callback(), callback().replace(":", ".")])
async def test_a_proxy_of_ray_serve_is_guarded(path: str) -> None:
    """The callback's layer is the outermost, and knows routes behind an application's prefix."""
    guard = layered(Model().in_starlette(), called(path))
    async with (
        serving(served(guard)) as address,
        httpx.AsyncClient(base_url=f"{address}/llm", headers=HEADERS) as client,
    ):
        reply = await client.post(CHAT, content=asking("Hello?"))
        assert reply.json()["choices"][0]["message"]["content"] == ANSWER
        assert reply.headers["x-request-id"] == "1"
        assert counted(guard, "exchanges") == {"committed": 1}
        assert counted(guard, "requests") == {"openai_chat": 1}
        sentence(guard, Action.BLOCK)
        refused = await client.post(CHAT, content=asking("Hello?"))
    assert refused.status_code == 403
    assert refused.json()["error"]["code"] == "abnormal_usage_detected"


def test_a_proxy_with_a_wrong_setting_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray tells what a callback raises, and ends the proxy."""
    monkeypatch.setenv("GATEWAY_GUARD_MODE", "off")
    with pytest.raises(ConfigurationError, match="GATEWAY_GUARD_MODE"):
        called(callback())


def test_every_proxy_has_a_guard_of_its_own() -> None:
    """Two servers in one process do not share one."""
    first, second = (layered(Model().in_starlette(), called(callback())) for _ in range(2))
    assert isinstance(first, GuardMiddleware)
    assert first.guard is not second.guard
