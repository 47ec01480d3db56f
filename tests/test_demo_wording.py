"""What the cast sends and gets is what the guard's own dialects read."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import msgspec
import pytest

from gateway_guard.demo.answers import events, whole
from gateway_guard.demo.bodies import PATHS, encode_body
from gateway_guard.demo.client import Client, identity
from gateway_guard.demo.prose import Prose
from gateway_guard.demo.script import Answer, Message, Parameters, Request, Tool, ToolCall
from gateway_guard.dialects.anthropic_messages import AnthropicMessages
from gateway_guard.dialects.openai_chat import OpenAIChat

if TYPE_CHECKING:
    from gateway_guard.demo.script import DialectName
    from gateway_guard.dialects.base import Dialect
    from gateway_guard.exchange import Exchange

PROSE = Prose(0)
READERS: dict[DialectName, Dialect] = {
    "openai": OpenAIChat(),
    "anthropic": AnthropicMessages(),
}
CALL = ToolCall("call_1", "look_up", '{"word":"heron"}')
HISTORY = (
    Message("user", "what is a heron?"),
    Message("assistant", "I look it up.", (CALL,)),
    Message("tool", "a bird", call_id="call_1"),
)
PARAMETERS = Parameters(
    temperature=0.5,
    top_p=0.9,
    max_tokens=900,
    thinking_tokens=2048,
    stop=("END",),
    logprobs=True,
    top_logprobs=5,
    logit_bias=(1, 2),
    seed=7,
)


def make_request(dialect: DialectName, *, stream: bool = False) -> Request:
    """Return a request with everything that a request can have."""
    client = Client(
        identity("sk-1", f"{dialect}-python", "198.18.0.1"),
        dialect,
        Random(1),
        PROSE,
        system="Be brief.",
        tools=(Tool("look_up", "Look up a word.", ("word",)),),
        parameters=PARAMETERS,
        stream=stream,
    )
    answer = Answer("It is a bird. " * 20, "The tool said so. " * 9, (CALL,))
    return client.request(HISTORY, answer, user="customer-1")


def read(request: Request) -> Exchange:
    """Read a request's body as the guard does."""
    path = PATHS[request.dialect].decode()
    reader = READERS[request.dialect]
    assert reader.recognise(path)
    exchange = reader.read_request(encode_body(request), path)
    assert exchange is not None
    return exchange


@pytest.mark.parametrize("dialect", READERS)
def test_requests_are_read_as_they_were_meant(dialect: DialectName) -> None:
    """Turns, roles, tools, the end user and the parameters arrive."""
    exchange = read(make_request(dialect, stream=True))
    beside = [turn.text for turn in exchange.turns if turn.text.startswith("{")]
    turns = [(turn.role, turn.text) for turn in exchange.turns if turn.text not in beside]
    assert ["look_up" in beside[0], beside[1:]] == [True, ['{"word":"heron"}']]
    assert turns == [
        ("system", "Be brief."),
        ("user", "what is a heron?"),
        ("assistant", "I look it up."),
        ("tool", "a bird"),
    ]
    assert [turn.call_ids for turn in exchange.turns if turn.call_ids] == [("call_1",)]
    assert exchange.end_user == "customer-1"
    assert exchange.tool_definitions == 1
    assert exchange.stream
    sampling = exchange.sampling
    assert (sampling.temperature, sampling.top_p, sampling.max_tokens) == (0.5, 0.9, 900)
    assert sampling.stops == 1


def test_what_only_one_dialect_can_say_is_said_in_it() -> None:
    """OpenAI has log probabilities, biases and seeds, Anthropic has a thinking budget."""
    openai = read(make_request("openai")).sampling
    assert (openai.top_logprobs, openai.logit_bias, openai.seeded) == (5, 2, True)
    assert openai.effort == "high"
    assert read(make_request("anthropic")).sampling.thinking_tokens == 2048


@pytest.mark.parametrize("dialect", READERS)
@pytest.mark.parametrize("stream", [False, True])
def test_answers_are_read_as_they_were_meant(dialect: DialectName, *, stream: bool) -> None:
    """Text, reasoning, tool calls and usage are counted alike, whole or as a stream."""
    request = make_request(dialect, stream=stream)
    key = b"k" * 32
    reader = READERS[dialect].response_reader(event_stream=stream, digest_key=key)
    for chunk in events(request, "1", 400) if stream else [whole(request, "1", 400)]:
        reader.feed(chunk)
    answer = reader.finish()
    assert answer.output_chars == len(request.answer.text)
    assert answer.reasoning_chars == len(request.answer.reasoning)
    assert answer.tool_calls == 1
    assert answer.usage is not None
    assert answer.usage.input_tokens == 100
    assert answer.usage.output_tokens > 80
    assert len(answer.digests) == 1


def test_silence_is_kept() -> None:
    """A request that sets nothing says nothing; Anthropic's must still state a maximum."""
    told = {}
    for dialect in READERS:
        who = identity("sk-1", f"{dialect}-js", "198.18.0.1")
        client = Client(who, dialect, Random(1), PROSE)
        request = client.request((Message("user", "hello"),), Answer("hi"))
        told[dialect] = set(msgspec.json.decode(encode_body(request)))
    assert told["openai"] == {"model", "messages"}
    assert told["anthropic"] == {"model", "messages", "max_tokens"}


def test_two_hundred_answers_are_two_hundred_choices() -> None:
    """``n`` multiplies the choices and what they cost."""
    parameters = Parameters(n=3)
    client = Client(
        identity("sk-1", "openai-js", "198.18.0.1"),
        "openai",
        Random(1),
        PROSE,
        parameters=parameters,
    )
    request = client.request((Message("user", ""),), Answer("x" * 400))
    body = msgspec.json.decode(whole(request, "1", 40))
    assert len(body["choices"]) == 3
    assert body["usage"]["completion_tokens"] == 300
