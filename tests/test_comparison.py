"""Comparison: which answers are looked at, and what is noted of how they were made."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

import msgspec
import pytest

from gateway_guard.comparison import compare_fetched, reply_of, reply_to
from gateway_guard.exchange import Answer, AnswerText
from gateway_guard.features import FeatureReader
from gateway_guard.profile import Slot
from tests.contributions import contribution
from tests.driving import Caller, Driver, Play, contribution_of, play
from tests.traffic import prose

if TYPE_CHECKING:
    from gateway_guard.pending import Ticket

ALICE = Caller("alice")
READER = FeatureReader(b"a secret of the tests")
DOCUMENT = prose(Random(1), 4000)
PASSAGES = [DOCUMENT[begin : begin + 400] for begin in range(0, 3600, 18)]


def held(asked: Play) -> Ticket:
    """Return a ticket whose texts were read."""
    driver = Driver()
    ticket = driver.admit(ALICE, asked)
    driver.flush()
    return ticket


def text(said: str) -> AnswerText:
    """Return the text of an answer."""
    return AnswerText((said,))


def test_about_a_quarter_of_all_answers_are_looked_at() -> None:
    """Always the same ones."""
    ticket = held(play(DOCUMENT))
    replies = [reply_of(ticket, text(said), READER) for said in PASSAGES]
    looked_at = [reply is not None and len(reply.shingles) > 0 for reply in replies]
    assert 0.15 < sum(looked_at) / len(PASSAGES) < 0.35
    again = [reply_to(text(said), READER) for said in PASSAGES]
    assert [reply is not None and len(reply.shingles) > 0 for reply in again] == looked_at


@pytest.mark.parametrize("asked", [DOCUMENT, prose(Random(2), 60), prose(Random(3), 1000)])
@pytest.mark.parametrize("size", [20, 400])
def test_an_answer_that_is_fetched_is_compared_like_one_given_at_once(
    asked: str, size: int
) -> None:
    """Though it is not known yet what was asked."""
    ticket = held(play(asked))
    for passage in PASSAGES[:40]:
        said = passage[:size]
        at_once, fetched = (
            msgspec.structs.replace(contribution_of(ticket), answer=Answer(output_chars=len(said)))
            for _ in range(2)
        )
        now, later = reply_of(ticket, text(said), READER), reply_to(text(said), READER)
        assert now is not None
        assert later is not None
        at_once.contained = READER.contained(at_once.features, now)
        compare_fetched(fetched, later, READER)
        assert fetched.contained == at_once.contained


def test_an_answer_without_text_is_not_looked_at() -> None:
    """Nor one to an exchange that nobody reads, or whose answers are never seen."""
    ticket = held(play(DOCUMENT))
    assert reply_to(AnswerText((), "Hm."), READER) is None
    assert reply_of(ticket, AnswerText((), "Hm."), READER) is None
    ticket.weight = 0
    assert reply_of(ticket, text(PASSAGES[0]), READER) is None
    ticket.weight, ticket.deferred = 1, True
    assert reply_of(ticket, text(PASSAGES[0]), READER) is None


def test_a_fetched_refusal_declines() -> None:
    """In the words that say so."""
    item = contribution(answer=Answer(output_chars=39))
    reply = reply_to(text("I'm sorry, but I can't help with that."), READER)
    assert reply is not None
    compare_fetched(item, reply, READER)
    assert item.declined


def test_an_exchange_is_compared_whether_its_question_was_read_before_or_not() -> None:
    """Answers may come in the same batch as what they answer."""
    sums = []
    for reads in (True, False):
        driver, asked = Driver(), play(DOCUMENT)
        tickets = []
        for passage in PASSAGES[:30]:
            answered = replace(asked, answer=passage)
            tickets.append(driver.admit(ALICE, answered))
            if reads:
                driver.flush()
            driver.start(tickets[-1])
            driver.end(tickets[-1], answered)
            driver.flush()
        slow = driver.reading(tickets[-1].key).slow
        sums.append((slow[Slot.CONTAINED], slow[Slot.COMPARED]))
    assert sums[0] == pytest.approx(sums[1])
    assert sums[0][0] / sums[0][1] > 0.8
