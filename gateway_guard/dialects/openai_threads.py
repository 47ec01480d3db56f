"""OpenAI's threads and their runs, and the conversations that responses go on in.

Texts are put there by requests that ask for nothing, and asked about by later ones.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from gateway_guard.dialects import sampling
from gateway_guard.dialects.asides import aside, aside_of, tools_aside, with_asides
from gateway_guard.dialects.decoding import decoder_of
from gateway_guard.dialects.errors import openai_error_body
from gateway_guard.dialects.generic import Generic
from gateway_guard.dialects.loose import read_as
from gateway_guard.dialects.openai_items import MENDERS, Item, turns_of
from gateway_guard.dialects.openai_threads_answers import GRAMMAR
from gateway_guard.dialects.parts import Content
from gateway_guard.dialects.readers import JsonReader, StreamReader
from gateway_guard.exchange import Exchange, Sampling, Turn

if TYPE_CHECKING:
    from gateway_guard.dialects.base import Refusal, ResponseReader
    from gateway_guard.exchange import Answer, AnswerText, Hear

_PLACE = re.compile(
    r"/(?:threads|conversations)"
    r"(?:/(?P<place>[^/]+)/(?:messages|items|(?P<run>runs(?:/[^/]+/submit_tool_outputs)?)))?\Z"
    r"|/threads/(?P<both>runs)\Z"
)


class _Output(msgspec.Struct, gc=False):
    output: Any = None


class _Thread(msgspec.Struct, gc=False):
    messages: list[Item | str] | None = None


class _Request(_Thread, gc=False):
    items: list[Item | str] | None = None
    role: str | None = None
    content: Content = None
    thread: _Thread | None = None
    additional_messages: list[Item | str] | None = None
    instructions: Any = None
    additional_instructions: Any = None
    tool_outputs: list[_Output] | None = None
    model: str | None = None
    stream: bool | None = None
    temperature: sampling.Number = None
    top_p: sampling.Number = None
    max_completion_tokens: int | None = None
    reasoning_effort: str | None = None
    response_format: sampling.Format | str | None = None
    tools: list[msgspec.Raw] | None = None


_DECODER = decoder_of(_Request)


class OpenAIThreads:
    """The dialect of ``/threads`` and ``/conversations``."""

    name: str = "openai_threads"

    def recognise(self, path: str) -> bool:
        """Tell from the decoded path, whatever stands before its end."""
        if "/threads" not in path and "/conversations" not in path:
            return False
        return _PLACE.search(path.rstrip("/")) is not None

    def read_request(self, body: bytes, path: str) -> Exchange | None:
        """Return the exchange, or ``None`` where nothing is put in a place or asked about one.

        Raises one of ``lenient.UNREADABLE`` where msgspec does not read the body as JSON.
        """
        return read_as(body, _DECODER, MENDERS, lambda request: _exchange(request, body, path))

    def response_reader(self, *, event_stream: bool, digest_key: bytes) -> ResponseReader:
        """Return a reader for one response."""
        reader = StreamReader if event_stream else JsonReader
        own = reader(GRAMMAR, digest_key)
        return _Either(
            own, Generic().response_reader(event_stream=event_stream, digest_key=digest_key)
        )

    def error_body(self, refusal: Refusal) -> bytes:
        """Return OpenAI's error object."""
        return openai_error_body(refusal)


class _Either:
    """Reads an answer as that of somebody else's server, unless it is of OpenAI's shape."""

    __slots__ = ("_other", "_own")

    def __init__(self, own: ResponseReader, other: ResponseReader) -> None:
        self._own = own
        self._other = other

    @property
    def held_bytes(self) -> int:
        return self._own.held_bytes + self._other.held_bytes

    def feed(self, chunk: bytes) -> None:
        self._own.feed(chunk)
        self._other.feed(chunk)

    def finish(self, hear: Hear | None = None) -> Answer:
        texts: list[AnswerText] = []
        own = self._own.finish(texts.append)
        if not (own.names or own.parts or own.awaited or own.output_chars or own.failed):
            return self._other.finish(hear)
        if hear is not None:
            for text in texts:
                hear(text)
        return own


def _exchange(request: _Request, body: bytes, path: str) -> Exchange | None:
    found = _PLACE.search(path.rstrip("/"))
    place = found and found["place"]
    adds = found is not None and not found["run"] and not found["both"]
    turns = tuple(_added(request)) if adds else _run(request, place)
    if not turns:
        return None
    return Exchange(
        dialect=OpenAIThreads.name,
        model=sampling.model_name(request.model or ""),
        turns=turns,
        sampling=_sampling(request),
        stream=request.stream is True,
        tool_definitions=sampling.tool_count(request.tools or ()),
        body_bytes=len(body),
        place=place,
        adds=adds,
    )


def _added(request: _Request) -> list[Turn]:
    items: list[Item | str] = [*(request.messages or ()), *(request.items or ())]
    if request.content is not None:
        items.append(Item(role=request.role or "user", content=request.content))
    return turns_of(items)


def _run(request: _Request, place: str | None) -> tuple[Turn, ...]:
    """Return the turns of a run: what it is told, where it goes on, and what it adds there."""
    told = (request.instructions, request.additional_instructions)
    turns = [Turn("system", aside_of(text)) for text in told if text]
    if place is not None:
        turns.append(Turn("assistant", "", 0, (place,)))
    thread = request.thread or _Thread()
    turns += turns_of([*(thread.messages or ()), *(request.additional_messages or ())])
    turns += [Turn("tool", aside_of(one.output)) for one in request.tool_outputs or ()]
    form = _form(request) or sampling.Format()
    shown = (tools_aside(request.tools or ()), aside(form.json_schema), aside(form.schema))
    return with_asides(turns, shown)


def _form(request: _Request) -> sampling.Format | None:
    form = request.response_format
    return None if isinstance(form, str) else form


def _sampling(request: _Request) -> Sampling:
    return Sampling(
        temperature=sampling.finite(request.temperature),
        top_p=sampling.finite(request.top_p),
        max_tokens=sampling.token_count(request.max_completion_tokens),
        effort=sampling.known_effort(request.reasoning_effort),
        structured=sampling.is_structured(_form(request)),
    )
