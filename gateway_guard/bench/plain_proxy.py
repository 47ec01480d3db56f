"""A proxy as it is usually written with httpx: what ``serve`` is compared to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import StreamingResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request


def plain_proxy(upstream: str) -> Starlette:
    """Return a proxy that forwards every POST to an upstream and streams the answer back."""
    client = httpx.AsyncClient(base_url=upstream)

    async def forward(request: Request) -> StreamingResponse:
        forwarded = client.build_request(
            request.method,
            request.url.path,
            headers=request.headers.raw,
            content=await request.body(),
        )
        answer = await client.send(forwarded, stream=True)
        return StreamingResponse(
            answer.aiter_raw(),
            status_code=answer.status_code,
            headers=dict(answer.headers),
            background=BackgroundTask(answer.aclose),
        )

    return Starlette(routes=[Route("/{path:path}", forward, methods=["POST"])])
