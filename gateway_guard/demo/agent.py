"""A coding agent in many organisations: one famous system prompt, tools, growing prefixes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from gateway_guard.demo import texts_agent as texts
from gateway_guard.demo.client import make_address, with_sdk
from gateway_guard.demo.clock import DAY, HOUR
from gateway_guard.demo.script import Act, Answer, Caller, Message, Parameters, ToolCall, Wait
from gateway_guard.demo.studio import STORY_DAYS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from gateway_guard.demo.client import Client
    from gateway_guard.demo.script import Behaviour
    from gateway_guard.demo.studio import Studio

ORGANISATIONS: Final = 20
TASKS: Final = 3
PARAMETERS: Final = Parameters(max_tokens=8192)


def coding_agent(studio: Studio) -> Caller:
    """Return the agent; half of its organisations are there from the first day, others later."""
    rng = studio.rng("coding agent")
    acts: list[Act] = []
    for index in range(ORGANISATIONS):
        client = organisation_client(studio, rng, index)
        first_day = 0.0 if index % 2 == 0 else rng.uniform(0, STORY_DAYS - 1)
        acts += (Act(at, task(client, rng.randint(4, 9))) for at in sittings(rng, first_day))
    return Caller("coding agent", "app", ORGANISATIONS, tuple(acts))


def organisation_client(studio: Studio, rng: Random, index: int) -> Client:
    """Return the agent as one organisation runs it."""
    return studio.client(
        rng,
        "anthropic-js",
        address=make_address(rng),
        organisation=f"org-{index:04d}",
        system=texts.SYSTEM,
        tools=texts.TOOLS,
        parameters=PARAMETERS,
        stream=True,
    )


def sittings(rng: Random, first_day: float) -> Iterator[float]:
    """Yield when one organisation works with the agent."""
    for day in sorted([first_day, *(rng.uniform(first_day, STORY_DAYS) for _ in range(TASKS - 1))]):
        yield day * DAY + rng.uniform(0, HOUR)


def task(client: Client, requests: int) -> Behaviour:
    """Work on a task: every answer but the last calls a tool; requests carry all before them."""
    rng = client.rng
    history: tuple[Message, ...] = (Message("user", texts.task(rng)),)
    for left in range(requests - 1, -1, -1):
        answer = step(client, last=left == 0)
        reply = yield from with_sdk(client.request(history, answer))
        if not reply.served:
            return
        results = (Message("tool", texts.result(rng), call_id=call.id) for call in answer.calls)
        history += (answer.message, *results)
        yield Wait(rng.uniform(0.3, 6.0))


def step(client: Client, *, last: bool) -> Answer:
    """Return an answer: a sentence, and the call of a tool unless it is the last one."""
    rng = client.rng
    sentence = client.prose.cut(rng, int(rng.lognormvariate(4.6, 0.6)))
    if last:
        return Answer(sentence)
    tool = rng.choice(texts.TOOLS)
    arguments = msgspec.json.encode(texts.arguments(rng, tool)).decode()
    return Answer(
        sentence, calls=(ToolCall(f"call_{rng.getrandbits(64):016x}", tool.name, arguments),)
    )
