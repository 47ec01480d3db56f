"""OpenAI realtime: conversations over a websocket, by text or speech, as OpenAI, Azure and others.

The server keeps the items of the conversation. An answer is asked for by ``response.create``, or,
where the server listens for the end of speech, by nobody at all.
"""

from __future__ import annotations

from secrets import token_hex
from typing import TYPE_CHECKING, Any

import msgspec

from gateway_guard.dialects.asides import with_asides
from gateway_guard.dialects.decoding import decoder_of
from gateway_guard.dialects.errors import openai_error_body
from gateway_guard.dialects.loose import read_as
from gateway_guard.dialects.openai_items import MENDERS, Item, turns_of
from gateway_guard.dialects.openai_realtime_answers import ENDED, Event, absorb, read_event
from gateway_guard.dialects.openai_realtime_terms import Config, Terms
from gateway_guard.dialects.sessions import MOST_WAITING, Asking, Session, or_silence
from gateway_guard.exchange import Exchange, Turn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway_guard.dialects.base import Refusal

_ADDED = frozenset({"conversation.item.added", "conversation.item.created"})
_WORDED = "conversation.item.input_audio_transcription.completed"
_SPOKEN = "input_audio_buffer.committed"
_REFERENCE = "item_reference"
_MOST_ID_CHARS = 512


class Message(msgspec.Struct, gc=False):
    """An event of the client; audio is passed over without making anything of it."""

    type: str = ""
    event_id: str | None = None
    item_id: str | None = None
    item: Item | None = None
    session: Config | None = None
    response: Config | None = None


_DECODER = decoder_of(Message)


class OpenAIRealtime(Session):
    """One socket of ``/realtime``."""

    name = "openai_realtime"

    def __init__(self, path: str, model: str) -> None:
        """Begin without a configuration."""
        super().__init__(path, model)
        self._terms = Terms()
        self._running: dict[str, Asking] = {}

    def hear(self, message: bytes) -> Asking | None:
        """Read an event of the client."""
        said = read_as(message, _DECODER, MENDERS, lambda made: made)
        if said is None:
            return None
        if said.type == "response.create":
            return self._ask(said, said.response or Config())
        if said.session is not None:
            self._terms = self._terms.changed(said.session)
        elif said.type == "conversation.item.create" and said.item is not None:
            self.transcript.add(turns_of([said.item]), _id(said.item.id))
        elif said.type == "conversation.item.delete" and said.item_id:
            self.transcript.remove(said.item_id)
        return None

    def watch(self, message: bytes) -> Sequence[Asking]:
        """Read an event of the server."""
        event = read_event(message)
        if event.type == "response.created":
            return self._begin(event)
        asking = self._running.get(event.answer_id)
        if asking is not None:
            absorb(event, asking)
            return self._end(event.answer_id) if event.type in ENDED else ()
        if event.type == "error":
            return self._reject(event)
        self._note(event)
        return ()

    def error_body(self, refusal: Refusal) -> bytes:
        """Return OpenAI's event of an error, which names the client's event."""
        error = msgspec.json.decode(openai_error_body(refusal), type=dict[str, Any])["error"]
        error["event_id"], self.label = self.label, None
        event = {"type": "error", "event_id": f"event_{token_hex(10)}", "error": error}
        return msgspec.json.encode(event)

    def _ask(self, said: Message, response: Config) -> Asking:
        turns = self.transcript.asked() if response.input is None else self._given(response.input)
        joins = response.conversation != "none"
        exchange = self._exchange(self._terms.changed(response), turns)
        return Asking(exchange, label=_id(said.event_id), joins=joins)

    def _exchange(self, terms: Terms, turns: list[Turn]) -> Exchange:
        turns = [*terms.turns(), *or_silence(turns)]
        exchange = Exchange(
            dialect=self.name,
            model=self.model or terms.model,
            turns=with_asides(turns, (terms.tools,)),
            sampling=terms.sampling(),
            stream=True,
            tool_definitions=terms.tool_count,
        )
        return self.sized(exchange)

    def _given(self, items: list[Item]) -> list[Turn]:
        """Return the turns of an answer's own conversation, which may refer to items of ours."""
        turns: list[Turn] = []
        for item in items:
            known = self.transcript.find(item.id) if item.type == _REFERENCE and item.id else ()
            turns += known or turns_of([item])
        return turns

    def _begin(self, event: Event) -> Sequence[Asking]:
        asking = self.begin_next(self._unasked)
        changed = [asking]
        if len(self._running) >= MOST_WAITING:
            changed += self._end(next(iter(self._running)), completed=False)
        asking.tally.name(event.answer_id)
        self._running[event.answer_id] = asking
        return changed

    def _unasked(self) -> Exchange:
        return self._exchange(self._terms, self.transcript.asked())

    def _end(self, id_: str, *, completed: bool = True) -> Sequence[Asking]:
        asking = self._running.pop(id_)
        self.finish(asking, completed=completed)
        return (asking,)

    def _reject(self, event: Event) -> Sequence[Asking]:
        """Take note of an error, which names its event where the client did.

        Where it names none it may be about any event. An answer that comes all the same counts as
        one that nobody asked for.
        """
        label = event.error.event_id if event.error is not None else None
        asking = next((one for one in self.waiting if label is None or one.label == label), None)
        if asking is None:
            return ()
        self.waiting.remove(asking)
        asking.reject()
        return (asking,)

    def _note(self, event: Event) -> None:
        """Take note of what the server tells of the client's items."""
        item, transcript = event.item, self.transcript
        if event.type == _SPOKEN and event.item_id:
            transcript.add([Turn("user", "", 1)], _id(event.item_id))
        elif event.type == _WORDED and event.item_id and event.transcript:
            transcript.word(event.item_id, event.transcript)
        elif event.type in _ADDED and item is not None and item.id and item.role != "assistant":
            transcript.name_oldest(item.id[:_MOST_ID_CHARS])


def _id(id_: str | None) -> str | None:
    return id_[:_MOST_ID_CHARS] if id_ else None
