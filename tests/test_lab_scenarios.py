"""Scenarios before the real engine, over a small folder of texts of our own."""

from __future__ import annotations

import json
from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from gateway_guard.corpora import Row, Source
from gateway_guard.demo import texts_apps, texts_people
from gateway_guard.demo.texts_harvest import evolve, instructions, problems, self_instruct
from gateway_guard.exchange import Answer, Exchange, Turn
from gateway_guard.features.normalise import normalise
from gateway_guard.lab.asks import Ask
from gateway_guard.lab.laws import Laws
from gateway_guard.lab.material import Material, read_material
from gateway_guard.lab.scenarios import SCENARIOS, Setup, disguises, evasion, sources
from gateway_guard.lab.scenarios.campaign import Campaign
from gateway_guard.lab.scenarios.wordings import Wording, Wrapper, wordings_of
from gateway_guard.lab.stage import START_AT, Stage
from gateway_guard.scoring import SHIPPED

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from gateway_guard.lab.scenarios import Report
    from gateway_guard.lab.stage import Process
    from gateway_guard.scoring import Weights

KEYS = {
    "aim",
    "met",
    "requests",
    "harvest_requests",
    "harvest_refused",
    "first_refused",
    "refused_after",
    "share_refused_after",
    "share_throttled_after",
    "innocent_keys",
    "innocent_requests",
    "innocent_refused",
    "innocent_blocked",
    "refusals",
    "campaigns",
}
ROLES = [
    "You are a patient teacher. Explain each step of your reasoning before you answer.",
    "You are a careful editor. Justify every step of the answer in full detail, please.",
    "You are an engineer. Give a long and detailed answer, and explain why it is right.",
    "You are a historian. Think step by step and write down all the thoughts that you have.",
]


def single(texts: Iterable[str], chars: int | None, **fields: object) -> list[dict[str, Any]]:
    """Return a row for each text."""
    return [{"prompt": text, "output_len": chars, **fields} for text in texts]


def talks(rng: Random, count: int) -> list[dict[str, Any]]:
    """Return conversations of people."""
    return [
        {"conv": f"c{talk}", "turn": turn, "prompt": text, "output_len": rng.randint(80, 900)}
        for talk in range(count)
        for turn, text in enumerate(texts_people.conversation(rng))
    ]


def roles(rng: Random, count: int) -> list[dict[str, Any]]:
    """Return questions under system texts in turn."""
    return [
        {"prompt": text, "system": ROLES[number % len(ROLES)]}
        for number, text in enumerate(instructions(rng, count))
    ]


def folder() -> dict[str, list[dict[str, Any]]]:
    """Return the rows of a file for each of several sources of each class."""
    rng = Random(4)
    found = {
        "human_letters": talks(rng, 200),
        "human_evenings": talks(rng, 120),
        "harvest_evolved": single([each.text for each in evolve(rng, 220)], None),
        "harvest_taught": single([each.text for each in self_instruct(rng, 220)], 4000),
        "harvest_puzzles": single(problems(rng, 220), 1500),
        "harvest_roles": roles(rng, 220),
    }
    for name, make in (
        ("app_search", texts_apps.rag_items),
        ("app_labels", texts_apps.classify_items),
        ("app_translation", texts_apps.translate_items),
    ):
        found[name] = [
            row
            for stream in ("a", "b", "c")
            for row in single([item.text for item in make(rng, 65)], 40, stream=stream)
        ]
    return found


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    """Return what scenarios are given: a folder, its laws and the shipped weights."""
    path = tmp_path_factory.mktemp("texts")
    write(path, folder())
    material = read_material(path)
    return Setup(material, Laws(material), shipped, seed=5, quick=True)


def write(path: Path, files: dict[str, list[dict[str, Any]]]) -> None:
    """Write sources as files."""
    for name, rows in files.items():
        lines = [json.dumps({k: v for k, v in row.items() if v is not None}) for row in rows]
        (path / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")


def shipped(held_out: frozenset[str]) -> Weights:
    """Return the shipped weights, which saw none of these sources."""
    del held_out
    return SHIPPED


PLAYED = [
    "hydra",
    "hydra_rotating",
    "hydra_wordings",
    "raw_pool",
    "reseller",
    "slow",
    "failover",
    "cold",
    "long_run",
    "framing_everything",
    "framing_phrase",
    "evasion_invented_history",
]
"""One of each kind; the other ways and evasions differ in what they put on a request alone."""

REPORTS: dict[str, Report] = {}


def played(setup: Setup, name: str) -> Report:
    """Return a scenario's report; each is played once."""
    if name not in REPORTS:
        REPORTS[name] = SCENARIOS[name](setup)
    return REPORTS[name]


# --- what they report -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", PLAYED)
def test_every_scenario_reports_the_same_figures(setup: Setup, name: str) -> None:
    """JSON can hold them, what was refused was asked, and there are innocents."""
    report = played(setup, name)
    assert set(report) >= KEYS
    assert json.loads(json.dumps(report)) == report
    assert report["requests"] == report["harvest_requests"] + report["innocent_requests"]
    assert 0 <= report["harvest_refused"] <= report["harvest_requests"]
    assert report["innocent_requests"] > 0
    assert report["campaigns"]


@pytest.mark.parametrize("name", PLAYED)
def test_refusals_of_innocents_are_accounted_for_one_by_one(setup: Setup, name: str) -> None:
    """Each has the subject and the signals that it was refused for."""
    report = played(setup, name)
    assert sum(item["requests"] for item in report["refusals"]) == report["innocent_refused"]
    assert all(item["subject"] and item["signals"] for item in report["refusals"])


def test_a_scenario_is_a_pure_function_of_its_setup(setup: Setup) -> None:
    """Two processes that play the same one report the same."""
    assert SCENARIOS["raw_pool"](setup) == played(setup, "raw_pool")


def test_no_weights_that_saw_a_campaign_judge_it(setup: Setup) -> None:
    """All sources of a campaign are held out together, those of innocents one by one."""
    asked: list[frozenset[str]] = []

    def without(held_out: frozenset[str]) -> Weights:
        asked.append(held_out)
        return SHIPPED

    watched = msgspec.structs.replace(setup, weights_without=without)
    report = SCENARIOS["hydra_rotating"](watched)
    assert frozenset({"harvest_roles"}) in asked
    assert {"human_letters"} in asked
    assert list(report["campaigns"]) == ["roles"]


# --- what they find -------------------------------------------------------------------------------


def test_a_hydra_is_refused_and_nobody_else_is(setup: Setup) -> None:
    """One template under hundreds of keys is one subject."""
    report = played(setup, "hydra")
    assert report["met"]
    assert report["share_refused_after"] > 0.95
    assert report["innocent_refused"] == 0


def test_system_texts_in_turn_and_other_wordings_cost_the_guard_requests(setup: Setup) -> None:
    """Each is a template of its own, so more pass than of a plain hydra."""
    plain = played(setup, "hydra")
    for name in ("hydra_rotating", "hydra_wordings"):
        report = played(setup, name)
        assert report["harvest_requests"] > 0
        assert (report["first_refused"] or report["requests"]) >= plain["first_refused"]


def test_an_unknown_pool_has_a_curve_and_meets_no_aim(setup: Setup) -> None:
    """Only a pool that is known must be refused."""
    report = played(setup, "raw_pool")
    assert not report["met"]
    assert [part["from"] for part in report["campaigns"]["puzzles"]["curve"]] == [1]
    known = msgspec.structs.replace(setup, known_pools=frozenset({"harvest_puzzles"}))
    assert SCENARIOS["raw_pool"](known)["known_pools"] == 1


def test_a_reseller_loses_its_harvest_and_keeps_its_customers(setup: Setup) -> None:
    """They share a key."""
    report = played(setup, "reseller")
    assert report["share_refused_after"] > 0.8
    assert report["innocent_refused"] < 0.01 * report["innocent_requests"]


def test_a_slow_key_is_throttled_within_days(setup: Setup) -> None:
    """Two requests an hour are few, and many in a week."""
    hours = played(setup, "slow")["hours_to_throttle"]
    assert any(found is not None and 0 < found <= 7 * 24 for found in hours.values())


def test_fresh_keys_do_not_save_a_campaign_that_was_refused(setup: Setup) -> None:
    """What its template has coming, they have coming."""
    runs = played(setup, "failover")["campaigns"]
    passed = [run["passed_before_refusal"] for run in runs.values()]
    assert any(count is not None and count < 50 for count in passed)


def test_a_cold_guard_refuses_nobody(setup: Setup) -> None:
    """It knows no key and no template, and says nothing that depends on it."""
    report = played(setup, "cold")
    assert report["met"]
    assert report["innocent_keys"] > 300


@pytest.mark.parametrize("name", ["framing_everything", "framing_phrase"])
def test_no_victim_pays_for_its_imitators(setup: Setup, name: str) -> None:
    """Nor for what it retrieves, unless there is nothing around it to tell that it was found."""
    report = played(setup, name)
    assert report["victim_requests"] > 100
    found = report.get("retrievals", {"": report["victim_refused"]})
    assert not sum(count for way, count in found.items() if way != "at the very beginning")


def test_an_invented_history_changes_little(setup: Setup) -> None:
    """Its figure is a share of what is caught without it."""
    report = played(setup, "evasion_invented_history")
    assert report["met"]
    assert report["share_of_plain"] == min(report["shares_of_plain"].values())
    assert 0.8 <= report["share_of_plain"] < 1.2


def test_a_key_that_stops_harvesting_is_free_again(setup: Setup) -> None:
    """After hours that the report names, whatever the wall clock does."""
    report = played(setup, "long_run")
    assert report["met"]
    assert all(hours > 0 for hours in report["free_after_hours"].values())


@pytest.fixture(scope="module")
def small(setup: Setup) -> Setup:
    """Return what scenarios are given, with so few texts that they say little and take no time."""
    few = [
        Source(source.text_class, source.name, source.rows[:80])
        for source in setup.material.sources
        if source.text_class == "harvest"
    ]
    return msgspec.structs.replace(setup, material=Material(tuple(few), ()))


def test_packing_asks_the_same_questions_in_fewer_requests(small: Setup) -> None:
    """Twenty at a time, and the figures count questions."""
    report = SCENARIOS["evasion_packing"](small)
    assert report["harvest_requests"] == 4
    assert report["refused_after"] == 2


def test_what_flushes_the_tables_is_no_question_of_the_campaign(small: Setup) -> None:
    """It is counted with what was asked, and not with what was refused of the campaign."""
    report = SCENARIOS["evasion_flushing"](small)
    (run,) = report["campaigns"].values()
    assert report["harvest_requests"] == 80 + 4 * 80
    assert sum(part["share"] * 80 for part in run["curve"]) == report["harvest_refused"]


def test_each_key_of_a_paraphrasing_hydra_has_a_wording_of_its_own(
    small: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many wordings are made as there are keys."""
    made: list[int] = []

    def wordings(rows: list[Row], rng: Random, count: int) -> list[Wording]:
        made.append(count)
        return wordings_of(rows, rng, count)

    monkeypatch.setattr(evasion, "wordings_of", wordings)
    SCENARIOS["evasion_paraphrase"](small)
    assert made == [20]


# --- what they are made of ------------------------------------------------------------------------


def test_a_clock_that_is_set_moves_the_wall_and_nothing_that_measures_time() -> None:
    """What happens after it happens when it would have."""
    stage = Stage(SHIPPED)
    seen: list[tuple[float, float]] = []

    def process() -> Process:
        for step in (0.0, 86400.0, -86400.0):
            stage.step_clock(step)
            yield 10.0
            seen.append((stage.now.wall - START_AT, stage.now.steady - START_AT))

    stage.enter(0.0, process())
    stage.play()
    assert seen == [(10.0, 10.0), (86420.0, 20.0), (30.0, 30.0)]


def test_the_keys_of_a_campaign_live_one_life() -> None:
    """Each is a key of its own to the guard, and all are one to the count."""
    stage = Stage(SHIPPED)
    campaign = Campaign(stage, "puzzles", "campaign")
    keys = campaign.keys(3)
    assert len({who.principal.key for who in keys}) == 3
    assert len({who.principal.network for who in keys}) == 3
    assert stage.lives == [campaign.life]


def test_sources_are_told_apart_by_their_texts(setup: Setup) -> None:
    """A shared head, a system text for all, several of them, or none."""
    assert {source.name for source in sources.with_template(setup, 9)} == {"evolved", "taught"}
    assert [source.name for source in sources.with_systems(setup, 9)] == ["roles"]
    assert [source.name for source in sources.without_template(setup, 9)] == ["puzzles"]


def test_where_no_source_has_a_template_one_of_our_own_is_put_around(setup: Setup) -> None:
    """So that a folder of raw questions has its hydra too."""
    material = setup.material
    raw = [source for source in material.sources if source.name not in {"evolved", "taught"}]
    bare = msgspec.structs.replace(setup, material=Material(tuple(raw), material.traces))
    (source,) = sources.with_template(bare, 9)
    assert sources.has_template(source)


def test_first_questions_do_where_all_harvests_are_dialogues(setup: Setup) -> None:
    """A folder may have nothing else."""
    rows = [Row(f"turn {n}", turn=n % 3, conv=n // 3) for n in range(90)]
    material = Material((Source("harvest", "dialogues", tuple(rows)),), ())
    bare = msgspec.structs.replace(setup, material=material)
    (source,) = sources.with_template(bare, 1)
    assert {row.turn for row in sources.shuffled(bare, source, 99)} == {0}


def test_a_wording_changes_the_constant_part_and_keeps_the_slot() -> None:
    """What is asked for stays what it was."""
    questions = instructions(Random(1), 120)
    frame = "Please write a detailed answer to the following question. {}\nGive each step of it."
    rows = [Row(frame.format(question)) for question in questions]
    said = wordings_of(rows, Random(2), 3)
    for wording in said:
        texts = [wording(row.prompt) for row in rows]
        assert all(question in text for question, text in zip(questions, texts, strict=True))
        assert not any(frame.partition("{}")[0] in text for text in texts)
    assert len({wording(rows[0].prompt) for wording in said}) == 3


def test_the_parts_of_a_text_make_the_text() -> None:
    """Its constant stretches, and what stands between them."""
    texts = [f"Here is a question for you: {n} and {n * n}? Thank you very much." for n in range(9)]
    wrapper = Wrapper(texts)
    for text in texts:
        parts = list(wrapper.spans(text))
        assert "".join(part for _, part in parts) == text
        assert [part for constant, part in parts if constant] == [
            "Here is a question for you",
            "Thank you very much",
        ]


ASKED = "Please write down how a clock works, with every step of it."


def disguised(name: str) -> tuple[Turn, ...]:
    """Return the turns of a question as an evasion sends it."""
    exchange = Exchange("openai_chat", "large", (Turn("user", ASKED),))
    ask = Ask(exchange, Answer(), "", 1.0, harvest=True)
    return evasion.EVASIONS[name].disguise(Random(3), ask).exchange.turns


@pytest.mark.parametrize(
    ("name", "roles", "at"),
    [
        ("invented_history", "user assistant user", 2),
        ("older_turn", "user assistant user", 0),
        ("system_text", "system user", 0),
        ("tool_result", "user assistant tool", 2),
    ],
)
def test_a_question_stands_where_the_evasion_puts_it(name: str, roles: str, at: int) -> None:
    """Word for word: the model must answer it."""
    turns = disguised(name)
    assert [turn.role for turn in turns] == roles.split()
    assert turns[at].text == ASKED


def test_a_nonce_is_around_the_question_on_every_side() -> None:
    """Nothing at either end is ever the same."""
    system, own = disguised("nonce")
    first, question, last = own.text.split("\n")
    assert question == ASKED
    assert len({system.text, first, last}) == 3
    assert (system.role, own.role) == ("system", "user")


def test_a_question_that_is_spelled_otherwise_reads_the_same() -> None:
    """To people, and to the guard once it is normalised."""
    (turn,) = disguised("spelling")
    assert turn.text != ASKED
    assert normalise(turn.text).lower() == ASKED.lower().encode()


def test_questions_that_are_packed_keep_their_answers_length() -> None:
    """Twenty answers are as long as twenty answers; where one is unknown, so is the sum."""
    rows = [Row(f"question {n}", output_len=10) for n in range(45)]
    assert Counter(row.output_len for row in disguises.packed(rows, 20)) == {200: 2, 50: 1}
    assert disguises.packed([*rows[:2], Row("unknown")], 20)[0].output_len is None


def test_a_dialogue_is_no_source_of_single_questions() -> None:
    """Its later turns make no sense alone."""
    rows = [Row(f"turn {n}", turn=n % 3, conv=n // 3) for n in range(90)]
    assert sources.is_dialogue(Source("harvest", "dialogues", tuple(rows)))
