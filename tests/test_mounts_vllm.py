"""vLLM's way to build its application: its layers, then what ``--middleware`` names."""

from __future__ import annotations

import inspect
import json
import shlex
from importlib import import_module
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse

from gateway_guard import Action
from tests.callers import CHAT, KEY, MESSAGES, asking, counted, is_verified, sentence
from tests.mounting import guard_in
from tests.servers import serving
from tests.spawning import ROOT
from tests.upstreams import ANSWER, Model

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

HEADERS = {"authorization": f"Bearer {KEY.decode()}"}
ALIASES = ["/invocations", "/inference", "/pooling", "/v1/responses"]


class Authentication:
    """vLLM's own: one key for all under ``/v1``, and OPTIONS without one."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self.app = app
        self.expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let those with the key pass."""
        open_to_all = scope["type"] != "http" or scope["method"] == "OPTIONS"
        path = scope.get("path", "").removeprefix(scope.get("root_path", ""))
        known = dict(scope.get("headers", ())).get(b"authorization") == self.expected
        if open_to_all or known or not path.startswith("/v1"):
            await self.app(scope, receive, send)
        else:
            await JSONResponse({"error": "Unauthorized"}, 401)(scope, receive, send)


async def noting(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Mark answers: another middleware that an operator may name."""
    response = await call_next(request)
    response.headers["x-noted"] = "yes"
    return response


def build_app(model: Model, *middleware: str) -> FastAPI:
    """Build the application as vLLM does."""
    app = model.in_fastapi()
    for path in ALIASES:
        app.post(path)(model.chat)
    app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["*"])
    app.add_middleware(Authentication, token=KEY.decode())
    for named in middleware:
        module_path, object_name = named.rsplit(".", 1)
        imported: Any = getattr(import_module(module_path), object_name)
        is_class, is_function = inspect.isclass(imported), inspect.iscoroutinefunction(imported)
        if is_class:
            app.add_middleware(imported)
        elif is_function:
            app.middleware("http")(imported)
        else:
            message = f"Invalid middleware {named}. Must be a function or a class."
            raise ValueError(message)
    app.middleware_stack = app.build_middleware_stack()
    return app


def option() -> str:
    """Return what the example tells operators to name as middleware."""
    words = shlex.split((ROOT / "examples" / "vllm.sh").read_text("utf-8"), comments=True)
    return words[words.index("--middleware") + 1]


@pytest.fixture
def app() -> FastAPI:
    """Return vLLM's application with the guard in it, as the example has it."""
    return build_app(Model(), option())


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client with vLLM's key."""
    async with (
        serving(app) as address,
        httpx.AsyncClient(base_url=address, headers=HEADERS) as client,
    ):
        yield client


async def test_the_guard_is_made_of_the_application_alone(
    app: FastAPI, client: httpx.AsyncClient
) -> None:
    """Nothing else is passed to it; answers and streams are what they were."""
    reply = await client.post(CHAT, content=asking("Hello?"))
    assert reply.json()["choices"][0]["message"]["content"] == ANSWER
    streamed = await client.post(MESSAGES, content=asking("Hello?", stream=True))
    assert streamed.text.endswith('event: message_stop\ndata: {"type": "message_stop"}\n\n')
    assert counted(guard_in(app), "exchanges") == {"committed": 2}


async def test_it_stands_beside_other_middleware() -> None:
    """A function that is named before it becomes a layer inside it."""
    app = build_app(Model(), f"{__name__}.noting", option())
    async with serving(app) as address, httpx.AsyncClient(headers=HEADERS) as client:
        reply = await client.post(address + CHAT, content=asking("Hello?"))
    assert reply.headers["x-noted"] == "yes"
    assert counted(guard_in(app), "exchanges") == {"committed": 1}


async def test_a_preflight_is_answered_by_vllm(app: FastAPI, client: httpx.AsyncClient) -> None:
    """The guard stands before CORS and authentication, and lets a browser's question pass."""
    sentence(guard_in(app), Action.BLOCK)
    asked = {"origin": "https://example.com", "access-control-request-method": "POST"}
    reply = await client.options(CHAT, headers=asked)
    assert reply.status_code == 200
    assert reply.headers["access-control-allow-origin"] == "*"


async def test_a_wrong_key_is_refused_by_vllm(app: FastAPI, client: httpx.AsyncClient) -> None:
    """It is not verified, and nothing is learnt from it."""
    wrong = {"authorization": "Bearer sk-wrong"}
    reply = await client.post(CHAT, content=asking("Hello?"), headers=wrong)
    assert (reply.status_code, reply.json()) == (401, {"error": "Unauthorized"})
    assert not is_verified(guard_in(app), b"sk-wrong")
    assert counted(guard_in(app), "exchanges") == {"unauthorised": 1}


@pytest.mark.parametrize("path", [CHAT, MESSAGES, *ALIASES])
async def test_a_block_holds_on_every_alias(
    app: FastAPI, client: httpx.AsyncClient, path: str
) -> None:
    """A model can be asked at more paths than the SDKs know; each is read, and refused."""
    assert (await client.post(path, content=asking("Hello?"))).is_success
    assert counted(guard_in(app), "exchanges") == {"committed": 1}
    sentence(guard_in(app), Action.BLOCK)
    refused = await client.post(path, content=asking("Hello?"))
    assert refused.status_code == 403
    assert json.loads(refused.content)["error"]["message"]


def test_what_is_neither_class_nor_function_is_refused_by_vllm() -> None:
    """The same loop says so."""
    with pytest.raises(ValueError, match="Must be a function or a class"):
        build_app(Model(), "gateway_guard.__all__")
