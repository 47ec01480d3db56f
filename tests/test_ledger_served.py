"""What a guarded server answers is in the ledger, with whom it was served to, without a word."""

from __future__ import annotations

import json
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from gateway_guard import GuardMiddleware, Settings
from gateway_guard.exceptions import ConfigurationError
from gateway_guard.instrumentation import Instrumentation
from gateway_guard.ledger import arrow, maintenance, writer
from gateway_guard.ledger.fingerprints import Winnower
from gateway_guard.ledger.heads import read_heads
from gateway_guard.ledger.merkle import root_of
from gateway_guard.ledger.pseudonyms import read_identities
from gateway_guard.ledger.segments import segments_of
from gateway_guard.memory import derived
from gateway_guard.settings import deployment_secret
from tests.callers import CHAT, DEFAULTS, MESSAGES, ask, asking, counted, guarded, scope_of
from tests.ledgers import DAY, served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from starlette.types import ASGIApp, Receive, Scope, Send

    from gateway_guard.ledger.merkle import Row

SAID = "Zebras and quaggas wander slowly through valleys where nobody has ever counted them. " * 4
THOUGHT = "Perhaps the traveller wants to hear about striped animals rather than of horses. " * 4
RESPONSES = "/v1/responses"
SSE = (b"content-type", b"text/event-stream")


def chat_stream(said: str, thought: str) -> list[bytes]:
    """Return a chat completion as a stream that cuts words in two."""
    deltas = [{"reasoning_content": thought[at : at + 7]} for at in range(0, len(thought), 7)]
    deltas += [{"content": said[at : at + 7]} for at in range(0, len(said), 7)]
    chunks = [{"id": "chatcmpl-1", "choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    return [b"data: %b\n\n" % json.dumps(chunk).encode() for chunk in chunks] + [
        b"data: [DONE]\n\n"
    ]


def messages_stream(said: str, thought: str) -> list[bytes]:
    """Return a message as a stream."""
    start: dict[str, Any] = {"type": "message_start", "message": {"id": "msg_1"}}
    deltas = [{"type": "thinking_delta", "thinking": thought}, {"type": "text_delta", "text": said}]
    events = [start, *({"type": "content_block_delta", "index": 0, "delta": d} for d in deltas)]
    events.append({"type": "message_stop"})
    return [
        b"event: %b\ndata: %b\n\n" % (str(event["type"]).encode(), json.dumps(event).encode())
        for event in events
    ]


def chat_json(said: str, thought: str) -> list[bytes]:
    """Return a chat completion in one piece."""
    message = {"role": "assistant", "content": said, "reasoning_content": thought}
    return [json.dumps({"id": "chatcmpl-1", "choices": [{"message": message}]}).encode()]


def messages_json(said: str, thought: str) -> list[bytes]:
    """Return a message in one piece."""
    content = [{"type": "thinking", "thinking": thought}, {"type": "text", "text": said}]
    return [json.dumps({"type": "message", "id": "msg_1", "content": content}).encode()]


def responses_json(said: str, thought: str) -> list[bytes]:
    """Return a response in one piece; by its id a client may refer to it."""
    thinking = {"type": "reasoning", "summary": [{"type": "summary_text", "text": thought}]}
    content = [{"type": "output_text", "text": said}]
    message = {"type": "message", "role": "assistant", "content": content}
    body = {"object": "response", "id": "resp_1", "status": "completed"}
    return [json.dumps(body | {"output": [thinking, message]}).encode()]


def answering(chunks: list[bytes], *headers: tuple[bytes, bytes]) -> ASGIApp:
    """Return an application that always answers the same."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return app


def with_ledger(app: ASGIApp, directory: Path, **settings: object) -> GuardMiddleware:
    """Mount a guard that keeps a ledger."""
    return guarded(app, None, ledger=directory.as_uri(), **settings)


def everything_in(directory: Path) -> bytes:
    """Return the bytes of all files, in lower case."""
    files = [path for path in directory.rglob("*") if path.is_file()]
    assert len(files) > 4
    return b"".join(path.read_bytes().lower() for path in files)


def finish(guard: GuardMiddleware) -> None:
    """Have everything written that was answered."""
    guard.engine.flush(guard.guard.timeline.now())
    guard.guard.background.stop()
    if guard.ledger is not None:
        guard.ledger.close()


def rows_of(directory: Path) -> Iterator[tuple[Row, set[int]]]:
    """Yield what is in a ledger: each row with its fingerprints."""
    for segment in segments_of(directory):
        columns = arrow.read_columns(*segment.files(directory))
        for number, row in enumerate(columns.rows):
            yield row, set(columns.of(number).tolist())


def prints(text: str) -> set[int]:
    """Return the fingerprints that the tests' deployment makes of a text."""
    key = derived(deployment_secret(Settings(secret=SecretStr(str(DEFAULTS["secret"])))), b"ledger")
    return set(Winnower(key).fingerprint([text]).hashes.tolist())


@pytest.mark.parametrize(
    ("path", "make", "headers"),
    [
        (CHAT, chat_json, ()),
        (CHAT, chat_stream, (SSE,)),
        (MESSAGES, messages_json, ()),
        (MESSAGES, messages_stream, (SSE,)),
        (RESPONSES, responses_json, ()),
    ],
)
async def test_what_was_answered_is_found_in_the_ledger(
    tmp_path: Path,
    path: str,
    make: Callable[[str, str], list[bytes]],
    headers: tuple[tuple[bytes, bytes], ...],
) -> None:
    """In one piece and as a stream, text and reasoning apart, under the caller's pseudonyms."""
    guard = with_ledger(answering(make(SAID, THOUGHT), *headers), tmp_path)
    system = "Answer the traveller kindly and at length, as a local guide would."
    turns = [
        {"role": "system", "content": system},
        {"role": "user", "content": "Which animals may I expect to see here?"},
    ]
    fields = {"input": turns} if path == RESPONSES else {"messages": turns}
    await ask(guard, scope_of(path), asking(user="ann", model="m-1", **fields))
    finish(guard)
    (answer, found), (reasoning, thoughts) = rows_of(tmp_path)
    assert (answer.part, reasoning.part) == ("answer", "reasoning")
    assert (found, thoughts) == (prints(SAID), prints(THOUGHT))
    assert (answer.model, answer.key, answer.id) == ("m-1", reasoning.key, reasoning.id)
    assert answer.id is not None
    assert answer.template is not None
    identities = read_identities(tmp_path)
    assert identities[answer.key].id == guard.guard.principals.read(scope_of()).key_id
    assert (answer.end_user is None) == (path == MESSAGES)


async def test_long_answers_are_in_it_whole(tmp_path: Path) -> None:
    """Also where they came in one piece, which is not read at once."""
    long = " ".join(f"word{number} stands{number % 7} here{number % 11}" for number in range(9000))
    guard = with_ledger(answering(chat_json(long, "")), tmp_path, ledger_answer_bytes="1MiB")
    await ask(guard, scope_of(), asking("Write at length about words and where they stand."))
    finish(guard)
    [(row, found)] = rows_of(tmp_path)
    assert row.words == 27_000
    assert found == prints(long)


async def test_no_word_of_any_answer_or_question_is_in_any_file(tmp_path: Path) -> None:
    """Nor the key, the name of the end user, or the id that the upstream gave."""
    guard = with_ledger(answering(chat_json(SAID, THOUGHT)), tmp_path)
    body = asking("Where may one see okapis and bongos?", user="ann-of-the-hills", model="m-1")
    await ask(guard, scope_of(key=b"sk-a-key-to-hide"), body)
    finish(guard)
    kept = everything_in(tmp_path)
    words = {*SAID.lower().split(), *THOUGHT.lower().split()}
    words |= {"okapis", "bongos", "sk-a-key-to-hide", "ann-of-the-hills", "chatcmpl-1"}
    assert [word for word in words if len(word) > 4 and word.encode() in kept] == []


async def test_the_heads_commit_to_what_is_there(tmp_path: Path) -> None:
    """Each writer's chain follows, and each root is that of the rows and their fingerprints."""
    guard = with_ledger(answering(chat_json(SAID, THOUGHT)), tmp_path)
    for number in range(3):
        await ask(guard, scope_of(), asking(f"Which animals live in valley {number}?"))
        finish(guard)
    [path] = (tmp_path / "heads").iterdir()
    heads = read_heads(path)
    columns = [arrow.read_columns(*one.files(tmp_path)) for one in segments_of(tmp_path)]
    roots = [root_of([one.leaf(at) for at in range(len(one.rows))]).hex() for one in columns]
    assert [head.root for head in heads] == roots
    assert len(roots) == 3


async def test_what_is_too_much_to_wait_is_dropped_and_counted(tmp_path: Path) -> None:
    """The request is answered all the same."""
    guard = with_ledger(answering(chat_json(SAID, THOUGHT)), tmp_path, ledger_queue=len(SAID))
    wire = await ask(guard, scope_of(), asking("Which animals live in the valleys?"))
    finish(guard)
    assert wire.status == 200
    assert counted(guard, "ledger") == {"taken": 1, "dropped": 1}
    assert [row.part for row, _ in rows_of(tmp_path)] == ["answer"]


def test_the_writer_writes_and_keeps_house_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once its time has come, or a segment is full, without being told to."""
    kept_house = threading.Event()
    monkeypatch.setattr(writer, "_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(writer, "_MOST_UNWRITTEN", 2)
    monkeypatch.setattr(writer, "maintain", lambda *_: kept_house.set())
    instruments = Instrumentation()
    options = writer.Options(24, 4096, 1 << 20, 0.001, maintenance.Limits(DAY, 1 << 30))
    written = writer.LedgerWriter(tmp_path, b"k" * 32, options, instruments)
    for number in range(40):
        written.offer(served(f"{SAID} {number}", "ann"))
    assert kept_house.wait(10)
    written.close()
    written.close()
    assert instruments.gauges["ledger_written"] == 40
    assert len(list(rows_of(tmp_path))) == 40


async def test_a_directory_that_cannot_be_written_loses_the_ledger_and_nothing_else(
    tmp_path: Path,
) -> None:
    """What is lost is counted, and so is the failure."""
    guard = with_ledger(answering(chat_json(SAID, "")), tmp_path)
    (tmp_path / "identities").write_text("in the way", encoding="ascii")
    wire = await ask(guard, scope_of(), asking("Which animals live in the valleys?"))
    finish(guard)
    assert wire.status == 200
    assert guard.instruments.gauges["ledger_lost"] == 1
    assert sum(counted(guard, "errors").values()) > 0


async def test_what_fails_on_the_way_is_not_in_it(tmp_path: Path) -> None:
    """An answer that the upstream refuses to give has no text."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await receive()
        await send({"type": "http.response.start", "status": 500, "headers": []})
        await send({"type": "http.response.body", "body": chat_json(SAID, "")[0]})

    guard = with_ledger(app, tmp_path)
    await ask(guard, scope_of(), asking("Which animals live in the valleys?"))
    finish(guard)
    assert list(rows_of(tmp_path)) == []


def test_a_ledger_needs_a_lasting_secret_and_a_directory(tmp_path: Path) -> None:
    """Without them the start fails, with a hint."""
    with pytest.raises(ValueError, match="nothing is found in it"):
        Settings(ledger=tmp_path)
    with pytest.raises(ValueError, match="not the URL of a directory"):
        Settings(ledger="s3://bucket/ledger", secret=SecretStr("s"))
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="cannot be written"):
        with_ledger(answering([]), tmp_path / "file" / "ledger")


def test_without_its_packages_the_start_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger that is asked for and not kept would be found out too late."""
    monkeypatch.setitem(sys.modules, "gateway_guard.ledger.writer", None)
    with pytest.raises(ConfigurationError, match=r"gateway-guard\[ledger\]"):
        with_ledger(answering([]), tmp_path)
