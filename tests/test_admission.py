"""Admission: who gets a row of the slab, who waits for one, and who cannot push whom out."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from gateway_guard.actions import Action
from gateway_guard.admission import SubjectTable
from gateway_guard.pending import Ticket
from gateway_guard.principal import SubjectKind
from gateway_guard.profile import ROW, Slot
from gateway_guard.subjects import PENDING_KEPT, Subject
from gateway_guard.waiting import Waiting
from tests.driving import Caller, Driver, Play, PromptDriver, play, subjects_of
from tests.traffic import prose, search, tutor

ALICE = Caller("alice")
SYSTEM = "You are the patient librarian of a small town by the sea and love long novels."


def letter(rng: Random, system: str | None = SYSTEM, end_user: str | None = None) -> Play:
    """Ask something that nobody asked before, under one system text."""
    return play(prose(rng, 160), prose(rng, 60), system=system, end_user=end_user)


def novelty(rng: Random) -> Play:
    """Ask something that shares no template with anything."""
    return letter(rng, system=prose(rng, 100))


def template_of(driver: Driver, asked: Play, caller: Caller = ALICE) -> Subject:
    """Return the subject of a system text."""
    ticket = driver.admit(caller, asked)
    driver.flush()
    driver.end(ticket, status=None)
    driver.flush()
    return subjects_of(ticket, SubjectKind.TEMPLATE)[0]


def librarian(driver: Driver) -> Subject:
    """Return the subject of the common system text."""
    return template_of(driver, letter(Random(99)))


def exchanges(driver: Driver, subject: Subject) -> int:
    """Return how many exchanges scores see."""
    return round(driver.reading(subject).slow[Slot.EXCHANGES])


# --- who is admitted ------------------------------------------------------------------------------


def test_a_key_is_admitted_with_its_second_exchange() -> None:
    """Keys that came once and never again fill no slab."""
    driver, rng = Driver(), Random(1)
    for row in (-1, 0):
        ticket = driver.ask(ALICE, letter(rng, system=None))
        driver.flush()
        assert ticket.key.row == row
    assert driver.memory.subjects.slab.rows[0]["subject"].tobytes() == ALICE.principal.key


def test_what_three_verified_keys_have_shown_is_admitted() -> None:
    """A hydra's template needs no repetition under one key."""
    driver, rng = Driver(), Random(1)
    for number in range(3):
        assert librarian(driver).row == -1
        driver.ask(Caller(f"key-{number}"), letter(rng))
        driver.flush()
    assert librarian(driver).row >= 0


def test_what_one_key_has_repeated_eight_times_is_admitted() -> None:
    """A program's own template is known as well."""
    driver, rng = Driver(), Random(1)
    for _ in range(8):
        assert librarian(driver).row == -1
        driver.ask(ALICE, letter(rng))
        driver.flush()
    assert librarian(driver).row >= 0


def test_keys_without_an_answer_admit_nothing() -> None:
    """Whoever makes keys up shows a template to nobody but himself."""
    driver, rng = Driver(), Random(1)
    for number in range(30):
        driver.ask(Caller(f"junk-{number}"), letter(rng), status=401)
    driver.flush()
    assert librarian(driver).row == -1
    assert len(driver.memory.subjects) == 0


def test_an_end_user_is_admitted_with_the_fourth_exchange() -> None:
    """Ids of end users are cheap to make up."""
    driver, rng = Driver(), Random(1)
    for count in range(1, 5):
        ticket = driver.ask(ALICE, letter(rng, end_user="reader-7"))
        driver.flush()
        (end_user,) = subjects_of(ticket, SubjectKind.END_USER)
        assert (end_user.row >= 0) == (count == 4)


# --- counts are carried over ----------------------------------------------------------------------


def test_what_waits_is_read_as_if_it_were_counted() -> None:
    """Scores do not wait for a row."""
    driver, rng = Driver(), Random(1)
    for count in range(1, 8):
        driver.ask(ALICE, letter(rng))
        driver.flush()
        assert exchanges(driver, librarian(driver)) == count


@pytest.mark.parametrize("flushed_together", [True, False])
def test_admission_carries_over_exactly_what_has_waited(*, flushed_together: bool) -> None:
    """The row is what it would be if the subject had had one from its first exchange on."""
    driver = Driver()
    tickets = []
    for number in range(9):
        tickets.append(driver.ask(ALICE, letter(Random(number))))
        if not flushed_together:
            driver.flush()
    driver.flush()
    template = librarian(driver)
    held = [held for ticket in tickets for subject, held in ticket.shares if subject is template]
    assert len(held) == 9
    directly = SubjectTable(1 << 20)
    twin = directly.find(SubjectKind.TEMPLATE, template.id, b"owner")
    twin.exchanges = 1000
    directly.commit([(twin, each) for each in held], now=driver.now)
    mine = driver.memory.subjects.slab.rows[template.row]
    other = directly.slab.rows[twin.row]
    assert np.allclose(mine["linear"], other["linear"])
    for field in ("shingles", "registers", "counts", "shingled", "subject"):
        assert np.array_equal(mine[field], other[field]), field


# --- what waits is bounded ------------------------------------------------------------------------


def test_no_key_fills_more_than_its_share_of_what_waits() -> None:
    """Thousands of random templates under one key leave those of everybody else alone."""
    driver, rng = Driver(memory="128MiB"), Random(1)
    table = driver.memory.subjects
    bob_asked = letter(rng)
    driver.ask(Caller("bob"), bob_asked)
    driver.flush()
    before = table.waiting
    for _ in range(600):
        driver.ask(ALICE, novelty(rng))
    driver.flush()
    capacity = int(128 * 2**20 * 0.70 * 0.13) // 1024
    assert table.waiting - before <= 0.02 * capacity
    assert exchanges(driver, template_of(driver, bob_asked, Caller("bob"))) == 1


def test_what_one_key_repeats_is_admitted_through_its_own_noise() -> None:
    """One request in twenty under one template is enough, in a small memory too."""
    driver, rng = Driver(memory="16MiB"), Random(1)
    for _ in range(20):
        driver.ask(ALICE, letter(rng))
        for _ in range(19):
            driver.ask(ALICE, letter(rng, system=None))
    driver.flush()
    assert librarian(driver).row >= 0


def test_a_key_that_comes_rarely_is_admitted_through_the_noise_of_others() -> None:
    """Texts that never come back do not push out keys that do."""
    driver, rng = Driver(memory="16MiB"), Random(1)
    rare = Caller("rare")
    for _ in range(2):
        driver.ask(rare, letter(rng))
        for number in range(300):
            driver.ask(Caller(f"busy-{number % 20}", network=f"n{number % 20}"), novelty(rng))
    driver.flush()
    subject = driver.subject(rare)
    assert subject is not None
    assert subject.row >= 0


def test_whatever_came_by_least_lately_makes_room() -> None:
    """In all, what waits never exceeds its bound."""
    waiting = Waiting(200)
    for number in range(5000):
        owner = b"owner-%d" % (number % 400)
        waiting.add(Subject(b"%016d" % number, SubjectKind.NETWORK, owner))
        waiting.add(Subject(b"t%015d" % number, SubjectKind.TEMPLATE, owner))
        assert waiting.show(b"%016d" % 0) is not None
        assert waiting.size <= 200
    assert len(waiting) == 200
    assert waiting.get(b"%016d" % 4999) is not None
    assert waiting.get(b"%016d" % 1) is None


def test_a_template_that_is_shown_again_leaves_the_lane_of_novelties() -> None:
    """Novelties of the same key push it out no more."""
    waiting = Waiting(10_000)
    waiting.add(Subject(b"again", SubjectKind.TEMPLATE, b"owner"))
    assert waiting.show(b"again") is not None
    for number in range(1000):
        waiting.add(Subject(b"%d" % number, SubjectKind.TEMPLATE, b"owner"))
    assert waiting.get(b"again") is not None
    assert waiting.get(b"0") is None
    assert waiting.show(b"0") is None


def test_requests_that_taught_nothing_leave_nothing_behind() -> None:
    """Neither junk keys nor refused requests fill the table with templates."""
    driver, rng = Driver(), Random(1)
    for number, status in enumerate([401, 403, 429, 500, None] * 4):
        ticket = driver.admit(Caller(f"k{number}", f"n{number}"), novelty(rng))
        driver.end(ticket, None, status)
    driver.flush()
    assert driver.memory.subjects.waiting == 0


# --- unverified keys ------------------------------------------------------------------------------


def test_unverified_keys_live_in_a_small_table_of_their_own() -> None:
    """Junk keys push out each other, the least recently seen first."""
    driver = Driver(memory="8MiB")
    table = driver.memory.subjects
    hello = play("Is anybody there?")
    driver.end(driver.admit(ALICE, hello), status=500)
    mine = driver.subject(ALICE)
    for number in range(1000):
        driver.end(driver.admit(Caller(f"junk-{number}"), hello), status=401)
        if number % 50 == 0:
            driver.end(driver.admit(ALICE, hello), status=500)
    assert table.unverified < 200
    assert driver.subject(ALICE) is mine
    assert driver.subject(Caller("junk-1")) is None
    assert len(table) == 0


def test_a_key_leaves_that_table_with_its_first_answer() -> None:
    """From then on it waits for a row like any other."""
    driver = Driver()
    table = driver.memory.subjects
    ticket = driver.admit(ALICE, play("Is anybody there?"))
    assert (table.unverified, table.get(ALICE.principal.key)) == (1, ticket.key)
    driver.start(ticket)
    assert (table.unverified, table.get(ALICE.principal.key)) == (0, ticket.key)


def test_pending_records_of_unverified_keys_count_for_what_they_share() -> None:
    """4,000 fresh keys at once are one template with 4,000 requests."""
    driver, plays = Driver(throttle_logit=90, block_logit=99), tutor(Random(1))
    tickets = [driver.admit(Caller(f"fresh-{number}"), next(plays)) for number in range(30)]
    driver.flush()
    template = subjects_of(tickets[-1], SubjectKind.TEMPLATE)[0]
    assert exchanges(driver, template) == 30


# --- losing one's place while a request is open ---------------------------------------------------


def open_requests_that_lose_their_place() -> tuple[Driver, list[Ticket], Play]:
    """Return tickets of one key and template whose subjects were pushed out one after another."""
    driver, rng, tickets = Driver(memory="8MiB"), Random(1), []
    asked = letter(rng)
    for _ in range(6):
        tickets.append(driver.admit(ALICE, asked))
        for number in range(400):
            caller = Caller(f"other-{rng.random()}", network=f"n{number}")
            driver.admit(caller, novelty(rng))
    return driver, tickets, asked


def test_one_id_stands_for_one_subject_whoever_lost_its_place() -> None:
    """Exchanges that were opened under several objects are counted in one row."""
    driver, tickets, asked = open_requests_that_lose_their_place()
    assert len({id(ticket.key) for ticket in tickets}) > 1
    for ticket in tickets:
        driver.start(ticket)
        driver.end(ticket, asked)
        driver.flush()
    subject = driver.subject(ALICE)
    assert subject is not None
    assert exchanges(driver, subject) == len(tickets)


def test_a_second_credential_cannot_break_the_table() -> None:
    """A key that waits on behalf of another one and is verified then is held once."""
    driver, rng = Driver(memory="8MiB"), Random(1)
    victim = driver.admit(Caller("victim"), novelty(rng))
    attacker = Caller("attacker", second="victim")
    driver.ask(attacker, novelty(rng))
    driver.start(victim)
    for _ in range(300):
        driver.ask(attacker, novelty(rng))
        driver.ask(Caller("attacker"), novelty(rng))
    assert driver.verified(Caller("victim"))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", [Driver, PromptDriver])
def test_any_order_of_events_leaves_the_tables_consistent(kind: type[Driver], seed: int) -> None:
    """Keys come, leave, return and are evicted at random in a memory that is too small for them."""
    driver, rng = kind(memory="1MiB"), Random(seed)
    table, tickets, open_ = driver.memory.subjects, list[Ticket](), []
    systems = [prose(rng, 90) for _ in range(40)]
    for _ in range(600):
        second = f"key-{rng.randrange(60)}" if rng.random() < 0.1 else None
        caller = Caller(f"key-{rng.randrange(60)}", f"n{rng.randrange(30)}", second=second)
        asked = letter(rng, rng.choice([*systems, prose(rng, 90)]), f"user-{rng.randrange(9)}")
        open_.append((driver.admit(caller, asked), asked))
        tickets.append(open_[-1][0])
        while len(open_) > 20:
            ticket, asked = open_.pop(rng.randrange(len(open_)))
            if rng.random() < 0.8:
                driver.start(ticket)
            driver.end(ticket, asked, rng.choice([200, 200, 200, 401, 500, None]))
        driver.wait(rng.random() * 30)
    for ticket, asked in open_:
        driver.end(ticket, asked)
    driver.flush()
    ids = {id_ for ticket in tickets for _, id_ in ticket.ids}
    held = [subject for subject in map(table.get, ids) if subject is not None]
    admitted = [subject for subject in held if subject.row >= 0]
    assert len(admitted) == len(table) == len({subject.row for subject in admitted})
    for subject in admitted:
        assert table.slab.rows[subject.row]["subject"].tobytes() == subject.id
        assert (subject.inflight, subject.pending, subject.waiting) == (0, {}, ())
        assert exchanges(driver, subject) <= subject.exchanges


# --- eviction -------------------------------------------------------------------------------------


def crowded() -> tuple[Driver, int]:
    """Return a driver with a slab of 64 rows, all taken, and Alice among the first."""
    driver, rng = Driver(memory="256KiB"), Random(1)
    table = driver.memory.subjects
    driver.meet(ALICE, ALICE, ALICE)
    for number in range(100):
        caller = Caller(f"key-{number}", f"n{number}", f"client-{number}")
        for _ in range(2):
            driver.ask(caller, novelty(rng))
            driver.flush()
    return driver, len(table)


def test_the_slab_never_holds_more_than_its_rows() -> None:
    """A full slab takes rows back from whoever was not there lately."""
    driver, held = crowded()
    assert held == driver.memory.subjects.slab.capacity == 64
    assert driver.subject(ALICE) is None


def test_an_evicted_key_comes_back_old_and_begins_its_profile_anew() -> None:
    """What is lost is the profile, not when it was first seen."""
    driver, _ = crowded()
    since = driver.known_since(ALICE)
    ticket = driver.ask(ALICE, play("Do you remember me?"))
    driver.flush()
    assert driver.known_since(ALICE) == since
    assert exchanges(driver, ticket.key) == 1


def test_whoever_is_there_all_the_time_keeps_its_row() -> None:
    """The hand of the clock passes by what was touched since it came last."""
    driver, rng = Driver(memory="256KiB"), Random(1)
    for number in range(150):
        driver.ask(ALICE, letter(rng))
        for _ in range(2):
            driver.ask(Caller(f"key-{number}", f"n{number}", f"client-{number}"), novelty(rng))
            driver.flush()
    subject = driver.subject(ALICE)
    assert subject is not None
    assert exchanges(driver, subject) == pytest.approx(150, abs=4)  # lots are drawn from 128 on


def test_counts_of_a_batch_never_land_in_a_row_that_changed_hands() -> None:
    """A batch that admits more subjects than the slab has rows counts nobody for somebody else."""
    driver, rng = Driver(memory="256KiB"), Random(1)
    tickets = []
    for number in range(60):
        caller = Caller(f"key-{number}", f"n{number}", f"client-{number}")
        for _ in range(3):
            asked = letter(rng, system=f"{prose(Random(number), 80)}")
            tickets.append((driver.admit(caller, asked), asked))
    for ticket, asked in tickets:
        driver.start(ticket)
        driver.end(ticket, asked)
    driver.flush()
    rows = driver.memory.subjects.slab.rows
    for number in range(60):
        subject = driver.subject(Caller(f"key-{number}"))
        if subject is not None and subject.row >= 0:
            assert rows[subject.row]["subject"].tobytes() == subject.id
            assert exchanges(driver, subject) <= 3


def test_dropped_exchanges_are_counted_only_where_there_is_a_row() -> None:
    """Nothing is allocated for a request that came to nothing."""
    driver = Driver()
    ticket = driver.admit(ALICE, play("Is anybody there?"))
    driver.memory.subjects.count(ticket.key, Slot.REJECTED)
    assert ticket.key.row == -1
    assert driver.reading(ticket.key).slow[Slot.REJECTED] == 0
    driver.end(ticket, status=500)
    assert set(driver.reading(ticket.key).slow) == {0.0}


def test_scores_see_a_bounded_number_of_what_is_pending() -> None:
    """Ten thousand open requests of one subject cost no more than 256."""
    driver, plays = Driver(throttle_logit=90, block_logit=99), search(Random(1))
    asked = next(plays)
    tickets = [driver.admit(ALICE, asked) for _ in range(PENDING_KEPT + 50)]
    driver.flush()
    assert len(tickets[0].key.pending) == PENDING_KEPT
    assert tickets[0].key.inflight == PENDING_KEPT + 50
    assert exchanges(driver, tickets[0].key) == PENDING_KEPT
    assert driver.action(ALICE) == Action.PASS


def test_a_row_fits_its_budget() -> None:
    """A hot profile takes at most 4 KiB."""
    assert ROW.itemsize <= 4096
