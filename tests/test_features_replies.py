"""Replies: how much of an answer was copied, and whether it declines to answer."""

from __future__ import annotations

from itertools import count
from random import Random

import msgspec
import pytest

from gateway_guard.exchange import Exchange, Turn
from gateway_guard.features import FeatureReader, Features, Reply
from gateway_guard.features.replies import declines
from tests.traffic import prose

READER = FeatureReader(b"a secret of the tests")
NUMBERS = count()


def asked(text: str, system: str | None = None, *, known: bool = False) -> Features:
    """Return the features of a question; a known one was asked before."""
    turns = [Turn("user", text)]
    if system is not None:
        turns.insert(0, Turn("system", system))
    return READER.read(Exchange("chat", "m", tuple(turns)), lambda _: () if known else None)


def share(features: Features, answer: str) -> float:
    """Return the share of an answer that is found in what was asked."""
    found, comparable = READER.contained(features, READER.read_reply(answer))
    return found / comparable


def pooled(size: int, copied: float) -> float:
    """Return the share that is found of sixty answers, of which a part stands in long documents."""
    rng, found, comparable = Random(5), 0, 0
    for _ in range(60):
        document, own = prose(rng, size), prose(rng, 400)
        begin = rng.randrange(size - 400)
        cut = int(400 * copied)
        answer = document[begin : begin + cut] + own[cut:]
        one, of = READER.contained(asked(document), READER.read_reply(answer))
        found, comparable = found + one, comparable + of
    return found / comparable


def test_what_was_copied_whole_is_contained() -> None:
    """All of its windows stand in what was asked."""
    text = prose(Random(1), 500)
    assert share(asked(text), text) == 1.0
    assert share(asked(text), text.upper()) == 1.0


def test_what_was_written_anew_is_not() -> None:
    """None of them does."""
    assert share(asked(prose(Random(1), 500)), prose(Random(2), 500)) == 0.0


@pytest.mark.parametrize("size", [1200, 8000, 60_000])
@pytest.mark.parametrize("copied", [0.0, 0.5, 1.0])
def test_of_many_answers_the_share_is_about_right(size: int, copied: float) -> None:
    """However long the documents are of which a few windows were chosen."""
    assert pooled(size, copied) == pytest.approx(copied, abs=0.16)


def test_an_answer_may_stand_in_a_system_text_that_is_known() -> None:
    """Which is not read again, as of a bot that recites its manual."""
    manual = prose(Random(3), 900)
    asked("What now?", manual)
    features = asked("And then?", manual, known=True)
    assert share(features, manual[200:600]) > 0.8
    assert share(asked("And then?"), manual[200:600]) == 0.0


def test_a_text_in_a_script_without_spaces_is_compared_too() -> None:
    """Character by character."""
    text = "".join(Random(4).choices("春夏秋冬山川草木日月風雨", k=300))
    assert share(asked(text), text[20:200]) > 0.9


def test_what_is_longer_than_the_request_is_not_contained_in_it() -> None:
    """And nothing has to be read to know that."""
    reply = READER.pass_over("To the mill.", longer=True)
    found, comparable = READER.contained(asked("To the mill."), reply)
    assert found == 0
    assert comparable > 8
    short = READER.pass_over("To the mill.", longer=False)
    assert READER.contained(asked("To the mill."), short) == (0, 0)


def test_system_texts_are_forgotten_in_the_order_they_came() -> None:
    """What is kept of them has a bound."""
    reader = FeatureReader(b"another secret of the tests")
    texts = [f"{prose(Random(number), 60)} number {number}" for number in range(2100)]
    every = [reader.anchors(Exchange("chat", "m", (Turn("system", text),))) for text in texts]
    for at, found in ((0, False), (-1, True)):
        of = msgspec.structs.replace(asked("And then?"), anchors=every[at])
        assert (reader.contained(of, reader.read_reply(texts[at]))[0] > 0) is found


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help with that.",
        "I’m sorry, but I can’t assist with that request.",
        "Sorry, I cannot provide instructions for this.",
        "I am unable to comply.",
        "As an AI language model, I cannot write that.",
        "Unfortunately, I won't create this. Is there anything else?",
        "抱歉，我无法提供这些内容。",
        "我不能协助这个请求。",
    ],
)
def test_a_refusal_declines(text: str) -> None:
    """In the words that models use for it."""
    assert declines(text)
    assert READER.read_reply(text).declined


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no",
        "spam",
        "I can't find this in the documents.",
        "Sorry for the delay: the mill is to the left.",
        "The road leads to the mill. I cannot help but admire it.",
        "我无法找到这个文件。",
        f"I can't help with that. {'But here is how it goes. ' * 30}",
    ],
)
def test_a_short_answer_does_not_by_itself(text: str) -> None:
    """Nor does one that goes on to say something."""
    assert not declines(text)


def test_of_an_answer_only_numbers_are_kept() -> None:
    """A few hashes."""
    reply = READER.read_reply(prose(Random(next(NUMBERS)), 4000))
    assert isinstance(reply, Reply)
    assert reply.shingles.nbytes <= 256
