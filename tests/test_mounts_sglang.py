"""SGLang's way to load plugins and to start its HTTP server, as far as the guard meets them."""

from __future__ import annotations

import os
import re
import sys
import tomllib
from enum import Enum
from functools import wraps
from importlib.metadata import EntryPoint
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

import httpx
import pytest
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse

from gateway_guard import Action, GuardMiddleware
from gateway_guard.exceptions import ConfigurationError
from gateway_guard.mounts import sglang as mount
from tests.callers import CHAT, KEY, asking, counted, is_verified, sentence
from tests.mounting import guard_in
from tests.servers import serving
from tests.spawning import ROOT
from tests.upstreams import ANSWER, Model

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI
    from starlette.types import ASGIApp, Receive, Scope, Send

GROUP = "sglang.srt.plugins"
SERVER = "sglang.srt.entrypoints.http_server"
HEADERS = {"authorization": f"Bearer {KEY.decode()}"}
BODY = asking("Hello?")


class HookType(Enum):
    """When a hook is called."""

    BEFORE = "before"
    AFTER = "after"


class HookRegistry:
    """SGLang's: functions to be called before others, whose names are dotted paths."""

    hooks: ClassVar[dict[str, list[tuple[HookType, Callable[..., Any]]]]] = {}

    @classmethod
    def register(
        cls, target: str, hook: Callable[..., Any], hook_type: HookType = HookType.AFTER
    ) -> None:
        """Keep a hook until hooks are applied."""
        cls.hooks.setdefault(target, []).append((hook_type, hook))

    @classmethod
    def apply_hooks(cls) -> None:
        """Replace each target by a function that calls its hooks first."""
        for target, hooks in cls.hooks.items():
            module, _, name = target.rpartition(".")
            for hook_type, hook in hooks:
                assert hook_type is HookType.BEFORE
                inner = getattr(sys.modules[module], name)
                setattr(sys.modules[module], name, called_before(inner, hook))


def called_before(inner: Callable[..., Any], hook: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that calls a hook, which may change the arguments, and then another."""

    @wraps(inner)
    def wrapper(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        args, kwargs = hook(*args, **kwargs) or (args, kwargs)
        return inner(*args, **kwargs)

    return wrapper


class Authentication:
    """SGLang's own, which is added when the server starts and is the outermost layer then."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let those with the key pass."""
        given = dict(scope.get("headers", ())).get(b"authorization")
        if scope["type"] != "http" or given == b"Bearer " + KEY:
            await self.app(scope, receive, send)
        else:
            await JSONResponse({"error": "Unauthorized"}, 401)(scope, receive, send)


class Server(ModuleType):
    """SGLang's server module: its application, and the function that runs it."""

    def __init__(self) -> None:
        super().__init__(SERVER)
        model = Model()
        self.app: FastAPI = model.in_fastapi()
        self.app.post("/generate")(model.chat)
        self.app.add_middleware(CORSMiddleware, allow_origins=["*"])
        self.ran: list[object] = []
        self._setup_and_run_http_server: Callable[..., None] = self._run

    def _run(self, server_args: object) -> None:
        """Add the layer that is added last; a real server would listen then."""
        self.app.add_middleware(Authentication)
        self.app.middleware_stack = self.app.build_middleware_stack()
        self.ran.append(server_args)

    def launch(self, server_args: object) -> None:
        """Launch the server, as SGLang does once its plugins are loaded."""
        self._setup_and_run_http_server(server_args)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    """Put SGLang's modules in place; none of them is loaded by the guard's own."""
    hooks = ModuleType("sglang.srt.plugins.hook_registry")
    vars(hooks).update(HookRegistry=HookRegistry, HookType=HookType)
    made = Server()
    monkeypatch.setattr(HookRegistry, "hooks", {})
    monkeypatch.setitem(sys.modules, hooks.__name__, hooks)
    monkeypatch.setitem(sys.modules, SERVER, made)
    monkeypatch.setenv("SGLANG_HTTP_SERVER_APP_PATH", "")
    monkeypatch.delenv("SGLANG_HTTP_SERVER_APP_PATH")
    return made


def load_plugins() -> None:
    """Load what the package announces, log what fails, and apply the hooks, as SGLang does."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        announced = tomllib.load(file)["project"]["entry-points"][GROUP]
    script = (ROOT / "examples" / "sglang.sh").read_text("utf-8")
    wanted = re.findall(r"SGLANG_PLUGINS=(\S+)", script)
    for name in wanted:
        EntryPoint(name, announced[name], GROUP).load()()
    HookRegistry.apply_hooks()


async def test_an_installed_guard_stands_in_the_server(server: Server) -> None:
    """It is between authentication, which is added later, and the rest; answers are as before."""
    load_plugins()
    server.launch("arguments")
    assert server.ran == ["arguments"]
    guard = guard_in(server.app)
    async with serving(server.app) as address, httpx.AsyncClient() as client:
        reply = await client.post(address + CHAT, content=BODY, headers=HEADERS)
        assert reply.json()["choices"][0]["message"]["content"] == ANSWER
        stranger = {"authorization": "Bearer sk-stranger"}
        assert (await client.post(address + CHAT, content=BODY, headers=stranger)).is_error
        sentence(guard, Action.BLOCK)
        for path in (CHAT, "/generate"):
            refused = await client.post(address + path, content=BODY, headers=HEADERS)
            assert refused.status_code == 403
            assert refused.headers["x-should-retry"] == "false"
    assert counted(guard, "exchanges") == {"committed": 1}
    assert counted(guard, "refusals") == {"block": 2}
    assert not is_verified(guard, b"sk-stranger")


async def test_each_tokenizer_worker_has_a_guard(server: Server) -> None:
    """Workers import an application from a path; the one that the guard sets has it inside."""
    load_plugins()
    server.launch("arguments")
    path = os.environ["SGLANG_HTTP_SERVER_APP_PATH"]
    assert path == "gateway_guard.mounts.sglang:app"
    in_worker = sys.modules[SERVER] = Server()
    app = getattr(mount, path.partition(":")[2])
    assert app is in_worker.app
    async with serving(app) as address, httpx.AsyncClient() as client:
        reply = await client.post(address + CHAT, content=BODY, headers=HEADERS)
    assert reply.is_success
    assert counted(guard_in(app), "exchanges") == {"committed": 1}
    assert mount.app is app
    assert not hasattr(mount, "application")


def test_an_operator_names_another_application_for_workers(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands in the environment is left alone, and the server is guarded once."""
    monkeypatch.setenv("SGLANG_HTTP_SERVER_APP_PATH", "own.module:app")
    load_plugins()
    server.launch("arguments")
    mount.mount()
    layers: list[Any] = server.app.user_middleware
    assert [layer.cls for layer in layers] == [Authentication, GuardMiddleware, CORSMiddleware]
    assert os.environ["SGLANG_HTTP_SERVER_APP_PATH"] == "own.module:app"


def test_a_server_with_a_wrong_setting_does_not_start(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plugin itself raises nothing, which would only be logged; the server's start does."""
    monkeypatch.setenv("GATEWAY_GUARD_POLICY", "/no/such/policy.toml")
    load_plugins()
    with pytest.raises(ConfigurationError, match="cannot be used"):
        server.launch("arguments")
    assert server.ran == []
