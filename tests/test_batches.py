"""Batches: each element is an exchange, as if it had been asked for by itself."""

from __future__ import annotations

import json
from itertools import islice
from random import Random
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from gateway_guard import Action
from gateway_guard.dialects import read_request
from gateway_guard.dialects.batch_lines import read_line
from gateway_guard.profile import Slot
from tests.batching import (
    BATCHES,
    CHAT,
    Upstream,
    asked_in,
    body_of,
    create,
    file_of,
    line_of,
    lines_of,
    upload,
)
from tests.callers import KEY, Time, ask, counted, flush, guarded, reading_of, scope_of, sentence
from tests.driving import Caller, Driver, Play
from tests.traffic import HARVESTS, INNOCENTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway_guard import GuardMiddleware
    from gateway_guard.features import CueHit, Features

ANTHROPIC = "/v1/messages/batches"
GEMINI = "/v1beta/models/gemini-2.5-pro:batchGenerateContent"
HARVEST = 400


async def acquainted(time: Time | None = None, **settings: object) -> GuardMiddleware:
    """Return a guard that knows the key."""
    guard = guarded(Upstream(), time, memory="64MiB", **settings)
    for _ in range(2):
        await ask(guard, scope_of(CHAT), json.dumps(asked_in("Hello there")).encode())
    flush(guard)
    return guard


def exchanges(guard: GuardMiddleware, key: bytes = KEY) -> int:
    """Return how many exchanges a key is remembered for."""
    return round(reading_of(guard, key).slow[Slot.EXCHANGES])


async def test_the_lines_of_a_file_count_once_a_batch_names_it() -> None:
    """Not when it is uploaded: nobody has asked for anything then."""
    guard = await acquainted()
    file = (await upload(guard, lines_of(40))).json["id"]
    assert exchanges(guard) == 2
    assert (await create(guard, file)).status == 200
    assert exchanges(guard) == 42
    assert counted(guard, "exchanges") == {"committed": 42}
    assert counted(guard, "batches") == {"file": 1, "known_file": 1}


@pytest.mark.parametrize("count", [64, 65, 1_000, 5_000])
async def test_the_lines_of_long_files_are_all_counted(count: int) -> None:
    """Though some are read only."""
    guard = await acquainted()
    await create(guard, (await upload(guard, lines_of(count))).json["id"])
    assert exchanges(guard) == pytest.approx(2 + count, abs=2)


async def test_a_file_in_two_batches_counts_twice() -> None:
    """Its answers are served twice."""
    guard = await acquainted()
    file = (await upload(guard, lines_of(10))).json["id"]
    await create(guard, file)
    await create(guard, file)
    assert exchanges(guard) == 22


async def test_a_batch_that_the_upstream_refuses_counts_for_nothing() -> None:
    """Whatever file it names."""
    upstream = Upstream()
    guard = guarded(upstream)
    file = (await upload(guard, lines_of(10))).json["id"]
    upstream.status = 400
    await create(guard, file)
    assert counted(guard, "exchanges") == {"rejected": 10}
    upstream.status = 200
    await create(guard, file)
    assert exchanges(guard) == 10


async def test_a_file_that_nobody_knows_is_one_exchange() -> None:
    """And is counted as what it is."""
    guard = await acquainted()
    assert (await create(guard, "file-elsewhere")).status == 200
    assert exchanges(guard) == 3
    assert counted(guard, "batches") == {"unknown_file": 1}


async def test_a_batch_counts_for_the_key_that_creates_it() -> None:
    """If the upstream lets it have another key's file; if not, it is as good as unknown."""
    upstream = Upstream()
    guard, other = guarded(upstream, memory="64MiB"), b"sk-other"
    file = (await upload(guard, lines_of(10))).json["id"]
    upstream.status = 404
    await create(guard, file, key=other)
    flush(guard)
    subjects = guard.engine.memory.subjects
    principals = guard.guard.principals
    assert counted(guard, "exchanges") == {"rejected": 10}
    upstream.status = 200
    await create(guard, file, key=other)
    assert exchanges(guard, other) == 10
    owner = subjects.get(principals.key_id(KEY))
    assert owner is None or not owner.exchanges


async def test_end_users_count_inside_their_own_key_only() -> None:
    """A batch of another key's file has no part in them."""
    guard = guarded(Upstream(), memory="64MiB")
    lines = [line_of(asked_in(f"What is {at}?", user="alice")) for at in range(10)]
    file = (await upload(guard, b"\n".join(lines))).json["id"]
    found = guard.guard.uploads.files.find(file, guard.guard.principals.key_id(KEY), 0.0)
    assert {element.end_user is None for element in found} == {False}
    found = guard.guard.uploads.files.find(file, b"x" * 16, 0.0)
    assert {element.end_user for element in found} == {None}


def features_of_singles(guard: GuardMiddleware, plays: list[Play]) -> Iterator[Features]:
    """Yield what the guard's reader makes of requests that come one by one."""
    shown: dict[int, tuple[CueHit, ...]] = {}
    for asked in plays:
        exchange = read_request(json.dumps(body_of(asked)).encode(), CHAT)[1]
        assert exchange is not None
        principal = guard.guard.principals.read(scope_of())
        element = guard.engine.read_ahead(
            principal, exchange, shown.get, guard.guard.timeline.now()
        )
        shown |= dict(element.features.new_hits)
        yield element.features


@pytest.mark.parametrize("name", [*HARVESTS, *INNOCENTS])
async def test_the_lines_of_a_file_are_what_single_requests_would_be(name: str) -> None:
    """With the same templates, anchors, windows and cues."""
    plays = list(islice((HARVESTS | INNOCENTS)[name](Random(3)), 30))
    guard = guarded(Upstream(), memory="64MiB")
    file = (await upload(guard, file_of(plays))).json["id"]
    held = guard.guard.uploads.files.find(file, guard.guard.principals.key_id(KEY), 0.0)
    single = list(features_of_singles(guard, plays))
    assert len(held) == len(single) == 30
    for element, features in zip(held, single, strict=True):
        assert np.array_equal(element.features.shingles, features.shingles)
        blank = np.zeros(0, np.uint64)
        assert msgspec.structs.replace(element.features, shingles=blank) == msgspec.structs.replace(
            features, shingles=blank
        )


def passed_one_by_one(name: str) -> int:
    """Return how many single requests of a harvest pass before one is refused."""
    driver, plays, caller = Driver(), HARVESTS[name](Random(1)), Caller("alice")
    driver.meet(caller)
    for number in range(HARVEST):
        if driver.ask(caller, next(plays), seconds=2).decision.refused:
            return number
    return HARVEST


@pytest.mark.parametrize("size", [10, 50, 400])
@pytest.mark.parametrize("name", HARVESTS)
async def test_a_harvest_in_batches_is_found_as_soon_as_one_by_one(name: str, size: int) -> None:
    """At the latest at the batch that crosses the threshold."""
    guard, plays, passed = await acquainted(), HARVESTS[name](Random(1)), 0
    while passed < HARVEST:
        file = (await upload(guard, file_of(islice(plays, size)))).json["id"]
        if (await create(guard, file)).status == 429:
            break
        passed += size
    assert passed <= passed_one_by_one(name)


@pytest.mark.parametrize("name", HARVESTS)
async def test_a_harvest_by_batch_goes_on_nowhere(name: str) -> None:
    """Neither a minute later nor an hour later; nor among the questions of others."""
    time = Time()
    guard, plays = await acquainted(time), HARVESTS[name](Random(1))
    for wait in (60, 60, 3600, 7200):
        file = (await upload(guard, file_of(islice(plays, 200)))).json["id"]
        assert (await create(guard, file)).status == 429
        time.pass_by(wait)


@pytest.mark.parametrize("name", INNOCENTS)
async def test_an_innocent_may_ask_in_batches(name: str) -> None:
    """Night after night, from the first one on."""
    time = Time()
    guard, plays = await acquainted(time), INNOCENTS[name](Random(2))
    for _ in range(4):
        file = (await upload(guard, file_of(islice(plays, 300)))).json["id"]
        assert (await create(guard, file)).status == 200
        assert max(map(int, guard_actions(guard)), default=0) <= Action.WATCH
        time.pass_by(86_400)


def guard_actions(guard: GuardMiddleware) -> list[Action]:
    """Return the actions that the key has coming."""
    flush(guard)
    standing = guard.engine.memory.standings.get(guard.guard.principals.key_id(KEY))
    return [] if standing is None else [standing.action]


@pytest.mark.parametrize("budget", [16, 8192])
async def test_a_nightly_batch_of_a_classifier_passes(budget: int) -> None:
    """Five thousand lines, also where somebody left the output budget at a large number."""
    guard, plays = await acquainted(), INNOCENTS["classify"](Random(4))
    bodies = (body_of(asked) | {"max_tokens": budget} for asked in islice(plays, 5_000))
    file = (await upload(guard, b"\n".join(map(line_of, bodies)))).json["id"]
    assert (await create(guard, file)).status == 200
    assert max(map(int, guard_actions(guard)), default=0) <= Action.WATCH


async def test_a_throttled_key_may_still_have_small_batches_created() -> None:
    """As many exchanges as it has requests a minute, and then none for as long."""
    time = Time()
    guard = await acquainted(time)
    sentence(guard, Action.THROTTLE)
    small = (await upload(guard, lines_of(5))).json["id"]
    time.pass_by(60)
    large = (await upload(guard, lines_of(20))).json["id"]
    time.pass_by(60)
    for file in (large, "file-unknown"):
        refused = await create(guard, file)
        assert refused.status == 429
        assert 0 < int(refused.headers[b"retry-after"]) <= 60
    assert (await create(guard, small)).status == 200
    assert (await create(guard, small)).status == 429
    time.pass_by(40)
    assert (await create(guard, small)).status == 200


def batch_of(bodies: list[dict[str, object]]) -> bytes:
    """Return the body of a batch of messages."""
    requests = [{"custom_id": str(at), "params": body} for at, body in enumerate(bodies)]
    return json.dumps({"requests": requests}).encode()


@pytest.mark.parametrize("count", [1, 30, 64, 500])
async def test_each_request_of_a_batch_of_messages_is_an_exchange(count: int) -> None:
    """Its answer says nothing of theirs."""
    guard = guarded(Upstream())
    bodies = [asked_in(f"What is {at}?", max_tokens=64) for at in range(count)]
    assert (await ask(guard, scope_of(ANTHROPIC), batch_of(bodies))).status == 200
    assert exchanges(guard) == count
    assert counted(guard, "requests") == {"anthropic_batches": 1}


async def test_a_harvest_in_a_batch_of_messages_is_refused() -> None:
    """In the dialect."""
    guard = await acquainted()
    bodies = [body_of(asked) for asked in islice(HARVESTS["self_instruct"](Random(1)), 100)]
    wire = await ask(guard, scope_of(ANTHROPIC), batch_of(bodies))
    assert wire.status == 429
    assert wire.json["error"]["type"] == "rate_limit_error"


@pytest.mark.parametrize(
    "params", [None, 1, [], {}, {"messages": 3}, {"messages": [{"role": 1, "content": {}}]}]
)
def test_an_element_of_another_shape_does_not_hide_the_others(params: object) -> None:
    """Whatever the upstream makes of it."""
    requests = [{"params": params}, {"params": asked_in("find me")}, {}, {"other": 1}]
    exchange = read_request(json.dumps({"requests": requests}).encode(), ANTHROPIC)[1]
    assert exchange is not None
    texts = [turn.text for one in (exchange, *exchange.others) for turn in one.turns]
    assert "find me" in texts


def test_what_is_no_request_takes_no_requests_place() -> None:
    """A few questions among hundreds of empty elements are found, and their number is."""
    empty: list[dict[str, object]] = [{"params": {}}] * 400
    requests = empty + [{"params": asked_in("find me")}] * 100
    exchange = read_request(json.dumps({"requests": requests}).encode(), ANTHROPIC)[1]
    assert exchange is not None
    drawn = [exchange, *exchange.others]
    assert {turn.text for one in drawn for turn in one.turns} == {"find me"}
    assert 50 < sum(one.times for one in drawn) < 200


def test_a_batch_of_very_many_requests_is_read() -> None:
    """More values than are made of other bodies do no harm where a few are drawn."""
    requests = [{"custom_id": str(at), "params": asked_in("a")} for at in range(40_000)]
    exchange = read_request(json.dumps({"requests": requests}).encode(), ANTHROPIC)[1]
    assert exchange is not None
    assert not exchange.unparsed
    assert sum(one.times for one in (exchange, *exchange.others)) == 40_000


@pytest.mark.parametrize("element", [b"{}", b"1", b"[]", b'"a"', b"{{}"])
def test_a_batch_of_millions_of_nothings_is_not_made_into_anything(element: bytes) -> None:
    """It is read as text."""
    body = b'{"requests":[' + b",".join([element] * 600_000) + b"]}"
    for path in (ANTHROPIC, GEMINI):
        read_request(body, path)


@pytest.mark.parametrize("path", ["/batches", "/openai/v1/batches", "/azure/v1/batches", BATCHES])
async def test_batches_have_many_paths(path: str) -> None:
    """And so have files."""
    guard = guarded(Upstream())
    file = (await upload(guard, lines_of(10))).json["id"]
    await ask(guard, scope_of(path), json.dumps({"input_file_id": file}).encode())
    assert exchanges(guard) == 10


async def test_a_gemini_batch_may_name_a_file() -> None:
    """Whose lines have requests of Gemini's shape."""
    guard = guarded(Upstream())
    lines = [
        {"key": str(at), "request": {"contents": [{"parts": [{"text": f"What is {at}?"}]}]}}
        for at in range(10)
    ]
    file = (await upload(guard, "\n".join(map(json.dumps, lines)).encode())).json["id"]
    body = {"batch": {"inputConfig": {"fileName": file}}}
    await ask(guard, scope_of(GEMINI), json.dumps(body).encode())
    assert exchanges(guard) == 10


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (line_of(asked_in("a")), "a"),
        (line_of({"model": "m", "input": "b"}, url="/v1/responses"), "b"),
        (line_of({"model": "m", "input": "c"}, url="/v1/embeddings"), "c"),
        (line_of({"model": "m", "prompt": "d"}, url="/v1/completions"), "d"),
        (line_of(asked_in("e"), url=""), "e"),
        (json.dumps(asked_in("f")).encode(), "f"),
        (b"\xef\xbb\xbf" + line_of(asked_in("g")), "g"),
        (json.dumps({"request": {"contents": [{"parts": [{"text": "h"}]}]}}).encode(), "h"),
    ],
)
def test_lines_are_read_as_what_their_place_says(line: bytes, text: str) -> None:
    """Whatever model they are for."""
    exchange = read_line(line)
    assert exchange is not None
    assert [turn.text for turn in exchange.turns] == [text]


@pytest.mark.parametrize(
    "line", [b"{}", b"[]", b"3", b"no", b"\xff", b"{" * 3_000, b'{"url":3}', b'{"body":[]}', b"\0"]
)
def test_what_is_no_line_is_no_exchange(line: bytes) -> None:
    """And raises nothing."""
    assert read_line(line) is None


@pytest.mark.parametrize("name", HARVESTS)
async def test_a_long_innocent_past_does_not_hide_a_harvest_by_batch(name: str) -> None:
    """Short answers to other requests say nothing of those that a batch will have."""
    time = Time()
    guard, past = await acquainted(time), INNOCENTS["classify"](Random(9))
    for _ in range(100):
        await ask(guard, scope_of(CHAT), json.dumps(body_of(next(past))).encode())
        time.pass_by(30)
    file = (await upload(guard, file_of(islice(HARVESTS[name](Random(1)), 500)))).json["id"]
    assert (await create(guard, file)).status == 429


@pytest.mark.parametrize("name", ["self_instruct", "evol", "tutor"])
async def test_a_harvest_is_found_among_other_lines(name: str) -> None:
    """One line in ten has its template."""
    guard, plays, past = await acquainted(), HARVESTS[name](Random(1)), INNOCENTS["classify"]
    others = past(Random(9))
    mixed = (next(others if at % 10 else plays) for at in range(1_000))
    file = (await upload(guard, file_of(mixed))).json["id"]
    statuses = [(await create(guard, file)).status for _ in range(2)]
    assert statuses[-1] == 429
