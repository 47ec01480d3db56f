"""Small applications that speak to model clients, to stand behind the guard."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

JSON = (b"content-type", b"application/json")
EVENTS = (b"content-type", b"text/event-stream")
ANSWER = "The capital of France is Paris."
ARGUMENTS = {"city": "Paris"}

Field = tuple[bytes, bytes]
Fields = dict[str, Any]
Whole = Callable[[Fields], Fields]
Events = Callable[[Fields], Iterator[bytes]]


async def read(receive: Receive) -> bytes:
    """Return the whole body of a request."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def answer(send: Send, *chunks: bytes, status: int = 200, kind: Field = JSON) -> None:
    """Send an answer in as many messages as there are chunks."""
    await send({"type": "http.response.start", "status": status, "headers": [kind]})
    for chunk in chunks[:-1]:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b"".join(chunks[-1:])})


async def model(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer every request as chat completions or as messages, by its path."""
    await read(receive)
    whole = message if scope["path"].endswith("/messages") else completion
    await answer(send, json.dumps(whole({})).encode())


def completion(asked: Fields) -> Fields:
    """Return an answer of OpenAI's: a call of the tool that is offered, or a text."""
    calls = [{"id": "call_1", "type": "function", "function": _called(_name(asked))}]
    said: Fields = {"role": "assistant", "content": ANSWER}
    if _wants_tool(asked):
        said = {"role": "assistant", "content": None, "tool_calls": calls}
    finish = "tool_calls" if "tool_calls" in said else "stop"
    choice = {"index": 0, "message": said, "finish_reason": finish, "logprobs": None}
    usage = {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16}
    head = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m"}
    return head | {"choices": [choice], "usage": usage}


def completion_events(asked: Fields) -> Iterator[bytes]:
    """Yield the same answer as chunks, a few characters in each."""
    whole = completion(asked)
    choice = whole["choices"][0]
    said = choice["message"]
    deltas: list[Fields] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": part} for part in _parts(said["content"] or "")]
    for index, call in enumerate(said.get("tool_calls", ())):
        deltas.append({"tool_calls": [call | {"index": index}]})
    head = whole | {"object": "chat.completion.chunk"}
    for delta, finish in [*((delta, None) for delta in deltas), ({}, choice["finish_reason"])]:
        piece = {"index": 0, "delta": delta, "finish_reason": finish}
        usage = whole["usage"] if finish else None
        yield b"data: " + json.dumps(head | {"choices": [piece], "usage": usage}).encode() + b"\n\n"
    yield b"data: [DONE]\n\n"


def message(asked: Fields) -> Fields:
    """Return an answer of Anthropic's: a call of the tool that is offered, or a text."""
    block: Fields = {"type": "text", "text": ANSWER}
    if _wants_tool(asked):
        block = {"type": "tool_use", "id": "toolu_1", "name": _name(asked), "input": ARGUMENTS}
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [block],
        "stop_reason": "tool_use" if block["type"] == "tool_use" else "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 9, "output_tokens": 7},
    }


def message_events(asked: Fields) -> Iterator[bytes]:
    """Yield the same answer as events."""
    whole = message(asked)
    block = whole["content"][0]
    opened = block | {"text": ""} if block["type"] == "text" else block | {"input": {}}
    yield _event("message_start", message=whole | {"content": [], "stop_reason": None})
    yield _event("content_block_start", index=0, content_block=opened)
    for delta in _block_deltas(block):
        yield _event("content_block_delta", index=0, delta=delta)
    yield _event("content_block_stop", index=0)
    ending = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    yield _event("message_delta", delta=ending, usage={"output_tokens": 7})
    yield _event("message_stop")


class Model:
    """Routes of a model server, and what they were sent."""

    def __init__(self) -> None:
        self.asked: list[Fields] = []

    async def chat(self, request: Request) -> Response:
        """Answer as OpenAI does."""
        return await self._answer(request, completion, completion_events)

    async def messages(self, request: Request) -> Response:
        """Answer as Anthropic does."""
        return await self._answer(request, message, message_events)

    async def _answer(self, request: Request, whole: Whole, events: Events) -> Response:
        asked = await request.json()
        self.asked.append(asked)
        if asked.get("stream"):
            pieces = _one_by_one(events(asked))
            return StreamingResponse(pieces, media_type="text/event-stream")
        return JSONResponse(whole(asked))

    def in_starlette(self) -> Starlette:
        """Return an application of Starlette with both routes."""
        return Starlette(
            routes=[
                Route("/v1/chat/completions", self.chat, methods=["POST"]),
                Route("/v1/messages", self.messages, methods=["POST"]),
            ]
        )

    def in_fastapi(self) -> FastAPI:
        """Return an application of FastAPI with both routes."""
        app = FastAPI()
        app.post("/v1/chat/completions")(self.chat)
        app.post("/v1/messages")(self.messages)
        return app


async def _one_by_one(events: Iterator[bytes]) -> AsyncIterator[bytes]:
    for event in events:
        yield event


def _wants_tool(asked: Fields) -> bool:
    """Tell whether a tool is offered and its result is not there yet."""
    last = asked["messages"][-1] if asked.get("tools") else {"role": "tool"}
    return last["role"] == "user" and isinstance(last["content"], str)


def _name(asked: Fields) -> str:
    tool = (asked.get("tools") or [{"name": ""}])[0]
    name: str = tool.get("function", tool)["name"]
    return name


def _called(name: str) -> Fields:
    return {"name": name, "arguments": json.dumps(ARGUMENTS)}


def _block_deltas(block: Fields) -> Iterator[Fields]:
    if block["type"] == "tool_use":
        yield {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
    else:
        yield from ({"type": "text_delta", "text": part} for part in _parts(block["text"]))


def _parts(text: str) -> list[str]:
    return [text[at : at + 8] for at in range(0, len(text), 8)]


def _event(name: str, **fields: object) -> bytes:
    data = json.dumps({"type": name, **fields})
    return f"event: {name}\ndata: {data}\n\n".encode()
