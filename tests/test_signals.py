"""Signals: where each one speaks, and where it has to be silent."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from random import Random
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_guard.exchange import Sampling
from gateway_guard.principal import SubjectKind
from gateway_guard.profile import LABEL_PLACES, USED, Reading, Slot
from gateway_guard.signals import SIGNALS, Signal, View
from gateway_guard.signals.answers import agreement, original
from tests.driving import Caller, Driver, Play, play, subjects_of
from tests.peopled import PEOPLE, TEST_ITEMS, TRAIN_ITEMS
from tests.traffic import (
    HARVESTS,
    INNOCENTS,
    answer,
    chat,
    prose,
    rare,
    search,
    self_instruct,
    tutor,
)
from tests.voices import BY_NAME, SPEAKS, said

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from gateway_guard.pending import Ticket
    from gateway_guard.subjects import Subject

NO_SLICE = [0.0] * USED
NOTHING = Reading(
    NO_SLICE, NO_SLICE, bodies=(0.0, 0), keys=(0.0, 0), young_keys=(0.0, 0), places=(0.0, 0)
)


def watching() -> Driver:
    """Return a driver that looks on and never acts."""
    return Driver(watch_logit=90, throttle_logit=91, block_logit=92, model=PEOPLE)


def observed(plays: Iterable[Play], *, keys: int = 1, gap: float = 30.0) -> tuple[Driver, Subject]:
    """Play exchanges one after another; return the driver and the last one's key."""
    driver, rng = watching(), Random(7)
    tickets = []
    for number, asked in enumerate(plays):
        name = f"key-{number % keys}"
        tickets.append(driver.ask(Caller(name, name), asked, seconds=rng.uniform(2, 6)))
        driver.wait(rng.uniform(0.3, 1.7) * gap)
    driver.flush()
    return driver, tickets[-1].key


def voices_of(make: Callable[[Random], Iterator[Play]], count: int = 60) -> dict[str, float]:
    """Return what signals say of one key that asks in a manner."""
    return said(*observed(islice(make(Random(3)), count)))


def with_sampling(plays: Iterator[Play], **fields: object) -> Iterator[Play]:
    """Ask with other sampling parameters."""
    for asked in plays:
        sampling = msgspec.structs.replace(asked.exchange.sampling, **fields)
        yield replace(asked, exchange=msgspec.structs.replace(asked.exchange, sampling=sampling))


# --- all of them ----------------------------------------------------------------------------------


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.__name__)
def test_nothing_is_said_of_nothing(signal: Signal) -> None:
    """A subject of which nothing is known."""
    for kind in SubjectKind:
        evidence = signal(View(kind, NO_SLICE, NOTHING, aged=True, minimum=8))
        assert evidence is None or evidence.value == 0


@pytest.mark.parametrize("name", HARVESTS)
def test_nothing_is_said_below_the_smallest_sample(name: str) -> None:
    """Seven requests of any pipeline prove nothing."""
    assert set(voices_of(HARVESTS[name], 7).values()) == {0.0}


@settings(max_examples=40)
@given(
    st.floats(0, 1e5),
    st.lists(st.floats(0, 1), min_size=USED, max_size=USED),
    st.sampled_from(list(SubjectKind)),
    st.lists(st.tuples(st.floats(0, 1e6), st.integers(0, 10**6)), min_size=4, max_size=4),
)
def test_no_profile_makes_a_signal_fail_or_leave_its_range(
    exchanges: float,
    means: list[float],
    kind: SubjectKind,
    sets: list[tuple[float, int]],
) -> None:
    """Whatever decay and combination have made of it."""
    sums = [exchanges * mean for mean in means]
    sums[Slot.EXCHANGES] = exchanges
    bodies, keys, young, places = ((min(size, n), n) for size, n in sets)
    reading = Reading(sums, sums, bodies, keys, young, places)
    view = View(kind, sums, reading, aged=True, minimum=8)
    for name, signal in BY_NAME.items():
        evidence = signal(view)
        if evidence is not None:
            assert (evidence.signal, 0 <= evidence.value <= 1) == (name, True)


@pytest.mark.parametrize("name", ["chat", "search", "classify"])
def test_innocents_hear_no_signal(name: str) -> None:
    """People in conversations, search over documents, sorting."""
    assert max(voices_of(INNOCENTS[name]).values()) < SPEAKS


def test_translation_hears_no_signal_of_wording_or_template() -> None:
    """Its instructions never change, and every text is another one."""
    voices = voices_of(INNOCENTS["translate"])
    assert {name for name, value in voices.items() if value >= SPEAKS} <= {"teacher_yield"}


@pytest.mark.parametrize("name", [name for name in BY_NAME if name != "logit_access"])
def test_observed_history_silences(name: str) -> None:
    """What a person or an agent does over several turns is no harvest, whatever its system text."""
    system = next(tutor(Random(1))).exchange.turns[0].text
    plays = islice(chat(Random(3), turns=12, system=system), 96)
    assert said(*observed(plays))[name] < SPEAKS


# --- template -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["self_instruct", "evol", "tutor"])
def test_skeleton_novelty_speaks_of_a_constant_wrapper_with_new_bodies(name: str) -> None:
    """The common core of the published pipelines."""
    assert voices_of(HARVESTS[name])["skeleton_novelty"] >= SPEAKS


def test_skeleton_novelty_is_silent_where_the_same_is_asked_again() -> None:
    """An evaluation harness asks the same set of questions every night."""
    questions = list(islice(tutor(Random(3)), 12))
    assert said(*observed(questions * 6))["skeleton_novelty"] < SPEAKS


def test_skeleton_novelty_is_silent_without_a_skeleton() -> None:
    """Raw questions have none."""
    assert voices_of(HARVESTS["reasoning"])["skeleton_novelty"] < SPEAKS


def template_voices(*, keys: int, old: bool = False, aged: bool = True) -> float:
    """Return how loud ``template_concentration`` is about one template under many keys."""
    driver, plays = watching(), tutor(Random(3))
    callers = [Caller(f"key-{number}", f"n{number}") for number in range(keys)]
    if old:
        driver.meet(*callers)
        driver.wait(30 * 86400)
    tickets = [driver.ask(caller, next(plays), seconds=20) for caller in callers * 3]
    driver.flush()
    template = subjects_of(tickets[-1], SubjectKind.TEMPLATE)[0]
    return said(driver, template, aged=aged)["template_concentration"]


def test_template_concentration_speaks_of_one_template_under_many_young_keys() -> None:
    """Louder with every doubling of the keys."""
    few, more, many = (template_voices(keys=keys) for keys in (12, 40, 150))
    assert few == 0
    assert few < more < many
    assert many >= SPEAKS


def test_template_concentration_is_silent_about_old_keys() -> None:
    """A famous system text belongs to nobody."""
    assert template_voices(keys=50, old=True) == 0


def test_template_concentration_is_silent_while_ages_are_unknown() -> None:
    """A guard mounted today knows no key."""
    assert template_voices(keys=50, aged=False) == 0


def test_template_concentration_is_silent_about_keys() -> None:
    """It looks at templates alone."""
    assert voices_of(tutor)["template_concentration"] == 0


# --- yield ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HARVESTS)
def test_teacher_yield_speaks_of_long_answers_for_short_questions(name: str) -> None:
    """Every pipeline wants much for little."""
    assert voices_of(HARVESTS[name])["teacher_yield"] >= SPEAKS


def test_teacher_yield_is_silent_until_answers_were_seen() -> None:
    """What was asked tells nothing of what was given."""
    driver, plays = watching(), tutor(Random(3))
    tickets = [driver.admit(Caller("alice"), next(plays)) for _ in range(30)]
    for ticket in tickets:
        driver.start(ticket)
        driver.end(ticket)
    driver.flush()
    assert said(driver, tickets[0].key)["teacher_yield"] == 0


def test_budget_saturation_speaks_of_budgets_at_the_ceiling() -> None:
    """For the answer or for the thought."""
    for fields in ({"max_tokens": 16_000}, {"max_tokens": None, "thinking_tokens": 24_000}):
        plays = with_sampling(HARVESTS["reasoning"](Random(3)), **fields)
        assert said(*observed(islice(plays, 60)))["budget_saturation"] >= SPEAKS


def test_budget_saturation_is_silent_about_modest_budgets_and_about_none() -> None:
    """Most people set none."""
    for fields in ({"max_tokens": 700}, {"max_tokens": None}):
        plays = with_sampling(HARVESTS["reasoning"](Random(3)), thinking_tokens=None, **fields)
        assert said(*observed(islice(plays, 60)))["budget_saturation"] == 0


def said_of(answers: Callable[[Random, str], str], *, system: str) -> dict[str, float]:
    """Return what signals say of short questions whose answers are made of the system text."""
    rng = Random(5)
    plays = (play(prose(rng, 60), answers(rng, system), system=system) for _ in range(80))
    return said(*observed(plays))


MANUAL = prose(Random(9), 2500)
STANDING_ON_YIELD = ["teacher_yield", "skeleton_novelty"]


def copied(rng: Random, system: str) -> str:
    """Recite from the system text."""
    begin = rng.randrange(len(system) - 500)
    return system[begin : begin + 500]


def own(rng: Random, system: str) -> str:
    """Say something that nobody has said before."""
    return prose(rng, min(500, len(system)))


def one_of(labels: int) -> Callable[[Random, str], str]:
    """Return what says one of a few sentences."""
    sentences = [prose(Random(number), 500) for number in range(labels)]
    return lambda rng, _: rng.choice(sentences)


def test_what_is_copied_from_the_request_yields_nothing() -> None:
    """A bot that recites its manual teaches no student anything but the manual."""
    recited, taught = said_of(copied, system=MANUAL), said_of(own, system=MANUAL)
    for name in STANDING_ON_YIELD:
        assert recited[name] < SPEAKS <= taught[name]


@pytest.mark.parametrize("labels", [2, 4])
def test_one_of_a_few_labels_yields_nothing(labels: int) -> None:
    """However long they are."""
    sorted_ = said_of(one_of(labels), system=MANUAL)
    for name in STANDING_ON_YIELD:
        assert sorted_[name] < SPEAKS


@pytest.mark.parametrize("labels", [40, 1000])
def test_many_different_answers_are_no_labels(labels: int) -> None:
    """Even where some of them come twice."""
    voices = said_of(one_of(labels), system=MANUAL)
    for name in STANDING_ON_YIELD:
        assert voices[name] >= SPEAKS


def slice_of(places: list[float], **slots: float) -> View:
    """Return a view of a slice with so many answers in each place of labels."""
    sums = list(NO_SLICE)
    for place, value in zip(LABEL_PLACES, places, strict=True):
        sums[place] = value
    for name, value in slots.items():
        sums[Slot[name]] = value
    return View(SubjectKind.KEY, sums, NOTHING, aged=True, minimum=8)


def test_agreement_is_the_chance_that_two_answers_are_the_same() -> None:
    """Whatever share a place by accident; nothing is said of a few answers."""
    assert agreement(slice_of([100.0] + [0.0] * 7)) == pytest.approx(1.0)
    assert agreement(slice_of([100.0] * 8)) == pytest.approx(0.0, abs=0.01)
    assert agreement(slice_of([50.0, 50.0] + [0.0] * 6)) == pytest.approx(0.43, abs=0.01)
    assert agreement(slice_of([20.0] + [0.0] * 7)) == 0.0


def test_an_answer_is_original_until_enough_were_compared() -> None:
    """Two of three that were copied prove nothing."""
    assert original(slice_of([0.0] * 8, CONTAINED=3, COMPARED=3)) == 1.0
    assert original(slice_of([0.0] * 8, CONTAINED=8, COMPARED=8)) == 0.0
    assert original(slice_of([0.0] * 8, CONTAINED=1, COMPARED=8)) == 1.0


def test_reasoning_served_speaks_of_reasoning_that_nobody_asks_about() -> None:
    """It comes with long answers, and each question stands alone."""
    assert voices_of(HARVESTS["reasoning"])["reasoning_served"] >= SPEAKS
    assert voices_of(tutor)["reasoning_served"] == 0
    thinking = (replace(asked, reasoning_chars=4000) for asked in chat(Random(3)))
    assert said(*observed(islice(thinking, 80)))["reasoning_served"] < SPEAKS


# --- elicitation ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("signal", "name"),
    [
        ("reasoning_elicitation", "tutor"),
        ("synthesis_elicitation", "evol"),
        ("synthesis_elicitation", "self_instruct"),
        ("extraction_phrase", "self_instruct"),
    ],
)
def test_wording_in_the_constant_part_is_heard(signal: str, name: str) -> None:
    """It asks for more than an answer, every time."""
    assert voices_of(HARVESTS[name])[signal] >= SPEAKS


PHRASE = "You are asked to come up with a set of 20 diverse task instructions."


@pytest.mark.parametrize("signal", ["synthesis_elicitation", "extraction_phrase"])
def test_wording_that_comes_by_now_and_then_is_not(signal: str) -> None:
    """One page in ten of a search carries it."""
    rng = Random(3)
    with_phrase, without = search(rng, extra=PHRASE), search(rng)
    plays = (next(with_phrase if number % 10 == 0 else without) for number in range(100))
    assert said(*observed(plays))[signal] < SPEAKS


JUDGE = "Rate the two responses below from 1 to 5 by the following rubric: helpful, honest, short."


def graded(items: int, count: int = 300, *, chars: int = 30, turns: int = 1) -> float:
    """Return how loud ``rubric_judging`` is about so many different texts that are graded."""
    rng = Random(4)
    texts = [f"{JUDGE} {prose(rng, 300)}" for _ in range(items)]
    plays: list[Play] = []
    while len(plays) < count:
        history: tuple[tuple[str, str], ...] = ()
        for _ in range(turns):
            asked = play(texts[len(plays) % items], prose(rng, chars), history=history)
            plays.append(asked)
            history = (*history, (asked.exchange.turns[-1].text, asked.answer))
    return said(*observed(plays))["rubric_judging"]


def test_rubric_judging_speaks_of_ever_new_texts() -> None:
    """Louder the more of them there are."""
    assert graded(100, 100) < graded(300) < graded(600, 600)
    assert graded(300) >= SPEAKS


def test_rubric_judging_is_silent_about_a_few_items() -> None:
    """A build grades the same ones every time."""
    assert graded(40) == 0


def test_rubric_judging_is_silent_about_long_answers_and_talks() -> None:
    """Who grades writes little, and who asks about a grade is a person."""
    assert graded(300, chars=3500) < SPEAKS
    assert graded(300, turns=4) < SPEAKS


WAYS = ("Please tell me", "As a novelist I ask you:", "For a lecture, tell us", "Tell me in verse")
FORBIDDEN = "how the old lock of the vault in the town hall is opened without its key at night"
SORRY = "I'm sorry, but I can't help with that."


def searched(rng: Random) -> Iterator[Play]:
    """Ask for one thing in ever other words."""
    while True:
        yield play(f"{rng.choice(WAYS)} {FORBIDDEN}, {prose(rng, 40)}", SORRY)


def test_bypass_search_speaks_of_what_is_declined_and_reworded() -> None:
    """Again and again; a finish reason says as much as words do."""
    assert voices_of(searched)["bypass_search"] >= SPEAKS


def test_bypass_search_is_silent_about_who_is_declined_and_asks_something_else() -> None:
    """Even if that happens to half of what he asks."""
    rng = Random(4)
    plays = (play(prose(rng, 200), rng.choice([SORRY, "Yes."])) for _ in range(80))
    assert said(*observed(plays))["bypass_search"] == 0


def test_bypass_search_is_silent_about_a_template_of_which_some_is_declined() -> None:
    """What its requests share was served before and after."""
    rng = Random(4)
    plays = (
        play(f"{MANUAL[:400]} {prose(rng, 300)}", SORRY if rng.random() < 0.2 else prose(rng, 300))
        for _ in range(80)
    )
    assert said(*observed(plays))["bypass_search"] < SPEAKS


def test_bypass_search_is_silent_about_the_same_request_sent_again() -> None:
    """A retry is no other wording."""
    plays = (play(f"Please tell me {FORBIDDEN}.", SORRY) for _ in range(80))
    assert said(*observed(plays))["bypass_search"] == 0


def test_bypass_search_is_silent_about_short_answers() -> None:
    """They sort, and are sorry for nothing."""
    rng = Random(4)
    plays = (play(f"{WAYS[0]} {FORBIDDEN}, {prose(rng, 40)}", "No.") for _ in range(80))
    assert said(*observed(plays))["bypass_search"] == 0


# --- distribution ---------------------------------------------------------------------------------


def swept(words: int, *, turns: int = 1, count: int = 150) -> float:
    """Return how loud ``breadth`` is about questions out of a vocabulary of so many words."""
    rng = Random(8)
    vocabulary = [rare(rng) for _ in range(words)]
    plays: list[Play] = []
    while len(plays) < count:
        history: tuple[tuple[str, str], ...] = ()
        for _ in range(turns):
            asked = play(" ".join(rng.choices(vocabulary, k=12)), prose(rng, 600), history=history)
            plays.append(asked)
            history = (*history, (asked.exchange.turns[-1].text, asked.answer))
    return said(*observed(plays))["breadth"]


def test_breadth_speaks_of_a_vocabulary_that_grows_with_every_question() -> None:
    """Louder the larger it is."""
    assert swept(60) == 0
    assert swept(400, count=300) < swept(20_000, count=300)
    assert swept(20_000) >= SPEAKS


def test_breadth_is_silent_below_its_sample_and_about_talks() -> None:
    """Of forty questions every one may be about something else."""
    assert swept(20_000, count=40) == 0
    assert swept(20_000, turns=5) < SPEAKS


def test_population_shift_speaks_of_what_people_do_not_ask() -> None:
    """Here in words that nobody else uses, over and over."""
    rng = Random(3)
    words = ["zzyqx", "vvuzk", "jqqow", "kwyxj", "qoxqz"]
    plays = (play(" ".join(rng.choices(words, k=40))) for _ in range(60))
    assert said(*observed(plays))["population_shift"] >= SPEAKS


def test_population_shift_is_silent_about_what_people_ask() -> None:
    """Single questions of people, be they few or many, and what stands around them."""
    for count in (10, 60):
        plays = (play(prose(Random(number), 200), system=PHRASE) for number in range(count))
        assert said(*observed(plays))["population_shift"] < SPEAKS


def test_population_shift_is_silent_about_the_same_words_again() -> None:
    """A single text says nothing of a distribution, however often it is sent."""
    assert said(*observed([play("zzyqx vvuzk jqqow")] * 60))["population_shift"] == 0


def of_pool(items: tuple[str, ...], share: float = 1.0) -> dict[str, float]:
    """Return what signals say of a key that asks items of a pool, in a share of its requests."""
    rng = Random(3)
    asked = iter(rng.sample(items, 80))
    plays = (
        play(next(asked) if rng.random() < share else prose(rng, 200), answer(rng, 600, 900))
        for _ in range(80)
    )
    return said(*observed(plays))


def test_corpus_overlap_speaks_of_items_of_a_train_split() -> None:
    """Each asked once, with or without other work between them."""
    assert of_pool(TRAIN_ITEMS)["corpus_overlap"] >= SPEAKS
    assert of_pool(TRAIN_ITEMS, 0.5)["corpus_overlap"] >= SPEAKS


def test_corpus_overlap_is_silent_about_evaluations_and_about_a_few_items() -> None:
    """Items of a test split, and one train item in ten requests."""
    assert of_pool(TEST_ITEMS)["corpus_overlap"] == 0
    assert of_pool(TRAIN_ITEMS, 0.1)["corpus_overlap"] < SPEAKS


def test_corpus_overlap_is_silent_where_the_same_items_are_asked_again() -> None:
    """Somebody checks every night how well twelve of them go."""
    plays = [play(item) for item in TRAIN_ITEMS[:12]] * 8
    assert said(*observed(plays))["corpus_overlap"] < SPEAKS


def corpus_voice(*, old: bool, items: int = 200, aged: bool = True) -> float:
    """Return how loud ``corpus_overlap`` is about a corpus that many keys ask."""
    driver, rng = watching(), Random(3)
    callers = [Caller(f"key-{number}", f"n{number}") for number in range(50)]
    if old:
        driver.meet(*callers)
        driver.wait(30 * 86400)
    plays = [play(TRAIN_ITEMS[at % items], answer(rng, 600, 900)) for at in range(200)]
    tickets = [driver.ask(callers[at % 50], asked, seconds=5) for at, asked in enumerate(plays)]
    driver.flush()
    [corpus] = subjects_of(tickets[-1], SubjectKind.CORPUS)
    return said(driver, corpus, aged=aged)["corpus_overlap"]


def test_corpus_overlap_speaks_of_a_corpus_that_young_keys_ask() -> None:
    """Most of it, by many or by one."""
    assert corpus_voice(old=False) >= SPEAKS


def test_corpus_overlap_is_silent_about_a_corpus_of_old_keys_and_about_its_famous_items() -> None:
    """And while nobody knows which keys are old."""
    assert corpus_voice(old=True) == 0
    assert corpus_voice(old=False, items=20) < SPEAKS
    assert corpus_voice(old=False, aged=False) == 0


# --- access ---------------------------------------------------------------------------------------


def test_logit_access_speaks_of_log_probabilities_asked_for_again_and_again() -> None:
    """Or of sweeps of logit bias, in a conversation too."""
    for fields in ({"logprobs": True, "top_logprobs": 5}, {"logit_bias": 20}):
        plays = with_sampling(chat(Random(3)), **fields)
        assert said(*observed(islice(plays, 60)))["logit_access"] >= SPEAKS


def test_logit_access_is_silent_about_one_in_ten() -> None:
    """Somebody looks at a few."""
    plain = chat(Random(3))
    curious = with_sampling(plain, logprobs=True, top_logprobs=2)
    plays = (next(curious if number % 10 == 0 else plain) for number in range(100))
    assert said(*observed(plays))["logit_access"] < SPEAKS


def drawn(times: int, *, size: int = 2000, count: int = 160, **fields: object) -> float:
    """Return how loud ``multi_sampling`` is about questions put several times each."""
    rng = Random(6)
    questions = [prose(rng, 200) for _ in range(count // times)]
    sampling = msgspec.structs.replace(Sampling(temperature=1.0), **fields)
    plays = (
        play(questions[number % len(questions)], prose(rng, size), sampling=sampling)
        for number in range(count)
    )
    return said(*observed(plays))["multi_sampling"]


def test_multi_sampling_speaks_of_questions_put_again_and_again() -> None:
    """Louder with every doubling; n asks for as many at once."""
    once, four, sixteen = drawn(1), drawn(4), drawn(16)
    assert once == 0
    assert four < SPEAKS < sixteen
    assert drawn(1, count=40, answers=16) >= SPEAKS


def test_multi_sampling_is_silent_about_short_and_about_deterministic_answers() -> None:
    """So evaluations repeat their items."""
    assert drawn(16, size=80) < SPEAKS
    assert drawn(16, temperature=0.0) == 0


def test_multi_sampling_is_silent_about_one_question() -> None:
    """A probe looks every minute whether the model is there."""
    assert drawn(160) < SPEAKS


# --- coordination ---------------------------------------------------------------------------------


def shared(networks: int, *, turns: int = 1, count: int = 400) -> dict[str, float]:
    """Return what is said of one key that is used from so many networks and clients."""
    driver, plays, tickets = watching(), chat(Random(3), turns=turns), []
    for number in range(count):
        place = f"place {number // turns % networks}"
        tickets.append(driver.ask(Caller("alice", place, place), next(plays), seconds=3))
        driver.wait(20.0)
    driver.flush()
    return said(driver, tickets[-1].key)


def test_key_sharing_speaks_of_one_key_in_many_places() -> None:
    """Louder the more of them there are."""
    few, more, many = (shared(networks)["key_sharing"] for networks in (3, 30, 300))
    assert few == 0
    assert few < more < many
    assert many >= SPEAKS


def test_key_sharing_is_silent_about_people_who_talk() -> None:
    """An organisation's key is on its people's laptops."""
    assert shared(40, turns=4)["key_sharing"] == 0


def test_key_sharing_is_silent_about_everything_but_keys() -> None:
    """A template is used in many places by its nature."""
    reading = msgspec.structs.replace(NOTHING, places=(300.0, 600))
    sums = [100.0] * USED
    for kind in SubjectKind:
        voice = BY_NAME["key_sharing"](View(kind, sums, reading, aged=True, minimum=8))
        assert (voice is not None) is (kind == SubjectKind.KEY)


# --- pacing ---------------------------------------------------------------------------------------


def in_flight(workers: int, count: int = 400) -> float:
    """Return how loud ``closed_loop`` is about workers that each wait for their answer."""
    driver, rng, plays = watching(), Random(5), tutor(Random(3))
    open_: list[tuple[Ticket, Play]] = []
    for number in range(workers + count):
        if number >= workers:
            driver.wait(rng.expovariate(workers / 12.0))
            ticket, asked = open_.pop(rng.randrange(len(open_)))
            driver.start(ticket)
            driver.end(ticket, asked)
        driver.wait(0.05)
        asked = next(plays)
        open_.append((driver.admit(Caller("alice"), asked), asked))
    driver.flush()
    return said(driver, open_[-1][0].key)["closed_loop"]


def test_closed_loop_speaks_of_workers_that_wait_for_their_answers() -> None:
    """Eight and more at the ceiling; so does a single one that never pauses."""
    assert in_flight(8) >= SPEAKS
    assert in_flight(16) >= SPEAKS
    assert in_flight(1) >= SPEAKS


def test_closed_loop_is_silent_about_arrivals_that_wait_for_nobody() -> None:
    """Customers of a busy service come when they like."""
    driver, rng, asked = watching(), Random(5), next(search(Random(3)))
    running: list[tuple[float, Ticket]] = []
    for _ in range(500):
        arrives_at = driver.now.steady + rng.expovariate(1.0)
        while running and running[0][0] <= arrives_at:
            ends_at, ticket = running.pop(0)
            driver.wait(ends_at - driver.now.steady)
            driver.start(ticket)
            driver.end(ticket, asked)
        driver.wait(arrives_at - driver.now.steady)
        running.append((driver.now.steady + 6.0, driver.admit(Caller("alice"), asked)))
    driver.flush()
    assert said(driver, running[-1][1].key)["closed_loop"] < SPEAKS


def test_closed_loop_is_silent_about_people() -> None:
    """They read and write between two questions."""
    assert voices_of(INNOCENTS["chat"])["closed_loop"] < SPEAKS
    assert voices_of(self_instruct, 7)["closed_loop"] == 0


def sped(first: int, later: int, *, aged: bool = True) -> float:
    """Return how loud ``instant_maximum`` is, by exchanges in ten minutes at first and later."""
    driver, plays, tickets = watching(), tutor(Random(3)), []
    for count, minutes in ((first, 10), (later, 90)):
        for _ in range(count * minutes // 10):
            tickets.append(driver.ask(Caller("alice"), next(plays)))
            driver.wait(600.0 / count)
    driver.flush()
    return said(driver, tickets[-1].key, aged=aged)["instant_maximum"]


def test_instant_maximum_speaks_of_a_key_that_begins_at_full_speed() -> None:
    """Louder the faster it is."""
    assert sped(4, 4) == 0
    assert sped(30, 30) < sped(120, 120)
    assert sped(120, 120) >= SPEAKS


def test_instant_maximum_is_silent_about_growth() -> None:
    """A few tries come first."""
    assert sped(20, 200) < SPEAKS


def test_instant_maximum_is_silent_while_ages_are_unknown() -> None:
    """A guard mounted today has every key for the first time."""
    assert sped(120, 120, aged=False) == 0


# --- details --------------------------------------------------------------------------------------


def test_details_are_numbers_and_words_of_our_own() -> None:
    """Nothing of what was asked reaches a reason."""
    secret = "thistledown"
    plays = (
        play(
            f"{secret} {prose(Random(number), 120)}",
            answer(Random(number), 900, 1500),
            system=f"{secret} {prose(Random(0), 200)}",
            sampling=Sampling(max_tokens=9000),
        )
        for number in range(40)
    )
    driver, subject = observed(plays)
    reading = driver.reading(subject)
    view = View(subject.kind, reading.slow, reading, aged=True, minimum=8)
    details = [evidence.detail for signal in SIGNALS if (evidence := signal(view)) is not None]
    assert details
    assert not any(secret in detail for detail in details)
    assert reading.slow[Slot.EXCHANGES] > 30
