"""The official clients, unchanged, have batches created by applications with the guard in them."""

from __future__ import annotations

from contextlib import asynccontextmanager
from itertools import islice
from random import Random
from typing import TYPE_CHECKING, Annotated, Any

import anthropic
import openai
import pytest
from fastapi import FastAPI, File, Form, UploadFile
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from gateway_guard import GuardMiddleware, Settings
from gateway_guard.profile import Slot
from tests.batching import BATCHES, FILES, body_of, file_of, lines_of
from tests.callers import DEFAULTS, KEY, Time, counted, reading_of
from tests.mounting import guard_in
from tests.servers import serving
from tests.traffic import HARVESTS, INNOCENTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response

ENDPOINT: Any = "/v1/chat/completions"
CREATED = 1_800_000_000


class Files:
    """An application that keeps files and creates batches, and no answer of a model."""

    def __init__(self) -> None:
        self.kept: list[bytes] = []

    def keep(self, content: bytes) -> dict[str, object]:
        """Keep a file; return what is said of it."""
        self.kept.append(content)
        said = {"id": f"file-{len(self.kept)}", "object": "file", "bytes": len(content)}
        return said | {"created_at": CREATED, "filename": "b.jsonl", "purpose": "batch"}

    async def upload(self, request: Request) -> Response:
        """Take a form."""
        async with request.form() as form:
            file: Any = form["file"]
            return JSONResponse(self.keep(await file.read()))

    async def batch(self, request: Request) -> Response:
        """Create a batch of a file."""
        asked = await request.json()
        said = {"id": "batch_1", "object": "batch", "status": "validating", "created_at": CREATED}
        return JSONResponse(said | asked)

    async def messages(self, request: Request) -> Response:
        """Create a batch of messages."""
        asked = await request.json()
        said = {"id": "msgbatch_1", "type": "message_batch", "processing_status": "in_progress"}
        return JSONResponse(said | {"request_counts": {"processing": len(asked["requests"])}})

    def in_starlette(self) -> Starlette:
        """Return the application, with Starlette's own reader of forms."""
        routes = [
            Route(FILES, self.upload, methods=["POST"]),
            Route(BATCHES, self.batch, methods=["POST"]),
            Route("/v1/messages/batches", self.messages, methods=["POST"]),
        ]
        return Starlette(routes=routes)

    def in_fastapi(self) -> Starlette:
        """Return the application with FastAPI's forms, as LiteLLM has them."""
        app = FastAPI()
        app.router.routes.extend(self.in_starlette().routes[1:])

        async def upload(
            file: Annotated[UploadFile, File()], purpose: Annotated[str, Form()]
        ) -> dict[str, object]:
            assert purpose
            return self.keep(await file.read())

        app.add_api_route(FILES, upload, methods=["POST"])
        return app


class Mounted:
    """An application with the guard in it, and the guard's clock."""

    def __init__(self, framework: str) -> None:
        self.time, self.files = Time(), Files()
        self.app: Starlette = getattr(self.files, f"in_{framework}")()
        values: dict[str, Any] = DEFAULTS | {"memory": "64MiB"}
        self.app.add_middleware(
            GuardMiddleware, settings=Settings(**values), clock=self.time, timer=self.time
        )
        self.app.middleware_stack = self.app.build_middleware_stack()

    @property
    def guard(self) -> GuardMiddleware:
        """The guard, as the application has built it."""
        return guard_in(self.app)


@pytest.fixture(params=["starlette", "fastapi"])
def mounted(request: pytest.FixtureRequest) -> Mounted:
    """Return a server of each framework."""
    return Mounted(request.param)


@asynccontextmanager
async def openai_client(mounted: Mounted) -> AsyncIterator[openai.AsyncOpenAI]:
    """Connect OpenAI's client, without its retries."""
    async with (
        serving(mounted.app) as address,
        openai.AsyncOpenAI(base_url=f"{address}/v1", api_key=KEY.decode(), max_retries=0) as client,
    ):
        yield client


async def created(client: openai.AsyncOpenAI, data: bytes) -> str:
    """Upload a file and have a batch of it created; return what that is called."""
    file = await client.files.create(file=("b.jsonl", data), purpose="batch")
    batch = await client.batches.create(
        input_file_id=file.id, endpoint=ENDPOINT, completion_window="24h"
    )
    return batch.id


@pytest.mark.parametrize("count", [5, 3_000])
async def test_a_batch_of_a_file_is_all_of_its_lines(mounted: Mounted, count: int) -> None:
    """And the file arrives as it is."""
    async with openai_client(mounted) as client:
        assert await created(client, lines_of(count)) == "batch_1"
    assert mounted.files.kept == [lines_of(count)]
    assert reading_of(mounted.guard).slow[Slot.EXCHANGES] == pytest.approx(count, abs=1)
    assert counted(mounted.guard, "batches") == {"file": 1, "known_file": 1}


async def test_a_harvest_by_file_is_refused(mounted: Mounted) -> None:
    """With the error that its client knows."""
    plays = HARVESTS["self_instruct"](Random(1))
    async with openai_client(mounted) as client:
        with pytest.raises(openai.RateLimitError) as error:
            await created(client, file_of(islice(plays, 300)))
    assert error.value.type == "rate_limit_error"
    assert len(mounted.files.kept) == 1


async def test_a_nightly_batch_passes_every_night(mounted: Mounted) -> None:
    """Of five thousand lines."""
    plays = INNOCENTS["classify"](Random(1))
    async with openai_client(mounted) as client:
        for _ in range(3):
            await created(client, file_of(islice(plays, 5_000)))
            mounted.time.pass_by(86_400)
    assert counted(mounted.guard, "decisions") == {"pass": 3}


async def test_a_file_for_another_purpose_is_not_read(mounted: Mounted) -> None:
    """It passes, and that is all."""
    async with openai_client(mounted) as client:
        await client.files.create(file=("a.jsonl", lines_of(9)), purpose="fine-tune")
        await client.batches.create(
            input_file_id="file-1", endpoint=ENDPOINT, completion_window="24h"
        )
    assert counted(mounted.guard, "batches") == {"unknown_file": 1}
    assert mounted.files.kept == [lines_of(9)]


@asynccontextmanager
async def anthropic_client(mounted: Mounted) -> AsyncIterator[anthropic.AsyncAnthropic]:
    """Connect Anthropic's client, without its retries."""
    async with (
        serving(mounted.app) as address,
        anthropic.AsyncAnthropic(base_url=address, api_key=KEY.decode(), max_retries=0) as client,
    ):
        yield client


def requests_of(name: str, count: int) -> list[Any]:
    """Return the requests of a batch of messages."""
    plays = (HARVESTS | INNOCENTS)[name](Random(1))
    bodies = [body_of(asked) for asked in islice(plays, count)]
    return [{"custom_id": f"r{at}", "params": body} for at, body in enumerate(bodies)]


@pytest.mark.parametrize("count", [5, 1_000])
async def test_a_batch_of_messages_is_all_of_its_requests(mounted: Mounted, count: int) -> None:
    """Though its answer says nothing of theirs."""
    async with anthropic_client(mounted) as client:
        batch = await client.messages.batches.create(requests=requests_of("search", count))
    assert batch.id == "msgbatch_1"
    assert reading_of(mounted.guard).slow[Slot.EXCHANGES] == pytest.approx(count, abs=1)


async def test_a_harvest_in_messages_is_refused(mounted: Mounted) -> None:
    """With the error that its client knows."""
    async with anthropic_client(mounted) as client:
        with pytest.raises(anthropic.RateLimitError):
            await client.messages.batches.create(requests=requests_of("tutor", 300))
