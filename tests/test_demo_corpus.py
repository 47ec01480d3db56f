"""A folder of texts becomes a cast: people, programs and harvesters out of its files."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from gateway_guard.corpora import Row, Source
from gateway_guard.demo import pipelines
from gateway_guard.demo.cold import cold_cast
from gateway_guard.demo.corpus_cast import corpus_cast
from gateway_guard.demo.guard import Guard, NoGuard
from gateway_guard.demo.lengths import LengthLaw, describe, token_room
from gateway_guard.demo.pipelines import nearest
from gateway_guard.demo.script import Reply
from gateway_guard.demo.stage import run
from gateway_guard.demo.texts_harvest import evolve, reasoning, self_instruct
from gateway_guard.demo.upstream import Gate
from gateway_guard.demo.wire import Flight

if TYPE_CHECKING:
    from gateway_guard.corpora import TextClass
    from gateway_guard.demo.script import Cast, Request
    from gateway_guard.demo.tally import Results


def source(text_class: TextClass, name: str, rows: list[dict[str, Any]]) -> Source:
    """Return a source of such rows."""
    return Source(text_class, name, tuple(Row(**row) for row in rows))


def chats(count: int, turns: int) -> list[dict[str, Any]]:
    """Return conversations of so many turns."""
    return [
        {"conv": f"c{talk}", "turn": turn, "prompt": f"chat {talk} turn {turn}", "output_len": 90}
        for talk in range(count)
        for turn in range(turns)
    ]


def streams(count: int, rows: int) -> list[dict[str, Any]]:
    """Return programs of so many rows."""
    return [
        {"prompt": f"sort ticket {row} of {stream}", "stream": f"s{stream}", "output_len": 8}
        for stream in range(count)
        for row in range(rows)
    ]


def folder() -> list[Source]:
    """Return texts of every class."""
    rng = Random(0)
    tools = [
        {"conv": talk, "turn": turn, "prompt": f"{talk} {turn}", "role": ("user", "tool")[turn % 2]}
        for talk in range(40)
        for turn in range(3)
    ]
    tools[0]["system"] = "You book flights."
    evolved = [{"prompt": question.text} for question in evolve(rng, 1300)]
    raw = [{"prompt": f"Tell me about item {n}.", "output_len": 700} for n in range(90)]
    return [
        source("human", "talk", chats(120, 3)),
        source("app", "sorter", [*streams(50, 70), {"prompt": raw[0]["prompt"], "stream": "s1"}]),
        source("app", "desk", tools),
        source("app", "tiny", streams(1, 59)),
        source("harvest", "evol", evolved),
        source("harvest", "raw", raw),
        source("harvest", "dialogues", chats(30, 4)),
    ]


class Rehearsal:
    """A wire without a wire: everybody is answered, and what was asked is kept."""

    def __init__(self) -> None:
        self.guard: Guard = NoGuard()
        self.asked: list[Request] = []

    async def start(self, request: Request) -> Flight:
        """Note a request as one that has arrived."""
        self.asked.append(request)
        loop = asyncio.get_running_loop()
        gate = Gate(request, loop)
        gate.arrive()
        return Flight(request, b"", gate, loop.create_future(), gate.opened)

    async def finish(self, flight: Flight) -> Reply:
        """Answer it."""
        return Reply(200 if flight.gate.arrived else 0)


async def record(cast: Cast) -> tuple[Results, list[Request]]:
    """Play a cast where nobody guards."""
    wire = Rehearsal()
    return await run(cast, wire=wire), wire.asked


@pytest.mark.parametrize("seed", [0, 1])
async def test_a_folder_becomes_a_cast(seed: int) -> None:
    """Every file has its callers; what no file fills has texts of our own."""
    results, _ = await record(corpus_cast(seed, folder()))
    kinds = [tally.caller.kind for tally in results.tallies]
    names = [tally.caller.name for tally in results.tallies]
    assert kinds.count("human") == 3
    assert kinds.count("harvest") == 3
    assert (kinds.count("hydra"), kinds.count("reseller"), kinds.count("victim")) == (2, 1, 1)
    assert sum("/" in name or name == "desk" for name in names) == 40
    assert "desk" in names
    assert "tiny/s0" not in names
    assert {"evol (evol_instruct)", "raw (responses)", "dialogues (dialogue)"} <= set(names)
    assert all(tally.requests >= 60 for tally in results.tallies)


async def test_no_conversation_is_had_twice() -> None:
    """People and the reseller's customers share no conversation, harvesters no text."""
    _, asked = await record(corpus_cast(0, folder()))
    opened = [
        request.messages[0].text
        for request in asked
        if len(request.messages) == 1 and not request.harvest
    ]
    chatting = [text for text in opened if text.startswith("chat ")]
    assert len(chatting) == len(set(chatting))
    evolving = [
        request.messages[0].text
        for request in asked
        if request.harvest and "Prompt Rewriter" in request.messages[0].text
    ]
    assert len(evolving) > 1000
    assert len(set(evolving)) > 0.98 * len(evolving)


async def test_tool_results_answer_calls() -> None:
    """A row with a tool's result follows on an answer that calls the tool."""
    _, asked = await record(corpus_cast(0, folder()))
    results = [
        (request.messages[-2].calls, request.messages[-1].call_id)
        for request in asked
        if request.messages[-1].role == "tool" and request.system != asked[0].system
    ]
    desk = [(calls, call_id) for calls, call_id in results if calls[0].name == "look_up"]
    assert desk
    assert all(calls[0].id == call_id for calls, call_id in desk)


async def test_the_cold_scene_has_every_program_of_the_folder() -> None:
    """No program is left out, and nobody harvests."""
    cast = cold_cast(0, folder())
    assert sum("/" in caller.name or caller.name == "desk" for caller in cast.callers) == 51
    assert {caller.kind for caller in cast.callers} == {"app"}


async def test_a_folder_of_people_alone_is_filled_up() -> None:
    """Hydra, reseller, victim and agent then have texts of our own."""
    cast = corpus_cast(0, [source("human", "talk", chats(90, 3))])
    names = [caller.name for caller in cast.callers]
    assert names[:3] == ["talk 1", "talk 2", "talk 3"]
    assert {"coding agent", "hydra of 200 keys", "reseller"} <= set(names)


def rows_of(*prompts: str, system: str | None = None) -> list[Row]:
    """Return rows of single requests."""
    return [Row(prompt, system=system) for prompt in prompts]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (rows_of(*(q.text for q in self_instruct(Random(1), 20))), pipelines.SELF_INSTRUCT),
        (rows_of(*(q.text for q in evolve(Random(1), 20))), pipelines.EVOL_INSTRUCT),
        (rows_of(*(q.text for q in reasoning(Random(1), 20))), pipelines.OPEN_THOUGHTS),
        (rows_of("", " ", "\n"), pipelines.MAGPIE),
        (rows_of("Name three rivers.", "Fix: he go home"), pipelines.RESPONSES),
        (rows_of("Gain inspiration from this code: x = 1"), pipelines.OSS_INSTRUCT),
        (rows_of("Rate the answer from 1 to 5."), pipelines.JUDGE),
        (rows_of("Continue the dialogue about bees. [Human] Hi"), pipelines.SELF_CHAT),
        (
            rows_of(
                "Is it so?", system="You are an AI assistant. Give a detailed and long answer."
            ),
            pipelines.ORCA,
        ),
        ([Row("again", turn=turn, conv="c") for turn in range(4)], pipelines.DIALOGUE),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_texts_are_known_by_their_wording(rows: list[Row], expected: pipelines.Pipeline) -> None:
    """The pipeline is chosen from the texts, never from the name of the file."""
    assert nearest(rows) is expected


def test_every_pipeline_says_where_its_parameters_are_published() -> None:
    """The table documents itself."""
    assert all(pipeline.known_from for pipeline in pipelines.PIPELINES)
    names = [pipeline.name for pipeline in pipelines.PIPELINES]
    assert len(set(names)) == len(names)


def test_the_law_of_lengths_sees_the_request_and_not_its_class() -> None:
    """Rows of one class teach it what rows of another draw."""
    short = [{"prompt": f"Is {n} even? yes or no", "output_len": 3} for n in range(60)]
    long = [{"prompt": f"Write a story about {n} herons", "output_len": 2000} for n in range(60)]
    law = LengthLaw([source("app", "a", short), source("human", "b", long)])
    rng = Random(0)
    assert law.draw(rng, "Is 7 odd? yes or no") == 3
    assert law.draw(rng, "Write a story about a fox") == 2000
    assert law.length(rng, Row("Write a story about a fox", output_len=5)) == 5
    assert describe("翻译这句话")[:2] == ("translation", True)


def test_without_recorded_lengths_there_is_still_a_law() -> None:
    """It draws around four hundred characters."""
    law, rng = LengthLaw([]), Random(0)
    drawn = sorted(law.draw(rng, "anything") for _ in range(200))
    assert 200 < drawn[100] < 800


def test_a_programs_maximum_fits_its_longest_answer() -> None:
    """A power of two of tokens, four characters each."""
    assert [token_room([length]) for length in (0, 60, 64, 400, 9000)] == [16, 16, 32, 128, 1024]
