"""Programs that go about their business: services, batches, support bots."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from gateway_guard.demo import texts_apps as texts
from gateway_guard.demo.client import with_sdk
from gateway_guard.demo.clock import DAY, HOUR
from gateway_guard.demo.lexicon import fill
from gateway_guard.demo.people import Turn, chat
from gateway_guard.demo.prose import looks_chinese
from gateway_guard.demo.script import Act, Answer, Caller, Message, Parameters

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gateway_guard.demo.client import Client
    from gateway_guard.demo.script import Behaviour, Request
    from gateway_guard.demo.studio import Studio
    from gateway_guard.demo.texts_apps import Item

REQUESTS: Final = 110
EVAL_RUNS: Final = 4


def apps(studio: Studio) -> list[Caller]:
    """Return the programs of our own cast."""
    return [
        handbook(studio),
        queue_sorter(studio),
        translator(studio),
        invoice_reader(studio),
        product_pages(studio),
        support_bot(studio),
        nightly_eval(studio),
    ]


def handbook(studio: Studio) -> Caller:
    """Return a company's handbook search: long passages, short answers out of them."""
    rng = studio.rng("handbook")
    system = fill(rng, texts.RAG_SYSTEM, texts.WORDS)
    parameters = Parameters(temperature=0.2, max_tokens=600)
    client = studio.client(
        rng, "openai-python", organisation="fennel", system=system, parameters=parameters
    )
    return service(
        studio, "handbook search (RAG)", client, texts.rag_items(rng, REQUESTS), per_minute=3
    )


def queue_sorter(studio: Studio) -> Caller:
    """Return a program that sorts tickets into queues."""
    rng = studio.rng("queue sorter")
    parameters = Parameters(temperature=0.0, max_tokens=16)
    client = studio.client(rng, "openai-js", organisation="tarn", parameters=parameters)
    return service(
        studio, "ticket sorter", client, texts.classify_items(rng, REQUESTS), per_minute=12
    )


def translator(studio: Studio) -> Caller:
    """Return a program that translates what a shop writes."""
    rng = studio.rng("translator")
    client = studio.client(rng, "anthropic-python", organisation="alder")
    return service(
        studio, "shop translator", client, texts.translate_items(rng, REQUESTS), per_minute=6
    )


def invoice_reader(studio: Studio) -> Caller:
    """Return a program that reads invoices into JSON."""
    rng = studio.rng("invoice reader")
    parameters = Parameters(temperature=0.0, max_tokens=256, json_mode=True)
    client = studio.client(
        rng, "openai-python-async", organisation="oakhurst", parameters=parameters
    )
    return service(
        studio, "invoice reader", client, texts.extract_items(rng, REQUESTS), per_minute=20
    )


def product_pages(studio: Studio) -> Caller:
    """Return a product that writes pages for shops: single turns, long answers, no harvest."""
    rng = studio.rng("product pages")
    parameters = Parameters(temperature=0.8, max_tokens=1200)
    client = studio.client(
        rng,
        "openai-js",
        organisation="shelfwriter",
        system=texts.CONTENT_SYSTEM,
        parameters=parameters,
        stream=True,
    )
    return service(
        studio, "product page writer", client, texts.content_items(rng, REQUESTS), per_minute=2
    )


def support_bot(studio: Studio) -> Caller:
    """Return a support bot: many customers' short conversations under one key."""
    rng = studio.rng("support bot")
    system = fill(rng, texts.SUPPORT_SYSTEM, texts.WORDS)
    parameters = Parameters(temperature=0.3, max_tokens=500)
    client = studio.client(
        rng, "anthropic-js", organisation="sable", system=system, parameters=parameters, stream=True
    )
    acts = []
    for index, at in enumerate(studio.waking_hours(rng, 34)):
        turns = texts.support_conversation(rng)
        talk = [Turn(text, int(rng.lognormvariate(5.5, 0.5))) for text in turns]
        acts.append(Act(at, chat(client, talk, user=f"customer-{index}")))
    return Caller("support bot", "app", 1, tuple(acts))


def nightly_eval(studio: Studio) -> Caller:
    """Return a regression test: the same items night after night, four at a time."""
    rng = studio.rng("nightly eval")
    parameters = Parameters(temperature=0.0, max_tokens=64)
    client = studio.client(
        rng, "openai-python-async", organisation="copperline", parameters=parameters
    )
    items = texts.eval_items(rng, 40)
    nights = [run * (studio.days - 1) // (EVAL_RUNS - 1) for run in range(EVAL_RUNS)]
    acts = [
        act
        for night in nights
        for act in batch(client, iter(items), night * DAY + rng.uniform(0, 4) * HOUR, concurrency=4)
    ]
    return Caller("nightly eval", "app", 1, tuple(acts))


def service(
    studio: Studio, name: str, client: Client, items: Sequence[Item], *, per_minute: float
) -> Caller:
    """Return a program whose requests come as its own users cause them."""
    arrivals = studio.shifts(client.rng, len(items), per_minute)
    acts = (Act(at, serve(client, item)) for at, item in zip(arrivals, items, strict=True))
    return Caller(name, "app", 1, tuple(acts))


def serve(client: Client, item: Item, *, user: str | None = None) -> Behaviour:
    """Do one unit of work."""
    yield from with_sdk(work_request(client, item, user))


def batch(client: Client, items: Iterator[Item], at: float, *, concurrency: int) -> list[Act]:
    """Return workers that share a list of items."""
    return [Act(at, batch_worker(client, items)) for _ in range(concurrency)]


def batch_worker(client: Client, items: Iterator[Item]) -> Behaviour:
    """Work through what is left."""
    for item in items:
        yield from with_sdk(work_request(client, item))


def work_request(client: Client, item: Item, user: str | None = None) -> Request:
    """Return the request for one item."""
    text = item.answer or client.prose.cut(
        client.rng, item.output_len, chinese=looks_chinese(item.text)
    )
    told = client if item.system is None else replace(client, system=item.system)
    return told.request((Message("user", item.text),), Answer(text), user=user)
