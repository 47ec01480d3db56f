"""Anthropic messages, as Anthropic, LiteLLM, vLLM and others serve them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gateway_guard.dialects import sampling
from gateway_guard.dialects.anthropic_answers import GRAMMAR
from gateway_guard.dialects.asides import ABSENT, aside, tools_aside, with_asides
from gateway_guard.dialects.decoding import decoder_of
from gateway_guard.dialects.errors import anthropic_error_body
from gateway_guard.dialects.overlays import Overlaid, overlaid
from gateway_guard.dialects.parts import MENDERS, ROLES, Content, split_turns
from gateway_guard.dialects.readers import JsonReader, StreamReader
from gateway_guard.exchange import Exchange, Sampling, Turn

if TYPE_CHECKING:
    from gateway_guard.dialects.base import Refusal, ResponseReader

_SUFFIX = "/messages"
# A message that is added to a thread of OpenAI's assistants is of another shape.
_THREAD = "/threads/"


class _Message(msgspec.Struct, gc=False):
    role: str = "user"
    content: Content = None


class _Output(msgspec.Struct, gc=False):
    effort: str | None = None
    format: msgspec.Raw = ABSENT


class _Request(Overlaid, gc=False):
    messages: list[_Message] | None = None
    system: Content = None
    instructions: Content = None  # LiteLLM hands them on to models that have them
    model: str = ""
    stream: bool | None = None
    max_tokens: int | None = None
    temperature: sampling.Number = None
    top_p: sampling.Number = None
    stop_sequences: str | list[str] | None = None
    thinking: sampling.Thinking | None = None
    output_config: _Output | None = None
    output_format: msgspec.Raw = ABSENT
    tools: list[msgspec.Raw] | None = None
    metadata: sampling.Metadata | None = None


_NO_OUTPUT = _Output()
_NO_METADATA = sampling.Metadata()
_DECODER = decoder_of(_Request)


class AnthropicMessages:
    """The dialect of ``/v1/messages``."""

    name: str = "anthropic_messages"

    def recognise(self, path: str) -> bool:
        """Tell from the decoded path, whatever stands before its end."""
        return path.rstrip("/").endswith(_SUFFIX) and _THREAD not in path

    def read_request(self, body: bytes, path: str) -> Exchange | None:
        """Return the exchange, or ``None`` where there are no messages.

        Raises one of ``lenient.UNREADABLE`` where msgspec does not read the body as JSON.
        """
        del path  # names no model here
        return overlaid(body, _DECODER, MENDERS, lambda request: _exchange(request, len(body)))

    def response_reader(self, *, event_stream: bool, digest_key: bytes) -> ResponseReader:
        """Return a reader for one response."""
        reader = StreamReader if event_stream else JsonReader
        return reader(GRAMMAR, digest_key)

    def error_body(self, refusal: Refusal) -> bytes:
        """Return Anthropic's error object."""
        return anthropic_error_body(refusal)


def _turns(request: _Request) -> tuple[Turn, ...]:
    turns: list[Turn] = []
    if request.system:
        turns += split_turns("system", request.system)
    if request.instructions:
        turns += split_turns("system", request.instructions)
    for message in request.messages or ():
        role = ROLES.get(message.role, "user")
        content = message.content
        if content is None or isinstance(content, str):
            turns.append(Turn(role, content or ""))
        else:
            turns += split_turns(role, content)
    form = (request.output_config or _NO_OUTPUT).format
    tools = tools_aside(request.tools or ())
    return with_asides(turns, (tools, aside(form), aside(request.output_format)))


def _exchange(request: _Request, body_bytes: int) -> Exchange | None:
    turns = _turns(request)
    if not turns:
        return None
    return Exchange(
        dialect=AnthropicMessages.name,
        model=sampling.model_name(request.model),
        turns=turns,
        sampling=_sampling(request),
        stream=request.stream is True,
        tool_definitions=sampling.tool_count(request.tools or ()),
        end_user=sampling.end_user_name((request.metadata or _NO_METADATA).user_id),
        body_bytes=body_bytes,
    )


def _sampling(request: _Request) -> Sampling:
    output = request.output_config or _NO_OUTPUT
    return Sampling(
        temperature=sampling.finite(request.temperature),
        top_p=sampling.finite(request.top_p),
        max_tokens=sampling.token_count(request.max_tokens),
        thinking_tokens=sampling.thinking_budget(request.thinking),
        effort=sampling.known_effort(output.effort),
        stops=sampling.stop_count(request.stop_sequences),
        structured=bool(aside(output.format) or aside(request.output_format)),
    )
