"""A model server that speaks every dialect, and keeps account of what it spends on what."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from gateway_guard.bench import bypass_answers as answers
from gateway_guard.bench.bypass_answers import Cost, Fields

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from starlette.requests import Request

LEDGER: Final = "/side-door/ledger"
BROKEN: Final = "/broken"
"""Where a model is that answers nobody."""

_HOLDING: Final = (
    *("system", "systemInstruction", "instructions", "messages", "contents", "prompt", "input"),
    *("question", "text"),
)
_ASIDE: Final = frozenset({"role", "type", "id", "status"})
_MANY: Final = r"(^|/)(completions|embeddings)$"
_TRUE: Final = frozenset({True, "true", "True", "1"})


class Speech(NamedTuple):
    """How a dialect is spoken at paths that end so."""

    path: re.Pattern[str]
    whole: Callable[[Cost], Fields]
    events: Callable[[Cost], Iterator[bytes]] | None = None


SPEECHES: Final = (
    Speech(re.compile(r"/chat/completions$"), answers.chat, answers.chat_events),
    Speech(re.compile(r"/completions$"), answers.completion, answers.completion_events),
    Speech(re.compile(r"/embeddings$"), answers.embedding),
    Speech(re.compile(r"/responses$"), answers.response, answers.response_events),
    Speech(re.compile(r"/messages$"), answers.message, answers.message_events),
    Speech(re.compile(r":generateContent$"), answers.candidates),
    Speech(re.compile(r":streamGenerateContent$"), answers.candidates, answers.candidate_events),
    Speech(re.compile(r"/ask$"), answers.own),
)


class Spent(NamedTuple):
    """What one request was spent on: the texts that were read, tokens, and answers."""

    texts: list[str]
    prompt: int
    completion: int
    answers: int


class Model:
    """Answers at length, and notes what that costs; a word is a token."""

    def __init__(self) -> None:
        self._ledger: list[Spent] = []

    def settled(self) -> list[Spent]:
        """Return what was spent since the last time."""
        ledger, self._ledger = self._ledger, []
        return ledger

    def answer(self, path: str, fields: Fields) -> Response:
        """Answer a request as its path says, and note the cost; 400 where nothing is asked."""
        path = path.rstrip("/")
        speech = next((speech for speech in SPEECHES if speech.path.search(path)), None)
        texts = [text for name in _HOLDING for text in _said(fields.get(name))]
        turns = fields.get("messages") or fields.get("contents") or []
        if path.startswith(BROKEN):
            return JSONResponse({"error": {"message": "out of order"}}, status_code=500)
        if speech is None or not texts or not _are_turns(turns):
            return JSONResponse({"error": {"message": "nothing is asked"}}, status_code=400)
        cost = _cost(path, fields, texts)
        self._ledger.append(Spent(texts, *cost))
        streamed = fields.get("stream") in _TRUE or ":stream" in path
        if speech.events is None or not streamed:
            return JSONResponse(speech.whole(cost))
        return StreamingResponse(_one_by_one(speech.events(cost)), media_type="text/event-stream")

    def app(self) -> Starlette:
        """Return an application that is nothing but this model, and shows its ledger."""
        return Starlette(
            routes=[
                Route(LEDGER, self._tell),
                Route("/{path:path}", self._asked, methods=["POST"]),
            ]
        )

    async def _asked(self, request: Request) -> Response:
        return self.answer(request.url.path, await request.json())

    async def _tell(self, request: Request) -> Response:
        del request
        return JSONResponse([spent._asdict() for spent in self.settled()])


def _cost(path: str, fields: Fields, texts: list[str]) -> Cost:
    """Return what the texts and their answers cost."""
    prompts = 1
    if re.search(_MANY, path) and "/chat/" not in path:
        prompts = max(1, len(texts))
    count = fields.get("n") or fields.get("candidateCount") or 1
    total = prompts * int(count)
    words = 0 if path.endswith("/embeddings") else len(answers.TEXT.split())
    return Cost(sum(len(text.split()) for text in texts), words * total, total)


def _are_turns(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(turn, dict) for turn in value)


def _said(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _said(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            if name not in _ASIDE:
                yield from _said(item)


async def _one_by_one(events: Iterator[bytes]) -> AsyncIterator[bytes]:
    for event in events:
        yield event
