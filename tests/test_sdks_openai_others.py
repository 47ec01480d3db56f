"""The official OpenAI client beyond chat: responses, completions, embeddings through the guard."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import openai
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from gateway_guard import Action
from gateway_guard.dialects import read_request
from gateway_guard.exchange import Exchange, Turn
from gateway_guard.profile import Slot
from tests.callers import KEY, Time, counted, guarded, reading_of, sentence
from tests.openai_shapes import (
    Fields,
    called,
    completion,
    completion_chunks,
    embeddings,
    response,
    response_events,
    said,
    sse,
    thought,
)
from tests.servers import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

TEXT = "The capital of France is Paris, as it has been for a thousand years."
QUESTION = "What is the capital of France?"
TOOL: Any = {"type": "function", "name": "look_up", "parameters": {}, "strict": False}


class Upstream:
    """A server of all three, behind a guard, and what it was asked."""

    def __init__(self) -> None:
        self.bodies: list[tuple[str, bytes]] = []
        self.time = Time()
        routes = [
            Route("/v1/responses", self.respond, methods=["POST"]),
            Route("/v1/completions", self.complete, methods=["POST"]),
            Route("/v1/embeddings", self.embed, methods=["POST"]),
        ]
        self.guard = guarded(Starlette(routes=routes), self.time)

    @property
    def exchanges(self) -> list[Exchange]:
        """What the guard reads in the bodies that came."""
        read = [read_request(body, path)[1] for path, body in self.bodies]
        return [exchange for exchange in read if exchange is not None]

    async def respond(self, request: Request) -> Response:
        """Answer with a call of the tool that is offered, or with a text."""
        asked = await self._asked(request)
        output = (thought("hm"), called() if asked.get("tools") else said(TEXT))
        if asked.get("stream"):
            return _stream(sse(response_events(*output)))
        return JSONResponse(response(*output))

    async def complete(self, request: Request) -> Response:
        """Answer each prompt."""
        asked = await self._asked(request)
        prompts = asked["prompt"] if isinstance(asked["prompt"], list) else [asked["prompt"]]
        texts = [TEXT] * len(prompts)
        if asked.get("stream"):
            return _stream(completion_chunks(*texts))
        return JSONResponse(completion(*texts))

    async def embed(self, request: Request) -> Response:
        """Answer as packed as the client wants it."""
        asked = await self._asked(request)
        count = len(asked["input"]) if isinstance(asked["input"], list) else 1
        packed = asked.get("encoding_format") == "base64"
        return JSONResponse(embeddings(count, size=1_536, packed=packed))

    async def _asked(self, request: Request) -> Fields:
        body = await request.body()
        self.bodies.append((request.url.path, body))
        asked: Fields = json.loads(body)
        return asked


def _stream(body: bytes) -> StreamingResponse:
    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(body), 100):
            yield body[at : at + 100]

    return StreamingResponse(pieces(), media_type="text/event-stream")


@pytest.fixture
def upstream() -> Upstream:
    """Return a server with a guard in front of it."""
    return Upstream()


@asynccontextmanager
async def client_of(upstream: Upstream) -> AsyncIterator[openai.AsyncOpenAI]:
    """Connect the client as its documentation says."""
    async with (
        serving(upstream.guard) as address,
        openai.AsyncOpenAI(base_url=f"{address}/v1", api_key=KEY.decode()) as client,
    ):
        yield client


async def output_of(client: openai.AsyncOpenAI, asked: Any, *, streamed: bool) -> list[Any]:  # noqa: ANN401
    """Offer a tool, and return what is put out."""
    responses = client.responses
    if not streamed:
        return [*(await responses.create(model="m", input=asked, tools=[TOOL])).output]
    async with responses.stream(model="m", input=asked, tools=[TOOL]) as stream:
        return [*(await stream.get_final_response()).output]


def answered(upstream: Upstream) -> tuple[int, int]:
    """Return how many exchanges were answered, and the characters of one, reasoning included."""
    slow = reading_of(upstream.guard).slow
    assert counted(upstream.guard, "exchanges") == {"committed": slow[Slot.ANSWERED]}
    return round(slow[Slot.ANSWERED]), round(2 ** slow[Slot.ANSWER_LOG]) - 1


async def test_a_response_arrives(upstream: Upstream) -> None:
    """A plain question has its answer, which is seen in full."""
    async with client_of(upstream) as client:
        answer = await client.responses.create(model="m", input=QUESTION, instructions="Be brief.")
    assert answer.output_text == TEXT
    assert answered(upstream) == (1, len(TEXT) + len("hm"))
    (exchange,) = upstream.exchanges
    assert exchange.dialect == "openai_responses"
    assert exchange.turns == (Turn("system", "Be brief."), Turn("user", QUESTION))


async def test_a_streamed_response_arrives_event_by_event(upstream: Upstream) -> None:
    """The pieces make up the answer, and are counted once."""
    async with (
        client_of(upstream) as client,
        client.responses.stream(model="m", input=QUESTION) as stream,
    ):
        events = [event.type async for event in stream]
        final = await stream.get_final_response()
    assert final.output_text == TEXT
    assert events.count("response.output_text.delta") > 2
    assert answered(upstream) == (1, len(TEXT) + len("hm"))
    assert reading_of(upstream.guard).slow[Slot.STREAMED] == 1.0


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_agent_goes_on_from_what_it_was_served(
    upstream: Upstream, *, streamed: bool
) -> None:
    """It sends back all that was put out, with the result of the call: that was observed."""
    history: Any = [{"role": "user", "content": QUESTION}]
    async with client_of(upstream) as client:
        output = await output_of(client, history, streamed=streamed)
        result = {"type": "function_call_output", "call_id": "call_1", "output": "Paris it is."}
        history += [*(item.model_dump(exclude_none=True) for item in output), result]
        upstream.time.pass_by(5)
        final = await client.responses.create(model="m", input=history)
    assert final.output_text == TEXT
    assert upstream.exchanges[1].turns == (
        Turn("user", QUESTION),
        Turn("assistant", "", 0, ("call_1",)),
        Turn("assistant", '{"city":"Paris"}'),
        Turn("tool", "Paris it is."),
    )
    reading = reading_of(upstream.guard)
    assert (reading.slow[Slot.OBSERVED], reading.slow[Slot.CLAIMED]) == (1.0, 1.0)


async def test_a_request_that_goes_on_by_reference_has_an_observed_history(
    upstream: Upstream,
) -> None:
    """Though it shows none of it: the response or the item that it names was served to its key."""
    async with client_of(upstream) as client:
        first = await client.responses.create(model="m", input=QUESTION)
        upstream.time.pass_by(5)
        await client.responses.create(model="m", input="And?", previous_response_id=first.id)
        reference: Any = {"type": "item_reference", "id": first.output[-1].id}
        history: Any = [{"role": "user", "content": QUESTION}, reference]
        upstream.time.pass_by(5)
        await client.responses.create(model="m", input=[*history, {"role": "user", "content": "?"}])
    reading = reading_of(upstream.guard)
    assert (round(reading.slow[Slot.OBSERVED]), round(reading.slow[Slot.CLAIMED])) == (2, 2)


async def test_a_structured_response_is_parsed(upstream: Upstream) -> None:
    """Its schema is shown to the model, and read."""
    form: Any = {"type": "json_schema", "name": "x", "schema": {"description": "a city"}}
    async with client_of(upstream) as client:
        await client.responses.create(model="m", input=QUESTION, text={"format": form})
    (exchange,) = upstream.exchanges
    assert exchange.sampling.structured
    assert exchange.turns[1] == Turn("system", '{"description":"a city"}')


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_completion_arrives(upstream: Upstream, *, streamed: bool) -> None:
    """Whole or in pieces."""
    async with client_of(upstream) as client:
        if streamed:
            chunks = await client.completions.create(model="m", prompt=QUESTION, stream=True)
            text = "".join([c.choices[0].text async for c in chunks if c.choices])
        else:
            text = (await client.completions.create(model="m", prompt=QUESTION)).choices[0].text
    assert text == TEXT
    assert answered(upstream) == (1, len(TEXT))
    assert upstream.exchanges[0].turns == (Turn("user", QUESTION),)


async def test_every_prompt_of_a_list_is_read(upstream: Upstream) -> None:
    """As texts and as tokens."""
    async with client_of(upstream) as client:
        await client.completions.create(model="m", prompt=["one", "two"], n=2, best_of=3)
        await client.completions.create(model="m", prompt=[[1, 2], [3]])
    texts, tokens = upstream.exchanges
    assert texts.sampling.answers == 3
    assert [each.turns[0].text for each in (texts, *texts.others)] == ["one", "two"]
    assert [each.turns[0].text for each in (tokens, *tokens.others)] == ["1 2", "3"]


@pytest.mark.parametrize("packed", [False, True])
async def test_embeddings_arrive(upstream: Upstream, *, packed: bool) -> None:
    """The client asks for base64 unless it is told not to."""
    form: Any = {} if packed else {"encoding_format": "float"}
    async with client_of(upstream) as client:
        made = await client.embeddings.create(model="m", input=["one", "two"], **form)
    assert [len(each.embedding) for each in made.data] == [1_536, 1_536]
    (exchange,) = upstream.exchanges
    assert [each.turns[0].text for each in (exchange, *exchange.others)] == ["one", "two"]
    assert sum(counted(upstream.guard, "exchanges").values()) >= 1


@pytest.mark.parametrize("call", ["responses", "completions", "embeddings"])
async def test_a_blocked_client_is_told_at_once(upstream: Upstream, call: str) -> None:
    """Its user has the typed error, and a reference to quote."""
    asked: Any = {"prompt": QUESTION} if call == "completions" else {"input": QUESTION}
    async with client_of(upstream) as client:
        sentence(upstream.guard, Action.BLOCK)
        with pytest.raises(openai.PermissionDeniedError) as error:
            await getattr(client, call).create(model="m", **asked)
    assert error.value.code == "abnormal_usage_detected"
    assert error.value.request_id
    assert upstream.bodies == []
