"""OpenAI responses over a websocket, spoken by the official client through the guard."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import openai

from gateway_guard import Action
from gateway_guard.exchange import Turn, Usage
from gateway_guard.profile import Slot
from tests.callers import KEY, Time, counted, flush, guarded, outcomes_of, reading_of, sentence
from tests.servers import serving
from tests.socketing import ANSWER, QUESTION, Server, admitted_by, in_pieces

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest
    from openai.resources.responses.responses import AsyncResponsesConnection
    from starlette.websockets import WebSocket

    from gateway_guard import GuardMiddleware

USAGE = {"input_tokens": 31, "output_tokens": 13, "total_tokens": 44}


async def respond(socket: WebSocket, text: str | None) -> None:
    """Answer a request with the events of a stream, or with an error."""
    asked = json.loads(text or "{}")
    if asked["input"] == "fail":
        error = {"type": "error", "status": 400, "error": {"message": "No."}}
        await socket.send_json(error)
        return
    id_ = "resp_2" if asked.get("previous_response_id") else "resp_1"
    response = {"id": id_, "status": "in_progress", "output": []}
    await socket.send_json({"type": "response.created", "response": response})
    for piece in in_pieces(ANSWER):
        await socket.send_json({"type": "response.output_text.delta", "delta": piece})
    part = {"type": "output_text", "text": ANSWER, "annotations": []}
    message = {"type": "message", "id": "m", "role": "assistant", "content": [part]}
    done = {"id": id_, "status": "completed", "output": [message], "usage": USAGE}
    await socket.send_json({"type": "response.completed", "response": done})


@asynccontextmanager
async def connected(guard: GuardMiddleware) -> AsyncIterator[AsyncResponsesConnection]:
    """Speak to a guarded server with OpenAI's own client."""
    async with serving(guard) as address:
        client = openai.AsyncOpenAI(api_key=KEY.decode(), base_url=f"{address}/v1")
        async with client, client.responses.connect() as connection:
            yield connection


async def ask(
    connection: AsyncResponsesConnection, text: str, previous: str | None = None
) -> list[str]:
    """Ask, and return the types of the events until the answer ends."""
    await connection.response.create(model="m", input=text, previous_response_id=previous)
    types: list[str] = []
    while not types or types[-1] not in {"response.completed", "error"}:
        types.append((await connection.recv()).type)
    return types


async def test_responses_over_a_websocket_count_as_those_over_http(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A later one that names the answer before it goes on with a conversation."""
    time = Time()
    guard = guarded(Server(respond).app, time)
    asked, told = admitted_by(guard, monkeypatch), outcomes_of(guard, monkeypatch)
    async with connected(guard) as connection:
        assert (await ask(connection, QUESTION))[-1] == "response.completed"
        flush(guard)
        time.pass_by(30.0)
        await ask(connection, "And of Norway?", "resp_1")
        assert counted(guard, "exchanges") == {"committed": 2}
    assert (asked[0].dialect, asked[0].model, asked[0].stream) == ("openai_responses", "m", True)
    assert asked[1].turns == (
        Turn("assistant", "", 0, ("resp_1",)),
        Turn("user", "And of Norway?"),
    )
    answers = [answer for outcome in told if (answer := outcome.read())]
    assert [answer.output_chars for answer in answers] == [len(ANSWER)] * 2
    assert [answer.usage for answer in answers] == [Usage(31, 13)] * 2
    assert round(reading_of(guard).slow[Slot.EXCHANGES]) == 2


async def test_a_throttled_response_is_an_error_event_to_the_client() -> None:
    """With OpenAI's code, and the socket stays open."""
    time = Time()
    guard = guarded(Server(respond).app, time)
    async with connected(guard) as connection:
        sentence(guard, Action.THROTTLE)
        assert (await ask(connection, QUESTION))[-1] == "response.completed"
        await connection.response.create(model="m", input=QUESTION)
        event = await connection.recv()
        assert event.type == "error"
        assert event.code == "abnormal_usage_detected"
        assert "Send the next one in" in event.message
        time.pass_by(60.0)
        assert (await ask(connection, QUESTION))[-1] == "response.completed"
    assert counted(guard, "exchanges") == {"committed": 2, "refused": 1}


async def test_a_response_that_the_server_rejects_teaches_nothing() -> None:
    """It never began."""
    guard = guarded(Server(respond).app)
    async with connected(guard) as connection:
        assert await ask(connection, "fail") == ["error"]
    assert counted(guard, "exchanges") == {"rejected": 1}
