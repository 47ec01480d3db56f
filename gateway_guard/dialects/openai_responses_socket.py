"""OpenAI responses over a websocket: what is posted to ``/responses`` comes as messages instead.

Requests refer to earlier answers by their ids, so nothing has to be remembered here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from gateway_guard.dialects.asides import ABSENT
from gateway_guard.dialects.decoding import decoder_of
from gateway_guard.dialects.errors import openai_error_body
from gateway_guard.dialects.lenient import parse
from gateway_guard.dialects.loose import loosely
from gateway_guard.dialects.openai_responses import OpenAIResponses
from gateway_guard.dialects.openai_responses_answers import Event, absorb
from gateway_guard.dialects.registry import read_request
from gateway_guard.dialects.sessions import MOST_WAITING, Asking, Session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway_guard.dialects.base import Refusal

_PATH = "/responses"
_ENDED = frozenset(
    {"response.cancelled", "response.completed", "response.failed", "response.incomplete"}
)


class _Message(msgspec.Struct, gc=False):
    """A message of the client, whose request some put into a field."""

    type: str = ""
    response: msgspec.Raw = ABSENT


_MESSAGE = decoder_of(_Message)
_EVENT = decoder_of(Event)


class OpenAIResponsesSocket(Session):
    """One socket of ``/responses``."""

    name = OpenAIResponses.name

    def __init__(self, path: str, model: str) -> None:
        """Begin with no answer under way."""
        super().__init__(path, model)
        self._running: dict[str, Asking] = {}
        self._newest: Asking | None = None

    def hear(self, message: bytes) -> Asking | None:
        """Read a message of the client."""
        made = _MESSAGE.decode(message)
        if made.type != "response.create":
            return None
        _, exchange = read_request(bytes(made.response) or message, _PATH)
        if exchange is None:
            return None
        exchange = msgspec.structs.replace(exchange, stream=True)
        return Asking(self.sized(exchange), joins=False)

    def watch(self, message: bytes) -> Sequence[Asking]:
        """Read an event of the server; those between the first and the last name no answer."""
        event = _read_event(message)
        id_ = event.response.id if event.response is not None else None
        if event.type == "response.created":
            return self._begin(id_ or "")
        asking = self._newest if id_ is None else self._running.get(id_)
        if event.type == "error" and asking is None:
            return self._reject()
        if asking is None:
            return ()
        absorb(event, asking.tally)
        asking.count_piece()
        return self._end(asking) if event.type in _ENDED or event.type == "error" else ()

    def error_body(self, refusal: Refusal) -> bytes:
        """Return OpenAI's event of an error, as its clients and its docs have it."""
        error = msgspec.json.decode(openai_error_body(refusal), type=dict[str, Any])["error"]
        told = {"code": error["code"], "message": error["message"], "param": None}
        event = {"type": "error", "status": refusal.status, "sequence_number": 0, **told}
        return msgspec.json.encode({**event, "error": error})

    def _begin(self, id_: str) -> Sequence[Asking]:
        asking = self.begin_next(self.unread)
        asking.tally.name(id_)
        changed = [asking]
        if len(self._running) >= MOST_WAITING:
            changed += self._end(next(iter(self._running.values())))
        self._running[id_] = self._newest = asking
        return changed

    def _end(self, asking: Asking) -> Sequence[Asking]:
        self._running = {id_: one for id_, one in self._running.items() if one is not asking}
        self._newest = None if asking is self._newest else self._newest
        asking.end()
        return (asking,)

    def _reject(self) -> Sequence[Asking]:
        if not self.waiting:
            return ()
        asking = self.waiting.popleft()
        asking.reject()
        return (asking,)


def _read_event(message: bytes) -> Event:
    try:
        return _EVENT.decode(message)
    except msgspec.ValidationError:
        return loosely(parse(message), Event) or Event()
