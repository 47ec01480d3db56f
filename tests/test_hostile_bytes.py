"""Arbitrary bytes, split anywhere, through both dialects: no exception and no changed byte."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.callers import CHAT, MESSAGES, Wire, asking, counted, guarded, in_chunks, scope_of
from tests.upstreams import completion, completion_events, message, message_events

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

    from gateway_guard import GuardMiddleware

PATHS = st.sampled_from([CHAT, MESSAGES, "/v1/completions"])
STATUSES = st.sampled_from([200, 200, 200, 204, 302, 401, 403, 429, 500])
KINDS = st.sampled_from([b"application/json", b"text/event-stream", b"text/event-stream;a=b", b""])
ENCODINGS = st.sampled_from([b"", b"", b"gzip", b"deflate", b"br", b"identity", b"gzip, gzip"])
FIELDS = st.sampled_from(
    [
        "messages",
        "role",
        "content",
        "text",
        "type",
        "model",
        "stream",
        "tools",
        "tool_calls",
        "id",
        "choices",
        "delta",
        "message",
        "usage",
        "error",
        "system",
        "prompt",
        "input",
        "n",
        "user",
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
VALUES = st.recursive(
    SCALARS | FIELDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=20,
)
CUTS = st.lists(st.integers(0, 2000), max_size=12)
NEVER: dict[str, Any] = {"watch_logit": 90.0, "throttle_logit": 90.0, "block_logit": 90.0}


def as_json(value: object) -> bytes:
    """Write JSON as careless clients do."""
    return json.dumps(value).encode()


@st.composite
def damaged(draw: st.DrawFn, sound: st.SearchStrategy[bytes]) -> bytes:
    """Replace a piece of something sound by arbitrary bytes."""
    whole = draw(sound)
    start = draw(st.integers(0, len(whole)))
    end = draw(st.integers(start, min(len(whole), start + 20)))
    return whole[:start] + draw(st.binary(max_size=8)) + whole[end:]


QUESTIONS = st.sampled_from(
    [
        asking("one"),
        asking("one", "two", "three", stream=True, tools=[{"name": "t"}]),
        asking("x" * 3_000, temperature=0.5, n=2, user="u", system=[{"text": "s"}]),
    ]
)
ASKED: dict[str, Any] = {"tools": [{"name": "t"}], "messages": [{"role": "user", "content": "q"}]}
ANSWERS = st.sampled_from(
    [
        as_json(completion({})),
        as_json(message(ASKED)),
        b"".join(completion_events(ASKED)),
        b"".join(message_events({})),
    ]
)
REQUESTS = st.binary() | VALUES.map(as_json) | QUESTIONS | damaged(QUESTIONS)
RESPONSES = st.binary() | VALUES.map(as_json) | ANSWERS | damaged(ANSWERS)


def cut(whole: bytes, places: list[int]) -> list[bytes]:
    """Split bytes anywhere, into empty pieces too."""
    marks = [0, *sorted(min(place, len(whole)) for place in places), len(whole)]
    return [whole[start:end] for start, end in itertools.pairwise(marks)]


class Scripted:
    """An application that reads its request and sends the messages that it is given."""

    def __init__(self) -> None:
        self.script: list[Message] = []
        self.read = b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        del scope
        self.read, more = b"", True
        while more:
            received = await receive()
            self.read += received["body"]
            more = received["more_body"]
        for given_message in self.script:
            await send(given_message)


def response(status: int, headers: list[tuple[bytes, bytes]], pieces: list[bytes]) -> list[Message]:
    """Return the messages of an answer."""
    last = len(pieces) - 1
    start: Message = {"type": "http.response.start", "status": status, "headers": headers}
    return [
        start,
        *(
            {"type": "http.response.body", "body": piece, "more_body": at < last}
            for at, piece in enumerate(pieces)
        ),
    ]


def passes_unchanged(
    guard: GuardMiddleware, app: Scripted, scope: Scope, body: list[bytes]
) -> bool:
    """Send one request; tell whether both ways every byte and message came through."""
    wire = Wire(*in_chunks(*body))
    asyncio.run(guard(scope, wire.receive, wire.send))
    same = list(map(id, wire.sent)) == list(map(id, app.script))
    return same and app.read == b"".join(body)


def test_any_request_passes_through_both_dialects() -> None:
    """Whatever its bytes are and wherever they are cut."""
    app = Scripted()
    guard = guarded(app, **NEVER)
    numbers = itertools.count()
    app.script = response(200, [(b"content-type", b"application/json")], [b"{}"])

    @settings(max_examples=400)
    @given(PATHS, REQUESTS, CUTS, ENCODINGS)
    def check(path: str, body: bytes, places: list[int], encoding: bytes) -> None:
        headers = [(b"content-encoding", encoding)] if encoding else []
        scope = scope_of(path, headers=headers, key=b"sk-%d" % next(numbers))
        assert passes_unchanged(guard, app, scope, cut(body, places))
        assert counted(guard, "errors") == {}
        assert guard.guard.budget.held_bytes == 0

    check()
    assert counted(guard, "decisions").keys() == {"pass"}
    assert next(numbers) > 300


def packed(body: bytes, encoding: bytes) -> bytes:
    """Compress as a header says."""
    if encoding == b"gzip":
        return gzip.compress(body)
    return zlib.compress(body) if encoding == b"deflate" else body


class Answered(NamedTuple):
    """An answer as an application might send it."""

    path: str
    status: int
    kind: bytes
    encoding: bytes
    body: bytes
    places: list[int]
    honest: bool

    def script(self) -> list[Message]:
        """Return its messages."""
        sent = packed(self.body, self.encoding) if self.honest else self.body
        headers = [(b"content-type", self.kind), (b"content-encoding", self.encoding)]
        return response(self.status, headers, cut(sent, self.places))


def test_any_answer_passes_through_both_dialects() -> None:
    """Whatever its status, headers and bytes are, and wherever they are cut."""
    app = Scripted()
    guard = guarded(app, **NEVER)
    numbers = itertools.count()

    @settings(max_examples=400)
    @given(st.builds(Answered, PATHS, STATUSES, KINDS, ENCODINGS, RESPONSES, CUTS, st.booleans()))
    def check(answered: Answered) -> None:
        app.script = answered.script()
        scope = scope_of(answered.path, key=b"sk-%d" % next(numbers))
        assert passes_unchanged(guard, app, scope, [asking("one", stream=True)])
        assert counted(guard, "errors") == {}

    check()
    assert sum(counted(guard, "exchanges").values()) == next(numbers) > 300


def test_any_conversation_passes_whole() -> None:
    """The same key again and again, so that what was remembered meets what is new."""
    app = Scripted()
    guard = guarded(app, **NEVER)

    @settings(max_examples=100)
    @given(st.lists(st.tuples(PATHS, REQUESTS, RESPONSES), max_size=6), CUTS)
    def check(turns: list[tuple[str, bytes, bytes]], places: list[int]) -> None:
        for path, asked, answered in turns:
            app.script = response(200, [], cut(answered, places))
            assert passes_unchanged(guard, app, scope_of(path), cut(asked, places))
        guard.engine.flush(guard.guard.timeline.now())
        assert counted(guard, "errors") == {}

    check()
