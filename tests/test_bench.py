"""``gateway-guard bench`` measures what it says, on work that is really done; never how fast."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from itertools import chain
from typing import TYPE_CHECKING

import pytest

from gateway_guard.bench import command, loops
from gateway_guard.bench.answers import CHUNKS, chunks, completion
from gateway_guard.bench.apps import Replay, answer_at_once
from gateway_guard.bench.calls import PIECE_BYTES, answered, pieces, scope_of, seconds_of
from gateway_guard.bench.children import child
from gateway_guard.bench.command import Effort, measure, parts_of
from gateway_guard.bench.contestants import BARE, CONTESTANTS, GUARD, Contestant, guarded
from gateway_guard.bench.errors import MeasurementError
from gateway_guard.bench.fleet import QUICK as QUICK_FLEET
from gateway_guard.bench.flood import flooded
from gateway_guard.bench.ledger import QUICK as QUICK_LEDGER
from gateway_guard.bench.limits_app import Limit
from gateway_guard.bench.load import is_complete, load
from gateway_guard.bench.report import as_dict, as_table
from gateway_guard.bench.rounds import LEAD, Heat, entered, run_heats
from gateway_guard.bench.scale import show_subjects
from gateway_guard.bench.server import (
    GUARDED_PARSING,
    GUARDED_PROXY,
    PARSING,
    PLAIN_PROXY,
    UPSTREAM,
    served,
    serving,
)
from gateway_guard.bench.store import QUICK as QUICK_STORE
from gateway_guard.bench.strangers import Wave
from gateway_guard.bench.traffic import (
    LARGE,
    MEDIUM,
    PATH,
    Block,
    Conversations,
    Manner,
    Prompts,
    full_caller,
    plain_caller,
)
from gateway_guard.cli import main
from gateway_guard.dialects import read_request
from gateway_guard.principal import SubjectKind
from gateway_guard.subjects import hash_of
from tests.servers import answering

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from gateway_guard.bench.children import Say
    from gateway_guard.bench.traffic import Call, Size
    from gateway_guard.pending import Ticket

TINY = Effort(
    rounds=1,
    known=1,
    load_rounds=1,
    load_requests=16,
    subjects=60,
    flood=10,
    wave=Wave(connections=8, body_bytes=200_000, seconds=0.5),
    ledger=QUICK_LEDGER,
    fleet=QUICK_FLEET,
    store=QUICK_STORE,
)
FIGURES = {
    "bare_us": None,
    "added_us": {
        "replay",
        "limits",
        "slowapi",
        "basehttp",
        "guard_2k",
        "guard_2k_one",
        "guard_30k",
        "guard_200k",
        "per_chunk",
    },
    "kept": {"slowapi", "limits", "guard"},
    "proxy": {"plain_httpx", "ours", "p99_ms"},
    "scale": {"us_at_1e3", "us_at_1e6"},
    "flood": {"rss_bound", "rss"},
    "buffers": {
        "budget",
        "rss_before",
        "rss_peak",
        "refused",
        "others_p99_ms",
        "bare_p99_ms",
    },
    "ledger": None,
    "fleet": None,
    "store": None,
    "bypass": None,
    "bypass_rejected": None,
}


def admitted(contestant: Contestant, call: Call) -> Ticket:
    """Admit a request to the guard that is measured."""
    assert contestant.guard is not None
    guard = contestant.guard.guard
    principal, now = guard.principals.read(scope_of(call)), guard.timeline.now()
    _, exchange = read_request(call.body, PATH.decode())
    assert exchange is not None
    return guard.engine.admit(principal, exchange, PATH.decode(), now)


def observed(contestant: Contestant, call: Call) -> bool:
    """Ask the guard that is measured whether it served what a request repeats."""
    assert contestant.guard is not None
    guard = contestant.guard.guard
    _, exchange = read_request(call.body, PATH.decode())
    assert exchange is not None
    key, now = hash_of(guard.principals.read(scope_of(call)).key), guard.timeline.now()
    return guard.engine.memory.history.observed(key, exchange, now.steady) is not None


def subjects_of(call: Call) -> list[SubjectKind]:
    """Ask the guard that is measured which kinds of subjects a request speaks for."""
    return [kind for kind, _ in admitted(CONTESTANTS[GUARD](), call).ids]


def messages(call: Call) -> list[dict[str, str]]:
    """Return the messages of a request."""
    found: list[dict[str, str]] = json.loads(call.body)["messages"]
    return found


def test_a_full_caller_speaks_for_all_six_kinds_of_subjects() -> None:
    """What is measured as six kinds is six kinds, behind a proxy that the guard trusts."""
    [call] = Prompts([full_caller(0)], seed=1).block(1).calls
    assert set(subjects_of(call)) == {
        SubjectKind.KEY,
        SubjectKind.END_USER,
        SubjectKind.TEMPLATE,
        SubjectKind.NETWORK,
        SubjectKind.CLIENT,
        SubjectKind.ORGANISATION,
    }


def test_a_plain_caller_speaks_for_as_few_subjects_as_can_be() -> None:
    """No end user, no organisation, no system prompt; a question has a beginning and an end."""
    [call] = Prompts([plain_caller(0)], Manner(system=False), seed=1).block(1).calls
    kinds = subjects_of(call)
    assert SubjectKind.END_USER not in kinds
    assert SubjectKind.ORGANISATION not in kinds
    assert kinds.count(SubjectKind.TEMPLATE) == 2


def test_prompts_are_new_each_time_and_two_kilobytes_long() -> None:
    """No question comes twice, while the system prompt stays."""
    calls = Prompts([full_caller(0), full_caller(1)], seed=1).block(300).calls
    systems = {messages(call)[0]["content"] for call in calls}
    questions = {messages(call)[1]["content"] for call in calls}
    assert len(systems) == 1
    assert len(questions) == 300
    assert all(1_500 < len(question) < 2_600 for question in questions)


def test_framed_prompts_begin_and_end_with_few_texts() -> None:
    """So that they bring no further template."""
    calls = Prompts([plain_caller(0)], Manner(system=False, frames=2), seed=1).block(20).calls
    questions = [messages(call)[0]["content"] for call in calls]
    assert len({question[:30] for question in questions}) == 2
    assert len({question[-30:] for question in questions}) == 2
    assert len(set(questions)) == 20


@pytest.mark.parametrize("size", [MEDIUM, LARGE])
def test_conversations_have_the_size_they_should_and_grow_by_one_exchange(size: Size) -> None:
    """Bytes and turns on average, and each request repeats what its caller's last one said."""
    traffic = Conversations([full_caller(0)], seed=1, size=size)
    calls = [traffic.block(1).calls[0] for _ in range(3 * size.steps)]
    lengths = [len(call.body) for call in calls]
    turns = [len(messages(call)) for call in calls]
    assert sum(lengths) / len(calls) == pytest.approx(size.body_bytes, rel=0.05)
    assert sum(turns) / len(calls) == size.turns
    first, second = messages(calls[0]), messages(calls[1])
    assert second[: len(first)] == first
    assert [message["role"] for message in second[len(first) :]] == ["assistant", "user"]
    assert second[-2]["content"] == completion()["choices"][0]["message"]["content"]


def test_a_conversation_opens_outside_of_what_is_measured() -> None:
    """Its earlier turns come first, in one request for every conversation."""
    callers = [full_caller(0), full_caller(1)]
    traffic = Conversations(callers, seed=1, size=MEDIUM)
    openings = [len(traffic.block(2).openings) for _ in range(2 * MEDIUM.steps)]
    assert openings == [2, 0, 0] * 2


async def test_what_conversations_claim_was_served_before() -> None:
    """The guard that is measured observes their history, and reads the newest turn alone."""
    traffic = Conversations([full_caller(0)], seed=1, size=MEDIUM)
    contestant = CONTESTANTS[GUARD]()
    await seconds_of(contestant, traffic.block(1))
    [call] = traffic.block(1).calls
    assert not observed(CONTESTANTS[GUARD](), call)
    ticket = admitted(contestant, call)
    contestant.flush()
    assert ticket.contribution is not None
    assert ticket.contribution.claimed
    assert observed(contestant, call)
    assert ticket.contribution.features.new_chars < 2_600


@pytest.mark.parametrize("name", sorted(CONTESTANTS))
async def test_every_contestant_answers_whole_and_streamed(name: str) -> None:
    """The application stands behind each of them."""
    contestant = CONTESTANTS[name]()
    for manner in (Manner(), Manner(stream=True)):
        block = Prompts([full_caller(0)], manner, seed=1).block(2)
        assert await seconds_of(contestant, block) > 0


async def test_the_guard_settles_all_that_is_measured() -> None:
    """Every request of a block is counted when the block ends."""
    contestant = CONTESTANTS[GUARD]()
    await seconds_of(contestant, Prompts([full_caller(0)], seed=1).block(5))
    assert contestant.guard is not None
    assert contestant.guard.instruments.counters["exchanges", "committed"] == 5
    assert contestant.guard.engine.unflushed == 0


async def test_an_answer_that_is_not_200_is_no_measurement() -> None:
    """A refusal would look fast."""

    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": 500, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    with pytest.raises(MeasurementError, match="500"):
        await seconds_of(Contestant(broken), Prompts([full_caller(0)], seed=1).block(1))


async def test_a_guard_that_failed_is_no_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    """It lets requests through when it fails, and would look fast too."""
    contestant = CONTESTANTS[GUARD]()
    assert contestant.guard is not None
    monkeypatch.setattr(contestant.guard.engine, "admit", None)
    with pytest.raises(MeasurementError, match="TypeError"):
        await seconds_of(contestant, Prompts([full_caller(0)], seed=1).block(1))


async def test_a_large_body_comes_in_pieces() -> None:
    """As servers hand it on; what the pieces make up is the body."""
    body = b"x" * (2 * PIECE_BYTES + 1)
    parts = list(pieces(body))
    assert b"".join(part["body"] for part in parts) == body
    assert [part["more_body"] for part in parts] == [True, True, False]
    assert [part["more_body"] for part in pieces(b"")] == [False]
    assert [len(part["body"]) for part in pieces(b"x" * PIECE_BYTES)] == [PIECE_BYTES]


def test_the_answers_are_as_large_as_they_are_said_to_be() -> None:
    """About 600 bytes whole; 500 events, the last of which ends the stream."""
    assert 550 < len(json.dumps(completion())) < 700
    events = chunks()
    assert len(events) == CHUNKS
    assert events[-1] == b"data: [DONE]\n\n"
    assert json.loads(events[-2].removeprefix(b"data: "))["usage"]


async def test_everybody_answers_the_same_requests_of_a_round_and_nobody_always_first() -> None:
    """A round is one block for each, in an order of its own, a few unmeasured requests first."""
    seen: dict[str, list[str]] = {BARE: [], "other": []}
    order: list[str] = []

    def noting(name: str) -> Contestant:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            seen[name].append(str(scope["headers"]))
            order.append(name)
            await answer_at_once(scope, receive, send)

        return Contestant(app)

    heat = Heat(
        Prompts([full_caller(number) for number in range(9)], seed=1),
        {name: noting(name) for name in (BARE, "other")},
        block=1,
    )
    await run_heats([heat], rounds=9)
    requests = 1 + LEAD
    assert len(seen[BARE]) == 10 * requests
    assert seen[BARE] == seen["other"]
    blocks = [order[at : at + requests] for at in range(0, len(order), requests)]
    assert all(len(set(block)) == 1 for block in blocks)
    assert {block[0] for block in blocks[::2]} == {BARE, "other"}
    assert heat.bare_us() > 0


def test_what_is_added_is_the_median_of_paired_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy moment that hits both in a round changes nothing."""
    contestants = entered("replay")
    seconds = {BARE: iter([0.0, 1.0, 16.0, 4.0]), "replay": iter([0.0, 3.0, 19.0, 8.0])}

    async def fake(contestant: Contestant, block: Block) -> float:
        del block
        return next(seconds[BARE if contestant is contestants[BARE] else "replay"])

    monkeypatch.setattr("gateway_guard.bench.rounds.seconds_of", fake)
    heat = Heat(Prompts([full_caller(0)], seed=1), contestants, block=1)
    asyncio.run(run_heats([heat], rounds=3))
    assert heat.added_us("replay") == pytest.approx(3e6)
    assert heat.bare_us() == pytest.approx(4e6)


@pytest.mark.parametrize("mount", [lambda app: app, Replay, Limit])
async def test_what_is_no_request_passes(mount: Callable[[ASGIApp], ASGIApp]) -> None:
    """Servers start applications before they ask them anything."""
    heard = iter(["lifespan.startup", "lifespan.shutdown"])
    said: list[str] = []

    async def receive() -> Message:
        return {"type": next(heard)}

    async def send(message: Message) -> None:
        said.append(message["type"])

    await mount(answer_at_once)({"type": "lifespan"}, receive, send)
    assert said == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_the_limit_that_is_measured_can_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does what a limit does, and counts each key apart."""
    monkeypatch.setattr("gateway_guard.bench.limits_app.OUT_OF_REACH", 2)
    app = Limit(answer_at_once)
    calls = Prompts([plain_caller(0), plain_caller(1)], seed=1).block(6).calls
    assert [await answered(app, call) for call in calls] == [200, 200, 200, 200, 429, 429]


@pytest.mark.parametrize(
    "name", [UPSTREAM, GUARDED_PROXY, PARSING, GUARDED_PARSING, *sorted(CONTESTANTS)]
)
def test_every_server_is_one_that_can_be_made(name: str) -> None:
    """In the process that serves it, from its name alone."""
    assert callable(served(name, "http://127.0.0.1:9").app)


def test_a_plain_proxy_forwards_to_an_upstream_under_load() -> None:
    """Both in processes of their own; every answer is awaited and none is lost."""
    calls = Prompts([full_caller(0)], seed=1).block(40).calls
    with serving(UPSTREAM) as behind:
        upstream = f"http://127.0.0.1:{behind[UPSTREAM]}"
        with serving(PLAIN_PROXY, upstream=upstream) as ports:
            one = loops.run(load(ports[PLAIN_PROXY], calls, connections=4))
    assert len(one.latencies_seconds) == 40
    assert one.rate > 0


async def test_load_fails_when_a_server_does_not_answer_with_200() -> None:
    """A broken server is no fast server."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    async with answering(refuse) as address:
        port = int(address.rpartition(":")[2])
        with pytest.raises(MeasurementError, match="404"):
            await load(port, Prompts([full_caller(0)], seed=1).block(2).calls, connections=1)


async def test_load_fails_when_a_server_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patience is limited, and what has come by then is said."""

    async def ponder(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    monkeypatch.setattr("gateway_guard.bench.load.PATIENCE_SECONDS", 0.0)
    async with answering(ponder) as address:
        port = int(address.rpartition(":")[2])
        with pytest.raises(MeasurementError, match="0 of 2"):
            await load(port, Prompts([full_caller(0)], seed=1).block(2).calls, connections=1)


async def test_load_fails_when_a_server_closes_the_connection() -> None:
    """Nor is one that goes away."""

    async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async with answering(leave) as address:
        port = int(address.rpartition(":")[2])
        with pytest.raises(MeasurementError, match="closed"):
            await load(port, Prompts([full_caller(0)], seed=1).block(2).calls, connections=1)


def test_an_answer_is_complete_by_its_length_or_its_last_chunk() -> None:
    """However it is cut."""
    sized = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    for answer in (sized, chunked):
        assert [is_complete(answer[:end]) for end in range(len(answer))] == [False] * len(answer)
        assert is_complete(answer)


def die_early(say: Say) -> None:
    """End without a word."""


def test_a_child_that_says_nothing_is_an_error() -> None:
    """Instead of a parent that waits for ever."""
    with child(die_early) as process, pytest.raises(MeasurementError, match="die_early"):
        process.heard()


async def test_subjects_are_shown_in_the_number_asked_for() -> None:
    """A newcomer makes six: key, end user, two beginnings and two ends."""
    contestant = guarded(answer_at_once)
    await show_subjects(contestant, 60)
    assert contestant.guard is not None
    table = contestant.guard.engine.memory.subjects
    assert len(table) >= 10
    assert 60 <= len(table) + table.waiting <= 60 + 20


async def test_a_flood_leaves_what_was_known_before() -> None:
    """A small one, in this process: the key stays throttled, the template stays known."""
    found = await flooded(20)
    assert found.still_throttled
    assert found.still_known
    assert found.rss >= found.rss_before > 0


def test_the_whole_run_gives_every_figure_and_a_table_of_them() -> None:
    """Exactly those that are promised; bypass and the ledger have tests of their own."""
    others = {"bypass", "ledger"}
    report = measure([name for name in parts_of("") if name not in others], TINY)
    figures = json.loads(json.dumps(as_dict(report)))
    assert {name: keys_of(part) for name, part in figures.items()} == FIGURES
    numbers = [figures["bare_us"], *chain(*map(values_of, figures.values()))]
    assert all(isinstance(number, float | int) for number in numbers)
    assert figures["flood"]["rss"] <= figures["flood"]["rss_bound"]
    table = as_table(report)
    assert len(table.splitlines()) == 30
    assert "guard, 200 KB history" in table
    assert "a key throttled before is throttled after" in table


def keys_of(part: object) -> set[str] | None:
    """Return the names in a part, ``None`` for a number or nothing."""
    return set(part) if isinstance(part, dict) else None


def values_of(part: object) -> list[object]:
    """Return the numbers of a part."""
    return list(part.values()) if isinstance(part, dict) else []


@pytest.fixture
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "QUICK", TINY)


@pytest.mark.usefixtures("_tiny")
def test_parts_that_were_not_asked_for_are_null(capsys: pytest.CaptureFixture[str]) -> None:
    """``--only`` takes names with commas between them; standard output is JSON alone."""
    assert main(["bench", "--quick", "--json", "--only", "scale, flood"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert list(figures) == list(FIGURES)
    assert {name for name, part in figures.items() if part is not None} == {"scale", "flood"}


@pytest.mark.usefixtures("_tiny")
def test_people_get_a_table_with_budgets(capsys: pytest.CaptureFixture[str]) -> None:
    """And are told, beside it, what is being measured, and what ``--quick`` changes."""
    assert main(["bench", "--quick", "--only", "scale"]) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines()[0].split() == ["measured", "budget"]
    assert "10^6 stands for" in shown.out
    assert shown.err == "measuring requests among a million subjects ...\n"


def test_a_part_that_does_not_exist_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """With those that do."""
    assert main(["bench", "--only", "kept,speed"]) == 2
    complaint = capsys.readouterr().err
    assert "by the name of speed" in complaint
    assert "choose from in-process, kept, proxy, scale, flood, buffers" in complaint


@pytest.mark.parametrize("package", ["limits", "slowapi", "psutil", "uvicorn"])
def test_a_missing_package_is_answered_with_the_extra_that_brings_it(package: str) -> None:
    """Whoever installed the core alone learns what to install."""
    code = f"import sys; sys.modules[{package!r}] = None\n"
    code += "from gateway_guard.cli import main; sys.exit(main(['bench']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"needs {package}" in done.stderr
    assert "pip install 'gateway-guard[bench]'" in done.stderr
