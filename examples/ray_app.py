#!/usr/bin/env python3
"""An application of Ray Serve, with the guard in the cluster's HTTP proxies.

Run it (``pip install 'ray[serve]'`` first) and ask it something; on a cluster the variable is set
where ``ray start`` is called::

    export RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH=gateway_guard.mounts.ray:middlewares
    serve run examples.ray_app:app
    curl localhost:8000/v1/chat/completions -H 'authorization: Bearer sk-me' \
        -d '{"messages": [{"role": "user", "content": "Hello?"}]}'
"""

from ray import serve
from starlette.requests import Request
from starlette.responses import JSONResponse


@serve.deployment
class Echo:
    """A model server that needs no model."""

    async def __call__(self, request: Request) -> JSONResponse:
        """Answer with what was asked; a real server would ask its model."""
        asked = await request.json()
        message = {"role": "assistant", "content": asked["messages"][-1]["content"]}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return JSONResponse({"object": "chat.completion", "choices": [choice]})


app = Echo.bind()
