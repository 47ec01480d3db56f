"""Google's official client, unchanged, against an application with the guard in front of it."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from google import genai
from google.genai import errors, types
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

MODEL = "gemini-2.5-pro"
QUESTION = "What is the capital of France?"
THOUGHT = "Hm."
USAGE = {"promptTokenCount": 9, "candidatesTokenCount": 7, "thoughtsTokenCount": 3}
TOOL = types.Tool(
    function_declarations=[types.FunctionDeclaration(name="look_up", description="Looks up.")]
)


def response(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a response with one candidate."""
    candidate = {"content": {"role": "model", "parts": list(parts)}, "index": 0, **more}
    return {"candidates": [candidate], "usageMetadata": USAGE, "modelVersion": MODEL}


async def generate(request: Request) -> Response:
    """Answer as Google does: a call of the tool that is offered, or a text."""
    asked = await request.json()
    method = request.path_params["method"].rpartition(":")[2]
    if method == "batchEmbedContents":
        return JSONResponse({"embeddings": [{"values": [0.1]} for _ in asked["requests"]]})
    if method == "countTokens":
        return JSONResponse({"totalTokens": 9})
    if asked.get("tools") and "functionResponse" not in asked["contents"][-1]["parts"][0]:
        call = {"functionCall": {"name": "look_up", "args": ARGUMENTS}}
        return JSONResponse(response(call, finishReason="STOP"))
    thought: dict[str, Any] = {"text": THOUGHT, "thought": True}
    if method == "generateContent":
        return JSONResponse(response(thought, {"text": ANSWER}, finishReason="STOP"))
    pieces = [thought, *({"text": ANSWER[at : at + 8]} for at in range(0, len(ANSWER), 8))]

    async def events() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield b"data: " + json.dumps(response(piece)).encode() + b"\r\n\r\n"
        yield b"data: " + json.dumps(response(finishReason="STOP")).encode() + b"\r\n\r\n"

    return StreamingResponse(events(), media_type="text/event-stream")


async def interact(request: Request) -> Response:
    """Answer with the steps of an interaction."""
    asked = await request.json()
    steps = [
        {"type": "thought", "summary": [{"type": "text", "text": THOUGHT}]},
        {"type": "model_output", "content": [{"type": "text", "text": ANSWER}]},
    ]
    usage = {"total_input_tokens": 9, "total_output_tokens": 7, "total_thought_tokens": 3}
    whole = {"id": "int_1", "status": "completed", "model": MODEL, "steps": steps, "usage": usage}
    if not asked.get("stream"):
        return JSONResponse(whole)
    deltas = [{"type": "thought_summary", "content": {"type": "text", "text": THOUGHT}}]
    pieces = [ANSWER[at : at + 8] for at in range(0, len(ANSWER), 8)]
    deltas += [{"type": "text", "text": piece} for piece in pieces]

    async def events() -> AsyncIterator[bytes]:
        for index, delta in enumerate(deltas):
            step = {"event_type": "step.delta", "index": min(index, 1), "delta": delta}
            yield b"event: step.delta\ndata: " + json.dumps(step).encode() + b"\n\n"
        done = json.dumps({"event_type": "interaction.completed", "interaction": whole}).encode()
        yield b"event: interaction.completed\ndata: " + done + b"\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


@pytest.fixture
def time() -> Time:
    """Return the guard's clock."""
    return Time()


@pytest.fixture
def guard(time: Time) -> GuardMiddleware:
    """Return a guard in front of a model server."""
    routes = [
        Route("/{version}/models/{method}", generate, methods=["POST"]),
        Route("/{version}/interactions", interact, methods=["POST"]),
    ]
    return guarded(Starlette(routes=routes), time)


@asynccontextmanager
async def client_of(guard: GuardMiddleware) -> AsyncIterator[Any]:
    """Give what the client generates content with."""
    async with connected(guard) as client:
        yield client.models


@asynccontextmanager
async def connected(guard: GuardMiddleware) -> AsyncIterator[Any]:
    """Connect the client as its documentation says, on top of httpx."""
    async with serving(guard) as address, httpx.AsyncClient() as http:
        options = types.HttpOptions(base_url=address, httpx_async_client=http)
        async with genai.Client(api_key=KEY.decode(), http_options=options).aio as client:
            yield client


def assert_seen_in_full(guard: GuardMiddleware) -> None:
    """Claim that the guard has seen one answer, its thoughts included."""
    reading = reading_of(guard)
    assert reading.slow[Slot.ANSWERED] == reading.slow[Slot.REASONED] == 1.0
    chars = 2 ** reading.slow[Slot.ANSWER_LOG] - 1
    assert chars == pytest.approx(len(ANSWER) + len(THOUGHT), rel=0.01)


async def asked_of(models: Any, *, streamed: bool) -> None:  # noqa: ANN401
    """Ask, and read the answer to its end."""
    if not streamed:
        await models.generate_content(model=MODEL, contents=QUESTION)
        return
    async for _ in await models.generate_content_stream(model=MODEL, contents=QUESTION):
        pass


async def test_an_answer_arrives(guard: GuardMiddleware) -> None:
    """A plain question has its answer, and is counted under the key that asked."""
    async with client_of(guard) as models:
        config = types.GenerateContentConfig(system_instruction="Be brief.", temperature=0.5)
        answer = await models.generate_content(model=MODEL, contents=QUESTION, config=config)
    assert answer.text == ANSWER
    assert counted(guard, "exchanges") == {"committed": 1}
    assert_seen_in_full(guard)


async def test_a_stream_arrives_event_by_event(guard: GuardMiddleware) -> None:
    """The pieces make up the answer."""
    async with client_of(guard) as models:
        stream = await models.generate_content_stream(model=MODEL, contents=QUESTION)
        chunks = [chunk async for chunk in stream]
    assert "".join(chunk.text or "" for chunk in chunks) == ANSWER
    assert reading_of(guard).slow[Slot.STREAMED] == 1.0
    assert_seen_in_full(guard)


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_interaction_arrives(guard: GuardMiddleware, *, streamed: bool) -> None:
    """Step by step, or whole."""
    async with connected(guard) as client:
        made = await client.interactions.create(model=MODEL, input=QUESTION, stream=streamed)
        if streamed:
            events = [event async for event in made]
            steps = [event.delta for event in events if event.event_type == "step.delta"]
            said = "".join(delta.text for delta in steps if delta.type == "text")
        else:
            said = made.output_text
    assert said == ANSWER
    assert_seen_in_full(guard)
    assert reading_of(guard).slow[Slot.STREAMED] == float(streamed)


async def test_functions_are_called_and_their_results_continue_what_was_served(
    guard: GuardMiddleware, time: Time
) -> None:
    """The second request repeats the call that the first one was answered with: it was observed."""
    config = types.GenerateContentConfig(
        tools=[TOOL], automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True)
    )
    async with client_of(guard) as models:
        asked = types.Content(role="user", parts=[types.Part(text=QUESTION)])
        called = await models.generate_content(model=MODEL, contents=[asked], config=config)
        (call,) = called.function_calls
        assert call.args == ARGUMENTS
        result = types.Part.from_function_response(name="look_up", response={"found": "Paris"})
        time.pass_by(5)
        history = [asked, called.candidates[0].content, types.Content(role="user", parts=[result])]
        final = await models.generate_content(model=MODEL, contents=history, config=config)
    assert final.text == ANSWER
    reading = reading_of(guard)
    assert reading.slow[Slot.OBSERVED] == 1.0
    assert reading.slow[Slot.CLAIMED] == 1.0


async def test_tokens_are_counted_for_nothing_and_embeddings_are_not(
    guard: GuardMiddleware,
) -> None:
    """Counting asks for no answer."""
    async with client_of(guard) as models:
        assert (await models.count_tokens(model=MODEL, contents=QUESTION)).total_tokens == 9
        assert counted(guard, "exchanges") == {}
        made = await models.embed_content(model="gemini-embedding-001", contents=["a", "b"])
    assert len(made.embeddings) == 2
    assert sum(counted(guard, "exchanges").values()) > 0


@pytest.mark.parametrize(
    ("action", "code", "status"),
    [
        (Action.PENALTY, 429, "RESOURCE_EXHAUSTED"),
        (Action.BLOCK, 403, "PERMISSION_DENIED"),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_refused_client_is_told_at_once(
    guard: GuardMiddleware, action: Action, code: int, status: str, *, streamed: bool
) -> None:
    """Its user has the error with Google's name for it, and a reference to quote."""
    async with client_of(guard) as models:
        sentence(guard, action)
        with pytest.raises(errors.ClientError, match="contact") as error:
            await asked_of(models, streamed=streamed)
    assert (error.value.code, error.value.status) == (code, status)
    reason, request = error.value.details["error"]["details"]
    assert reason["reason"] == "ABNORMAL_USAGE_DETECTED"
    assert request["requestId"] in str(error.value.message)
