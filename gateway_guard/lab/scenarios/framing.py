"""Framing, each way: a campaign that looks like an honest program, or feeds it what it retrieves.

The victims have been there for two weeks. Nothing of what is done under their names, or found in
what they were sent, may cost them a request.
"""

from __future__ import annotations

from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Final

import msgspec

from gateway_guard.demo.lexicon import EVERYDAY, fill_distinct
from gateway_guard.exchange import Answer, Turn, text_digest
from gateway_guard.lab.asks import Manner
from gateway_guard.lab.casting import Part, programs
from gateway_guard.lab.doings import arrivals
from gateway_guard.lab.lives import Life
from gateway_guard.lab.scenarios import figures, sources
from gateway_guard.lab.scenarios.run import CAMPAIGN_AT, HOUR, Run, cut
from gateway_guard.lab.stage import DIGEST_KEY, Caller, caller

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from gateway_guard.corpora import Source
    from gateway_guard.lab.asks import Ask
    from gateway_guard.lab.scenarios.setup import Report, Scenario, Setup

_MOST: Final = 200
_EARLY: Final = 60
_EARLY_GAP_SECONDS: Final = 5 * HOUR
_GAP_SECONDS: Final = 5.0
_ATTACK_KEYS: Final = 120
_A_MINUTE: Final = 60.0
_COPIED_WORDS: Final = 12
_PAGES: Final = 3
_PAGE_CHARS: Final = 1500
_RETRIEVED_SHARE: Final = 0.4
_FACTS: Final = (
    "In {place} a {job} keeps {food} next to the {thing} until {month}.",
    "The {quality} {thing} of {name} was sold in {place} on a {day}.",
    "{company} has {n} people who know {subject}, most of them in {place}.",
    "A {animal} was seen near the office of {company} in {month}.",
    "For {subject} one needs a {thing}, {n} hours and some {food}.",
    "{name} wrote about {subject} and was read by {n} people in {place}.",
)
_FACTS_FOUND: Final = 6
_HEADING: Final = "Documents that were found for the question that stands below them:"
_CALL_SECONDS: Final = 0.5
_TEMPERATURE: Final = 0.2
_SYSTEM: Final = (
    "You are desk number {number} of a house that answers for others. Read what stands below, keep "
    "to it, and give back nothing but what was asked for, in the form that was asked for."
)


class Imitation(msgspec.Struct, frozen=True):
    """What of its victim a campaign puts on."""

    template: bool = False
    organisation: bool = False
    network: bool = False
    client: bool = False


class Victim(msgspec.Struct, frozen=True):
    """An honest program as everybody sees it."""

    part: Part
    who: Caller
    system: str
    organisation: str
    network: str
    client: str


WAYS: Final = {
    "template": Imitation(template=True),
    "organisation": Imitation(organisation=True),
    "network": Imitation(network=True),
    "client": Imitation(client=True),
    "everything": Imitation(template=True, organisation=True, network=True, client=True),
}


def _imitated(setup: Setup, way: str) -> Report:
    """Let young keys harvest in the likeness of each victim in turn."""
    imitation = WAYS[way]
    run, victims, source = _met(setup, way, setup.size(4, 2))
    size = setup.size(600, 300)
    rows = sources.shuffled(setup, source, size * len(victims))
    for number, victim in enumerate(victims):
        likeness = [
            run.campaign.key(
                f"{number} {key}",
                network=victim.network if imitation.network else "",
                client=victim.client if imitation.client else "openai-python",
                organisation=victim.organisation if imitation.organisation else "",
            )
            for key in range(_ATTACK_KEYS)
        ]
        asks = run.asks(source, rows[number :: len(victims)][:size])
        if imitation.template:
            asks = _in_template(asks, victim)
        flood = run.campaign.flood(run.rng, asks, likeness, per_minute=_A_MINUTE)
        run.stage.enter(CAMPAIGN_AT, flood)
        _work(run, victim, list(_requests(run, victim)))
    run.stage.play()
    return _reported(run, victims)


def _phrase(setup: Setup) -> Report:
    """Have published extraction prompts stand in pages that victims retrieve."""
    run, victims, source = _met(setup, "phrase", len(RETRIEVALS))
    rows = sources.shuffled(setup, source, _PAGES)
    pages = [row.prompt[:_PAGE_CHARS] for row in rows]
    for victim, retrieve in zip(victims, RETRIEVALS.values(), strict=False):
        asks = _requests(run, victim)
        found = [retrieve(run.rng, ask, run.rng.choice(pages)) for ask in asks]
        _work(run, victim, [ask for steps in found for ask in steps])
    run.stage.play()
    lives = [victim.who.life for victim in victims]
    refused = {way: life.innocent_refused for way, life in zip(RETRIEVALS, lives, strict=False)}
    return _reported(run, victims) | {"retrievals": refused}


def _met(setup: Setup, way: str, most: int) -> tuple[Run, list[Victim], Source]:
    """Return a stage with its victims and the source that an attacker draws on."""
    source = sources.with_template(setup, 1)[0]
    parts = _of_different_sources(setup, most)
    names = {part.source for part in parts}
    held = [each for each in setup.material.of_class("app") if each.name in names]
    run = Run(setup, [source, *held], f"framing {way}")
    run.hide(setup.size(60, 20), 10)
    return run, [_victim(run, part, number) for number, part in enumerate(parts)], source


def _of_different_sources(setup: Setup, most: int) -> list[Part]:
    """Return programs of single questions, of as many sources as there are."""
    rng = setup.rng("victims")
    parts = [part for part in programs(setup.material, setup.seed) if part.single]
    rng.shuffle(parts)
    first = {part.source: part for part in parts}
    chosen = [*first.values(), *(part for part in parts if part not in first.values())]
    return [
        msgspec.structs.replace(cut(part, _MOST), name=f"victim {part.name}")
        for part in chosen[:most]
    ]


def _victim(run: Run, part: Part, number: int) -> Victim:
    organisation, network = f"house {number}", f"network of {part.name}"
    client = f"client of {part.name}"
    life = Life(part.text_class, part.source, part.name)
    who = caller(life, network=network, client=client, organisation=organisation)
    run.stage.join(who)
    run.stage.judge.of_source.pop(f"{part.text_class}_{part.source}", None)
    return Victim(part, who, _SYSTEM.format(number=number), organisation, network, client)


def _requests(run: Run, victim: Victim) -> Iterator[Ask]:
    room = run.rng.choice((256, 700, 1024))
    sampling = msgspec.structs.replace(
        run.setup.laws.sampling(run.rng), temperature=_TEMPERATURE, max_tokens=room
    )
    manner = Manner(sampling, victim.system)
    for talk in victim.part.talks:
        yield run.composer.writer.ask(run.rng, talk[0], manner)


def _work(run: Run, victim: Victim, asks: list[Ask]) -> None:
    """Let a victim work for two weeks, then all through the campaign and after it."""
    before, during = iter(asks[:_EARLY]), iter(asks[_EARLY:])
    run.stage.enter(0.0, arrivals(run.stage, victim.who, before, _gaps(run, _EARLY_GAP_SECONDS)))
    late = _gaps(run, _GAP_SECONDS)
    run.stage.enter(CAMPAIGN_AT, arrivals(run.stage, victim.who, during, late))


def _gaps(run: Run, mean: float) -> Iterator[float]:
    return (run.rng.uniform(0.5, 1.5) * mean for _ in count())


def _in_template(asks: Iterator[Ask], victim: Victim) -> Iterator[Ask]:
    """Put questions where a victim's own would stand: its system text around, its first words."""
    words = victim.part.talks[0][0].prompt.split()
    head, tail = " ".join(words[:_COPIED_WORDS]), " ".join(words[-_COPIED_WORDS:])
    for ask in asks:
        turn = ask.exchange.turns[-1]
        own = Turn(turn.role, f"{head}\n{turn.text}\n{tail}")
        yield _with_turns(ask, Turn("system", victim.system), own)


def _found(rng: Random, page: str) -> str:
    """Return what a search finds: some of it is a page with a published prompt."""
    if rng.random() < _RETRIEVED_SHARE:
        return page
    return "\n".join(fill_distinct(rng, _FACTS, EVERYDAY, _FACTS_FOUND))


def _into_body(rng: Random, ask: Ask, page: str) -> Iterator[Ask]:
    """Put what was found before each question, under a line that says what it is."""
    yield _before(ask, f"{_HEADING}\n{_found(rng, page)}")


def _bare(rng: Random, ask: Ask, page: str) -> Iterator[Ask]:
    """Put what was found before each question, and nothing before that."""
    yield _before(ask, _found(rng, page))


def _without_system(rng: Random, ask: Ask, page: str) -> Iterator[Ask]:
    """Put what was found before each question, with no system text to tell the program by."""
    for found in _into_body(rng, ask, page):
        yield _with_turns(found, *[turn for turn in found.exchange.turns if turn.role != "system"])


def _by_tool(rng: Random, ask: Ask, page: str) -> Iterator[Ask]:
    """Have the answer to every question call a tool, which fetches a page."""
    call = f"call_{rng.getrandbits(64):016x}"
    answer = Answer(
        tool_calls=1, finish="tool_calls", digests=(text_digest("", DIGEST_KEY, (call,)),)
    )
    yield msgspec.structs.replace(ask, answer=answer, text="", seconds=_CALL_SECONDS)
    fetched = (Turn("assistant", "", call_ids=(call,)), Turn("tool", page))
    yield _with_turns(ask, *ask.exchange.turns, *fetched)


RETRIEVALS: Final = {
    "under a heading": _into_body,
    "by a tool": _by_tool,
    "without a system text": _without_system,
    "at the very beginning": _bare,
}


def _before(ask: Ask, text: str) -> Ask:
    *before, own = ask.exchange.turns
    return _with_turns(ask, *before, Turn(own.role, f"{text}\n\n{own.text}"))


def _with_turns(ask: Ask, *turns: Turn) -> Ask:
    exchange = msgspec.structs.replace(ask.exchange, turns=turns)
    return msgspec.structs.replace(ask, exchange=exchange)


def _reported(run: Run, victims: list[Victim]) -> Report:
    lives = [victim.who.life for victim in victims]
    refused = sum(life.innocent_refused for life in lives)
    report = figures.of_run(run, 200)
    requests = sum(life.requests for life in lives)
    return figures.total(
        "none of the victims' requests refused",
        {"framing": report},
        met=bool(victims) and not refused,
        victims={life.name: life.innocent_refused for life in lives},
        victim_requests=requests,
        victim_refused=refused,
    )


def framings() -> dict[str, Scenario]:
    """Return a scenario for each way."""
    found: dict[str, Scenario] = {f"framing_{way}": partial(_imitated, way=way) for way in WAYS}
    return {**found, "framing_phrase": _phrase}
