"""The official OpenAI client, unchanged, against applications with the guard in them."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import openai
import pytest

from gateway_guard import Action
from gateway_guard.profile import Slot
from tests.callers import KEY, counted, reading_of, sentence
from tests.mounting import Mounted
from tests.servers import serving
from tests.upstreams import ANSWER, ARGUMENTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from openai.types.chat import ChatCompletionMessage

QUESTION: Any = [{"role": "user", "content": "What is the capital of France?"}]
SCHEMA: Any = {"type": "object", "properties": {}, "additionalProperties": False}
TOOL: Any = {
    "type": "function",
    "function": {"name": "look_up", "strict": True, "parameters": SCHEMA},
}


@pytest.fixture(params=["starlette", "fastapi"])
def mounted(request: pytest.FixtureRequest) -> Mounted:
    """Return a server of each framework, whose slowest throttle is fast enough for tests."""
    return Mounted(request.param, throttle_rates="6000,5999,5998")


@asynccontextmanager
async def client_of(mounted: Mounted) -> AsyncIterator[openai.AsyncOpenAI]:
    """Connect the client as its documentation says, with two retries."""
    async with (
        serving(mounted) as address,
        openai.AsyncOpenAI(base_url=f"{address}/v1", api_key=KEY.decode()) as client,
    ):
        yield client


async def called(client: openai.AsyncOpenAI, *, streamed: bool) -> ChatCompletionMessage:
    """Offer a tool, and return the message that calls it."""
    completions = client.chat.completions
    if not streamed:
        completion = await completions.create(model="m", messages=QUESTION, tools=[TOOL])
        return completion.choices[0].message
    async with completions.stream(model="m", messages=QUESTION, tools=[TOOL]) as stream:
        return (await stream.get_final_completion()).choices[0].message


async def test_an_answer_arrives(mounted: Mounted) -> None:
    """A plain question has its answer, and is counted under the key that asked."""
    async with client_of(mounted) as client:
        completion = await client.chat.completions.create(model="m", messages=QUESTION)
    assert completion.choices[0].message.content == ANSWER
    assert counted(mounted.guard, "exchanges") == {"committed": 1}
    assert reading_of(mounted.guard).slow[Slot.ANSWERED] == 1.0


async def test_a_stream_arrives_event_by_event(mounted: Mounted) -> None:
    """The pieces make up the answer, with its usage."""
    async with client_of(mounted) as client:
        stream = await client.chat.completions.create(model="m", messages=QUESTION, stream=True)
        chunks = [chunk async for chunk in stream]
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks]
    assert "".join(pieces) == ANSWER
    assert len(pieces) > 2
    reading = reading_of(mounted.guard)
    assert reading.slow[Slot.STREAMED] == 1.0
    assert reading.slow[Slot.ANSWERED] == 1.0


@pytest.mark.parametrize("streamed", [False, True])
async def test_tools_are_called_and_their_results_continue_what_was_served(
    mounted: Mounted, *, streamed: bool
) -> None:
    """The second request repeats the call that the first one was answered with: it was observed."""
    async with client_of(mounted) as client:
        said = await called(client, streamed=streamed)
        assert said.tool_calls
        assert said.tool_calls[0].type == "function"
        assert json.loads(said.tool_calls[0].function.arguments) == ARGUMENTS
        result: Any = {"role": "tool", "tool_call_id": "call_1", "content": "Paris it is."}
        again: Any = said.model_dump(exclude_none=True)
        mounted.time.pass_by(5)
        final = await client.chat.completions.create(
            model="m", messages=[*QUESTION, again, result], tools=[TOOL]
        )
    assert final.choices[0].message.content == ANSWER
    reading = reading_of(mounted.guard)
    assert reading.slow[Slot.OBSERVED] == 1.0
    assert reading.slow[Slot.CLAIMED] == 1.0


async def test_a_throttled_client_waits_and_comes_back(mounted: Mounted) -> None:
    """Its user sees an answer that took a little longer, and no error."""
    async with client_of(mounted) as client:
        sentence(mounted.guard, Action.THROTTLE)
        for _ in range(2):
            completion = await client.chat.completions.create(model="m", messages=QUESTION)
            assert completion.choices[0].message.content == ANSWER
    assert [headers[b"x-stainless-retry-count"] for headers in mounted.attempts] == [
        b"0",
        b"0",
        b"1",
    ]
    assert len(mounted.model.asked) == 2
    assert counted(mounted.guard, "refusals") == {"throttle": 1}


async def test_a_penalised_client_is_told_at_once(mounted: Mounted) -> None:
    """Its user has the typed error after one request, with the date in its message."""
    async with client_of(mounted) as client:
        sentence(mounted.guard, Action.PENALTY)
        with pytest.raises(openai.RateLimitError, match="2027-01-15T08:15:00Z") as error:
            await client.chat.completions.create(model="m", messages=QUESTION)
    assert error.value.type == "rate_limit_error"
    assert error.value.request_id
    assert len(mounted.attempts) == 1


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_blocked_client_is_told_at_once(mounted: Mounted, *, streamed: bool) -> None:
    """Its user has the typed error after one request, and a reference to quote."""
    async with client_of(mounted) as client:
        sentence(mounted.guard, Action.BLOCK)
        with pytest.raises(openai.PermissionDeniedError) as error:
            await client.chat.completions.create(model="m", messages=QUESTION, stream=streamed)
        with pytest.raises(openai.PermissionDeniedError):
            await client.models.list()
    assert error.value.code == "abnormal_usage_detected"
    assert error.value.request_id
    assert error.value.request_id in error.value.message
    assert len(mounted.attempts) == 2
    assert mounted.model.asked == []


async def test_a_body_over_the_limit_is_an_error_of_the_client() -> None:
    """It is not sent again, and says what is wrong."""
    mounted = Mounted("starlette", max_body=1_000)
    async with client_of(mounted) as client:
        question: Any = [{"role": "user", "content": "x" * 2_000_000}]
        with pytest.raises(openai.APIStatusError, match="larger") as error:
            await client.chat.completions.create(model="m", messages=question)
    assert error.value.status_code == 413
    assert len(mounted.attempts) == 1
