"""Amazon Bedrock: converse, and models that are invoked in words of their own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from gateway_guard.dialects import generic_answers, sampling
from gateway_guard.dialects.anthropic_messages import AnthropicMessages
from gateway_guard.dialects.asides import ABSENT, aside, tools_aside, with_asides
from gateway_guard.dialects.bedrock_answers import CONVERSE, INVOKE
from gateway_guard.dialects.bedrock_contents import MENDERS, Blocks, Text, block_turns
from gateway_guard.dialects.cloud_errors import amazon_error_body
from gateway_guard.dialects.decoding import decoder_of
from gateway_guard.dialects.event_frames import EitherReader, FramesReader
from gateway_guard.dialects.generic import Generic
from gateway_guard.dialects.loose import read_as
from gateway_guard.dialects.parts import ROLES
from gateway_guard.dialects.readers import JsonReader, StreamReader
from gateway_guard.exchange import Exchange, Sampling, Turn

if TYPE_CHECKING:
    from gateway_guard.dialects.base import Refusal, ResponseReader

_CONVERSE = re.compile(r"/model/(.+)/converse(-stream)?/?\Z")
_INVOKE = re.compile(r"/model/(.+)/invoke(-with-response-stream)?/?\Z")
_ANTHROPIC_FIELD = b'"anthropic_version"'


class _Message(msgspec.Struct, gc=False):
    role: str = "user"
    content: Blocks = None


class _Inference(msgspec.Struct, gc=False):
    temperature: sampling.Number = None
    top_p: sampling.Number = msgspec.field(default=None, name="topP")
    most: int | None = msgspec.field(default=None, name="maxTokens")
    stops: list[str] | str | None = msgspec.field(default=None, name="stopSequences")


class _Further(msgspec.Struct, gc=False):
    thinking: sampling.Thinking | None = None
    reasoning_config: sampling.Thinking | None = None
    reasoning_effort: str | None = None


class _Tools(msgspec.Struct, gc=False):
    tools: list[msgspec.Raw] | None = None


class _Output(msgspec.Struct, gc=False):
    effort: str | None = None
    format: msgspec.Raw = msgspec.field(default=ABSENT, name="textFormat")


class _Request(msgspec.Struct, gc=False):
    messages: list[_Message] | None = None
    system: Blocks = None
    inference: _Inference | None = msgspec.field(default=None, name="inferenceConfig")
    tools: _Tools | None = msgspec.field(default=None, name="toolConfig")
    further: _Further | None = msgspec.field(default=None, name="additionalModelRequestFields")
    output: _Output | None = msgspec.field(default=None, name="outputConfig")
    variables: dict[str, Text] | None = msgspec.field(default=None, name="promptVariables")


_NO_INFERENCE = _Inference()
_NO_FURTHER = _Further()
_NO_OUTPUT = _Output()
_DECODER = decoder_of(_Request)


class BedrockConverse:
    """The dialect of ``/model/{id}/converse`` and ``converse-stream``."""

    name: str = "bedrock_converse"

    def recognise(self, path: str) -> bool:
        """Tell from the decoded path; a model's id may hold slashes."""
        return _CONVERSE.search(path) is not None

    def read_request(self, body: bytes, path: str) -> Exchange | None:
        """Return the exchange, or ``None`` where nothing is said.

        Raises one of ``lenient.UNREADABLE`` where msgspec does not read the body as JSON.
        """
        return read_as(body, _DECODER, MENDERS, lambda request: _exchange(request, body, path))

    def response_reader(self, *, event_stream: bool, digest_key: bytes) -> ResponseReader:
        """Return a reader for one response, whose streams are binary."""
        if event_stream:
            return StreamReader(CONVERSE, digest_key)
        frames, other = FramesReader(CONVERSE, digest_key), JsonReader(CONVERSE, digest_key)
        return EitherReader(frames, other)

    def error_body(self, refusal: Refusal) -> bytes:
        """Return Amazon's error object."""
        return amazon_error_body(refusal)


class BedrockInvoke:
    """The dialect of ``/model/{id}/invoke``: a model's own words, Anthropic's or others'."""

    name: str = "bedrock_invoke"

    def recognise(self, path: str) -> bool:
        """Tell from the decoded path; a model's id may hold slashes."""
        return _INVOKE.search(path) is not None

    def read_request(self, body: bytes, path: str) -> Exchange | None:
        """Return the exchange, or ``None`` where no field is known to hold prompts.

        Raises one of ``lenient.UNREADABLE`` where msgspec does not read the body as JSON, or
        ``TooLargeError`` where there is more in it than is looked at.
        """
        reader = _ANTHROPIC if _ANTHROPIC_FIELD in body else _GENERIC
        exchange = reader.read_request(body, path)
        match = _INVOKE.search(path)
        if exchange is None or match is None:
            return exchange
        return msgspec.structs.replace(
            exchange,
            dialect=self.name,
            model=sampling.model_name(match[1]),
            stream=match[2] is not None,
        )

    def response_reader(self, *, event_stream: bool, digest_key: bytes) -> ResponseReader:
        """Return a reader for one response, whose streams are binary."""
        if event_stream:
            return StreamReader(generic_answers.GRAMMAR, digest_key)
        frames = FramesReader(INVOKE, digest_key)
        return EitherReader(frames, JsonReader(generic_answers.GRAMMAR, digest_key))

    def error_body(self, refusal: Refusal) -> bytes:
        """Return Amazon's error object."""
        return amazon_error_body(refusal)


_ANTHROPIC = AnthropicMessages()
_GENERIC = Generic()


def _exchange(request: _Request, body: bytes, path: str) -> Exchange | None:
    turns = _turns(request)
    if not turns:
        return None
    tools = (request.tools or _Tools()).tools or ()
    form = aside((request.output or _NO_OUTPUT).format)
    match = _CONVERSE.search(path)
    return Exchange(
        dialect=BedrockConverse.name,
        model=sampling.model_name(match[1] if match else ""),
        turns=with_asides(turns, (tools_aside(tools), form)),
        sampling=_sampling(request, structured=bool(form)),
        stream=match is not None and match[2] is not None,
        tool_definitions=sampling.tool_count(tools),
        body_bytes=len(body),
    )


def _turns(request: _Request) -> list[Turn]:
    """Return the turns; a prompt that is kept upstream has its variables for them."""
    turns = block_turns("system", request.system) if request.system else []
    for message in request.messages or ():
        turns += block_turns(ROLES.get(message.role, "user"), message.content)
    filled = (variable.text for variable in (request.variables or {}).values())
    text = "\n".join(filter(None, filled))
    return [*turns, Turn("user", text)] if text else turns


def _sampling(request: _Request, *, structured: bool) -> Sampling:
    inference = request.inference or _NO_INFERENCE
    further, output = request.further or _NO_FURTHER, request.output or _NO_OUTPUT
    return Sampling(
        temperature=sampling.finite(inference.temperature),
        top_p=sampling.finite(inference.top_p),
        max_tokens=sampling.token_count(inference.most),
        thinking_tokens=sampling.thinking_budget(further.thinking or further.reasoning_config),
        effort=sampling.known_effort(output.effort or further.reasoning_effort),
        stops=sampling.stop_count(inference.stops),
        structured=structured,
    )
