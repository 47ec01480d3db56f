"""Powers: each row of the table of what a subject may impose, and on whom."""

from __future__ import annotations

from random import Random

import pytest

from gateway_guard.actions import Action
from gateway_guard.memory import Memory
from gateway_guard.powers import Powers
from gateway_guard.principal import SubjectKind
from gateway_guard.standing import Standing
from gateway_guard.subjects import POWERS, hash_of
from gateway_guard.timeline import Instant
from tests.driving import DAY, Caller, Driver, Play, ids_of, play
from tests.traffic import prose

OLD, YOUNG = Caller("old", "192.0.2.0"), Caller("young", "198.51.100.0")
SYSTEM = "You are the patient librarian of a small town by the sea and love long novels."


def letter(seed: int = 0, *, end_user: str | None = None) -> Play:
    """Ask something under the system text that everybody knows."""
    return play(prose(Random(seed), 160), system=SYSTEM, end_user=end_user)


def established(driver: Driver | None = None) -> Driver:
    """Return a driver that has known one key for a month, with the template, and one for a day."""
    driver = driver or Driver()
    for number in range(3):
        driver.ask(OLD, letter(number))
        driver.flush()
    driver.wait(29 * DAY)
    driver.ask(YOUNG, play("Hello?"))
    driver.flush()
    driver.wait(DAY)
    return driver


def convict(driver: Driver, subject: bytes, action: Action = Action.BLOCK) -> Standing:
    """Give a subject a standing as if its evidence had begun a moment ago."""
    wall = driver.now.wall
    standing = Standing(action=action, score=5.0, until_at=wall + 9 * DAY, watched_at=wall)
    driver.memory.standings.keep(subject, standing)
    return standing


def template(driver: Driver) -> bytes:
    """Return the id of the subject of the system text."""
    ticket = driver.admit(Caller("nobody"), letter(99))
    driver.end(ticket, status=None)
    return ids_of(ticket, SubjectKind.TEMPLATE)[0]


def imposed(driver: Driver, caller: Caller, asked: Play) -> Action:
    """Send a request and tell what it suffers."""
    return driver.ask(caller, asked).decision.action


# --- the table ------------------------------------------------------------------------------------


def test_the_table_of_powers() -> None:
    """What a subject of each kind may impose alone, at the most."""
    assert POWERS == {
        SubjectKind.KEY: Action.BLOCK,
        SubjectKind.END_USER: Action.THROTTLE,
        SubjectKind.TEMPLATE: Action.BLOCK,
        SubjectKind.TEMPLATE_IN_KEY: Action.BLOCK,
        SubjectKind.NETWORK: Action.WATCH,
        SubjectKind.CLIENT: Action.WATCH,
        SubjectKind.ORGANISATION: Action.THROTTLE,
        SubjectKind.CORPUS: Action.BLOCK,
    }


@pytest.mark.parametrize("caller", [OLD, YOUNG])
def test_a_key_may_be_blocked_whatever_its_age(caller: Caller) -> None:
    """Its own doings are its own."""
    driver = established()
    convict(driver, caller.principal.key)
    assert imposed(driver, caller, letter(7)) == Action.BLOCK


def test_of_two_credentials_the_worse_counts() -> None:
    """Adding somebody else's key does not help."""
    driver = established()
    convict(driver, YOUNG.principal.key)
    assert imposed(driver, Caller("old", second="young"), letter(7)) == Action.BLOCK
    assert imposed(driver, Caller("young", second="old"), letter(8)) == Action.BLOCK


def test_an_anonymous_caller_is_at_most_throttled() -> None:
    """Behind one network there may be anybody."""
    driver = established()
    nobody = Caller(None)
    driver.ask(nobody, letter(1))
    convict(driver, nobody.principal.key)
    outcomes = [driver.ask(nobody, letter(number)).decision for number in range(3)]
    assert [(each.action, each.refused) for each in outcomes] == [
        (Action.THROTTLE, False),
        (Action.THROTTLE, True),
        (Action.THROTTLE, True),
    ]


def test_an_anonymous_caller_that_obeys_passes_at_its_pace() -> None:
    """Looking at its standing before the request is read must not use up its turn."""
    driver = established()
    nobody = Caller(None)
    driver.ask(nobody, letter(1))
    convict(driver, nobody.principal.key)
    for number in range(5):
        assert driver.engine.refuse_early(nobody.principal, "/v1/x", driver.now) is None
        assert not driver.ask(nobody, letter(number)).decision.refused
        driver.wait(60)


@pytest.mark.parametrize("kind", [SubjectKind.NETWORK, SubjectKind.CLIENT])
@pytest.mark.parametrize("caller", [OLD, YOUNG])
def test_networks_and_clients_are_for_watching(kind: SubjectKind, caller: Caller) -> None:
    """Everybody in an office or with an SDK would suffer."""
    driver, principal = established(), caller.principal
    shared = principal.network if kind == SubjectKind.NETWORK else principal.client
    convict(driver, shared)
    for number in range(5):
        decision = driver.ask(caller, letter(number)).decision
        assert (decision.action, decision.refused) == (Action.WATCH, False)


def test_an_end_user_is_throttled_inside_its_own_key() -> None:
    """The same name under another key is somebody else, and so is another name under this one."""
    driver = established()
    asked = letter(1, end_user="u-1")
    ticket = driver.ask(OLD, asked)
    convict(driver, ids_of(ticket, SubjectKind.END_USER)[0], Action.THROTTLE)
    assert imposed(driver, OLD, asked) == Action.THROTTLE
    assert imposed(driver, OLD, letter(2, end_user="u-2")) == Action.PASS
    assert imposed(driver, YOUNG, letter(3, end_user="u-1")) == Action.PASS


def test_an_end_user_is_never_blocked() -> None:
    """Its key answers for it."""
    driver = established()
    asked = letter(1, end_user="u-1")
    ticket = driver.ask(OLD, asked)
    convict(driver, ids_of(ticket, SubjectKind.END_USER)[0], Action.BLOCK)
    assert imposed(driver, OLD, asked) == Action.THROTTLE


# --- templates ------------------------------------------------------------------------------------


def test_a_template_may_block_a_young_key() -> None:
    """A hydra's heads are young."""
    driver = established()
    convict(driver, template(driver))
    assert imposed(driver, YOUNG, letter(7)) == Action.BLOCK


def test_a_template_may_block_a_key_that_nobody_has_seen() -> None:
    """A key without a first answer is as young as can be."""
    driver = established()
    convict(driver, template(driver))
    assert imposed(driver, Caller("unseen"), letter(7)) == Action.BLOCK


def test_a_template_is_watched_under_an_old_key_that_had_it_before() -> None:
    """Whoever imitates a victim's template does not drag the victim down."""
    driver = established()
    convict(driver, template(driver))
    assert imposed(driver, OLD, letter(7)) == Action.WATCH


def test_a_template_may_block_an_old_key_that_came_to_it_after_its_evidence() -> None:
    """A bought account is old, and its harvesting is new."""
    driver = established()
    bought = Caller("bought", "203.0.113.0")
    driver.meet(bought)
    driver.wait(30 * DAY)
    convict(driver, template(driver))
    driver.wait(60)
    assert imposed(driver, bought, letter(7)) == Action.BLOCK


def test_a_young_key_grows_old_after_the_time_that_the_operator_says() -> None:
    """Seven days by default, from the first answer on."""
    driver = established(Driver(young="3d"))
    driver.ask(YOUNG, letter(5))
    driver.ask(YOUNG, letter(6))
    driver.flush()
    driver.wait(2 * DAY - 1)
    convict(driver, template(driver))
    assert imposed(driver, YOUNG, letter(7)) == Action.BLOCK
    driver.wait(1)
    assert imposed(driver, YOUNG, letter(8)) == Action.WATCH


def test_since_when_a_key_has_a_template_is_kept_however_many_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is noted for speed is forgotten when it is too much; the table knows."""
    monkeypatch.setattr("gateway_guard.backlog._NOTED_KEPT", 2)
    driver = established()
    for number in range(9):
        driver.ask(OLD, play(prose(Random(0), 90), system=prose(Random(number), 90)))
        driver.flush()
    driver.ask(OLD, letter(6))
    driver.flush()
    convict(driver, template(driver))
    assert imposed(driver, OLD, letter(7)) == Action.WATCH


def test_requests_without_the_template_are_not_its_business() -> None:
    """Even under a young key."""
    driver = established()
    convict(driver, template(driver))
    assert imposed(driver, YOUNG, play("Good morning, how are you?")) == Action.PASS


def test_an_old_key_answers_for_its_own_use_of_a_suspected_template() -> None:
    """Its requests with it become a subject of their own."""
    driver = established()
    assert not ids_of(driver.ask(OLD, letter(6)), SubjectKind.TEMPLATE_IN_KEY)
    convict(driver, template(driver))
    (inner,) = ids_of(driver.ask(OLD, letter(7)), SubjectKind.TEMPLATE_IN_KEY)
    convict(driver, inner)
    assert imposed(driver, OLD, letter(8)) == Action.BLOCK
    assert imposed(driver, OLD, play("Good morning, how are you?")) == Action.PASS


def test_a_young_key_needs_no_subject_of_its_own_for_it() -> None:
    """The template itself imposes whatever it may."""
    driver = established()
    convict(driver, template(driver))
    assert not ids_of(driver.ask(YOUNG, letter(7)), SubjectKind.TEMPLATE_IN_KEY)


def test_use_of_a_template_within_a_key_is_one_subject_per_key() -> None:
    """Two old keys with one template do not answer for each other."""
    driver = established()
    other = Caller("other", "203.0.113.0")
    for number in range(3):
        driver.ask(other, letter(number))
        driver.flush()
    driver.wait(10 * DAY)
    convict(driver, template(driver))
    inner = [
        ids_of(driver.ask(caller, letter(7)), SubjectKind.TEMPLATE_IN_KEY)[0]
        for caller in (OLD, other)
    ]
    assert inner[0] != inner[1]
    convict(driver, inner[0])
    assert imposed(driver, OLD, letter(8)) == Action.BLOCK
    assert imposed(driver, other, letter(9)) == Action.WATCH


# --- organisations --------------------------------------------------------------------------------


def test_an_organisation_may_throttle_and_no_more() -> None:
    """A block of a whole organisation is for an operator."""
    driver = established()
    member = Caller("young", "198.51.100.0", organisation="Quarry Street")
    organisation = member.principal.organisation
    assert organisation is not None
    convict(driver, organisation)
    outcomes = [driver.ask(member, letter(number)).decision for number in range(2)]
    assert [each.refused for each in outcomes] == [False, True]
    assert {each.action for each in outcomes} == {Action.THROTTLE}


def test_an_old_member_does_not_answer_for_others_under_its_organisation() -> None:
    """Whoever imitates the header of a victim does not drag the victim down."""
    driver = Driver()
    member = Caller("old", organisation="Quarry Street")
    for number in range(3):
        driver.ask(member, letter(number))
        driver.flush()
    driver.wait(30 * DAY)
    organisation = member.principal.organisation
    assert organisation is not None
    convict(driver, organisation)
    for number in range(3):
        assert imposed(driver, member, letter(number)) == Action.WATCH


# --- ages -----------------------------------------------------------------------------------------


def test_nobody_is_young_while_the_guard_warms() -> None:
    """It has not been there long enough to know."""
    driver = Driver(warmup="7d")
    driver.ask(YOUNG, letter(1))
    convict(driver, template(driver))
    for caller in (YOUNG, Caller("unseen")):
        ticket = driver.ask(caller, letter(2))
        assert not ticket.young
        assert ticket.decision.action == Action.WATCH
    driver.wait(7 * DAY)
    convict(driver, template(driver))
    assert imposed(driver, Caller("unseen"), letter(3)) == Action.BLOCK


def test_once_ages_were_lost_a_missing_one_makes_nobody_young() -> None:
    """A flood of one-request keys turns nobody into a suspect."""
    driver = established(Driver(memory="64KiB"))
    ages = driver.memory.ages
    assert driver.ask(Caller("unseen"), letter(1), status=500).young
    number = 0
    while not ages.uncertain(hash_of(Caller("unseen-too").principal.key), None):
        number += 1
        ages.add(number * 0x9E3779B97F4A7C15 % 2**64, driver.now.wall)
    assert not driver.ask(Caller("unseen-too"), letter(1), status=500).young


def test_once_first_uses_were_lost_a_missing_one_convicts_no_old_key() -> None:
    """It may have had the template all along."""
    driver = established(Driver(memory="64KiB"))
    old = Caller("old-without", "203.0.113.0")
    driver.meet(old)
    driver.wait(30 * DAY)
    uses = driver.memory.first_uses
    number = 0
    use = hash_of(template(driver)) ^ hash_of(old.principal.key)
    while not uses.uncertain(use, None):
        number += 1
        uses.add(number * 0x9E3779B97F4A7C15 % 2**64, driver.now.wall)
    convict(driver, template(driver))
    assert imposed(driver, old, letter(7)) == Action.WATCH


def test_after_a_restart_nobody_is_young_until_the_process_has_run_for_a_warmup() -> None:
    """Ages do not outlive a process, and an old key must not come back young."""
    memory = Memory(2**20, b"secret")
    powers = Powers(memory, warm_at=0.0, aged_at=100.0, young_seconds=DAY)
    assert not powers.warming(Instant(50.0, 50.0))
    assert not powers.young(7, None, Instant(50.0, 50.0))
    assert powers.young(7, None, Instant(100.0, 100.0))
