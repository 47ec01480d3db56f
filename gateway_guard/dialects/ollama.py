"""Ollama's chat and generate, which stream lines of JSON unless they are told not to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from gateway_guard.dialects import sampling
from gateway_guard.dialects.asides import ABSENT, aside, aside_of, tools_aside, with_asides
from gateway_guard.dialects.calls import nameless_id
from gateway_guard.dialects.cloud_errors import ollama_error_body
from gateway_guard.dialects.decoding import decoder_of
from gateway_guard.dialects.loose import read_as
from gateway_guard.dialects.ollama_answers import GRAMMAR
from gateway_guard.dialects.parts import MENDERS, ROLES, Content, split_turns
from gateway_guard.dialects.readers import StreamReader
from gateway_guard.dialects.values import ValuesReader
from gateway_guard.exchange import Exchange, Sampling, Turn

if TYPE_CHECKING:
    from gateway_guard.dialects.base import Refusal, ResponseReader

_SUFFIXES = ("/api/chat", "/api/generate")


class _Function(msgspec.Struct, gc=False):
    name: str = ""
    arguments: Any = None


class _Call(msgspec.Struct, gc=False):
    id: str | None = None
    function: _Function | None = None


class _Message(msgspec.Struct, gc=False):
    role: str = "user"
    content: Content = None
    images: list[Any] | None = None
    calls: list[_Call] | None = msgspec.field(default=None, name="tool_calls")
    other_parts: msgspec.Raw = msgspec.field(default=ABSENT, name="parts")
    other_text: msgspec.Raw = msgspec.field(default=ABSENT, name="text")


class _Options(msgspec.Struct, gc=False):
    temperature: sampling.Number = None
    top_p: sampling.Number = None
    most: int | None = msgspec.field(default=None, name="num_predict")
    stops: list[str] | str | None = msgspec.field(default=None, name="stop")
    seed: int | None = None


class _Request(msgspec.Struct, gc=False):
    messages: list[_Message] | None = None
    model: str = ""
    stream: bool | None = None
    prompt: str | None = None
    suffix: str | None = None
    system: str | None = None
    template: str | None = None
    images: list[Any] | None = None
    options: _Options | None = None
    format: msgspec.Raw = ABSENT
    tools: list[msgspec.Raw] | None = None
    think: bool | str | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    # Ollama has none of these: whoever takes them is another server under a common name.
    other_message: msgspec.Raw = msgspec.field(default=ABSENT, name="message")
    other_input: msgspec.Raw = msgspec.field(default=ABSENT, name="input")
    other_history: msgspec.Raw = msgspec.field(default=ABSENT, name="history")


_NO_OPTIONS = _Options()
_NO_FUNCTION = _Function()
_DECODER = decoder_of(_Request)


class Ollama:
    """The dialect of ``/api/chat`` and ``/api/generate``."""

    name: str = "ollama"

    def recognise(self, path: str) -> bool:
        """Tell from the decoded path, whatever stands before its end."""
        return path.rstrip("/").endswith(_SUFFIXES)

    def read_request(self, body: bytes, path: str) -> Exchange | None:
        """Return the exchange, or ``None`` where nothing is said in a way of Ollama's.

        Raises one of ``lenient.UNREADABLE`` where msgspec does not read the body as JSON.
        """
        del path  # names no model here
        return read_as(body, _DECODER, MENDERS, lambda request: _exchange(request, len(body)))

    def response_reader(self, *, event_stream: bool, digest_key: bytes) -> ResponseReader:
        """Return a reader for one response."""
        reader = StreamReader if event_stream else ValuesReader
        return reader(GRAMMAR, digest_key)

    def error_body(self, refusal: Refusal) -> bytes:
        """Return Ollama's error object."""
        return ollama_error_body(refusal)


def _exchange(request: _Request, size: int) -> Exchange | None:
    turns = _turns(request)
    if not turns or _is_foreign(request):
        return None
    form = aside(request.format)
    shown = [tools_aside(request.tools or ()), form if form.startswith("{") else ""]
    return Exchange(
        dialect=Ollama.name,
        model=sampling.model_name(request.model),
        turns=with_asides(turns, shown),
        sampling=_sampling(request, structured=bool(form)),
        stream=request.stream is not False,
        tool_definitions=sampling.tool_count(request.tools or ()),
        body_bytes=size,
    )


def _is_foreign(request: _Request) -> bool:
    if request.other_message or request.other_input or request.other_history:
        return True
    return any(message.other_parts or message.other_text for message in request.messages or ())


def _turns(request: _Request) -> list[Turn]:
    turns = [Turn("system", request.system)] if request.system else []
    for message in request.messages or ():
        turns += _message_turns(message)
    asked = [text for text in (request.template, request.prompt, request.suffix) if text]
    if asked or request.prompt is not None:
        turns.append(Turn("user", "\n".join(asked), len(request.images or ())))
    return turns


def _message_turns(message: _Message) -> list[Turn]:
    role, content = ROLES.get(message.role, "user"), message.content or ""
    images = len(message.images or ())
    if not message.calls and isinstance(content, str):
        return [Turn(role, content, images)]
    called = [(call.id, call.function or _NO_FUNCTION) for call in message.calls or ()]
    ids = [id_ or nameless_id(function.name, function.arguments) for id_, function in called]
    arguments = [aside_of(function.arguments) for _, function in called]
    turns = split_turns(role, content, ids, arguments)
    if images:
        turns[0] = msgspec.structs.replace(turns[0], images=turns[0].images + images)
    return turns


def _sampling(request: _Request, *, structured: bool) -> Sampling:
    options = request.options or _NO_OPTIONS
    return Sampling(
        temperature=sampling.finite(options.temperature),
        top_p=sampling.finite(options.top_p),
        max_tokens=sampling.token_count(options.most),
        effort=sampling.known_effort(request.think),
        stops=sampling.stop_count(options.stops),
        logprobs=bool(request.logprobs),
        top_logprobs=sampling.token_count(request.top_logprobs) or 0,
        seeded=options.seed is not None,
        structured=structured,
    )
