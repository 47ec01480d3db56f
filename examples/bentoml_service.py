#!/usr/bin/env python3
"""A service of BentoML with the guard in it.

Run it (``pip install bentoml`` first) and ask it something::

    bentoml serve examples.bentoml_service:Echo
    curl localhost:3000/v1/chat/completions -H 'authorization: Bearer sk-me' \
        -d '{"messages": [{"role": "user", "content": "Hello?"}]}'
"""

import bentoml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from gateway_guard import GuardMiddleware


async def chat(request: Request) -> JSONResponse:
    """Answer with what was asked; a real service would ask its model."""
    asked = await request.json()
    message = {"role": "assistant", "content": asked["messages"][-1]["content"]}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return JSONResponse({"object": "chat.completion", "choices": [choice]})


model_server = Starlette(routes=[Route("/chat/completions", chat, methods=["POST"])])


@bentoml.service
@bentoml.asgi_app(model_server, path="/v1")
class Echo:
    """OpenAI's routes as an application, and a route of BentoML's own."""

    @bentoml.api
    def generate(self, prompt: str) -> str:
        """Answer with what was asked."""
        return prompt


Echo.add_asgi_middleware(GuardMiddleware)
