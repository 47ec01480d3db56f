"""A harvest over one websocket is a harvest; a conversation over another one is not."""

from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING, Any

from tests.callers import Time, counted, guarded
from tests.socketing import REALTIME, Server, hear, say, talking
from tests.traffic import HARVESTS, chat

if TYPE_CHECKING:
    from starlette.websockets import WebSocket
    from websockets.asyncio.client import ClientConnection

    from tests.driving import Play

_MOST = 60


class Scripted:
    """A realtime server that answers with what was prepared."""

    def __init__(self) -> None:
        self.answer = ""
        self.time = Time()
        self.guard = guarded(Server(self.react).app, self.time)

    async def react(self, socket: WebSocket, text: str | None) -> None:
        """Serve the answer to a question."""
        if json.loads(text or "{}")["type"] == "response.create":
            await socket.send_json({"type": "response.created", "response": {"id": "r"}})
            part = {"type": "output_text", "text": self.answer}
            output = [{"type": "message", "content": [part]}]
            done = {"id": "r", "status": "completed", "output": output}
            await socket.send_json({"type": "response.done", "response": done})

    async def ask(self, socket: ClientConnection, asked: Play, **response: Any) -> str:  # noqa: ANN401
        """Ask a question after a while; return the type of the last event."""
        self.time.pass_by(20.0)
        self.answer = asked.answer
        await say(socket, type="response.create", response=response)
        while (kind := (await hear(socket))["type"]) not in {"response.done", "error"}:
            pass
        return str(kind)


def said(text: str) -> dict[str, Any]:
    """Return what a user says."""
    content = [{"type": "input_text", "text": text}]
    return {"type": "message", "role": "user", "content": content}


async def test_a_harvest_out_of_band_is_refused() -> None:
    """Each question stands alone, as it would in requests of their own."""
    server = Scripted()
    plays = HARVESTS["self_instruct"](Random(3))
    async with talking(server.guard, REALTIME) as socket:
        kinds: list[str] = []
        while "error" not in kinds:
            asked = next(plays)
            given = [said(asked.exchange.turns[-1].text)]
            kinds.append(await server.ask(socket, asked, conversation="none", input=given))
            assert len(kinds) < _MOST
    assert counted(server.guard, "exchanges")["refused"] == 1


async def test_a_conversation_is_answered_to_its_end() -> None:
    """The answers that it goes on from were served on the same socket."""
    server = Scripted()
    plays = chat(Random(3), turns=_MOST)
    async with talking(server.guard, REALTIME) as socket:
        for _ in range(_MOST):
            asked = next(plays)
            item = said(asked.exchange.turns[-1].text)
            await say(socket, type="conversation.item.create", item=item)
            assert await server.ask(socket, asked) == "response.done"
    assert counted(server.guard, "exchanges") == {"committed": _MOST}
