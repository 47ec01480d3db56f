"""What an upstream called an answer goes with its text, in every dialect, and nothing else does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from gateway_guard.dialects import dialect_for
from gateway_guard.dialects.sockets import session_for
from gateway_guard.exchange import MOST_ID_CHARS, Answer
from gateway_guard.observation import Observation
from tests.callers import CHAT, MESSAGES

if TYPE_CHECKING:
    from gateway_guard.exchange import AnswerText

DIGEST_KEY = b"a key of 16 byte"
ID = "answer-0123456789abcdef"
COMPLETIONS, RESPONSES, GEMINI = (
    "/v1/completions",
    "/v1/responses",
    "/v1beta/models/g:generateContent",
)
CONVERSE, INVOKE = "/model/m/converse", "/model/m/invoke"
VERTEX = "/v1/projects/p/locations/l/publishers/anthropic/models/m:rawPredict"
COHERE, OLD_COHERE = "/v2/chat", "/v1/chat"


def heard(path: str, body: bytes, *, event_stream: bool = False) -> list[AnswerText]:
    """Return what is told of a response body."""
    texts: list[AnswerText] = []
    reader = dialect_for(path).response_reader(event_stream=event_stream, digest_key=DIGEST_KEY)
    reader.feed(body)
    reader.finish(texts.append)
    return texts


def events(*found: dict[str, Any]) -> bytes:
    """Return events of a stream."""
    return b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in found)


def chunk(text: str, **fields: object) -> dict[str, Any]:
    """Return a piece of a chat completion."""
    return {**fields, "choices": [{"index": 0, "delta": {"content": text}}]}


def candidate(text: str, **fields: object) -> dict[str, Any]:
    """Return a response of Gemini, or a piece of one."""
    return {**fields, "candidates": [{"content": {"parts": [{"text": text}]}}]}


SAID = {"choices": [{"message": {"content": "Yes."}}]}
TEXT = [{"type": "text", "text": "Yes."}]
OUTPUT = [{"type": "message", "content": [{"type": "output_text", "text": "Yes."}]}]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, {"id": ID, **SAID}),
        (COMPLETIONS, {"id": ID, "choices": [{"text": "Yes."}]}),
        (MESSAGES, {"type": "message", "id": ID, "content": TEXT}),
        (VERTEX, {"type": "message", "id": ID, "content": TEXT}),
        (INVOKE, {"type": "message", "id": ID, "content": TEXT}),
        (GEMINI, candidate("Yes.", responseId=ID)),
        (GEMINI, {"response": candidate("Yes.", responseId=ID)}),
        (RESPONSES, {"object": "response", "id": ID, "status": "failed", "output": OUTPUT}),
        (COHERE, {"id": ID, "finish_reason": "COMPLETE", "message": {"content": TEXT}}),
        (OLD_COHERE, {"text": "Yes.", "generation_id": ID, "response_id": "another"}),
        ("/api/chat", {"id": ID, **SAID}),
        ("/any", {"response_id": ID, "output": "Yes."}),
        ("/any", {"text": "Yes.", "meta_info": {"id": ID}}),
        (
            "/v1/interactions",
            {"id": ID, "status": "completed", "steps": [{"type": "model_output", "content": TEXT}]},
        ),
    ],
)
def test_an_answer_in_one_piece_tells_its_id(path: str, body: dict[str, Any]) -> None:
    """Written on one line or on many."""
    for indent in (None, 1):
        [text] = heard(path, json.dumps(body, indent=indent).encode())
        assert (text.visible, text.id) == (("Yes.",), ID)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, events(chunk("Y", id=ID), chunk("es.", id=ID))),
        (CHAT, events({"id": "", "choices": []}, chunk("Y", id=ID), chunk("es.", id=ID))),
        (COMPLETIONS, events({"id": ID, "choices": [{"text": "Yes."}]})),
        (GEMINI, events(candidate("Y", responseId=ID), candidate("es.", responseId=ID))),
        (
            MESSAGES,
            events(
                {"type": "message_start", "message": {"id": ID}},
                {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Yes."}},
            ),
        ),
        (
            RESPONSES,
            events(
                {"type": "response.created", "response": {"id": ID, "status": "in_progress"}},
                {"type": "response.output_text.delta", "item_id": "another", "delta": "Yes."},
            ),
        ),
        (
            "/any",
            events(
                {"type": "response.created", "response": {"id": ID, "status": "in_progress"}},
                {"type": "response.output_text.delta", "item_id": "another", "delta": "Yes."},
            ),
        ),
        (
            COHERE,
            events(
                {"type": "message-start", "id": ID},
                {"type": "content-delta", "delta": {"message": {"content": {"text": "Yes."}}}},
            ),
        ),
        (
            OLD_COHERE,
            events(
                {"event_type": "stream-start", "generation_id": ID},
                {"event_type": "text-generation", "text": "Yes."},
            ),
        ),
        (
            "/v1/threads/t1/runs",
            events(
                {"object": "thread.run", "id": "another", "status": "queued"},
                {
                    "object": "thread.message.delta",
                    "id": ID,
                    "delta": {"content": [{"text": {"value": "Yes."}}]},
                },
            ),
        ),
    ],
)
def test_a_stream_tells_the_id_of_its_answer(path: str, body: bytes) -> None:
    """Whichever of its events has it, and where it breaks off as well."""
    [text] = heard(path, body, event_stream=True)
    assert (text.visible, text.id) == (("Yes.",), ID)


@pytest.mark.parametrize("path", [CHAT, MESSAGES, GEMINI, "/any"])
@pytest.mark.parametrize("given", [7, None, True, [ID] * 3, {"id": 1}, "", [[[]]]])
def test_what_is_no_id_harms_nothing(path: str, given: object) -> None:
    """The text is heard all the same, as that of an answer without an id."""
    body = {"id": given, "responseId": given}
    if path == GEMINI:
        body |= candidate("Yes.")
    elif path == MESSAGES:
        body |= {"type": "message", "content": TEXT}
    else:
        body |= SAID
    [text] = heard(path, json.dumps(body).encode())
    assert (text.visible, text.id) == (("Yes.",), None)


def test_the_first_id_counts_and_no_more_than_the_beginning_of_a_long_one() -> None:
    """Whatever an upstream does to make much of it."""
    long = "x" * 1_000_000
    body = events(chunk("Y", id=7), chunk("e", id=long), chunk("s.", id="another"))
    [text] = heard(CHAT, body, event_stream=True)
    assert (text.visible, text.id) == (("Yes.",), "x" * MOST_ID_CHARS)


def test_an_answer_of_amazon_is_known_by_the_header_that_has_its_id() -> None:
    """Its body has none; where another one has, that comes with the text."""
    said = {"output": {"message": {"content": [{"text": "Yes."}]}}}
    seen = Observation(dialect_for(CONVERSE), DIGEST_KEY)
    seen.start(200, [(b"content-type", b"application/json"), (b"X-Amzn-RequestId", ID.encode())])
    seen.feed(json.dumps(said).encode())
    outcome = seen.outcome()
    texts: list[AnswerText] = []
    outcome.read(texts.append)
    assert outcome.id == ID
    assert [(text.visible, text.id) for text in texts] == [(("Yes.",), None)]


def test_ids_change_nothing_of_what_is_counted() -> None:
    """Nor may later requests refer to an answer by one, where the dialect knows no references."""
    made = []
    for fields in ({}, {"id": ID}):
        reader = dialect_for(CHAT).response_reader(event_stream=False, digest_key=DIGEST_KEY)
        reader.feed(json.dumps({**SAID, **fields}).encode())
        made.append(reader.finish())
    assert made[0] == made[1] == Answer(output_chars=4, digests=made[0].digests)


def test_an_answer_on_a_socket_has_the_id_of_the_server() -> None:
    """Not the name that nobody can guess, by which it is known as history."""
    message = b'{"type":"response.create"}'
    session = session_for("/v1/realtime", b"model=m", message)
    asking = session.hear(message)
    assert asking is not None
    session.accept(asking)
    created = {"type": "response.created", "response": {"id": ID}}
    said = {"type": "response.text.delta", "response_id": ID, "delta": "Yes."}
    assert session.watch(json.dumps(created).encode()) == [asking]
    session.watch(json.dumps(said).encode())
    texts: list[AnswerText] = []
    asking.answer(DIGEST_KEY, texts.append)
    assert [(text.visible, text.id) for text in texts] == [(("Yes.",), ID)]
