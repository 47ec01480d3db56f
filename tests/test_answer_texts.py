"""Texts of answers: told once they are complete, to whom wants to hear them, and not kept."""

from __future__ import annotations

import gc
import json
import weakref
from functools import partial
from typing import TYPE_CHECKING

import pytest

from gateway_guard.dialects import dialect_for
from gateway_guard.dialects.tally import MOST_CHOICE_CHARS, Tally
from gateway_guard.exchange import Answer, AnswerText, Outcome, both_ends
from gateway_guard.observation import MOST_HEARD_CHARS
from tests.callers import CHAT, KEY, MESSAGES, ask, asking, guarded, scope_of
from tests.driving import Caller, Driver, contribution_of, play
from tests.upstreams import answer, read

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from gateway_guard.exchange import Hear

DIGEST_KEY = b"a key of 16 byte"
ALICE = Caller("alice")
ASKED = play("Where does the old road along the river lead?", "To the mill.")
SAID = AnswerText(("To the mill, and then to the sea.",), "A river runs downhill.")


def heard(path: str, body: bytes, *, event_stream: bool = False) -> list[AnswerText]:
    """Return what is told of a response body."""
    texts: list[AnswerText] = []
    reader = dialect_for(path).response_reader(event_stream=event_stream, digest_key=DIGEST_KEY)
    reader.feed(body)
    reader.finish(texts.append)
    return texts


def test_each_choice_is_heard_by_itself_and_the_reasoning_apart() -> None:
    """Of a completion with two choices."""
    body = (
        b'{"choices":[{"index":0,"message":{"content":"To the mill.","reasoning_content":"Hm. "}},'
        b'{"index":1,"message":{"content":"To the sea.","reasoning_content":"Or so."}}]}'
    )
    assert heard(CHAT, body) == [AnswerText(("To the mill.", "To the sea."), "Hm. Or so.")]


def test_a_stream_is_heard_once_and_whole() -> None:
    """The pieces of its text and of its thoughts are joined."""
    events = (
        '{"type":"content_block_delta","delta":{"type":"thinking_delta","thinking":"A ri"}}',
        '{"type":"content_block_delta","delta":{"type":"thinking_delta","thinking":"ver."}}',
        '{"type":"content_block_delta","delta":{"type":"text_delta","text":"To "}}',
        '{"type":"content_block_delta","delta":{"type":"text_delta","text":"the mill."}}',
    )
    body = "".join(f"data: {event}\n\n" for event in events).encode()
    assert heard(MESSAGES, body, event_stream=True) == [AnswerText(("To the mill.",), "A river.")]


def test_answers_in_a_list_are_heard_one_by_one() -> None:
    """As when the messages of a thread are fetched."""
    messages = [
        {
            "object": "thread.message",
            "id": name,
            "run_id": f"run of {name}",
            "content": [{"type": "text", "text": {"value": name}}],
        }
        for name in ("first", "second")
    ]
    body = json.dumps({"object": "list", "data": messages})
    texts = heard("/v1/threads/t1/messages", body.encode())
    assert [(text.visible, text.id) for text in texts] == [
        (("first",), "first"),
        (("second",), "second"),
    ]


def test_what_another_server_answers_where_threads_are_is_heard_once() -> None:
    """It is read as both, and told as one."""
    body = b'{"choices":[{"message":{"content":"To the mill."}}]}'
    assert heard("/v1/threads/t1/messages", body) == [AnswerText(("To the mill.",))]


@pytest.mark.parametrize("body", [b"", b"{}", b"nonsense", b'{"choices":[]}'])
def test_an_answer_that_says_nothing_is_not_heard(body: bytes) -> None:
    """There is nothing to tell."""
    assert heard(CHAT, body) == []


def test_what_is_too_long_to_be_kept_is_not_heard() -> None:
    """The other choice is."""
    tally, texts = Tally(), list[AnswerText]()
    tally.say(0, "a" * (MOST_CHOICE_CHARS + 1))
    tally.say(1, "To the mill.")
    tally.think("b" * (MOST_CHOICE_CHARS + 1))
    tally.answer(DIGEST_KEY, texts.append)
    assert texts == [AnswerText(("To the mill.",))]


def test_both_ends_of_a_long_text_are_left() -> None:
    """And nothing is left out of a short one."""
    assert both_ends("abcdefgh", 8) == "abcdefgh"
    assert both_ends("abcdefghi", 8) == "abcd\nfghi"
    assert AnswerText(("abcdefghi", "b"), "abc").ends(8) == AnswerText(("abcd\nfghi", "b"), "abc")


def read_later(hear: Hear | None) -> Answer:
    """Return an answer, and tell what it says."""
    assert hear is not None
    hear(SAID)
    return Answer(output_chars=33)


def note(told: list[tuple[bytes, AnswerText]], key: bytes, text: AnswerText) -> None:
    """Keep what is told, as no hearer should."""
    told.append((key, text))


def settled(outcome: Outcome, *hearers: list[tuple[bytes, AnswerText]]) -> Driver:
    """Let one exchange end, and tell hearers of it."""
    driver = Driver()
    driver.engine.hearers += [partial(note, told) for told in hearers]
    ticket = driver.admit(ALICE, ASKED)
    driver.start(ticket)
    driver.engine.settle(ticket, outcome, driver.now)
    assert not any(hearers)
    driver.flush()
    driver.flush()
    assert contribution_of(ticket).answer == Answer(output_chars=33)
    return driver


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(200, completed=True, unread=read_later),
        Outcome(200, completed=True, answer=Answer(output_chars=33), texts=(SAID,)),
    ],
)
def test_every_hearer_is_told_once_with_the_key_that_was_served(outcome: Outcome) -> None:
    """Beside the request, when the answer is read with others."""
    one, other = list[tuple[bytes, AnswerText]](), list[tuple[bytes, AnswerText]]()
    settled(outcome, one, other)
    assert one == other == [(ALICE.principal.key, SAID)]


def test_a_hearer_that_fails_harms_nobody() -> None:
    """The answer is counted, and the next one hears it."""
    driver, told = Driver(), list[bytes]()

    def fail(key: bytes, text: AnswerText) -> None:
        raise ZeroDivisionError(key, text)

    driver.engine.hearers += [fail, lambda key, text: told.append(key + bytes(len(text.visible)))]
    ticket = driver.admit(ALICE, ASKED)
    driver.engine.settle(ticket, Outcome(200, completed=True, unread=read_later), driver.now)
    driver.flush()
    assert told == [ALICE.principal.key + bytes(1)]
    assert contribution_of(ticket).answer == Answer(output_chars=33)
    assert driver.instruments.counters["errors", "ZeroDivisionError"] == 1


class Watched(str):
    """A text of which one can tell whether it is still there."""

    __slots__ = ("__weakref__",)


def test_nothing_of_a_text_outlives_its_reading() -> None:
    """Once it is heard, the guard holds it no more."""
    thought = Watched("A river runs downhill.")
    there = weakref.ref(thought)
    answer_ = Answer(output_chars=33)
    outcome = Outcome(200, completed=True, answer=answer_, texts=(AnswerText((), thought),))
    del thought
    driver = settled(outcome)
    del outcome
    gc.collect()
    assert driver.engine.unflushed == 0
    assert there() is None


@pytest.mark.parametrize("chars", [600, 70_000])
async def test_of_a_long_answer_both_ends_are_heard(chars: int) -> None:
    """What waits to be heard takes room."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await read(receive)
        await answer(send, b'{"choices":[{"message":{"content":"%s"}}]}' % (b"a" * chars))

    guard, texts = guarded(app), list[AnswerText]()
    guard.engine.hearers.append(lambda _, text: texts.append(text))
    await ask(guard, scope_of(), asking("hello"))
    guard.engine.flush(guard.guard.timeline.now())
    assert [len(text.visible[0]) for text in texts] == [min(chars, MOST_HEARD_CHARS + 1)]
    assert KEY.decode() not in repr(texts)
