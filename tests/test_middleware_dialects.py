"""Every dialect through the middleware: unchanged, counted once, without an error."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_guard import Action
from gateway_guard.profile import Slot
from tests.callers import ask, counted, guarded, reading_of, scope_of, sentence
from tests.frames import event, model_chunk
from tests.responses_read import cut
from tests.upstreams import answer, read

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

EVENTS, LINES = b"text/event-stream", b"application/x-ndjson"
FRAMES, JSON = b"application/vnd.amazon.eventstream", b"application/json"
GEMINI = "/v1beta/models/gemini-2.5-pro"
VERTEX = "/v1/projects/p/locations/l/publishers/anthropic/models/claude:streamRawPredict"
SAID = "The capital of France is Paris."
CONTENTS = {"contents": [{"parts": [{"text": "What is it?"}]}]}
MESSAGES = {"messages": [{"role": "user", "content": "What is it?"}]}
BLOCKS = {"messages": [{"role": "user", "content": [{"text": "What is it?"}]}]}


def as_json(value: object) -> bytes:
    """Return a body."""
    return json.dumps(value).encode()


def as_event(value: object) -> bytes:
    """Return a stream of one event."""
    return b"data: " + as_json(value) + b"\n\n"


CANDIDATE = {"candidates": [{"content": {"parts": [{"text": SAID}]}, "finishReason": "STOP"}]}
DELTA = {"type": "content_block_delta", "delta": {"type": "text_delta", "text": SAID}}
WAYS: list[tuple[str, dict[str, Any], bytes, bytes]] = [
    (f"{GEMINI}:generateContent", CONTENTS, JSON, as_json(CANDIDATE)),
    (f"{GEMINI}:streamGenerateContent", CONTENTS, EVENTS, as_event(CANDIDATE)),
    (f"{GEMINI}:streamGenerateContent", CONTENTS, JSON, as_json([CANDIDATE])),
    (
        "/v1beta/interactions",
        {"model": "m", "input": "What is it?"},
        EVENTS,
        as_event({"event_type": "step.delta", "delta": {"type": "text", "text": SAID}}),
    ),
    (
        "/model/amazon.nova-pro-v1:0/converse-stream",
        BLOCKS,
        FRAMES,
        event("contentBlockDelta", {"delta": {"text": SAID}}),
    ),
    (
        "/model/amazon.nova-pro-v1:0/converse",
        BLOCKS,
        JSON,
        as_json({"output": {"message": {"content": [{"text": SAID}]}}}),
    ),
    (
        "/model/claude/invoke-with-response-stream",
        {"anthropic_version": "bedrock-2023-05-31", **MESSAGES},
        FRAMES,
        model_chunk(DELTA),
    ),
    (VERTEX, MESSAGES, EVENTS, as_event(DELTA)),
    (
        "/v2/chat",
        MESSAGES,
        EVENTS,
        as_event({"type": "content-delta", "delta": {"message": {"content": {"text": SAID}}}}),
    ),
    (
        "/v1/chat",
        {"message": "What is it?"},
        LINES,
        as_json({"event_type": "text-generation", "text": SAID}) + b"\n",
    ),
    ("/api/chat", MESSAGES, LINES, as_json({"message": {"content": SAID}, "done": False}) + b"\n"),
    ("/api/generate", {"prompt": "What is it?"}, LINES, as_json({"response": SAID, "done": False})),
    ("/generate", {"text": "What is it?"}, EVENTS, as_event({"text": SAID, "meta_info": {}})),
    ("/invocations", MESSAGES, JSON, as_json({"choices": [{"message": {"content": SAID}}]})),
]


class Upstream:
    """An application that sends what it is told to."""

    def __init__(self) -> None:
        self.kind = JSON
        self.pieces: list[bytes] = []
        self.read = b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        del scope
        self.read = await read(receive)
        await answer(send, *self.pieces, kind=(b"content-type", self.kind))


@pytest.mark.parametrize(("path", "body", "kind", "answered"), WAYS)
async def test_an_exchange_passes_unchanged_and_is_seen(
    path: str, body: dict[str, Any], kind: bytes, answered: bytes
) -> None:
    """Question and answer are counted under the key that asked."""
    upstream = Upstream()
    upstream.kind, upstream.pieces = kind, [answered[:20], answered[20:]]
    guard = guarded(upstream)
    wire = await ask(guard, scope_of(path), as_json(body))
    assert (wire.status, wire.body) == (200, answered)
    assert upstream.read == as_json(body)
    reading = reading_of(guard)
    assert counted(guard, "exchanges") == {"committed": 1}
    assert counted(guard, "errors") == {}
    assert reading.slow[Slot.ANSWERED] == 1.0
    chars = 2 ** reading.slow[Slot.ANSWER_LOG] - 1
    assert chars == pytest.approx(len(SAID), rel=0.01)


@pytest.mark.parametrize(("path", "body", "kind", "answered"), WAYS)
async def test_a_blocked_key_is_refused_in_its_dialect(
    path: str, body: dict[str, Any], kind: bytes, answered: bytes
) -> None:
    """Its client finds the message where it looks for one."""
    del kind, answered
    guard = guarded(Upstream())
    sentence(guard, Action.BLOCK)
    wire = await ask(guard, scope_of(path), as_json(body))
    assert wire.status == 403
    error = wire.json.get("error", wire.json)
    message = error if isinstance(error, str) else error["message"]
    assert "not answered any more" in message


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1beta/cachedContents", {"systemInstruction": "s", **CONTENTS}),
        (f"{GEMINI}:embedContent", {"content": {"parts": [{"text": "x"}]}}),
        (
            f"{GEMINI}:batchGenerateContent",
            {"batch": {"inputConfig": {"requests": {"requests": [{"request": CONTENTS}] * 3}}}},
        ),
        (
            f"{GEMINI}:batchEmbedContents",
            {"requests": [{"content": {"parts": [{"text": "x"}]}}] * 3},
        ),
    ],
)
async def test_what_has_no_answer_of_its_own_is_counted(path: str, body: dict[str, Any]) -> None:
    """Caches, embeddings and batches."""
    upstream = Upstream()
    upstream.pieces = [b"{}"]
    guard = guarded(upstream)
    await ask(guard, scope_of(path), as_json(body))
    assert reading_of(guard).slow[Slot.EXCHANGES] >= 1.0
    assert counted(guard, "errors") == {}


@settings(max_examples=150, deadline=None)
@given(
    way=st.sampled_from(WAYS),
    asked=st.binary(max_size=64) | st.none(),
    junk=st.binary(max_size=64),
    places=st.lists(st.integers(0, 300), max_size=6),
    kind=st.sampled_from([EVENTS, LINES, FRAMES, JSON, b""]),
)
async def test_any_bytes_pass_through_every_dialect(
    way: tuple[str, dict[str, Any], bytes, bytes],
    asked: bytes | None,
    junk: bytes,
    places: list[int],
    kind: bytes,
) -> None:
    """Whatever is asked and answered, and whatever it is called."""
    path, body, _, answered = way
    upstream = Upstream()
    upstream.kind, upstream.pieces = kind, cut(answered + junk, places)
    guard = guarded(upstream)
    sent = as_json(body) if asked is None else asked
    wire = await ask(guard, scope_of(path), sent)
    assert wire.body == answered + junk
    assert upstream.read == sent
    guard.engine.flush(guard.guard.timeline.now())
    assert counted(guard, "errors") == {}
