"""Threads and conversations: texts are put there, a run asks about them, its answer is fetched."""

from __future__ import annotations

import json
import warnings
from contextlib import asynccontextmanager
from math import log2
from typing import TYPE_CHECKING, Any

import openai
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from gateway_guard.profile import Slot
from tests.callers import KEY, Time, counted, guarded, reading_of
from tests.servers import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from starlette.requests import Request

ANSWER = "It leads to the mill, and from there along the river down to the sea. " * 4
ASKED = "Where does the old road that begins behind the chapel lead?"
Fields = dict[str, Any]


class Assistants:
    """An upstream that keeps threads, whose runs are over at once."""

    def __init__(self) -> None:
        self.messages: list[Fields] = []
        self.runs = 0
        self.status = "queued"
        self.time = Time()
        post, thread = ["POST"], "/v1/threads/{thread}"
        routes = [
            Route("/v1/threads", self.make, methods=post),
            Route("/v1/threads/runs", self.run, methods=post),
            Route(f"{thread}/messages", self.add, methods=post),
            Route(f"{thread}/messages", self.show),
            Route(f"{thread}/runs", self.run, methods=post),
            Route(thread + "/runs/{run}", self.poll),
            Route(thread + "/runs/{run}/submit_tool_outputs", self.run, methods=post),
            Route("/v1/conversations", self.converse, methods=post),
            Route("/v1/conversations/{conversation}/items", self.items, methods=post),
            Route("/v1/responses", self.respond, methods=post),
        ]
        self.guard = guarded(Starlette(routes=routes), self.time)

    async def make(self, request: Request) -> Response:
        """Make a thread."""
        del request
        made = {"id": "thread_1", "object": "thread", "created_at": 1, "metadata": {}}
        return JSONResponse(made)

    async def add(self, request: Request) -> Response:
        """Put a message into a thread."""
        asked = await request.json()
        return JSONResponse(self.message(asked["content"], role=asked["role"]))

    def message(self, text: str, role: str = "assistant", run: str | None = None) -> Fields:
        """Return a new message."""
        made = {
            "id": f"msg_{len(self.messages) + 1}",
            "object": "thread.message",
            "created_at": 1,
            "thread_id": "thread_1",
            "run_id": run,
            "role": role,
            "status": "completed",
            "metadata": {},
            "content": [{"type": "text", "text": {"value": text, "annotations": []}}],
        }
        self.messages.insert(0, made)
        return made

    async def run(self, request: Request) -> Response:
        """Run an assistant on a thread."""
        asked = await request.json()
        self.runs += "tool_outputs" not in asked
        run = self.shown_run(f"run_{self.runs}")
        self.message(ANSWER, run=run["id"])
        if asked.get("stream"):
            events = self.events(run)
            return StreamingResponse(events, media_type="text/event-stream")
        return JSONResponse(run)

    def shown_run(self, name: str) -> Fields:
        """Return a run as it stands."""
        call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        action = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": [call]}}
        return {
            "id": name,
            "object": "thread.run",
            "thread_id": "thread_1",
            "assistant_id": "asst_1",
            "status": self.status,
            "required_action": action if self.status == "requires_action" else None,
            "usage": None,
        }

    def events(self, run: Fields) -> Iterator[bytes]:
        """Yield the events of a run."""
        whole = self.messages[0]
        head = {"id": whole["id"], "object": "thread.message.delta"}
        usage = {"prompt_tokens": 5, "completion_tokens": 70, "total_tokens": 75}
        yield _event("thread.run.created", run)
        yield _event("thread.message.created", whole | {"status": "in_progress", "content": []})
        for at in range(0, len(ANSWER), 40):
            text = {"value": ANSWER[at : at + 40]}
            delta = {"content": [{"index": 0, "type": "text", "text": text}]}
            yield _event("thread.message.delta", head | {"delta": delta})
        yield _event("thread.message.completed", whole)
        yield _event("thread.run.completed", run | {"status": "completed", "usage": usage})
        yield b"event: done\ndata: [DONE]\n\n"

    async def poll(self, request: Request) -> Response:
        """Show a run."""
        return JSONResponse(self.shown_run(request.path_params["run"]))

    async def show(self, request: Request) -> Response:
        """List the messages of a thread."""
        del request
        ends = {"first_id": "x", "last_id": "y", "has_more": False}
        return JSONResponse({"object": "list", "data": self.messages} | ends)

    async def converse(self, request: Request) -> Response:
        """Make a conversation."""
        del request
        made = {"id": "conv_1", "object": "conversation", "created_at": 1, "metadata": {}}
        return JSONResponse(made)

    async def items(self, request: Request) -> Response:
        """Put items into a conversation."""
        items = (await request.json())["items"]
        data = [item | {"id": "msg_1", "type": "message", "status": "completed"} for item in items]
        ends = {"first_id": "msg_1", "last_id": "msg_1", "has_more": False}
        return JSONResponse({"object": "list", "data": data} | ends)

    async def respond(self, request: Request) -> Response:
        """Respond within a conversation."""
        del request
        self.runs += 1
        text = [{"type": "output_text", "text": ANSWER, "annotations": []}]
        item = {"type": "message", "id": "msg_9", "role": "assistant", "content": text}
        whole = {"id": f"resp_{self.runs}", "object": "response", "status": "completed"}
        return JSONResponse(whole | {"output": [item], "conversation": {"id": "conv_1"}})


def _event(name: str, data: Fields) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


@asynccontextmanager
async def client_of(upstream: Assistants) -> AsyncIterator[openai.AsyncOpenAI]:
    """Connect the client, which says with each call that threads will go one day."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        async with (
            serving(upstream.guard) as address,
            openai.AsyncOpenAI(base_url=f"{address}/v1", api_key=KEY.decode()) as client,
        ):
            yield client


async def ask_in_thread(upstream: Assistants, client: openai.AsyncOpenAI, text: str) -> None:
    """Put a question into the thread, run the assistant and list what it said."""
    threads = client.beta.threads
    await threads.messages.create("thread_1", role="user", content=text)
    await threads.runs.create("thread_1", assistant_id="asst_1")
    page = await threads.messages.list("thread_1")
    (block,) = page.data[0].content
    assert block.type == "text"
    assert block.text.value == ANSWER
    reading_of(upstream.guard)
    upstream.time.pass_by(20)


async def test_a_run_is_an_exchange_with_what_was_put_into_its_thread() -> None:
    """What is put there does not count by itself; the answer counts where it is listed."""
    upstream = Assistants()
    async with client_of(upstream) as client:
        threads = client.beta.threads
        await threads.create(messages=[{"role": "user", "content": "Hello."}])
        for _ in range(2):
            await ask_in_thread(upstream, client, ASKED)
    assert counted(upstream.guard, "exchanges") == {"placed": 3, "committed": 2}
    reading = reading_of(upstream.guard)
    assert reading.slow[Slot.EXCHANGES] == reading.slow[Slot.ANSWERED] == pytest.approx(2, 0.01)
    assert reading.slow[Slot.QUESTION_LOG] > 5


async def test_a_thread_is_observed_once_its_answer_was_served() -> None:
    """The first run has no history; those that follow go on from an answer."""
    upstream = Assistants()
    async with client_of(upstream) as client:
        await client.beta.threads.create()
        for number in range(7):
            await ask_in_thread(upstream, client, f"Where does road number {number} lead?")
    reading = reading_of(upstream.guard)
    assert reading.slow[Slot.EXCHANGES] == pytest.approx(7, 0.01)
    assert reading.slow[Slot.OBSERVED] == pytest.approx(6, 0.01)


async def test_a_thread_counts_like_the_same_question_asked_at_once() -> None:
    """Texts that are put somewhere first have the same features as in one request."""
    readings = []
    for apart in (True, False):
        upstream = Assistants()
        async with client_of(upstream) as client:
            threads = client.beta.threads
            for number in range(4):
                text = f"Think step by step: where does road number {number} lead?"
                messages: Any = [{"role": "user", "content": text}]
                if apart:
                    await threads.create(messages=messages)
                    await threads.runs.create("thread_1", assistant_id="a", instructions="Guide.")
                else:
                    thread: Any = {"messages": messages}
                    await threads.create_and_run(
                        assistant_id="a", instructions="Guide.", thread=thread
                    )
                await threads.messages.list("thread_1")
                reading_of(upstream.guard)
        readings.append(reading_of(upstream.guard).slow)
    for slot in (Slot.EXCHANGES, Slot.QUESTION_LOG, Slot.REASONING_CUE, Slot.ANSWERED):
        assert readings[0][slot] == pytest.approx(readings[1][slot], rel=0.02)
    assert readings[0][Slot.REASONING_CUE] > 0


async def test_messages_count_once_however_often_they_are_listed() -> None:
    """Clients list the whole thread after every run; users' own messages are no answers."""
    upstream = Assistants()
    async with client_of(upstream) as client:
        for _ in range(3):
            await ask_in_thread(upstream, client, ASKED)
            for _ in range(3):
                await client.beta.threads.messages.list("thread_1")
    assert reading_of(upstream.guard).slow[Slot.ANSWERED] == pytest.approx(3.0, 0.01)


async def test_a_run_may_stream_its_answer() -> None:
    """It is read as it passes, with its usage, and does not count again when it is listed."""
    upstream = Assistants()
    async with client_of(upstream) as client:
        for _ in range(2):
            await client.beta.threads.messages.create("thread_1", role="user", content=ASKED)
            stream = await client.beta.threads.runs.create(
                "thread_1", assistant_id="asst_1", stream=True
            )
            assert [event.event async for event in stream][-1] == "thread.run.completed"
            await client.beta.threads.messages.list("thread_1")
    reading = reading_of(upstream.guard)
    assert reading.slow[Slot.EXCHANGES] == reading.slow[Slot.ANSWERED] == 2.0
    assert reading.slow[Slot.ANSWER_LOG] == pytest.approx(2 * log2(1 + len(ANSWER)))


async def test_the_results_of_tools_go_on_from_the_calls_of_the_run() -> None:
    """They are an exchange of their own, with observed history once the calls were served."""
    upstream = Assistants()
    async with client_of(upstream) as client:
        runs = client.beta.threads.runs
        await ask_in_thread(upstream, client, ASKED)
        run = await runs.create("thread_1", assistant_id="asst_1", instructions="Look it up.")
        upstream.status = "requires_action"
        await runs.retrieve(run.id, thread_id="thread_1")
        reading_of(upstream.guard)
        output: Any = {"tool_call_id": "call_1", "output": "12 miles"}
        await runs.submit_tool_outputs(run.id, thread_id="thread_1", tool_outputs=[output])
    reading = reading_of(upstream.guard)
    assert counted(upstream.guard, "exchanges") == {"placed": 1, "committed": 3}
    assert reading.slow[Slot.OBSERVED] == pytest.approx(2.0, 0.01)


async def test_what_is_put_into_a_conversation_counts_with_the_response_that_asks() -> None:
    """A conversation may hold the question, and the request nothing."""
    upstream = Assistants()
    async with client_of(upstream) as client:
        item: Any = {"type": "message", "role": "user", "content": ASKED * 4}
        await client.conversations.create(items=[item])
        await client.conversations.items.create("conv_1", items=[item])
        for _ in range(2):
            await client.responses.create(model="m", conversation="conv_1", input="Go on.")
    reading = reading_of(upstream.guard)
    assert counted(upstream.guard, "exchanges") == {"placed": 2, "committed": 2}
    assert reading.slow[Slot.EXCHANGES] == 2.0
    assert reading.slow[Slot.QUESTION_LOG] > 7


@pytest.mark.parametrize("path", ["/threads", "/threads/t1/messages", "/conversations/c1/items"])
async def test_somebody_elses_threads_are_read_generically(path: str) -> None:
    """A server of another make may answer where OpenAI's only takes note."""

    async def answer(request: Request) -> Response:
        del request
        return JSONResponse({"role": "assistant", "content": ANSWER})

    guard = guarded(Starlette(routes=[Route(path, answer, methods=["POST"])]))
    async with (
        serving(guard) as address,
        openai.AsyncOpenAI(base_url=address, api_key=KEY.decode()) as client,
    ):
        for _ in range(2):
            body = {"messages": [{"role": "user", "content": ASKED}]}
            await client.post(path, body=body, cast_to=object)
    reading = reading_of(guard)
    assert reading.slow[Slot.EXCHANGES] == reading.slow[Slot.ANSWERED] == 2.0
    assert reading.slow[Slot.YIELD] > 0
