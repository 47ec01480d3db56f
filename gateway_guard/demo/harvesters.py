"""Harvesters with one key: workers in a closed loop, as many as the pipeline runs."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Final

from gateway_guard.demo import pipelines, texts_harvest
from gateway_guard.demo.client import hammering, with_sdk
from gateway_guard.demo.clock import DAY, HOUR
from gateway_guard.demo.prose import looks_chinese
from gateway_guard.demo.script import Act, Answer, Caller, Message, Wait
from gateway_guard.demo.studio import ATTACK_DAY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from gateway_guard.demo.client import Client
    from gateway_guard.demo.pipelines import Manner, Pipeline
    from gateway_guard.demo.script import Behaviour, Request
    from gateway_guard.demo.studio import Studio
    from gateway_guard.demo.texts_harvest import Question

REQUESTS: Final = 300
FIRST_SEED: Final = 976
# Workers of one process do not begin in the same instant.
STAGGER_SECONDS: Final = 0.2


def harvesters(studio: Studio) -> list[Caller]:
    """Return the harvesters of our own cast that use one key."""
    return [
        own_harvester(studio, "Alpaca-style harvester", "openai-python", pipelines.SELF_INSTRUCT),
        own_harvester(studio, "Evol-style harvester", "openai-python", pipelines.EVOL_INSTRUCT),
        own_harvester(
            studio, "reasoning harvester", "openai-python-async", pipelines.OPEN_THOUGHTS
        ),
    ]


def own_harvester(studio: Studio, name: str, agent: str, pipeline: Pipeline) -> Caller:
    """Return a harvester with texts of our own."""
    write = {
        "self_instruct": texts_harvest.self_instruct,
        "evol_instruct": texts_harvest.evolve,
        "open_thoughts": texts_harvest.reasoning,
    }[pipeline.name]
    rng = studio.rng(name)
    return harvester(studio, name, agent, write(rng, REQUESTS), pipeline)


def harvester(
    studio: Studio, name: str, agent: str, questions: Iterator[Question], pipeline: Pipeline
) -> Caller:
    """Return a caller that puts questions to the model as a pipeline does."""
    rng = studio.rng(f"{name}'s loop")
    client = studio.client(rng, agent, system=pipeline.system, parameters=pipeline.parameters)
    return Caller(name, "harvest", 1, tuple(loop(client, questions, pipeline, arrival(rng))))


def arrival(rng: Random) -> float:
    """Draw when an attacker comes: after a week of quiet."""
    return ATTACK_DAY * DAY + rng.uniform(0, 20 * HOUR)


def loop(
    client: Client, questions: Iterator[Question], pipeline: Pipeline, at: float
) -> Iterator[Act]:
    """Yield a pipeline's workers; they share the questions."""
    seeds = count(FIRST_SEED) if pipeline.seeded else None
    for worker in range(pipeline.concurrency):
        behaviour = worker_loop(client, questions, pipeline, seeds)
        yield Act(at + worker * STAGGER_SECONDS, behaviour)


def worker_loop(
    client: Client, questions: Iterator[Question], pipeline: Pipeline, seeds: Iterator[int] | None
) -> Behaviour:
    """Ask one question after another; what is refused for good is left out."""
    for question in questions:
        seed = next(seeds) if seeds is not None else None
        request = harvest_request(client, question, seed=seed)
        yield from (insist(request, pipeline.manner))
        if pipeline.pause_seconds:
            yield Wait(pipeline.pause_seconds)


def insist(request: Request, manner: Manner) -> Behaviour:
    """Ask in the manner of the pipeline."""
    if manner == "hammering":
        yield from hammering(request)
    else:
        yield from with_sdk(request)


def harvest_request(
    client: Client, question: Question, *, user: str | None = None, seed: int | None = None
) -> Request:
    """Return the request for one question."""
    prose, rng = client.prose, client.rng
    chinese = looks_chinese(question.text)
    text = question.answer or prose.cut(rng, question.output_len, chinese=chinese)
    reasoning = prose.cut(rng, question.reasoning_len) if question.reasoning_len else ""
    told = client if question.system is None else replace(client, system=question.system)
    return told.request(
        (Message("user", question.text),),
        Answer(text, reasoning),
        user=user,
        harvest=True,
        seed=seed,
    )
