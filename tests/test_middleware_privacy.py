"""A whole harvest: what the guard tells of it, and what it never tells."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from structlog.testing import capture_logs

from tests.callers import CHAT, Time, Wire, ask, asking, counted, guarded, scope_of
from tests.upstreams import answer, read

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from starlette.types import Receive, Scope, Send

    from gateway_guard import GuardMiddleware

KEY = b"sk-harvester-0451"
TEMPLATE = (
    "You are an expert teacher. You are asked to come up with a set of 20 diverse task "
    "instructions with their solutions, so that a student model can learn from it. Topics: "
)
WORDS = ["zinnober", "quitte", "falter", "morgen", "treppe", "wolke", "birne", "distel", "kiesel"]
SECRETS = [KEY.decode(), "expert teacher", "student model", "the answer of the model", *WORDS]


async def teacher(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer at length."""
    del scope
    await read(receive)
    text = "First, the answer of the model is explained in full. " * 60
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    await answer(send, json.dumps({"choices": [choice]}).encode())


async def harvest(guard: GuardMiddleware, time: Time, requests: int) -> list[Wire]:
    """Put one question after the other into the template."""
    draw = random.Random(7)
    wires = []
    for number in range(requests):
        question = f"{number} " + " ".join(draw.choices(WORDS, k=12))
        body = asking(TEMPLATE + question, max_tokens=4096, temperature=1.0, user="kiesel")
        wires.append(await ask(guard, scope_of(CHAT, key=KEY), body))
        time.pass_by(2.0)
    return wires


class Harvest(NamedTuple):
    """What became of a harvest."""

    guard: GuardMiddleware
    wires: list[Wire]
    logs: list[MutableMapping[str, Any]]


@pytest.fixture
async def harvested() -> Harvest:
    """Harvest for a few minutes of the guard's time."""
    time = Time()
    guard = guarded(teacher, time, contact="abuse@example.com")
    with capture_logs() as logs:
        wires = await harvest(guard, time, 120)
    return Harvest(guard, wires, logs)


async def test_a_harvest_through_the_middleware_is_throttled(harvested: Harvest) -> None:
    """From bytes to refusals: most of what follows the first refusal is refused."""
    statuses = [wire.status for wire in harvested.wires]
    first = statuses.index(429)
    assert first < 40
    assert statuses[first:].count(429) > 0.6 * len(statuses[first:])
    assert counted(harvested.guard, "errors") == {}


async def test_the_log_tells_of_verdicts_and_refusals_with_grounds(harvested: Harvest) -> None:
    """An operator reads who, what, why and on which clause."""
    verdicts = [entry for entry in harvested.logs if entry["event"] == "gateway_guard.verdict"]
    refusals = [entry for entry in harvested.logs if entry["event"] == "gateway_guard.refusal"]
    throttled = [entry for entry in verdicts if entry["action"] == "throttle"]
    assert throttled
    assert all(entry["reasons"] and entry["clause"] for entry in throttled)
    left_out = sum(entry.get("suppressed", 0) for entry in refusals)
    total = sum(counted(harvested.guard, "refusals").values())
    assert 0 < len(refusals) <= len(refusals) + left_out <= total
    assert all(entry["reasons"] and entry["clause"] for entry in refusals)
    assert {entry["key_id"] for entry in refusals} == {
        harvested.guard.guard.principals.key_id(KEY).hex()
    }


async def test_no_log_line_holds_a_key_a_prompt_or_an_answer(harvested: Harvest) -> None:
    """Not even a word of one."""
    told = repr(harvested.logs).lower()
    assert [secret for secret in SECRETS if secret in told] == []


async def test_no_metric_holds_a_key_a_prompt_or_an_answer(harvested: Harvest) -> None:
    """Labels are few, and the same for every caller."""
    instruments = harvested.guard.instruments
    told = repr((instruments.counters, instruments.gauges)).lower()
    assert [secret for secret in SECRETS if secret in told] == []
    assert len(instruments.counters) < 40


async def test_nothing_in_the_profiles_can_be_read(harvested: Harvest) -> None:
    """What is remembered are numbers and keyed hashes."""
    rows = harvested.guard.engine.memory.subjects.slab.rows.tobytes()
    assert [secret for secret in SECRETS if secret.encode() in rows] == []


async def test_a_refusal_tells_nothing_to_probe_by(harvested: Harvest) -> None:
    """No score, no threshold, no signal: what to do, whom to ask, and a reference."""
    reasons = [entry["reasons"] for entry in harvested.logs if "reasons" in entry]
    signals = {reason.partition("=")[0] for found in reasons for reason in found}
    assert signals
    for wire in harvested.wires:
        if wire.status == 429:
            told = wire.body.decode() + repr(wire.headers)
            assert [name for name in (*signals, "score", "threshold") if name in told] == []
            assert "abuse@example.com" in told


async def test_an_error_inside_the_guard_is_logged_without_its_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The text of an error may quote what was being read."""

    def broken(*_: object) -> None:
        raise ValueError(SECRETS)

    guard = guarded(teacher)
    monkeypatch.setattr(guard.engine, "admit", broken)
    with capture_logs() as logs:
        await harvest(guard, Time(), 3)
    assert [log["event"] for log in logs] == ["gateway_guard.internal_error"]
    assert [secret for secret in SECRETS if secret in repr(logs)] == []
