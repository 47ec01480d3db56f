#!/usr/bin/env python3
"""A model server in Starlette with the guard in it.

Run it (``pip install uvicorn`` first) and ask it something::

    curl localhost:8000/v1/chat/completions -H 'authorization: Bearer sk-me' \
        -d '{"messages": [{"role": "user", "content": "Hello?"}]}'
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.routing import Route

from gateway_guard import GuardMiddleware

if TYPE_CHECKING:
    from starlette.requests import Request


async def chat(request: Request) -> JSONResponse:
    """Answer with what was asked; a real server would ask its model."""
    asked = await request.json()
    message = {"role": "assistant", "content": asked["messages"][-1]["content"]}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return JSONResponse({"object": "chat.completion", "choices": [choice]})


app = Starlette(
    routes=[Route("/v1/chat/completions", chat, methods=["POST"])],
    middleware=[Middleware(GuardMiddleware)],
)


if __name__ == "__main__":
    uvicorn.run(app)
