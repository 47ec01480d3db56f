"""An application of FastAPI that reads bodies in every way that such applications do."""

import json
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway_guard.bench.bypass_encodings import DECODING_ERRORS, decoded
from gateway_guard.bench.bypass_model import LEDGER, Model
from gateway_guard.bench.bypass_ways import ROOT

READ_AS_JSON = (
    *("/v1/chat/completions", "/chat/completions", "/v1/messages", "/v1/responses"),
    *("/v1/completions", "/v1/embeddings", "/engines/{model:path}/chat/completions"),
    *("/v1beta/models/{model:path}:generateContent", "/api/ask"),
    "/v1beta/models/{model:path}:streamGenerateContent",
)
READ_AS_MODEL = (
    *("/typed/v1/chat/completions", "/typed/v1/messages", "/typed/v1/responses"),
    *("/typed/v1/completions", "/typed/v1/embeddings", "/typed/ask"),
)
READ_AS_FORM = ("/form/v1/completions", "/form/v1/chat/completions", "/form/ask")
INNER = "/inner"
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


class Asked(BaseModel):
    """A request as an application declares it; what else there is it keeps."""

    model_config = ConfigDict(extra="allow")

    model: str = ""
    stream: bool = False
    n: int = 1
    temperature: float | None = None
    messages: list[dict[str, Any]] = []
    prompt: str | list[str] | None = None
    input: str | list[Any] | None = None
    question: str | None = None


class DecodingRequest(Request):
    """A request whose body is decoded, as FastAPI's documentation shows it for gzip."""

    async def body(self) -> bytes:
        """Return the body without its encodings; one that is not in them as it is."""
        if not hasattr(self, "_body"):
            body = await super().body()
            encodings = ",".join(self.headers.getlist("content-encoding")).lower()
            try:
                body = decoded(body, encodings.replace("x-gzip", "gzip"))
            except DECODING_ERRORS:
                encodings = ""
            self._body = body
        return self._body


class DecodingRoute(APIRoute):
    """A route that decodes."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return a handler that is given a request which decodes."""
        handle = super().get_route_handler()

        async def decode(request: Request) -> Response:
            return await handle(DecodingRequest(request.scope, request.receive))

        return decode


class Endpoints:
    """Reads what is asked, notes whose key was accepted, and hands both to a model."""

    def __init__(self, model: Model, accept: Callable[[str], None]) -> None:
        self._model = model
        self._accept = accept

    async def by_json(self, request: Request) -> Response:
        """Read JSON, or a form where the header names one."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind in _FORMS:
            try:
                fields = await _form(request)
            except HTTPException:
                fields = {}
            if fields:
                return self._answer(request, fields)
        return self._answer(request, await request.json())

    async def by_model(self, request: Request, asked: Asked) -> Response:
        """Read what pydantic makes of the body."""
        return self._answer(request, asked.model_dump())

    async def by_form(self, request: Request) -> Response:
        """Read a form."""
        return self._answer(request, await _form(request))

    def _answer(self, request: Request, fields: dict[str, Any]) -> Response:
        self._accept(key_of(request))
        return self._model.answer(request.scope["path"], fields)

    async def tell(self, request: Request) -> Response:
        """Show the ledger."""
        del request
        return JSONResponse([spent._asdict() for spent in self._model.settled()])


def fastapi_app(accept: Callable[[str], None]) -> FastAPI:
    """Return the application; ``accept`` is told the key of each request."""
    endpoints = Endpoints(Model(), accept)
    inner, app = FastAPI(), FastAPI()
    app.root_path = ROOT
    for each in (inner, app):
        each.include_router(_router(endpoints))
    app.mount(INNER, inner)
    app.add_api_route(LEDGER, endpoints.tell, methods=["GET"])
    return app


def key_of(request: Request) -> str:
    """Return a request's key, from where the guard's default preset says that it is."""
    headers = request.headers
    scheme, _, key = headers.get("authorization", "").partition(" ")
    key = key.strip() if scheme.lower() in {"bearer", "basic"} else scheme
    others = (headers.get(name) for name in ("x-api-key", "api-key", "x-goog-api-key"))
    found = (key, *others, request.query_params.get("key"))
    return next((value for value in found if value), "")


def _router(endpoints: Endpoints) -> APIRouter:
    router = APIRouter(route_class=DecodingRoute)
    ways: tuple[tuple[tuple[str, ...], Callable[..., Awaitable[Response]]], ...] = (
        (READ_AS_JSON, endpoints.by_json),
        (READ_AS_MODEL, endpoints.by_model),
        (READ_AS_FORM, endpoints.by_form),
    )
    for paths, endpoint in ways:
        for path in paths:
            for each in (path, f"{path}/"):
                router.add_api_route(each, endpoint, methods=["POST"], response_model=None)
    return router


async def _form(request: Request) -> dict[str, Any]:
    form = await request.form()
    texts = {name: value for name, value in form.items() if isinstance(value, str)}
    return {name: _value(text) for name, text in texts.items()}


def _value(text: str) -> object:
    """Return what a field says in JSON where it is a list or an object."""
    return json.loads(text) if text[:1] in {"[", "{"} else text
