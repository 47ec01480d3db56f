"""The official Anthropic client, unchanged, against applications with the guard in them."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anthropic
import pytest

from gateway_guard import Action
from gateway_guard.profile import Slot
from tests.callers import KEY, counted, reading_of, sentence
from tests.mounting import Mounted
from tests.servers import serving
from tests.upstreams import ANSWER, ARGUMENTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

QUESTION: Any = {"role": "user", "content": "What is the capital of France?"}
ASKED: Any = {"model": "m", "max_tokens": 64, "messages": [QUESTION]}
TOOL: Any = {"name": "look_up", "input_schema": {"type": "object"}}


@pytest.fixture(params=["starlette", "fastapi"])
def mounted(request: pytest.FixtureRequest) -> Mounted:
    """Return a server of each framework, whose slowest throttle is fast enough for tests."""
    return Mounted(request.param, throttle_rates="6000,5999,5998")


@asynccontextmanager
async def client_of(mounted: Mounted) -> AsyncIterator[anthropic.AsyncAnthropic]:
    """Connect the client as its documentation says, with two retries."""
    async with (
        serving(mounted) as address,
        anthropic.AsyncAnthropic(base_url=address, api_key=KEY.decode()) as client,
    ):
        yield client


def text_of(message: anthropic.types.Message) -> str:
    """Return the text of a message that holds one block of it."""
    [block] = message.content
    assert block.type == "text"
    return block.text


async def test_an_answer_arrives(mounted: Mounted) -> None:
    """A plain question has its answer, and is counted under the key that asked."""
    async with client_of(mounted) as client:
        message = await client.messages.create(**ASKED)
    assert text_of(message) == ANSWER
    assert counted(mounted.guard, "exchanges") == {"committed": 1}
    assert reading_of(mounted.guard).slow[Slot.ANSWERED] == 1.0


async def test_a_stream_arrives_event_by_event(mounted: Mounted) -> None:
    """The pieces make up the answer, with its usage."""
    async with client_of(mounted) as client, client.messages.stream(**ASKED) as stream:
        pieces = [piece async for piece in stream.text_stream]
        message = await stream.get_final_message()
    assert "".join(pieces) == text_of(message) == ANSWER
    assert len(pieces) > 2
    assert message.usage.output_tokens == 7
    reading = reading_of(mounted.guard)
    assert reading.slow[Slot.STREAMED] == 1.0
    assert reading.slow[Slot.ANSWERED] == 1.0


@pytest.mark.parametrize("streamed", [False, True])
async def test_tools_are_called_and_their_results_continue_what_was_served(
    mounted: Mounted, *, streamed: bool
) -> None:
    """The second request repeats the call that the first one was answered with: it was observed."""
    async with client_of(mounted) as client:
        if streamed:
            async with client.messages.stream(**ASKED, tools=[TOOL]) as stream:
                message = await stream.get_final_message()
        else:
            message = await client.messages.create(**ASKED, tools=[TOOL])
        [call] = message.content
        assert call.type == "tool_use"
        assert call.input == ARGUMENTS
        result = {"type": "tool_result", "tool_use_id": call.id, "content": "Paris it is."}
        again: Any = call.model_dump(include={"type", "id", "name", "input"})
        history: Any = [
            QUESTION,
            {"role": "assistant", "content": [again]},
            {"role": "user", "content": [result]},
        ]
        mounted.time.pass_by(5)
        final = await client.messages.create(
            model="m", max_tokens=64, messages=history, tools=[TOOL]
        )
    assert text_of(final) == ANSWER
    reading = reading_of(mounted.guard)
    assert reading.slow[Slot.OBSERVED] == 1.0
    assert reading.slow[Slot.CLAIMED] == 1.0


async def test_a_throttled_client_waits_and_comes_back(mounted: Mounted) -> None:
    """Its user sees an answer that took a little longer, and no error."""
    async with client_of(mounted) as client:
        sentence(mounted.guard, Action.THROTTLE)
        for _ in range(2):
            assert text_of(await client.messages.create(**ASKED)) == ANSWER
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
        with pytest.raises(anthropic.RateLimitError, match="2027-01-15T08:15:00Z") as error:
            await client.messages.create(**ASKED)
    assert error.value.request_id
    assert len(mounted.attempts) == 1


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_blocked_client_is_told_at_once(mounted: Mounted, *, streamed: bool) -> None:
    """Its user has the typed error after one request, and a reference to quote."""
    async with client_of(mounted) as client:
        sentence(mounted.guard, Action.BLOCK)
        with pytest.raises(anthropic.PermissionDeniedError) as error:
            await client.messages.create(**ASKED, stream=streamed)
        with pytest.raises(anthropic.PermissionDeniedError):
            await client.models.list()
    body: Any = error.value.body
    assert body["error"]["type"] == "permission_error"
    assert error.value.request_id
    assert error.value.request_id in error.value.message
    assert len(mounted.attempts) == 2
    assert mounted.model.asked == []


async def test_a_body_over_the_limit_is_an_error_of_the_client() -> None:
    """It is not sent again, and says what is wrong."""
    mounted = Mounted("starlette", max_body=1_000)
    async with client_of(mounted) as client:
        question: Any = [{"role": "user", "content": "x" * 2_000_000}]
        with pytest.raises(anthropic.APIStatusError, match="larger") as error:
            await client.messages.create(model="m", max_tokens=64, messages=question)
    assert error.value.status_code == 413
    assert len(mounted.attempts) == 1
