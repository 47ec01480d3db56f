"""Websockets of unknown shape: JSON in which something is said to a model, and what comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from gateway_guard.dialects.errors import openai_error_body
from gateway_guard.dialects.generic import Generic
from gateway_guard.dialects.generic_answers import absorb
from gateway_guard.dialects.lenient import UNREADABLE, parse
from gateway_guard.dialects.registry import read_request
from gateway_guard.dialects.sessions import Asking, Session
from gateway_guard.dialects.transcript import clipped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway_guard.dialects.base import Refusal
    from gateway_guard.exchange import Exchange, Turn

_DONE = b"[DONE]"
_ENDS = ("complete", "completed", "done", "end", "finish", "finished", "stop")
_MOST_UNREAD_BYTES = 2**16


class GenericSocket(Session):
    """One socket of which nothing is known; a new question ends the answer to the one before."""

    name = Generic.name

    def __init__(self, path: str, model: str) -> None:
        """Begin with no answer under way."""
        super().__init__(path, model)
        self._running: Asking | None = None

    def hear(self, message: bytes) -> Asking | None:
        """Read a message of the client."""
        return self._ask(read_request(message, self.path)[1])

    def overlook(self, message: bytes) -> Asking | None:
        """Take note of a message that is too large; its beginning tells whether it asks."""
        self.passed(message)
        return self._ask(read_request(message[:_MOST_UNREAD_BYTES], self.path)[1])

    def accept(self, asking: Asking) -> Sequence[Asking]:
        """Wait for an answer; the one before has come to its end if it had begun."""
        running, self._running = self._running, None
        if running is None:
            return super().accept(asking)
        self.finish(running)
        return [running, *super().accept(asking)]

    def watch(self, message: bytes) -> Sequence[Asking]:
        """Read a message of the server: a piece of the oldest answer that is waited for."""
        begins = self._running is None
        if self._running is None:
            if not self.waiting:
                return ()
            self._running = self.waiting.popleft()
            self._running.start()
        running = self._running
        if not _absorb(message, running):
            return (running,) if begins else ()
        self._running = None
        if running.tally.failed and not running.tally.output_chars:
            running.reject()
        else:
            self.finish(running)
        return (running,)

    def error_body(self, refusal: Refusal) -> bytes:
        """Return OpenAI's error object as an event."""
        body = msgspec.json.decode(openai_error_body(refusal), type=dict[str, Any])
        return msgspec.json.encode({"type": "error", **body})

    def _ask(self, exchange: Exchange | None) -> Asking | None:
        if exchange is None:
            return None
        turns = exchange.turns
        said = clipped([turn for turn in turns if turn.role != "system"])
        if not any(turn.role == "assistant" for turn in turns):
            turns = self._with_history(turns)
        exchange = msgspec.structs.replace(exchange, turns=turns, stream=True)
        return Asking(self.sized(exchange), said)

    def _with_history(self, turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
        """Return the turns of a message that shows no history, after those that came before."""
        system = [turn for turn in turns if turn.role == "system"]
        rest = [turn for turn in turns if turn.role != "system"]
        return (*system, *self.transcript.asked(), *rest)


def _absorb(message: bytes, asking: Asking) -> bool:
    """Add a piece of an answer; tell whether it is the last one."""
    try:
        data = parse(message)
    except UNREADABLE:
        data = None
    if not isinstance(data, dict | list):
        if message.strip() == _DONE:
            return True
        asking.say(message.decode("utf-8", "replace"))
        return False
    absorb(data, asking.tally)
    asking.count_piece()
    return asking.tally.finish is not None or asking.tally.failed or _is_end(data)


def _is_end(data: object) -> bool:
    if not isinstance(data, dict):
        return False
    kinds = [data.get(name) for name in ("type", "event", "status")]
    ends = [kind for kind in kinds if isinstance(kind, str) and kind.lower().endswith(_ENDS)]
    return bool(ends) or any(data.get(name) is True for name in ("done", "finished", "is_final"))
