"""Campaigns that hide: a hydra, an imitator of an honest business, a reseller that mixes."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING, Final

from gateway_guard.demo import pipelines, texts_apps, texts_harvest
from gateway_guard.demo.apps import serve, service
from gateway_guard.demo.client import USER_AGENTS, make_key, with_sdk
from gateway_guard.demo.clock import DAY, HOUR
from gateway_guard.demo.harvesters import arrival, harvest_request, insist
from gateway_guard.demo.lexicon import fill
from gateway_guard.demo.people import chat, own_talk
from gateway_guard.demo.script import Act, Caller, Parameters, Wait
from gateway_guard.demo.studio import ATTACK_DAY
from gateway_guard.demo.texts_people import conversation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from random import Random

    from gateway_guard.demo.client import Client
    from gateway_guard.demo.people import Talk
    from gateway_guard.demo.pipelines import Manner, Pipeline
    from gateway_guard.demo.script import Behaviour
    from gateway_guard.demo.studio import Studio
    from gateway_guard.demo.texts_apps import Item
    from gateway_guard.demo.texts_harvest import Question

KEYS: Final = 200
HYDRA_REQUESTS: Final = 4 * KEYS
HYDRA_WORKERS: Final = 40
VICTIM_REQUESTS: Final = 160
VICTIM_ORGANISATION: Final = "quarry-street"
RESELLER_TALKS: Final = 70
RESELLER_APP_REQUESTS: Final = 160
RESELLER_HARVEST: Final = 110
RESELLER_WORKERS: Final = 4
OWN_PIPELINE: Final = pipelines.Pipeline(
    name="own",
    known_from="nowhere: a campaign of the demo's own",
    parameters=Parameters(temperature=1.0, max_tokens=4096),
)


def hydra(
    studio: Studio, questions: Iterator[Question] | None = None, pipeline: Pipeline = OWN_PIPELINE
) -> Caller:
    """Return one campaign over many keys, each from a network of its own, four requests a key."""
    rng = studio.rng("hydra")
    if questions is None:
        questions = texts_harvest.wrapped(rng, texts_harvest.ARTICULATE, HYDRA_REQUESTS)
    agents = cycle(agent for agent in USER_AGENTS if agent.startswith("openai"))
    system, parameters = pipeline.system, pipeline.parameters
    clients = [
        studio.client(rng, next(agents), system=system, parameters=parameters) for _ in range(KEYS)
    ]
    return Caller("hydra of 200 keys", "hydra", KEYS, tuple(heads(rng, clients, questions)))


def heads(rng: Random, clients: Sequence[Client], questions: Iterator[Question]) -> Iterator[Act]:
    """Yield a campaign's workers; they take keys in turn, every other one without patience."""
    turns = zip(cycle(clients), questions, strict=False)
    at = arrival(rng)
    for worker in range(HYDRA_WORKERS):
        manner: Manner = "hammering" if worker % 2 else "obedient"
        yield Act(at + worker, head(turns, manner))


def head(turns: Iterator[tuple[Client, Question]], manner: Manner) -> Behaviour:
    """Ask with whatever key is next."""
    for client, question in turns:
        yield from insist(harvest_request(client, question), manner)


def victim_and_imitator(studio: Studio) -> list[Caller]:
    """Return an honest business, and a campaign under its template, organisation and network."""
    rng = studio.rng("victim")
    system = fill(rng, texts_apps.RAG_SYSTEM, texts_apps.WORDS)
    network = f"198.18.{rng.randrange(256)}"
    parameters = Parameters(temperature=0.2, max_tokens=700)
    client = studio.client(
        rng,
        "openai-python",
        address=f"{network}.10",
        organisation=VICTIM_ORGANISATION,
        system=system,
        parameters=parameters,
    )
    items = texts_apps.rag_items(rng, VICTIM_REQUESTS)
    at_work = service(studio, "", client, items, per_minute=2)
    victim = Caller("clinic's document search", "victim", 1, at_work.acts)
    return [victim, imitator(studio, system, network)]


def imitator(studio: Studio, system: str, network: str) -> Caller:
    """Return a campaign of young keys that looks like its victim wherever it can."""
    rng = studio.rng("imitator")
    clients = [
        studio.client(
            rng,
            "openai-python",
            address=f"{network}.{rng.randint(1, 254)}",
            organisation=VICTIM_ORGANISATION,
            system=system,
            parameters=OWN_PIPELINE.parameters,
        )
        for _ in range(KEYS)
    ]
    questions = texts_harvest.wrapped(rng, texts_harvest.TEXTBOOK, HYDRA_REQUESTS)
    return Caller("imitator of the clinic", "hydra", KEYS, tuple(heads(rng, clients, questions)))


def reseller(
    studio: Studio,
    talks: Sequence[Talk] | None = None,
    work: Sequence[Sequence[Item]] | None = None,
    questions: Iterator[Question] | None = None,
    pipeline: Pipeline = pipelines.RESPONSES,
) -> Caller:
    """Return a key behind which many customers chat and run programs, and one of them harvests."""
    rng = studio.rng("reseller")
    key, address = make_key(rng), "198.19.250.7"
    client = studio.client(rng, "openai-js", key=key, address=address)
    harvesting = studio.client(
        rng,
        "openai-js",
        key=key,
        address=address,
        system=pipeline.system,
        parameters=pipeline.parameters,
    )
    acts = [
        *customers(studio, client, talks or own_talks(rng)),
        *programs(studio, client, work or own_work(rng)),
    ]
    if questions is None:
        questions = texts_harvest.wrapped(rng, texts_harvest.PAIRS, RESELLER_HARVEST)
    at = ATTACK_DAY * DAY + rng.uniform(0, 12 * HOUR)
    acts += [
        Act(at + worker, customer_who_harvests(harvesting, questions))
        for worker in range(RESELLER_WORKERS)
    ]
    return Caller("reseller", "reseller", 1, tuple(acts))


def own_talks(rng: Random) -> list[Talk]:
    """Return the conversations of a reseller's customers."""
    return [own_talk(rng, conversation) for _ in range(RESELLER_TALKS)]


def own_work(rng: Random) -> list[list[Item]]:
    """Return the work of the programs of a reseller's customers."""
    return [
        texts_apps.classify_items(rng, RESELLER_APP_REQUESTS),
        texts_apps.translate_items(rng, RESELLER_APP_REQUESTS),
        texts_apps.rag_items(rng, RESELLER_APP_REQUESTS),
    ]


def customers(studio: Studio, client: Client, talks: Sequence[Talk]) -> Iterator[Act]:
    """Yield the conversations of a reseller's customers, five of each."""
    moments = studio.waking_hours(client.rng, len(talks))
    for index, (at, talk) in enumerate(zip(moments, talks, strict=True)):
        yield Act(at, chat(client, talk, user=f"customer-{index % 14}"))


def programs(studio: Studio, client: Client, work: Sequence[Sequence[Item]]) -> Iterator[Act]:
    """Yield the work of the programs of a reseller's customers."""
    for index, items in enumerate(work):
        arrivals = studio.shifts(client.rng, len(items), per_minute=4)
        for at, item in zip(arrivals, items, strict=True):
            yield Act(at, serve(client, item, user=f"program-{index}"))


def customer_who_harvests(client: Client, questions: Iterator[Question]) -> Behaviour:
    """Ask for one training example after another, with a moment in between."""
    for question in questions:
        yield from with_sdk(harvest_request(client, question, user="customer-77"))
        yield Wait(client.rng.uniform(2.0, 20.0))
