"""What an exchange leaves behind, by how it ended: the outcome table, line by line."""

from __future__ import annotations

from random import Random

import pytest

from gateway_guard.actions import Action
from gateway_guard.exchange import Answer, Outcome, Sampling
from gateway_guard.principal import SubjectKind
from gateway_guard.profile import Slot
from tests.driving import HOUR, Caller, Driver, play, subjects_of
from tests.traffic import chat, self_instruct

ALICE = Caller("alice")
QUESTION = play("Which of the three bridges is the oldest one?", "The one in the middle.")
COUNTS = (Slot.EXCHANGES, Slot.REFUSED, Slot.ABANDONED, Slot.REJECTED)


def acquainted() -> Driver:
    """Return an engine that has counted two exchanges of Alice's, which gives her key a row."""
    driver = Driver()
    driver.meet(ALICE, ALICE)
    driver.flush()
    return driver


def counted(driver: Driver, caller: Caller = ALICE) -> dict[Slot, int]:
    """Return what the row of a key counts, those two exchanges left out."""
    driver.flush()
    subject = driver.subject(caller)
    assert subject is not None
    sums = driver.reading(subject).slow
    counts = {slot: round(sums[slot]) for slot in COUNTS}
    return {slot: n - 2 * (slot == Slot.EXCHANGES) for slot, n in counts.items()}


def only(slot: Slot | None, count: int = 1) -> dict[Slot, int]:
    """Return counts of which one has moved."""
    return {each: count if each == slot else 0 for each in COUNTS}


# --- 2xx ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 299])
def test_a_2xx_that_starts_verifies_the_key(status: int) -> None:
    """Nobody has to wait for the end of a long stream."""
    driver = Driver()
    ticket = driver.admit(ALICE, QUESTION)
    assert not driver.verified(ALICE)
    driver.start(ticket, status)
    assert driver.verified(ALICE)
    assert driver.known_since(ALICE) == driver.now.wall


@pytest.mark.parametrize("status", [199, 301, 400, 401, 403, 429, 500])
def test_no_other_start_verifies_a_key(status: int) -> None:
    """A key that an upstream never accepted may be made up."""
    driver = Driver()
    driver.start(driver.admit(ALICE, QUESTION), status)
    assert not driver.verified(ALICE)


def test_a_2xx_that_ends_is_counted_once() -> None:
    """However often the end is reported."""
    driver = acquainted()
    ticket = driver.admit(ALICE, QUESTION)
    driver.start(ticket)
    driver.end(ticket, QUESTION)
    driver.end(ticket, QUESTION)
    driver.end(ticket, status=500)
    assert counted(driver) == only(Slot.EXCHANGES)


def test_an_answer_that_breaks_off_is_counted_with_what_was_seen_of_it() -> None:
    """Whether the client leaves, the upstream raises or the stream is cut."""
    driver = acquainted()
    ticket = driver.admit(ALICE, QUESTION)
    driver.start(ticket)
    part = Outcome(200, completed=False, answer=Answer(output_chars=1023, digests=(b"\1" * 16,)))
    driver.engine.settle(ticket, part, driver.now)
    assert counted(driver) == only(Slot.EXCHANGES)
    sums = driver.reading(ticket.key).slow
    assert round(sums[Slot.ANSWERED]) == 3
    assert sums[Slot.ANSWER_LOG] >= 10


def test_an_answer_of_which_nothing_was_seen_is_counted_as_unanswered() -> None:
    """The exchange took place all the same."""
    driver = acquainted()
    ticket = driver.admit(ALICE, QUESTION)
    driver.start(ticket)
    driver.end(ticket, None, cut=True)
    assert counted(driver) == only(Slot.EXCHANGES)
    assert round(driver.reading(ticket.key).slow[Slot.ANSWERED]) == 2


def test_an_error_event_in_a_stream_counts_as_an_answer() -> None:
    """A client could provoke one at the end of every stream."""
    driver = acquainted()
    ticket = driver.admit(ALICE, QUESTION)
    driver.start(ticket)
    failed = Outcome(200, completed=True, answer=Answer(output_chars=500, failed=True))
    driver.engine.settle(ticket, failed, driver.now)
    assert counted(driver) == only(Slot.EXCHANGES)


# --- everything else ------------------------------------------------------------------------------


def test_a_client_that_leaves_before_the_start_is_counted_as_abandoned() -> None:
    """So is an upstream that raises: no response has started."""
    driver = acquainted()
    driver.end(driver.admit(ALICE, QUESTION), status=None, cut=True)
    assert counted(driver) == only(Slot.ABANDONED)


STATUSES = [301, 304, 400, 402, 404, 405, 408, 409, 413, 415, 422, 429, 500, 502, 503, 529]


@pytest.mark.parametrize("status", STATUSES)
def test_every_other_status_is_counted_as_rejected(status: int) -> None:
    """No answer was given, so nothing was harvested."""
    driver = acquainted()
    driver.ask(ALICE, QUESTION, status=status)
    assert counted(driver) == only(Slot.REJECTED)
    assert driver.verified(ALICE)


def test_a_401_takes_the_verification_away() -> None:
    """The key was withdrawn; nothing is counted."""
    driver = acquainted()
    driver.ask(ALICE, QUESTION, status=401)
    assert not driver.verified(ALICE)
    assert counted(driver) == only(None)


def test_a_2xx_after_a_401_gives_the_verification_back_and_the_age_too() -> None:
    """An upstream may fail to look a key up; that makes nobody young."""
    driver = acquainted()
    first_at = driver.known_since(ALICE)
    driver.wait(HOUR)
    driver.ask(ALICE, QUESTION, status=401)
    driver.ask(ALICE, QUESTION)
    assert driver.verified(ALICE)
    assert driver.known_since(ALICE) == first_at


def test_a_403_is_dropped_and_leaves_the_key_verified() -> None:
    """A model that is forbidden makes no key a bad one."""
    driver = acquainted()
    driver.ask(ALICE, QUESTION, status=403)
    assert driver.verified(ALICE)
    assert counted(driver) == only(None)


def test_junk_keys_do_not_make_withdrawn_ones_look_sound_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A 401 for a key that was never accepted needs no remembering."""
    monkeypatch.setattr("gateway_guard.memory._REVOKED_KEPT", 50)
    driver = acquainted()
    driver.ask(ALICE, QUESTION, status=401)
    for number in range(200):
        driver.end(driver.admit(Caller(f"junk-{number}"), QUESTION), status=401)
    assert not driver.verified(ALICE)


# --- refusals -------------------------------------------------------------------------------------


def test_a_refused_request_is_counted_as_refused_and_as_nothing_else() -> None:
    """What was never answered taught nobody anything."""
    driver = acquainted()
    plays = self_instruct(Random(1))
    tickets = [driver.ask(ALICE, next(plays), seconds=5) for _ in range(80)]
    refused = sum(ticket.decision.refused for ticket in tickets)
    assert refused > 20
    assert counted(driver) == {**only(Slot.EXCHANGES, 80 - refused), Slot.REFUSED: refused}


def test_hammering_does_not_decay_into_innocence() -> None:
    """Two thousand harmless requests that were refused do not dilute what was served before."""
    driver = acquainted()
    plays, harmless = self_instruct(Random(1)), chat(Random(1))
    while driver.action(ALICE) < Action.BLOCK:
        driver.ask(ALICE, next(plays), seconds=61)
    standing = driver.standing(ALICE)
    assert standing is not None
    score = standing.score
    for _ in range(2000):
        assert driver.ask(ALICE, next(harmless)).decision.refused
    driver.wait(standing.until_at - driver.now.wall)
    driver.ask(ALICE, next(harmless))
    assert standing.score == pytest.approx(score, abs=0.5)
    assert standing.action >= Action.THROTTLE


# --- expiry, retries, several answers -------------------------------------------------------------


def test_an_answer_that_does_not_start_within_15_minutes_is_dropped() -> None:
    """The record is closed when next something is counted, and a late end changes nothing."""
    driver = acquainted()
    late = driver.admit(ALICE, QUESTION)
    seen = []
    for seconds in (15 * 60 - 1, 1):
        driver.wait(seconds)
        driver.end(driver.admit(Caller("bob"), QUESTION))
        driver.flush()
        seen.append(late.open)
    assert seen == [True, False]
    driver.end(late, QUESTION)
    assert counted(driver) == only(Slot.ABANDONED)
    assert late.key.inflight == 0


def test_an_answer_that_started_never_expires() -> None:
    """Some streams run for hours."""
    driver = acquainted()
    slow = driver.admit(ALICE, QUESTION)
    driver.start(slow)
    driver.wait(30 * HOUR)
    driver.ask(Caller("bob"), QUESTION)
    driver.flush()
    assert slow.open
    driver.end(slow, QUESTION)
    assert counted(driver) == only(Slot.EXCHANGES)


def test_a_late_answer_still_verifies_its_key() -> None:
    """The upstream's word about the key does not expire with the record."""
    driver = Driver()
    late = driver.admit(ALICE, QUESTION)
    driver.wait(16 * 60)
    driver.flush()
    assert not late.open
    driver.start(late)
    assert driver.verified(ALICE)


def test_a_retry_is_a_new_exchange() -> None:
    """The same body twice was answered twice."""
    driver = acquainted()
    driver.ask(ALICE, QUESTION)
    driver.ask(ALICE, QUESTION)
    assert counted(driver) == only(Slot.EXCHANGES, 2)


@pytest.mark.parametrize(
    ("asked", "n"), [(1, 1), (0, 1), (-3, 1), (16, 16), (128, 128), (10**9, 2048)]
)
def test_n_answers_count_as_n_exchanges(asked: int, n: int) -> None:
    """Pending as well as settled; absurd numbers count as 2,048."""
    driver = acquainted()
    several = play("Which of the three bridges is oldest?", sampling=Sampling(answers=asked))
    ticket = driver.admit(ALICE, several)
    assert counted(driver) == only(Slot.EXCHANGES, n)
    driver.start(ticket)
    driver.end(ticket, several)
    assert counted(driver) == only(Slot.EXCHANGES, n)


def test_every_subject_of_an_exchange_counts_it() -> None:
    """Key, end user, templates, network, client and organisation."""
    driver = Driver()
    caller = Caller("alice", organisation="Quarry Street")
    tickets = [
        driver.ask(
            caller,
            play(
                f"Please tell me what the word number {number} on page {number} may mean to us.",
                system="You are the patient librarian of a small town by the sea.",
                end_user="reader-7",
            ),
        )
        for number in range(9)
    ]
    ticket = tickets[-1]
    driver.flush()
    expected = set(SubjectKind) - {SubjectKind.TEMPLATE_IN_KEY, SubjectKind.CORPUS}
    assert {subject.kind for subject, _ in ticket.shares} == expected
    (end_user,) = subjects_of(ticket, SubjectKind.END_USER)
    for subject in [ticket.key, end_user, *subjects_of(ticket, SubjectKind.NETWORK)]:
        assert round(driver.reading(subject).slow[Slot.EXCHANGES]) == 9
