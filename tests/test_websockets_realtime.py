"""OpenAI realtime through the guard, spoken by the official client and by one of our own."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import openai
import pytest
from websockets.exceptions import ConnectionClosed

from gateway_guard import Action
from gateway_guard.exchange import Turn, Usage
from gateway_guard.profile import Slot
from tests.callers import KEY, Time, counted, flush, guarded, outcomes_of, reading_of, sentence
from tests.servers import serving
from tests.socketing import (
    ANSWER,
    QUESTION,
    REALTIME,
    Server,
    admitted_by,
    hear,
    in_pieces,
    say,
    talking,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from openai.resources.realtime.realtime import AsyncRealtimeConnection
    from starlette.websockets import WebSocket

    from gateway_guard import GuardMiddleware

SYSTEM = "You answer the staff of a museum in one sentence, and you never guess."
USAGE = {"input_tokens": 31, "output_tokens": 13, "total_tokens": 44}
CALL = {
    "type": "function_call",
    "id": "item_9",
    "call_id": "call_1",
    "name": "look",
    "arguments": "",
}
TOOL = {"type": "function", "name": "look", "description": "Looks it up.", "parameters": {}}


class Model:
    """A realtime server: what its clients ask for gets one answer, what they say an echo."""

    def __init__(self, kind: str = "response.output_text.delta", **settings: object) -> None:
        self.kind = kind
        self.answers = 0
        self.time = Time()
        self.server = Server(self.react)
        self.guard = guarded(self.server.app, self.time, **settings)

    async def react(self, socket: WebSocket, text: str | None) -> None:
        """React to one event of the client."""
        event = json.loads(text or "{}")
        if event.get("type") == "response.create":
            await self.speak(socket)
        elif event.get("type") == "input_audio_buffer.append" and event["audio"] == "c2lsZW5jZQ==":
            spoken = {"type": "input_audio_buffer.committed", "item_id": "item_heard"}
            await socket.send_json(spoken)
            worded = "conversation.item.input_audio_transcription.completed"
            await socket.send_json(
                {"type": worded, "item_id": "item_heard", "transcript": QUESTION}
            )
            await self.speak(socket)
        elif event.get("type") == "unheard.of":
            await socket.send_json({"type": "error", "error": {"message": "no", "event_id": None}})

    async def speak(self, socket: WebSocket) -> None:
        """Serve one answer."""
        self.answers += 1
        id_ = f"resp_{self.answers}"
        await socket.send_json({"type": "response.created", "response": {"id": id_}})
        for piece in in_pieces(ANSWER):
            await socket.send_json({"type": self.kind, "response_id": id_, "delta": piece})
        audio = {"type": "response.output_audio.delta", "response_id": id_, "delta": "AAAA" * 99}
        await socket.send_json(audio)
        part = {"type": "output_text", "text": ANSWER}
        message = {"type": "message", "id": "item_1", "role": "assistant", "content": [part]}
        done = {"id": id_, "status": "completed", "output": [message, CALL], "usage": USAGE}
        await socket.send_json({"type": "response.done", "response": done})


@asynccontextmanager
async def connected(guard: GuardMiddleware) -> AsyncIterator[AsyncRealtimeConnection]:
    """Speak to a guarded server with OpenAI's own client."""
    async with serving(guard) as address:
        client = openai.AsyncOpenAI(api_key=KEY.decode(), base_url=f"{address}/v1")
        async with client, client.realtime.connect(model="gpt-realtime") as connection:
            yield connection


def said(text: str, role: str = "user") -> dict[str, Any]:
    """Return an item."""
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}


async def ask(connection: AsyncRealtimeConnection, text: str, **response: Any) -> list[str]:  # noqa: ANN401
    """Ask, and return the types of the events until the answer is done."""
    item: Any = said(text)
    await connection.conversation.item.create(item=item)
    given: Any = response
    await connection.response.create(response=given)
    types: list[str] = []
    async for event in connection:
        types.append(event.type)
        if event.type in {"response.done", "error"}:
            break
    return types


@pytest.mark.parametrize(
    "kind",
    [
        "response.output_text.delta",
        "response.text.delta",
        "response.output_audio_transcript.delta",
        "response.audio_transcript.delta",
    ],
)
async def test_an_answer_is_counted_as_it_was_served(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its length and its tokens are seen exactly, and it is settled as soon as it is done."""
    model = Model(kind)
    told = outcomes_of(model.guard, monkeypatch)
    async with connected(model.guard) as connection:
        types = await ask(connection, QUESTION)
        assert types[0] == "response.created"
        assert counted(model.guard, "exchanges") == {"committed": 1}
    (outcome,) = told
    answer = outcome.read()
    assert answer is not None
    assert (outcome.status, outcome.completed) == (200, True)
    assert answer.output_chars == len(ANSWER)
    assert answer.usage == Usage(31, 13)
    assert (answer.tool_calls, answer.finish, answer.failed) == (1, "completed", False)
    assert reading_of(model.guard).slow[Slot.EXCHANGES] == 1.0


async def test_an_answer_is_asked_for_with_all_that_was_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Instructions and tools first, then what each side said; the guard remembers no answer."""
    model = Model()
    asked = admitted_by(model.guard, monkeypatch)
    async with connected(model.guard) as connection:
        session: Any = {"type": "realtime", "instructions": SYSTEM, "tools": [TOOL]}
        session["max_output_tokens"] = 512
        await connection.session.update(session=session)
        await ask(connection, QUESTION)
        output: Any = {"type": "function_call_output", "call_id": "call_1", "output": "Lyon?"}
        await connection.conversation.item.create(item=output)
        await ask(connection, "And of Norway?", instructions="Sing.", max_output_tokens="inf")
    first, second = asked
    assert (first.dialect, first.model, first.stream) == ("openai_realtime", "gpt-realtime", True)
    assert first.turns[:2] == (Turn("system", SYSTEM), Turn("user", QUESTION))
    assert "Looks it up." in first.turns[2].text
    assert (first.sampling.max_tokens, second.sampling.max_tokens) == (512, None)
    assert first.tool_definitions == second.tool_definitions == 1
    assert second.turns[0] == Turn("system", "Sing.")
    roles = [turn.role for turn in second.turns]
    assert roles == ["system", "user", "system", "assistant", "tool", "user"]
    assert second.turns[3].text == ""
    assert first.body_bytes > len(SYSTEM) > second.body_bytes - first.body_bytes


async def test_a_conversation_on_one_socket_is_a_conversation() -> None:
    """Its answers were served here, so that what follows is no question by itself."""
    model = Model()
    async with connected(model.guard) as connection:
        for text in (QUESTION, "And of Norway?", "And of Denmark?"):
            await ask(connection, text)
            flush(model.guard)
            model.time.pass_by(30.0)
    reading = reading_of(model.guard)
    assert round(reading.slow[Slot.EXCHANGES]) == 3
    assert round(reading.slow[Slot.SINGLE]) == 1
    assert round(reading.slow[Slot.OBSERVED]) == 2


async def test_an_answer_out_of_band_is_asked_for_with_its_own_input(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It does not see the conversation, save what it refers to, and the conversation not it."""
    model = Model()
    asked = admitted_by(model.guard, monkeypatch)
    async with talking(model.guard, REALTIME + "?model=m") as socket:
        item = {**said(QUESTION), "id": "item_a"}
        await say(socket, type="conversation.item.create", item=item)
        refer = {"type": "item_reference", "id": "item_a"}
        response = {"conversation": "none", "input": [refer, said("Which topic is that?")]}
        await say(socket, type="response.create", response=response)
        while (await hear(socket))["type"] != "response.done":
            pass
        await say(socket, type="conversation.item.delete", item_id="item_a")
        await say(socket, type="response.create")
        while (await hear(socket))["type"] != "response.done":
            pass
    assert [turn.text for turn in asked[0].turns] == [QUESTION, "Which topic is that?"]
    assert asked[1].turns == (Turn("user", ""),)


async def test_a_throttled_question_is_answered_with_an_error_event() -> None:
    """The server never sees it, the client is told how long to wait, and the socket stays open."""
    model = Model()
    async with connected(model.guard) as connection:
        await ask(connection, QUESTION)
        standing = sentence(model.guard, Action.THROTTLE)
        assert (await ask(connection, "One."))[-1] == "response.done"
        assert standing.paced_at > 0
        await connection.response.create(event_id="event_of_mine")
        event = await connection.recv()
        assert event.type == "error"
        assert event.error.event_id == "event_of_mine"
        assert event.error.type == "rate_limit_error"
        assert "Send the next one in" in event.error.message
        model.time.pass_by(60.0)
        assert (await ask(connection, "Two."))[-1] == "response.done"
    assert model.answers == 3
    assert sum("response.create" in str(text) for text in model.server.came) == 3
    assert counted(model.guard, "exchanges") == {"committed": 3, "refused": 1}


async def test_a_blocked_question_ends_the_socket() -> None:
    """An error event says why, then both sides see the end of it."""
    model = Model()
    async with connected(model.guard) as connection:
        await ask(connection, QUESTION)
        sentence(model.guard, Action.BLOCK)
        types = await ask(connection, "One.")
        assert types == ["error"]
        with pytest.raises(ConnectionClosed) as closed:
            await connection.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008
    assert model.server.codes == [1008]
    assert model.answers == 1
    assert counted(model.guard, "refusals") == {"block": 1}


async def test_shadow_mode_touches_nothing() -> None:
    """What would have been refused is answered, and only counted."""
    model = Model(mode="shadow")
    async with connected(model.guard) as connection:
        sentence(model.guard, Action.BLOCK)
        assert (await ask(connection, QUESTION))[-1] == "response.done"
    assert model.answers == 1
    assert counted(model.guard, "shadow_refusals") == {"block": 1}


async def test_an_answer_to_speech_counts_though_no_message_asked_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the words that the server understood."""
    model = Model()
    asked, told = admitted_by(model.guard, monkeypatch), outcomes_of(model.guard, monkeypatch)
    async with talking(model.guard, REALTIME + "?model=m") as socket:
        await say(socket, type="input_audio_buffer.append", audio="c2lsZW5jZQ==")
        while (await hear(socket))["type"] != "response.done":
            pass
    assert asked[0].turns == (Turn("user", QUESTION),)
    answer = told[0].read()
    assert answer is not None
    assert answer.output_chars == len(ANSWER)


async def test_a_throttled_speaker_is_told_to_come_back() -> None:
    """Nothing can be held back of an answer that nobody asked for, so that the socket is closed."""
    model = Model()
    async with talking(model.guard, REALTIME) as socket:
        sentence(model.guard, Action.THROTTLE)
        for expected in ("response.done", "error"):
            await say(socket, type="input_audio_buffer.append", audio="c2lsZW5jZQ==")
            while (await hear(socket))["type"] != expected:
                pass
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1013
    assert counted(model.guard, "exchanges") == {"committed": 1, "refused": 1}


async def test_an_error_of_the_server_ends_the_question_that_it_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is counted as rejected; an error about something else ends nothing."""

    async def react(socket: WebSocket, text: str | None) -> None:
        event = json.loads(text or "{}")
        for label in ("another", event["event_id"]):
            error = {"type": "invalid_request_error", "message": "No.", "event_id": label}
            await socket.send_json({"type": "error", "event_id": "e", "error": error})

    guard = guarded(Server(react).app)
    told = outcomes_of(guard, monkeypatch)
    async with talking(guard, REALTIME) as socket:
        await say(socket, type="response.create", event_id="mine")
        await hear(socket)
        await hear(socket)
        assert [(outcome.status, outcome.completed) for outcome in told] == [(400, False)]
    assert counted(guard, "exchanges") == {"rejected": 1}


async def test_what_has_begun_at_the_close_is_committed_and_what_has_not_is_dropped() -> None:
    """The client goes in the middle of one answer, with another one asked for."""

    async def react(socket: WebSocket, text: str | None) -> None:
        if text and "first" in text:
            await socket.send_json({"type": "response.created", "response": {"id": "r"}})
            delta = {"type": "response.output_text.delta", "response_id": "r", "delta": "Par"}
            await socket.send_json(delta)
        else:
            await socket.send_json({"type": "pong"})

    guard = guarded(Server(react).app)
    async with talking(guard, REALTIME) as socket:
        await say(socket, type="response.create", event_id="first")
        await hear(socket)
        await hear(socket)
        await say(socket, type="response.create", event_id="second")
        assert (await hear(socket))["type"] == "pong"
        assert not counted(guard, "exchanges")
    assert counted(guard, "exchanges") == {"committed": 1, "abandoned": 1}
