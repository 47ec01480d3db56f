"""Ollama's official client, unchanged, against an application with the guard in front of it."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import ollama
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

from gateway_guard import Action, GuardMiddleware
from gateway_guard.profile import Slot
from tests.callers import KEY, Time, counted, guarded, reading_of, sentence
from tests.servers import serving
from tests.upstreams import ANSWER, ARGUMENTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response

QUESTION = {"role": "user", "content": "What is the capital of France?"}
TOOL: Any = {"type": "function", "function": {"name": "look_up", "description": "Looks up."}}
END = {
    "done": True,
    "done_reason": "stop",
    "prompt_eval_count": 9,
    "eval_count": 7,
    "total_duration": 1,
}


def said(asked: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what is answered, in pieces: a call of the tool that is offered, or a text."""
    texts = [ANSWER[at : at + 8] for at in range(0, len(ANSWER), 8)]
    if "prompt" in asked:
        return [{"response": text} for text in (*texts, "")]
    messages: list[dict[str, Any]] = [{"content": text} for text in (*texts, "")]
    if asked.get("tools") and asked["messages"][-1]["role"] == "user":
        calls = [{"function": {"name": "look_up", "arguments": ARGUMENTS}}]
        messages = [{"content": "", "tool_calls": calls}]
    return [{"message": {"role": "assistant", **message}} for message in messages]


async def answer(request: Request) -> Response:
    """Answer as Ollama does: line by line unless told not to."""
    asked = await request.json()
    head = {"model": "m", "created_at": "2025-10-17T23:14:07.414671Z", "done": False}
    pieces = [head | piece for piece in said(asked)]
    pieces[-1] |= END
    if asked["stream"]:

        async def lines() -> AsyncIterator[bytes]:
            for piece in pieces:
                yield json.dumps(piece).encode() + b"\n"

        return StreamingResponse(lines(), media_type="application/x-ndjson")
    whole = {"message": {"role": "assistant", "content": ANSWER}, "response": ANSWER}
    return JSONResponse(pieces[-1] | whole if len(pieces) > 1 else pieces[-1])


@pytest.fixture
def time() -> Time:
    """Return the guard's clock."""
    return Time()


@pytest.fixture
def guard(time: Time) -> GuardMiddleware:
    """Return a guard in front of a model server."""
    paths = ("/api/chat", "/api/generate")
    return guarded(
        Starlette(routes=[Route(path, answer, methods=["POST"]) for path in paths]), time
    )


@asynccontextmanager
async def client_of(guard: GuardMiddleware) -> AsyncIterator[ollama.AsyncClient]:
    """Connect the client as its documentation says, with a key."""
    async with serving(guard) as address:
        bearer = {"Authorization": f"Bearer {KEY.decode()}"}
        client: Any = ollama.AsyncClient(host=address, headers=bearer)
        try:
            yield client
        finally:
            await client.close()


async def asked_of(client: ollama.AsyncClient, *, streamed: bool) -> None:
    """Ask, and read the answer to its end."""
    if not streamed:
        await client.generate(model="m", prompt="x")
        return
    async for _ in await client.generate(model="m", prompt="x", stream=True):
        pass


async def test_an_answer_arrives(guard: GuardMiddleware) -> None:
    """A plain question has its answer, and is counted under the key that asked."""
    async with client_of(guard) as client:
        answered = await client.chat(model="m", messages=[QUESTION])
        assert answered.message.content == ANSWER
        assert (await client.generate(model="m", prompt="x")).response == ANSWER
    assert counted(guard, "exchanges") == {"committed": 2}
    assert reading_of(guard).slow[Slot.ANSWERED] == 2.0


async def test_a_stream_arrives_line_by_line(guard: GuardMiddleware) -> None:
    """The pieces make up the answer."""
    async with client_of(guard) as client:
        chat = await client.chat(model="m", messages=[QUESTION], stream=True)
        assert "".join([piece.message.content or "" async for piece in chat]) == ANSWER
        generated = await client.generate(model="m", prompt="x", stream=True)
        assert "".join([piece.response or "" async for piece in generated]) == ANSWER
    reading = reading_of(guard)
    assert reading.slow[Slot.STREAMED] == reading.slow[Slot.ANSWERED] == 2.0
    chars = 2 ** (reading.slow[Slot.ANSWER_LOG] / 2) - 1
    assert chars == pytest.approx(len(ANSWER), rel=0.01)


@pytest.mark.parametrize("streamed", [False, True])
async def test_tools_are_called_and_their_results_continue_what_was_served(
    guard: GuardMiddleware, time: Time, *, streamed: bool
) -> None:
    """The second request repeats the call that the first one was answered with: it was observed."""
    async with client_of(guard) as client:
        if streamed:
            stream = await client.chat(model="m", messages=[QUESTION], tools=[TOOL], stream=True)
            (called,) = [piece.message async for piece in stream]
        else:
            called = (await client.chat(model="m", messages=[QUESTION], tools=[TOOL])).message
        assert called.tool_calls
        assert called.tool_calls[0].function.arguments == ARGUMENTS
        result = {"role": "tool", "tool_name": "look_up", "content": "Paris it is."}
        time.pass_by(5)
        final = await client.chat(model="m", messages=[QUESTION, called, result], tools=[TOOL])
    assert final.message.content == ANSWER
    reading = reading_of(guard)
    assert reading.slow[Slot.OBSERVED] == 1.0
    assert reading.slow[Slot.CLAIMED] == 1.0


@pytest.mark.parametrize(("action", "code"), [(Action.PENALTY, 429), (Action.BLOCK, 403)])
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_refused_client_is_told_at_once(
    guard: GuardMiddleware, action: Action, code: int, *, streamed: bool
) -> None:
    """Its user has the error that Ollama's servers would send, with a reference to quote."""
    async with client_of(guard) as client:
        sentence(guard, action)
        with pytest.raises(ollama.ResponseError, match="reference") as error:
            await asked_of(client, streamed=streamed)
    assert error.value.status_code == code
    assert not error.value.error.startswith("{")
