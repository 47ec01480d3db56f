#!/usr/bin/env python3
"""A model server in FastAPI with the guard in it.

Run it (``pip install uvicorn fastapi`` first) and ask it something::

    curl localhost:8000/v1/messages -H 'x-api-key: sk-me' -H 'content-type: application/json' \
        -d '{"messages": [{"role": "user", "content": "Hello?"}]}'
"""

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from gateway_guard import GuardMiddleware

app = FastAPI()
app.add_middleware(GuardMiddleware)


class Turn(BaseModel):
    """One contribution to a conversation."""

    role: str
    content: str


class Asked(BaseModel):
    """What a client asks."""

    messages: list[Turn]
    model: str = "echo"


@app.post("/v1/messages")
async def messages(asked: Asked) -> dict[str, object]:
    """Answer with what was asked; a real server would ask its model."""
    content = [{"type": "text", "text": asked.messages[-1].content}]
    return {"type": "message", "role": "assistant", "content": content, "model": asked.model}


if __name__ == "__main__":
    uvicorn.run(app)
