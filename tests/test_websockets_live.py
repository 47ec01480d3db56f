"""Gemini Live through the guard, spoken by Google's client and by one of our own."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from google import genai
from google.genai import errors, types
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from gateway_guard import Action
from gateway_guard.exchange import Turn, Usage
from gateway_guard.profile import Slot
from tests.callers import KEY, Time, counted, flush, guarded, outcomes_of, reading_of, sentence
from tests.servers import serving
from tests.socketing import (
    ANSWER,
    LIVE,
    QUESTION,
    Server,
    admitted_by,
    hear,
    in_pieces,
    say,
    talking,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from google.genai.live import AsyncSession
    from starlette.websockets import WebSocket

MODEL = "gemini-live-2.5-flash"
SYSTEM = "You answer the staff of a museum in one sentence, and you never guess."
USAGE = {"promptTokenCount": 20, "responseTokenCount": 9, "thoughtsTokenCount": 4}
TOOL = {"functionDeclarations": [{"name": "look_up", "description": "Looks it up."}]}
CALL = {"toolCall": {"functionCalls": [{"id": "c1", "name": "look_up", "args": {}}]}}
DONE = {"serverContent": {"turnComplete": True}, "usageMetadata": USAGE}


class Model:
    """A server of Gemini Live, whose messages are binary as Google's are."""

    def __init__(self, **settings: object) -> None:
        self.time = Time()
        self.server = Server(self.react)
        self.guard = guarded(self.server.app, self.time, **settings)

    async def react(self, socket: WebSocket, text: str | None) -> None:
        """React to one message of the client."""
        message = json.loads(text or "{}")
        if "setup" in message:
            await self.tell(socket, {"setupComplete": {}})
        elif "look" in str(message.get("client_content")):
            await self.tell(socket, CALL)
        elif message.get("toolResponse") or message.get("realtimeInput", {}).get("activityEnd"):
            heard = {"serverContent": {"inputTranscription": {"text": QUESTION}}}
            await self.tell(socket, heard)
            await self.speak(socket)
        elif message.get("clientContent", {}).get("turnComplete") or "?" in str(message):
            await self.speak(socket)

    async def speak(self, socket: WebSocket) -> None:
        """Serve one answer."""
        thought = {"text": "Hm.", "thought": True}
        await self.tell(socket, {"serverContent": {"modelTurn": {"parts": [thought]}}})
        for piece in in_pieces(ANSWER):
            content = {"modelTurn": {"parts": [{"text": piece}]}}
            await self.tell(socket, {"serverContent": content})
        await self.tell(socket, {"serverContent": {"generationComplete": True}})
        await self.tell(socket, DONE)

    async def tell(self, socket: WebSocket, message: dict[str, Any]) -> None:
        """Send one message."""
        await socket.send_bytes(json.dumps(message).encode())


@pytest.fixture(autouse=True)
def _without_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Google's client insists on TLS, which servers on this machine do not speak."""

    def plainly(uri: str, *, ssl: object, **options: Any) -> connect:  # noqa: ANN401
        del ssl
        return connect(uri.replace("wss", "ws", 1), **options)

    monkeypatch.setattr("google.genai.live.ws_connect", plainly)


@asynccontextmanager
async def live(model: Model) -> AsyncIterator[AsyncSession]:
    """Speak to a guarded server with Google's own client."""
    async with serving(model.guard) as address:
        options = types.HttpOptions(base_url=address)
        client = genai.Client(api_key=KEY.decode(), http_options=options)
        config = types.LiveConnectConfig(
            response_modalities=[types.Modality.TEXT],
            system_instruction=SYSTEM,
            temperature=0.25,
        )
        async with client.aio.live.connect(model=MODEL, config=config) as session:
            yield session


async def ask(session: AsyncSession, text: str) -> str:
    """Ask, and return the answer."""
    turn = types.Content(role="user", parts=[types.Part(text=text)])
    await session.send_client_content(turns=turn, turn_complete=True)
    return "".join([message.text or "" async for message in session.receive()])


async def until_complete(socket: Any) -> None:  # noqa: ANN401
    """Read on until an answer is complete."""
    while not (await hear(socket)).get("serverContent", {}).get("turnComplete"):
        pass


async def test_an_answer_is_counted_as_it_was_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its thoughts and its tokens, under the credential that Google's client sends."""
    model = Model()
    told, asked = outcomes_of(model.guard, monkeypatch), admitted_by(model.guard, monkeypatch)
    async with live(model) as session:
        assert ANSWER in await ask(session, QUESTION)
        assert counted(model.guard, "exchanges") == {"committed": 1}
    answer = told[0].read()
    assert answer is not None
    assert (answer.output_chars, answer.reasoning_chars) == (len(ANSWER), len("Hm."))
    assert answer.usage == Usage(20, 13, 4)
    assert answer.finish == "stop"
    assert asked[0].turns == (Turn("system", SYSTEM), Turn("user", QUESTION))
    assert (asked[0].model, asked[0].sampling.temperature) == (MODEL, 0.25)
    assert reading_of(model.guard).slow[Slot.EXCHANGES] == 1.0


async def test_a_conversation_on_one_socket_is_a_conversation() -> None:
    """Its answers were served here, so that what follows is no question by itself."""
    model = Model()
    async with live(model) as session:
        for text in (QUESTION, "And of Norway?", "And of Denmark?"):
            await ask(session, text)
            flush(model.guard)
            model.time.pass_by(30.0)
    reading = reading_of(model.guard)
    assert round(reading.slow[Slot.SINGLE]) == 1
    assert round(reading.slow[Slot.OBSERVED]) == 2


async def test_a_throttled_question_is_an_error_to_the_client() -> None:
    """Google's client raises it with its code, and the socket stays open."""
    model = Model()
    async with live(model) as session:
        sentence(model.guard, Action.THROTTLE)
        assert await ask(session, QUESTION)
        with pytest.raises(errors.ClientError) as refused:
            await ask(session, QUESTION)
        assert refused.value.code == 429
        assert "Send the next one in" in str(refused.value)
        model.time.pass_by(60.0)
        assert ANSWER in await ask(session, QUESTION)
    assert counted(model.guard, "exchanges") == {"committed": 2, "refused": 1}
    assert len([text for text in model.server.came if "client_content" in str(text)]) == 2


async def test_a_blocked_question_ends_the_socket() -> None:
    """The client is told why before it is closed."""
    model = Model()
    async with talking(model.guard, LIVE) as socket:
        await say(socket, setup={"model": MODEL})
        await hear(socket)
        sentence(model.guard, Action.BLOCK)
        await say(socket, realtimeInput={"text": QUESTION})
        refusal = await hear(socket)
        assert (refusal["code"], refusal["error"]["status"]) == (403, "PERMISSION_DENIED")
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008
    assert model.server.codes == [1008]


async def test_what_tools_return_asks_for_the_next_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The call ends the answer before it, which needs no other end."""
    model = Model()
    asked, told = admitted_by(model.guard, monkeypatch), outcomes_of(model.guard, monkeypatch)
    async with talking(model.guard, LIVE) as socket:
        await say(socket, setup={"model": f"models/{MODEL}", "tools": [TOOL]})
        turns = [{"role": "user", "parts": [{"text": "look"}]}]
        await say(socket, client_content={"turns": turns, "turn_complete": True})
        await hear(socket)
        assert "toolCall" in await hear(socket)
        response = {"id": "c1", "name": "look_up", "response": {"output": "Paris"}}
        await say(socket, toolResponse={"functionResponses": [response]})
        await until_complete(socket)
    assert [turn.role for turn in asked[1].turns] == ["user", "system", "tool"]
    assert "Paris" in asked[1].turns[-1].text
    assert (asked[0].model, asked[0].tool_definitions) == (MODEL, 1)
    answers = [outcome.read() for outcome in told]
    assert [answer and answer.tool_calls for answer in answers] == [1, 0]
    assert counted(model.guard, "exchanges") == {"committed": 2}


async def test_what_is_said_in_several_messages_is_answered_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each message that asks counts; the answer is that of the first, and none is left over."""
    model = Model()
    asked, told = admitted_by(model.guard, monkeypatch), outcomes_of(model.guard, monkeypatch)
    async with talking(model.guard, LIVE) as socket:
        await say(socket, setup={"model": MODEL})
        await hear(socket)
        turns = [{"role": "user", "parts": [{"text": "A riddle."}]}]
        await say(socket, clientContent={"turns": turns})
        for text in ("Which city", "is the capital", "of France?"):
            await say(socket, realtimeInput={"text": text})
        await until_complete(socket)
    assert [len(exchange.turns) for exchange in asked] == [2, 3, 4]
    lengths = [answer.output_chars for outcome in told if (answer := outcome.read())]
    assert lengths == [len(ANSWER), 0, 0]
    assert counted(model.guard, "exchanges") == {"committed": 3}


async def test_an_answer_to_speech_counts_with_what_was_understood(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The audio itself is not read."""
    model = Model()
    asked = admitted_by(model.guard, monkeypatch)
    async with talking(model.guard, LIVE) as socket:
        await say(socket, setup={"model": MODEL})
        await hear(socket)
        audio = {"data": "AAAA", "mimeType": "audio/pcm"}
        await say(socket, realtimeInput={"audio": audio})
        await say(socket, realtimeInput={"activityEnd": {"at": 1}})
        await until_complete(socket)
    assert asked[0].turns == (Turn("user", QUESTION, 1),)
    assert counted(model.guard, "exchanges") == {"committed": 1}


async def test_an_interrupted_answer_is_over_and_the_next_one_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The message that interrupts is a question of its own."""

    async def react(socket: WebSocket, text: str | None) -> None:
        piece = {"modelTurn": {"parts": [{"text": "Par"}]}}
        if text and "first" in text:
            await socket.send_json({"serverContent": piece})
        elif text and "second" in text:
            await socket.send_json({"serverContent": {"interrupted": True}})
            await socket.send_json({"serverContent": {"turnComplete": True}})
            await socket.send_json({"serverContent": piece})
            await socket.send_json(DONE)

    guard = guarded(Server(react).app)
    told = outcomes_of(guard, monkeypatch)
    async with talking(guard, LIVE) as socket:
        await say(socket, realtimeInput={"text": "first"})
        await hear(socket)
        await say(socket, realtimeInput={"text": "second"})
        await until_complete(socket)
        await until_complete(socket)
    answers = [answer for outcome in told if (answer := outcome.read())]
    assert [(answer.output_chars, answer.finish) for answer in answers] == [
        (3, "interrupted"),
        (3, None),
    ]
