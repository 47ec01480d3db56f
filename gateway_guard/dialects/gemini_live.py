"""Gemini Live: conversations over a websocket, by text or speech, on both of Google's clouds.

A message that comes while an answer is under way interrupts it, and several that come before it
begins are answered together. What the client says is read under either name of a field.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from gateway_guard.dialects.asides import aside, tools_aside, with_asides
from gateway_guard.dialects.cloud_errors import google_error_body
from gateway_guard.dialects.decoding import decoder_of
from gateway_guard.dialects.gemini_contents import MENDERS, Contents, Result, contents_turns
from gateway_guard.dialects.gemini_live_answers import INTERRUPTED, absorb, read_reply
from gateway_guard.dialects.gemini_requests import (
    Config,
    Request,
    definitions,
    model_name,
    sampling_of,
)
from gateway_guard.dialects.loose import read_as
from gateway_guard.dialects.sessions import Asking, Session, or_silence
from gateway_guard.dialects.transcript import clipped
from gateway_guard.exchange import Exchange, Sampling, Turn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway_guard.dialects.base import Refusal


class Said(msgspec.Struct, gc=False):
    """Contents of the client, and whether they are all that it says for now."""

    turns: Contents = None
    complete: bool | None = msgspec.field(default=None, name="turnComplete")
    complete_: bool | None = msgspec.field(default=None, name="turn_complete")


class Input(msgspec.Struct, gc=False):
    """What the client says as it comes; audio and pictures are passed over."""

    text: str | None = None


class Results(msgspec.Struct, gc=False):
    """What functions returned."""

    results: list[Result] | None = msgspec.field(default=None, name="functionResponses")
    results_: list[Result] | None = msgspec.field(default=None, name="function_responses")


class Message(msgspec.Struct, gc=False):
    """A message of the client."""

    setup: Request | None = None
    said: Said | None = msgspec.field(default=None, name="clientContent")
    input: Input | None = msgspec.field(default=None, name="realtimeInput")
    results: Results | None = msgspec.field(default=None, name="toolResponse")
    said_: Said | None = msgspec.field(default=None, name="client_content")
    input_: Input | None = msgspec.field(default=None, name="realtime_input")
    results_: Results | None = msgspec.field(default=None, name="tool_response")


class _Terms(msgspec.Struct, frozen=True, gc=False):
    """What was set up, its texts as long as is read of them at most."""

    model: str = ""
    turns: tuple[Turn, ...] = ()
    tools: str = ""
    tool_count: int = 0
    sampling: Sampling = Sampling()


_DECODER = decoder_of(Message)
_MOST_HEARD_CHARS = 2**14


class GeminiLive(Session):
    """One socket of ``BidiGenerateContent``."""

    name = "gemini_live"

    def __init__(self, path: str, model: str) -> None:
        """Begin before the setup."""
        super().__init__(path, model)
        self._terms = _Terms()
        self._running: Asking | None = None
        self._heard = ""

    def hear(self, message: bytes) -> Asking | None:
        """Read a message of the client."""
        made = read_as(message, _DECODER, MENDERS, lambda made: made)
        if made is None:
            return None
        if made.setup is not None:
            self._terms = _terms(made.setup)
            return None
        said, given = made.said or made.said_, made.input or made.input_
        results = made.results or made.results_
        if said is not None:
            return self._take(said)
        if given is not None and given.text is not None:
            return self._ask([Turn("user", given.text)])
        return None if results is None else self._ask(_returned(results))

    def accept(self, asking: Asking) -> Sequence[Asking]:
        """Wait for an answer; what went on until a tool had returned ends with that."""
        changed: list[Asking] = []
        running = self._running
        if running is not None and any(turn.role == "tool" for turn in asking.said):
            self.finish(running)
            self._running = None
            changed.append(running)
        return [*changed, *super().accept(asking)]

    def watch(self, message: bytes) -> Sequence[Asking]:
        """Read a message of the server."""
        reply = read_reply(message)
        self._heard = (self._heard + reply.heard)[-_MOST_HEARD_CHARS:]
        changed: list[Asking] = []
        if self._running is None and reply.says:
            changed.append(self._begin())
        running = self._running
        if running is not None:
            absorb(reply, running)
            if reply.complete:
                changed += self._end(running)
        return changed

    def error_body(self, refusal: Refusal) -> bytes:
        """Return Google's error object; its client looks for the code beside it."""
        body = msgspec.json.decode(google_error_body(refusal), type=dict[str, Any])
        return msgspec.json.encode({"code": refusal.status, **body})

    def _take(self, said: Said) -> Asking | None:
        turns = contents_turns(said.turns)
        if said.complete or said.complete_:
            return self._ask(turns)
        self.transcript.add(turns)
        return None

    def _ask(self, said: list[Turn]) -> Asking:
        said = list(clipped(said))
        return Asking(self._exchange([*self.transcript.asked(), *said]), said)

    def _exchange(self, turns: list[Turn]) -> Exchange:
        terms = self._terms
        exchange = Exchange(
            dialect=self.name,
            model=terms.model,
            turns=with_asides([*terms.turns, *or_silence(turns)], (terms.tools,)),
            sampling=terms.sampling,
            stream=True,
            tool_definitions=terms.tool_count,
        )
        return self.sized(exchange)

    def _begin(self) -> Asking:
        asking = self._running = self.begin_next(self._unasked)
        self._heard = ""
        asking.merged = tuple(self.waiting)
        return asking

    def _unasked(self) -> Exchange:
        self.transcript.add([Turn("user", self._heard, 1)])
        return self._exchange(self.transcript.asked())

    def _end(self, running: Asking) -> Sequence[Asking]:
        """End an answer, and with it those that were answered together with it."""
        self._running = None
        self.finish(running)
        ended, merged = [running], running.merged
        running.merged = ()
        if running.tally.finish != INTERRUPTED:
            for asking in merged:
                if asking in self.waiting:
                    self.waiting.remove(asking)
                    asking.start()
                    asking.end()
                    ended.append(asking)
        return ended


def _terms(setup: Request) -> _Terms:
    system, tools = setup.system or setup.system_, setup.tools or ()
    return _Terms(
        model=model_name(setup.model),
        turns=clipped(contents_turns(system, "system")),
        tools="".join(turn.text for turn in clipped([Turn("system", tools_aside(tools))])),
        tool_count=sum(map(definitions, tools)),
        sampling=sampling_of(setup.config or setup.config_ or Config()),
    )


def _returned(given: Results) -> list[Turn]:
    results = given.results or given.results_ or ()
    return [Turn("tool", aside(result.response)) for result in results]
