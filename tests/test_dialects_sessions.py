"""What is remembered of a websocket, and which answer belongs to which question."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.dialects.lenient import UNREADABLE
from gateway_guard.dialects.sessions import MOST_WAITING, Asking
from gateway_guard.dialects.sockets import session_for
from gateway_guard.dialects.transcript import MOST_BYTES, MOST_ENTRIES, Transcript, size_of
from gateway_guard.exchange import Exchange, Turn, Usage
from tests.socketing import LIVE, QUESTION, REALTIME

if TYPE_CHECKING:
    from gateway_guard.dialects.sessions import Session

PATHS = (REALTIME, LIVE, "/v1/responses", "/ws")
DIGEST_KEY = b"sixteen bytes ok"


def session_at(path: str, query: bytes = b"") -> Session:
    """Return a session that has heard nothing yet."""
    return session_for(path, query, b"")


def message(**fields: object) -> bytes:
    """Return a message as it is on the wire."""
    return json.dumps(fields).encode()


def ask(session: Session, **fields: object) -> Asking:
    """Let a client ask for an answer that it will get."""
    asking = session.hear(message(**fields))
    assert asking is not None
    assert not session.accept(asking)
    return asking


def texts_asked(session: Session) -> list[str]:
    """Return the texts that an answer is asked for with."""
    exchange = ask(session, type="response.create").exchange
    assert exchange is not None
    return [turn.text for turn in exchange.turns]


def item(text: str, id_: str | None = None, role: str = "user") -> dict[str, object]:
    """Return an item of a conversation."""
    content = [{"type": "input_text", "text": text}]
    return {"type": "message", "role": role, "content": content, "id": id_}


def test_the_newest_texts_are_kept_up_to_the_bound() -> None:
    """However long a conversation lasts; what an answer is asked with is no longer."""
    transcript = Transcript()
    for number in range(1000):
        transcript.add([Turn("user", f"{number} " + "é" * 500)])
    turns = transcript.asked()
    assert sum(size_of(turn.text) for turn in turns) <= MOST_BYTES
    assert turns[-1].text.startswith("999 ")
    assert len(turns) > MOST_BYTES // 1100


def test_many_short_texts_are_bounded_too() -> None:
    """An empty turn takes room as well."""
    transcript = Transcript()
    for _ in range(MOST_ENTRIES * 3):
        transcript.add([Turn("user", "")])
    assert len(transcript.asked()) == MOST_ENTRIES
    transcript.add([Turn("user", "")] * (MOST_ENTRIES * 3))
    assert len(transcript.asked()) <= 2 * MOST_ENTRIES


def test_a_long_text_is_kept_with_both_its_ends() -> None:
    """That is where templates are told apart."""
    transcript = Transcript()
    transcript.add([Turn("user", "begin " + "é" * MOST_BYTES + " end")])
    (turn,) = transcript.asked()
    assert turn.text.startswith("begin ")
    assert turn.text.endswith(" end")
    assert size_of(turn.text) <= MOST_BYTES


def test_items_are_forgotten_when_they_are_deleted() -> None:
    """Under the ids of the client, or those that the server has chosen."""
    session = session_at(REALTIME)
    for said in (item("one", "mine"), item("two"), item("three")):
        session.hear(message(type="conversation.item.create", item=said))
    for id_ in ("mine", "chosen"):
        session.watch(message(type="conversation.item.created", item=item("", id_)))
    for id_ in ("mine", "chosen", "unknown"):
        session.hear(message(type="conversation.item.delete", item_id=id_))
    assert texts_asked(session) == ["three"]


def test_words_that_come_late_are_not_put_to_what_was_answered() -> None:
    """The question of an answer that was served must be found again as it was."""
    session = session_at(REALTIME)
    worded = "conversation.item.input_audio_transcription.completed"
    session.watch(message(type="input_audio_buffer.committed", item_id="a"))
    assert texts_asked(session) == [""]
    session.watch(message(type=worded, item_id="a", transcript=QUESTION))
    session.watch(message(type="input_audio_buffer.committed", item_id="b"))
    session.watch(message(type=worded, item_id="b", transcript="Hello."))
    assert texts_asked(session) == ["", "Hello."]


def test_a_prompt_that_the_server_keeps_shows_what_is_filled_in() -> None:
    """It stands where a user's text would, as over HTTP."""
    session = session_at(REALTIME, b"model=m&model=n")
    prompt = {"id": "pmpt_1", "variables": {"topic": "tides"}}
    changes = {"prompt": prompt, "temperature": 0.5, "reasoning": {"effort": "LOW"}, "model": "x"}
    session.hear(message(type="session.update", session=changes))
    exchange = ask(session, type="response.create").exchange
    assert exchange is not None
    assert exchange.turns == (Turn("user", "tides"), Turn("user", ""))
    assert (exchange.sampling.temperature, exchange.sampling.effort) == (0.5, "low")
    assert exchange.model == "m"


def test_answers_of_one_socket_may_run_at_one_time() -> None:
    """Each event names its answer; every one gets its own length and tokens."""
    session = session_at(REALTIME)
    first, second = (ask(session, type="response.create") for _ in range(2))
    for id_ in ("r1", "r2"):
        session.watch(message(type="response.created", response={"id": id_}))
    for id_, text in (("r2", "bb"), ("r1", "a"), ("r2", "b")):
        delta = {"type": "response.output_text.delta", "response_id": id_, "delta": text}
        assert session.watch(message(**delta)) == ()
    done = {"id": "r2", "status": "incomplete", "status_details": {"reason": "max_output_tokens"}}
    done["usage"] = {"output_tokens": 3, "output_token_details": {"reasoning_tokens": 1}}
    assert session.watch(message(type="response.done", response=done)) == (second,)
    answer = second.answer(DIGEST_KEY)
    assert (answer.output_chars, answer.finish) == (3, "length")
    assert answer.usage == Usage(0, 3, 1)
    assert (first.status, first.over) == (200, False)


def test_answers_that_are_waited_for_are_bounded() -> None:
    """The oldest is given up, and so is the oldest of too many under way."""
    session = session_at(REALTIME)
    askings = [ask(session, type="response.create") for _ in range(MOST_WAITING)]
    one_more = session.hear(message(type="response.create"))
    assert one_more is not None
    assert session.accept(one_more) == (askings[0],)
    assert (askings[0].status, askings[0].over) == (None, True)
    for number in range(MOST_WAITING):
        session.watch(message(type="response.created", response={"id": f"r{number}"}))
    changed = session.watch(message(type="response.created", response={"id": "last"}))
    assert [asking.over for asking in changed] == [False, True]
    assert changed[0].exchange is not None


def test_responses_under_way_are_bounded_too() -> None:
    """A server that never ends one does not fill the memory."""
    session = session_at("/v1/responses")
    for number in range(MOST_WAITING):
        event = message(type="response.created", response={"id": f"r{number}"})
        assert len(session.watch(event)) == 1
    changed = session.watch(message(type="response.created", response={"id": "last"}))
    assert [asking.over for asking in changed] == [False, True]


def test_a_long_answer_is_counted_in_full_and_not_kept() -> None:
    """Its length is exact."""
    asking = Asking(Exchange("generic", "", ()))
    asking.start()
    for _ in range(1000):
        asking.say("x" * 100)
    answer = asking.answer(DIGEST_KEY)
    assert answer.output_chars == 100_000
    assert (answer.digests, len(answer.names)) == ((), 1)


def test_plain_text_and_arrays_are_answers_on_sockets_of_no_known_kind() -> None:
    """Until a mark that it is done, or the next question."""
    session = session_at("/ws")
    first = ask(session, prompt=QUESTION)
    assert session.watch(b"Par") == (first,)
    assert session.watch(b"is") == ()
    assert session.watch(b"[DONE]") == (first,)
    assert (first.over, first.answer(DIGEST_KEY).output_chars) == (True, 5)
    second = ask(session, prompt=QUESTION)
    session.watch(b'[{"generated_text": "Oslo"}]')
    third = session.hear(message(prompt="And?"))
    assert third is not None
    assert session.accept(third) == [second]
    assert session.watch(message(error="no")) == (third,)
    assert (third.status, third.over) == (400, True)
    assert session.watch(b"?") == ()


def test_errors_on_other_sockets_end_what_they_interrupt() -> None:
    """An answer that broke off is counted with what there was of it."""
    session = session_at("/v1/responses")
    asking = ask(session, type="response.create", input=QUESTION)
    assert session.hear(message(type="other")) is None
    assert session.hear(message(type="response.create")) is None
    session.watch(message(type="response.created", response={"id": "r"}))
    session.watch(message(type="response.output_text.delta", delta="Par"))
    assert session.watch(message(type="response.completed", response={"id": "other"})) == ()
    assert session.watch(message(type="error", message="no")) == (asking,)
    answer = asking.answer(DIGEST_KEY)
    assert (asking.status, answer.failed, answer.output_chars) == (200, True, 3)
    assert session.watch(message(type="error", message="no")) == ()
    assert session.watch(message(type="response.output_text.delta", delta="x")) == ()


def test_a_live_answer_may_be_code_and_calls() -> None:
    """Parts that are no text are counted as calls."""
    session = session_at(LIVE)
    asking = ask(session, realtimeInput={"text": QUESTION})
    parts = [{"executableCode": {"code": "1"}}, {"functionCall": {"name": "f"}}, {"text": "a"}]
    spoken = {"modelTurn": {"parts": parts}, "outputTranscription": {"text": "b"}}
    session.watch(message(serverContent=spoken, error={"code": 1}))
    answer = asking.answer(DIGEST_KEY)
    assert (answer.tool_calls, answer.output_chars, answer.failed) == (2, 2, True)


@pytest.mark.parametrize("path", PATHS)
@given(said=st.lists(st.tuples(st.booleans(), st.binary(max_size=60)), max_size=6))
def test_any_bytes_are_read_or_are_unreadable(path: str, said: list[tuple[bool, bytes]]) -> None:
    """Nothing else comes out of a session."""
    session = session_at(path, b"model=%ff&x")
    for client, data in said:
        try:
            if client:
                session.hear(data)
            else:
                session.watch(data)
        except UNREADABLE:
            continue


_NAMES = st.sampled_from(
    [
        *("type", "item", "response", "session", "input", "id", "event_id", "error", "delta"),
        *("setup", "clientContent", "turns", "turnComplete", "realtimeInput", "text", "parts"),
        *("toolResponse", "functionResponses", "serverContent", "modelTurn", "usageMetadata"),
        *("content", "output", "usage", "tools", "prompt", "instructions", "response_id"),
    ]
)
_KINDS = st.sampled_from(
    [
        *("response.create", "response.created", "response.done", "response.completed", "error"),
        *("conversation.item.create", "conversation.item.added", "session.update", "message"),
    ]
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | _KINDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("path", PATHS)
@given(said=st.lists(st.tuples(st.booleans(), st.dictionaries(_NAMES, _VALUES)), max_size=5))
def test_any_json_is_read_or_is_unreadable(
    path: str, said: list[tuple[bool, dict[str, object]]]
) -> None:
    """Whatever types its fields have."""
    session = session_at(path)
    for client, fields in said:
        data = json.dumps(fields).encode()
        try:
            asking = session.hear(data) if client else None
            if asking is not None:
                session.accept(asking)
            for changed in () if client else session.watch(data):
                changed.answer(DIGEST_KEY)
        except UNREADABLE:
            continue
