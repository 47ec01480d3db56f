"""Websockets through the guard: handshakes, messages as they are, and servers of any kind."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from gateway_guard import Action
from gateway_guard.exchange import Turn, Usage
from tests.callers import Wire, counted, guarded, outcomes_of, scope_of, sentence
from tests.servers import serving
from tests.socketing import (
    ANSWER,
    LIVE,
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
    from starlette.types import Message, Receive, Scope, Send
    from starlette.websockets import WebSocket

CREATE = json.dumps({"type": "response.create"})


async def echo(socket: WebSocket, text: str | None) -> None:
    """Send back what came."""
    if text is None:
        await socket.send_bytes(b"\0\1\2")
    else:
        await socket.send_text(text)


async def tell(socket: WebSocket, text: str | None) -> None:
    """Answer a question as servers of no known kind do."""
    if text is None or "prompt" not in text:
        await socket.send_json({"type": "status", "state": "idle"})
        return
    for piece in in_pieces(ANSWER):
        await socket.send_json({"token": piece})
    usage = {"prompt_tokens": 8, "completion_tokens": 12}
    await socket.send_json({"type": "answer.done", "usage": usage})


async def test_no_handshake_succeeds_where_websockets_are_refused() -> None:
    """The client is told why in words, and the application is not reached."""
    server = Server(echo)
    guard = guarded(server.app, websockets="refuse")
    async with serving(guard) as address:
        with pytest.raises(InvalidStatus) as denied:
            await connect(address.replace("http", "ws", 1) + REALTIME)
    response = denied.value.response
    assert response.status_code == 403
    error = json.loads(response.body or b"")["error"]
    assert error["code"] == "websocket_not_supported"
    assert "use HTTP" in error["message"]
    assert not server.came
    assert counted(guard, "problems") == {"websocket": 1}


async def test_a_refused_handshake_is_closed_where_no_words_can_be_sent() -> None:
    """Servers turn that into a bare 403."""
    guard, wire = guarded(Server(echo).app, websockets="refuse"), Wire()
    await guard(scope_of(REALTIME, type="websocket"), wire.receive, wire.send)
    assert wire.sent == [{"type": "websocket.close", "code": 1008}]


async def test_shadow_mode_refuses_no_handshake() -> None:
    """It counts what would have been refused, and goes on to observe."""
    guard = guarded(Server(tell).app, websockets="refuse", mode="shadow")
    async with talking(guard, "/ws") as socket:
        await say(socket, prompt=QUESTION)
        assert "token" in await hear(socket)
    assert counted(guard, "shadow_problems") == {"websocket": 1}
    assert counted(guard, "exchanges") == {"committed": 1}


@pytest.mark.parametrize("path", [REALTIME, LIVE, "/v1/responses", "/ws"])
async def test_messages_pass_unchanged_and_one_for_one(path: str) -> None:
    """Whatever they are, in both directions; the guard reads them and raises nothing."""
    said: list[str | bytes] = [
        "",
        "hello",
        "{",
        "[]",
        "{}",
        "null",
        '{"type": 1}',
        '{"type": "session.update", "session": 7}',
        '{"type": "conversation.item.create", "item": [1]}',
        '{"type": "conversation.item.create", "item": {"content": [{"type": "odd", "x": "y"}]}}',
        '{"type": "response.create", "response": {"input": "text", "tools": 1}}',
        '{"type":"response.create","response":{"temperature":NaN,"instructions":"\\ud800"}}',
        '{"setup": 1}',
        '{"setup": {"model": 3, "tools": "all", "systemInstruction": "Sing."}}',
        '{"clientContent": {"turns": "a", "turnComplete": 1}}',
        '{"realtimeInput": {"text": 4}}',
        '{"toolResponse": {"functionResponses": [null, {"response": null}]}}',
        '{"error": {"event_id": []}}',
        '{"type": "response.created", "response": null}',
        '{"serverContent": {"modelTurn": {"parts": "x"}, "turnComplete": true}}',
        '{"type": "response.output_text.delta", "delta": {"a": 1}}',
        "[" * 5000,
        "\ufeff{}",
        b"",
        b"\0\xff",
        b'{"realtimeInput": {"audio": {"data": "AAAA"}}}',
        b"{ no json }",
    ]
    server = Server(echo)
    guard = guarded(server.app)
    async with talking(guard, path) as socket:
        for message in said:
            await socket.send(message)
            back = await socket.recv()
            assert back == (message if isinstance(message, str) else b"\0\1\2")
    assert server.came == said
    assert not counted(guard, "errors")


async def test_audio_is_counted_and_not_read() -> None:
    """Binary messages of both sides, however they begin."""
    guard = guarded(Server(echo).app)
    async with talking(guard, REALTIME) as socket:
        for message in (b"\0" * 640, b"{\0\1", b"[ \2"):
            await socket.send(message)
            await socket.recv()
    assert counted(guard, "socket_messages") == {"binary": 6}
    assert not counted(guard, "requests")


async def test_a_message_over_a_mebibyte_passes_and_counts_as_unparsed() -> None:
    """The server gets it whole."""
    server = Server(echo)
    guard = guarded(server.app)
    item = {"role": "user", "content": [{"type": "input_text", "text": "x" * 2**20}]}
    message = json.dumps({"type": "conversation.item.create", "item": item})
    async with serving(guard) as address:
        url = address.replace("http", "ws", 1) + REALTIME
        async with connect(url, max_size=2**22) as socket:
            await socket.send(message)
            assert await socket.recv() == message
    assert server.came == [message]
    assert counted(guard, "unparsed") == {"openai_realtime": 1}


async def test_a_large_question_is_no_way_around_the_guard() -> None:
    """What nobody could read is answered, and that is seen."""

    async def react(socket: WebSocket, text: str | None) -> None:
        del text
        await socket.send_json({"type": "response.created", "response": {"id": "r"}})
        await socket.send_json({"type": "response.completed", "response": {"id": "r"}})

    for path in ("/v1/responses", REALTIME):
        guard = guarded(Server(react).app)
        async with talking(guard, path) as socket:
            body = {"type": "response.create", "input": "x" * 2**20}
            await say(socket, **body)
            await hear(socket)
            await hear(socket)
        assert counted(guard, "exchanges") == {"committed": 1}
    guard = guarded(Server(tell).app)
    async with talking(guard, "/ws") as socket:
        await say(socket, prompt="x" * 2**20)
        await hear(socket)
    assert counted(guard, "exchanges") == {"committed": 1}


async def test_sockets_of_no_known_kind_are_read_by_their_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A question is whatever has a prompt, an answer what comes then, until it says it is done."""
    guard = guarded(Server(tell).app)
    asked, told = admitted_by(guard, monkeypatch), outcomes_of(guard, monkeypatch)
    async with talking(guard, "/chat/ws") as socket:
        await say(socket, action="ping")
        await hear(socket)
        for text in (QUESTION, "And of Norway?"):
            await say(socket, prompt=text, model="m")
            while "usage" not in await hear(socket):
                pass
        assert counted(guard, "exchanges") == {"committed": 2}
    assert asked[0].turns == (Turn("user", QUESTION),)
    assert [turn.role for turn in asked[1].turns] == ["user", "assistant", "user"]
    answers = [outcome.read() for outcome in told]
    assert [answer and answer.output_chars for answer in answers] == [len(ANSWER)] * 2
    assert [answer and answer.usage for answer in answers] == [Usage(8, 12)] * 2


@pytest.mark.parametrize(
    ("first", "name"),
    [
        ({"type": "session.update", "session": {}}, "openai_realtime"),
        ({"type": "response.create", "input": "hello"}, "openai_responses"),
        ({"setup": {"model": "m"}}, "gemini_live"),
        ({"prompt": "hello"}, "generic"),
    ],
)
async def test_an_unknown_path_is_known_by_the_first_message(
    first: dict[str, Any], name: str
) -> None:
    """Servers mount their sockets where they like."""
    guard = guarded(Server(echo).app)
    async with talking(guard, "/anything") as socket:
        await say(socket, **first)
        await hear(socket)
        await say(socket, type="response.create", input="hello", prompt="hello")
        await say(socket, realtimeInput={"text": "hello"})
        await hear(socket)
        await hear(socket)
    assert list(counted(guard, "requests")) == [name]


async def test_a_refused_question_of_no_known_kind_is_told_so() -> None:
    """In the shape that most clients read."""
    guard = guarded(Server(tell).app)
    async with talking(guard, "/ws") as socket:
        sentence(guard, Action.BLOCK)
        await say(socket, prompt=QUESTION)
        refusal = await hear(socket)
        assert (refusal["type"], refusal["error"]["type"]) == ("error", "permission_error")
        with pytest.raises(ConnectionClosed):
            await socket.recv()


@pytest.mark.parametrize("fail", ["open", "closed"])
async def test_a_guard_that_breaks_follows_the_setting(
    fail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Messages pass as if it were not there, or are answered with an error."""
    server = Server(echo)
    guard = guarded(server.app, fail=fail)

    def broken(*_: object) -> None:
        raise RuntimeError

    async with talking(guard, REALTIME) as socket:
        monkeypatch.setattr(guard.engine, "admit", broken)
        await socket.send(CREATE)
        back = await hear(socket)
        await say(socket, type="session.update")
        assert (await hear(socket))["type"] == "session.update"
    assert back["type"] == ("response.create" if fail == "open" else "error")
    assert (CREATE in server.came) == (fail == "open")
    assert counted(guard, "errors") == {"RuntimeError": 1}


async def test_an_application_that_only_sends_is_stopped_too() -> None:
    """Once the guard has closed a socket, nothing more is spent on it."""
    ended: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await receive()
        await send({"type": "websocket.accept"})
        for number in range(1000):
            event = {"type": "response.created", "response": {"id": f"r{number}"}}
            try:
                if number == 0:
                    await receive()
                await send({"type": "websocket.send", "text": json.dumps(event)})
            except OSError:
                ended.append(f"at {number}")
                raise

    guard = guarded(app)
    async with talking(guard, REALTIME) as socket:
        sentence(guard, Action.BLOCK)
        await say(socket, type="session.update")
        kinds = [(await hear(socket))["type"] for _ in range(2)]
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert kinds == ["response.created", "error"]
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008
    assert ended == ["at 1"]
    assert not counted(guard, "errors")


async def test_a_client_that_has_gone_is_not_told() -> None:
    """The application learns of it as it always does."""
    gone = {"type": "websocket.disconnect", "code": 1006}
    received = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await send({"type": "websocket.accept"})
        received.append(await receive())

    async def send(message: Message) -> None:
        if message["type"] == "websocket.send":
            raise OSError

    guard = guarded(app)
    wire = Wire({"type": "websocket.receive", "text": CREATE}, gone)
    standing = sentence(guard, Action.THROTTLE)
    standing.paced_at = guard.guard.timeline.now().steady + 10.0
    await guard(scope_of(REALTIME, type="websocket"), wire.receive, send)
    assert received == [gone]
    assert not counted(guard, "errors")


async def test_messages_pass_before_the_answer_is_complete() -> None:
    """Neither side waits for the guard to have seen more."""

    async def react(socket: WebSocket, text: str | None) -> None:
        event = json.loads(text or "{}")
        if event["type"] == "response.create":
            created = {"type": "response.created", "response": {"id": "r"}}
            await socket.send_json(created)
        else:
            await socket.send_json({"type": "response.done", "response": {"id": "r"}})

    guard = guarded(Server(react).app)
    async with talking(guard, REALTIME) as socket:
        await socket.send(CREATE)
        assert (await hear(socket))["type"] == "response.created"
        assert not counted(guard, "exchanges")
        await say(socket, type="response.cancel")
        assert (await hear(socket))["type"] == "response.done"
        assert counted(guard, "exchanges") == {"committed": 1}


async def test_a_dense_message_is_not_parsed() -> None:
    """It would keep the other sockets waiting."""
    server = Server(echo)
    guard = guarded(server.app)
    message = '{"item":[' + ",".join(["[]"] * 300_000) + "]}"
    async with talking(guard, REALTIME) as socket:
        await socket.send(message)
        assert await socket.recv() == message
    assert counted(guard, "unparsed") == {"openai_realtime": 1}


async def test_a_blocked_speaker_is_closed_for_good() -> None:
    """An answer that nobody asked for ends at its beginning."""

    async def react(socket: WebSocket, text: str | None) -> None:
        del text
        await socket.send_json({"type": "response.created", "response": {"id": "r"}})

    guard = guarded(Server(react).app)
    async with talking(guard, REALTIME) as socket:
        sentence(guard, Action.BLOCK)
        await say(socket, type="input_audio_buffer.append", audio="AAAA")
        kinds = [(await hear(socket))["type"] for _ in range(2)]
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert kinds == ["response.created", "error"]
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008
    assert counted(guard, "exchanges") == {"refused": 1}
