"""Work in the background: its answer is counted where it is fetched, with what was asked for it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import openai
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from gateway_guard import Action, profile
from gateway_guard.awaited import AWAITED_SECONDS, MOST_AWAITED, Awaited, Fetch, Found
from gateway_guard.exchange import Answer, Outcome
from gateway_guard.profile import Slot
from tests.callers import KEY, Time, counted, flush, guarded, reading_of, scope_of, sentence
from tests.driving import Caller, PromptDriver, play
from tests.openai_shapes import response, response_events, said, sse
from tests.servers import serving
from tests.test_principal_claims import token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from gateway_guard import GuardMiddleware

ANSWER = "It leads to the mill, and from there along the river down to the sea. " * 4
ASKED = "Where does the old road lead?"
OTHER = b"sk-another-made-up-key"


class Worker:
    """An upstream that works in the background, and is done when it is told to."""

    def __init__(self) -> None:
        self.statuses: dict[str, str] = {}
        self.alias = ""
        self.cut_after: int | None = None
        self.time = Time()
        path = "/v1/{kind:path}"
        routes = [
            Route("/v1/responses", self.create, methods=["POST"]),
            Route("/v1/responses/{name}", self.retrieve),
            Route("/responses/{name}", self.retrieve),
            Route("/openai/v1/responses/{name}/", self.retrieve),
            Route("/v1/interactions", self.create_interaction, methods=["POST"]),
            Route("/v1/interactions/{name}", self.interaction),
            Route(path, self.elsewhere),
        ]
        self.guard = guarded(Starlette(routes=routes), self.time)

    async def create(self, request: Request) -> Response:
        """Take a question; answer at once unless it is for the background."""
        asked = await request.json()
        name = f"resp_{len(self.statuses) + 1}"
        self.statuses[name] = "queued" if asked.get("background") else "completed"
        if asked.get("stream"):
            events = sse(response_events(said(ANSWER), id=name)[: self.cut_after])
            return StreamingResponse(iter([events]), media_type="text/event-stream")
        return JSONResponse(self.shown(name))

    async def retrieve(self, request: Request) -> Response:
        """Show how far a response is, or the answer."""
        name = request.path_params["name"]
        if name not in self.statuses:
            return JSONResponse({"error": {"message": "not found"}}, 404)
        if "stream" in request.query_params:
            events = response_events(said(ANSWER), id=name)
            return StreamingResponse(iter([sse(events)]), media_type="text/event-stream")
        return JSONResponse(self.shown(name) | {"id": self.alias or name})

    def shown(self, name: str) -> dict[str, Any]:
        """Return a response as it stands."""
        status = self.statuses[name]
        output = [said(ANSWER)] if status in {"completed", "incomplete"} else []
        return response(*output, id=name, status=status, background=True)

    async def create_interaction(self, request: Request) -> Response:
        """Begin an interaction in the background."""
        del request
        return JSONResponse({"id": "int_1", "status": "in_progress"})

    async def interaction(self, request: Request) -> Response:
        """Show an interaction that is done."""
        step = {"type": "model_output", "content": [{"type": "text", "text": ANSWER}]}
        name = request.path_params["name"]
        return JSONResponse({"id": name, "status": "completed", "steps": [step]})

    async def elsewhere(self, request: Request) -> Response:
        """Answer anything else with an answer."""
        del request
        return JSONResponse(response(said(ANSWER)))


@asynccontextmanager
async def client_of(worker: Worker, key: bytes = KEY) -> AsyncIterator[openai.AsyncOpenAI]:
    """Connect the client."""
    async with (
        serving(worker.guard) as address,
        openai.AsyncOpenAI(base_url=f"{address}/v1", api_key=key.decode()) as client,
    ):
        yield client


async def started(client: openai.AsyncOpenAI, times: int = 1, question: str = ASKED) -> list[str]:
    """Ask in the background; return the ids of the responses."""
    create = client.responses.create
    return [(await create(model="m", input=question, background=True)).id for _ in range(times)]


def answered(guard: GuardMiddleware, key: bytes = KEY) -> float:
    """Tell how many answers were counted for a key."""
    return reading_of(guard, key).slow[Slot.ANSWERED]


def caller_of(worker: Worker) -> httpx.AsyncClient:
    """Return a plain client, without a socket."""
    headers = {"authorization": f"Bearer {KEY.decode()}"}
    transport = httpx.ASGITransport(worker.guard)
    return httpx.AsyncClient(transport=transport, base_url="http://guard", headers=headers)


async def test_an_answer_is_counted_where_it_is_fetched() -> None:
    """The question counts at once, the answer with its length and yield when it comes."""
    worker = Worker()
    async with client_of(worker) as client:
        names = await started(client, 3)
        before = reading_of(worker.guard)
        for name in names:
            worker.statuses[name] = "completed"
            assert (await client.responses.retrieve(name)).output_text == ANSWER
    after = reading_of(worker.guard)
    assert (before.slow[Slot.EXCHANGES], before.slow[Slot.ANSWERED]) == (3.0, 0.0)
    assert (after.slow[Slot.EXCHANGES], after.slow[Slot.ANSWERED]) == (3.0, 3.0)
    assert counted(worker.guard, "exchanges") == {"committed": 3}


async def test_a_fetched_answer_counts_like_one_that_was_given_at_once() -> None:
    """Every sum of the profile is the same in the end."""
    readings = []
    for background in (True, False):
        worker = Worker()
        async with client_of(worker) as client:
            for number in range(4):
                question = f"Where does road number {number} lead?"
                create = client.responses.create
                made = await create(model="m", input=question, background=background)
                reading_of(worker.guard)
                worker.statuses[made.id] = "completed"
                await client.responses.retrieve(made.id)
        readings.append(reading_of(worker.guard).slow)
    in_background, at_once = readings
    assert in_background == pytest.approx(at_once, abs=1e-4)
    assert at_once[Slot.YIELD] > 1


async def test_an_answer_counts_once_however_often_it_is_fetched() -> None:
    """Clients poll, and look again at what they have."""
    worker = Worker()
    async with client_of(worker) as client:
        first, _ = await started(client, 2)
        for status in ("queued", "in_progress", "completed", "completed", "completed"):
            worker.statuses[first] = status
            await client.responses.retrieve(first)
        assert answered(worker.guard) == 1.0
        async for _ in await client.responses.retrieve(first, stream=True):
            pass
    assert answered(worker.guard) == 1.0


async def test_an_answer_that_was_given_at_once_does_not_count_again() -> None:
    """Whoever shows old answers to people fetches them."""
    worker = Worker()
    async with client_of(worker) as client:
        for _ in range(2):
            made = await client.responses.create(model="m", input=ASKED)
            await client.responses.retrieve(made.id)
    assert answered(worker.guard) == 2.0


async def test_an_answer_may_be_fetched_as_a_stream() -> None:
    """The events are read as those of any stream."""
    worker = Worker()
    async with client_of(worker) as client:
        for name in await started(client, 2):
            stream = await client.responses.retrieve(name, stream=True)
            events = [event async for event in stream]
            assert events[-1].type == "response.completed"
    reading = reading_of(worker.guard)
    assert reading.slow[Slot.ANSWERED] == 2.0
    assert reading.slow[Slot.YIELD] > 0


@pytest.mark.parametrize("status", ["failed", "cancelled"])
async def test_work_that_came_to_nothing_has_no_answer(status: str) -> None:
    """It was asked for all the same."""
    worker = Worker()
    async with client_of(worker) as client:
        for name in await started(client, 2):
            worker.statuses[name] = status
            await client.responses.retrieve(name)
    assert answered(worker.guard) == 0.0
    assert reading_of(worker.guard).slow[Slot.EXCHANGES] == 2.0


async def test_a_stream_that_is_cut_and_taken_up_again_is_one_answer() -> None:
    """What was seen before the cut is not counted twice, and not lost either."""
    worker = Worker()
    worker.cut_after = len(response_events(said(ANSWER))) - 3
    async with client_of(worker) as client:
        for _ in range(2):
            stream = await client.responses.create(
                model="m",
                input=ASKED,
                background=True,
                stream=True,
            )
            assert [event async for event in stream][-1].type != "response.completed"
        cut = reading_of(worker.guard).slow
        for name in worker.statuses:
            again = await client.responses.retrieve(name, stream=True, starting_after=2)
            assert [event async for event in again][-1].type == "response.completed"
    whole = reading_of(worker.guard).slow
    assert cut[Slot.ANSWERED] == whole[Slot.ANSWERED] == 2.0
    assert whole[Slot.ANSWER_LOG] >= cut[Slot.ANSWER_LOG] > 0


async def test_what_was_fetched_is_observed_history() -> None:
    """The next question goes on from it, by its id or with its text."""
    worker = Worker()
    async with client_of(worker) as client:
        (name,) = await started(client)
        worker.statuses[name] = "completed"
        await client.responses.retrieve(name)
        reading_of(worker.guard)
        worker.time.pass_by(20)
        await client.responses.create(model="m", input="And then?", previous_response_id=name)
        history: Any = [("user", ASKED), ("assistant", ANSWER), ("user", "Who lives there?")]
        turns: Any = [{"role": role, "content": text} for role, text in history]
        await client.responses.create(model="m", input=turns)
        assert reading_of(worker.guard).slow[Slot.OBSERVED] == 2.0
        await client.responses.create(model="m", input="Well?", previous_response_id="resp_99")
    assert reading_of(worker.guard).slow[Slot.OBSERVED] == 2.0


async def test_an_answer_to_somebody_else_counts_for_the_key_that_fetches_it() -> None:
    """And is not taken from the key that asked; neither has asked what it did not ask."""
    worker = Worker()
    async with client_of(worker) as client:
        names = await started(client, 2)
        for name in names:
            worker.statuses[name] = "completed"
        other = client.with_options(api_key=OTHER.decode())
        for _ in range(2):
            await other.responses.create(model="m", input=ASKED)
        assert answered(worker.guard, OTHER) == 2.0
        for name in (*names, *names):
            await other.responses.retrieve(name)
        assert answered(worker.guard) == 0.0
        fetched = reading_of(worker.guard, OTHER).slow
        for name in names:
            await client.responses.retrieve(name)
    assert (fetched[Slot.EXCHANGES], fetched[Slot.ANSWERED]) == (2.0, 4.0)
    assert answered(worker.guard) == 2.0


async def test_a_stranger_who_fetches_is_nobody() -> None:
    """A key that has asked for nothing has no profile that answers could count in."""
    worker = Worker()
    async with client_of(worker) as client:
        (name,) = await started(client)
        worker.statuses[name] = "completed"
        await client.with_options(api_key=OTHER.decode()).responses.retrieve(name)
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve("resp_77")
    assert (
        worker.guard.engine.memory.subjects.get(worker.guard.guard.principals.key_id(OTHER)) is None
    )


async def test_a_blocked_key_fetches_nothing() -> None:
    """What it asked for before stays where it is."""
    worker = Worker()
    async with client_of(worker) as client:
        (name,) = await started(client)
        worker.statuses[name] = "completed"
        sentence(worker.guard, Action.BLOCK)
        with pytest.raises(openai.PermissionDeniedError):
            await client.responses.retrieve(name)


@pytest.mark.parametrize("late", [False, True])
async def test_an_answer_is_awaited_for_a_day(*, late: bool) -> None:
    """After that it counts as one whose question nobody knows, without a yield."""
    worker = Worker()
    async with client_of(worker) as client:
        names = await started(client, 2)
        reading_of(worker.guard)
        worker.time.pass_by(AWAITED_SECONDS + (1 if late else -1))
        for name in names:
            worker.statuses[name] = "completed"
            await client.responses.retrieve(name)
    reading = reading_of(worker.guard)
    assert reading.slow[Slot.ANSWERED] == 2.0
    assert (reading.slow[Slot.YIELD] == 0.0) is late


def test_the_number_of_awaited_answers_is_bounded() -> None:
    """The oldest is let go of."""
    driver, caller = PromptDriver(), Caller("alice")
    ticket = driver.ask(caller, play(ASKED))
    awaited = Awaited(driver.memory)
    for number in range(MOST_AWAITED + 5):
        awaited.expect(ticket, number.to_bytes(8), None, driver.now.steady)
    fetch = Fetch(caller.principal.key, bytes(16), Outcome(200, completed=True))

    def found(number: int) -> Found:
        return Found(Answer(output_chars=5), (number.to_bytes(8),))

    assert len(awaited) == MOST_AWAITED
    assert awaited.count(found(0), fetch, driver.now) is None
    assert awaited.count(found(5), fetch, driver.now) is ticket


@pytest.mark.parametrize(
    "path",
    ["/v1/responses/resp_1", "/responses/resp_1", "/openai/v1/responses/resp_1/"],
)
async def test_aliases_fetch_the_same_answer(path: str) -> None:
    """LiteLLM serves responses under several paths."""
    worker = Worker()
    async with caller_of(worker) as client:
        for _ in range(2):
            await client.post("/v1/responses", json={"input": ASKED, "background": True})
        worker.statuses["resp_1"] = "completed"
        reply = await client.get(path)
        assert reply.json()["status"] == "completed"
    assert answered(worker.guard) == 1.0


async def test_an_interaction_is_counted_where_it_is_fetched() -> None:
    """Gemini's agents work in the background too."""
    worker = Worker()
    asked = {"input": ASKED, "agent": "a", "background": True}
    async with caller_of(worker) as client:
        await client.post("/v1/interactions", json=asked)
        await client.post("/v1/interactions", json=asked)
        assert answered(worker.guard) == 0.0
        for _ in range(2):
            await client.get("/v1/interactions/int_1")
    assert answered(worker.guard) == 1.0


@pytest.mark.parametrize("path", ["/v1/models/resp_1", "/v1/responses/resp_1/input_items", "/"])
async def test_other_gets_teach_nothing(path: str) -> None:
    """Whatever they return."""
    worker = Worker()
    async with caller_of(worker) as client:
        for _ in range(2):
            await client.post("/v1/responses", json={"input": ASKED, "background": True})
        await client.get(path)
    assert answered(worker.guard) == 0.0
    assert counted(worker.guard, "requests") == {"openai_responses": 2}


async def test_an_answer_whose_id_is_encrypted_anew_counts_once() -> None:
    """LiteLLM can hide the upstream's ids like that; the client's path stays the same."""
    worker = Worker()
    async with client_of(worker) as client:
        for name in await started(client, 2):
            worker.statuses[name] = "completed"
            for alias in range(3):
                worker.alias = f"{name}_{alias}"
                assert (await client.responses.retrieve(name)).id == worker.alias
    assert answered(worker.guard) == 2.0


async def test_an_answer_may_be_fetched_with_another_token_of_the_same_bearer() -> None:
    """Short-lived tokens stand for whom they name."""
    worker = Worker()
    worker.guard = guarded(worker.guard.app, worker.time, key_claim="sub")
    async with caller_of(worker) as client:
        for number in range(4):
            headers = {"authorization": f"Bearer {token('good', sub='ann', jti=number).decode()}"}
            client.headers.update(headers)
            if number < 2:
                await client.post("/v1/responses", json={"input": ASKED, "background": True})
            else:
                worker.statuses[f"resp_{number - 1}"] = "completed"
                await client.get(f"/v1/responses/resp_{number - 1}")
    flush(worker.guard)
    scope = scope_of(key=token("good", sub="ann", jti=0))
    subjects = worker.guard.engine.memory.subjects
    subject = subjects.get(worker.guard.guard.principals.read(scope).key)
    assert subject is not None
    row, _ = subjects.project(subject, worker.guard.guard.timeline.now())
    slow = profile.read(row, 0.0, worker.time()).slow
    assert (slow[Slot.EXCHANGES], slow[Slot.ANSWERED]) == (2.0, 2.0)
    assert slow[Slot.YIELD] > 0
