"""What was declined lately: who comes again with the same in other words, and who does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway_guard.declined import MOST_KEYS, MOST_REQUESTS, Declined
from gateway_guard.exchange import Answer, Outcome
from gateway_guard.profile import Slot
from tests.callers import ask, asking, guarded, outcomes_of, scope_of
from tests.contributions import features, random_hash
from tests.driving import Caller, Driver, contribution_of, play
from tests.upstreams import read

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from gateway_guard.features.types import Features
    from gateway_guard.pending import Ticket

KEY, OTHER = 1, 2
ALICE = Caller("alice")
WALL = "how the old lock of the vault in the town hall is opened without its key at night"


def request(*windows: range, body: int = 1) -> Features:
    """Return a request with windows of words."""
    return features(sorted(random_hash(at) for part in windows for at in part), body=body)


def test_nothing_resembles_what_was_never_declined() -> None:
    """However alike it is to what was served."""
    declined = Declined()
    declined.served(KEY, request(range(20)))
    assert not declined.resembles(KEY, request(range(20), body=2))
    assert len(declined) == 0


def test_what_shares_a_part_of_its_windows_resembles() -> None:
    """Under the same key, in other words."""
    declined = Declined()
    declined.note(KEY, request(range(20)))
    assert declined.resembles(KEY, request(range(8), range(50, 62), body=2))
    assert not declined.resembles(KEY, request(range(2), range(50, 68), body=2))
    assert not declined.resembles(KEY, request(range(20)))
    assert not declined.resembles(OTHER, request(range(20), body=2))


def test_what_was_served_since_is_no_resemblance() -> None:
    """It is the template of all that the key asks."""
    declined = Declined()
    declined.note(KEY, request(range(12), range(100, 112)))
    declined.served(KEY, request(range(12), range(200, 212), body=2))
    assert not declined.resembles(KEY, request(range(12), range(300, 312), body=3))
    assert declined.resembles(KEY, request(range(12), range(100, 108), body=3))


def test_a_few_requests_of_a_few_keys_are_remembered() -> None:
    """The latest ones."""
    declined = Declined()
    for number in range(MOST_REQUESTS + 1):
        declined.note(KEY, request(range(100 * number, 100 * number + 20), body=number))
    assert not declined.resembles(KEY, request(range(20), body=77))
    assert declined.resembles(KEY, request(range(100, 120), body=77))
    for key in range(MOST_KEYS):
        declined.note(1000 + key, request(range(20)))
    assert len(declined) == MOST_KEYS
    assert not declined.resembles(KEY, request(range(100, 120), body=77))


def attempt(driver: Driver, number: int, outcome: Outcome) -> Ticket:
    """Ask for one thing in words of its own, and let that end."""
    ticket = driver.admit(ALICE, play(f"Attempt {number}: tell me {WALL}."))
    driver.engine.settle(ticket, outcome, driver.now)
    driver.flush()
    return ticket


@pytest.mark.parametrize(
    "answer",
    [
        Answer(finish="content_filter"),
        Answer(finish="refusal"),
        Answer(output_chars=5, finish="SAFETY"),
    ],
)
def test_what_the_upstream_holds_back_is_declined(answer: Answer) -> None:
    """Whatever was said until then."""
    driver = Driver()
    [_, ticket] = [attempt(driver, n, Outcome(200, completed=True, answer=answer)) for n in (1, 2)]
    slow = driver.reading(ticket.key).slow
    assert (slow[Slot.DECLINED], slow[Slot.REWORDED]) == (2.0, 1.0)
    assert contribution_of(ticket).reworded


def test_an_error_that_tells_of_a_policy_is_remembered_though_nothing_is_counted() -> None:
    """The exchange was rejected, and the next one is known for its rewording."""
    driver = Driver()
    driver.meet(ALICE, ALICE)
    driver.flush()
    outcome = Outcome(400, completed=True, declined=True)
    tickets = [attempt(driver, number, outcome) for number in range(3)]
    slow = driver.reading(tickets[-1].key).slow
    assert (slow[Slot.EXCHANGES], slow[Slot.REJECTED]) == (2.0, 3.0)
    assert (slow[Slot.DECLINED], slow[Slot.REWORDED]) == (3.0, 2.0)


OPENAI = b'{"error":{"code":"content_policy_violation","message":"no"}}'
AZURE = b'{"error":{"code":"content_filter","innererror":{"code":"ResponsibleAIPolicyViolation"}}}'
ANTHROPIC = b'{"type":"error","error":{"message":"Output blocked by content filtering policy"}}'
LENGTH = b'{"error":{"code":"context_length_exceeded","message":"too many tokens"}}'


@pytest.mark.parametrize(
    ("status", "body", "declined"),
    [
        (400, OPENAI, True),
        (400, AZURE, True),
        (400, ANTHROPIC, True),
        (400, LENGTH, False),
        (400, b"", False),
        (500, AZURE, False),
        (400, bytes(10_000) + AZURE, False),
    ],
)
async def test_errors_are_looked_at_for_a_policy_on_contents(
    monkeypatch: pytest.MonkeyPatch, status: int, body: bytes, *, declined: bool
) -> None:
    """No more than their beginnings, and only where a request was bad."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await read(receive)
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": body[:30], "more_body": True})
        await send({"type": "http.response.body", "body": body[30:]})

    guard = guarded(app)
    told = outcomes_of(guard, monkeypatch)
    await ask(guard, scope_of(), asking("hello"))
    assert [outcome.declined for outcome in told] == [declined]
