"""Who there is: people of distinct conversations, one program a stream, harvesting keys."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Final

import msgspec

from gateway_guard.corpora import Row, TextClass
from gateway_guard.demo.prose import looks_chinese
from gateway_guard.lab.asks import LONGEST_TALK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway_guard.corpora import Source
    from gateway_guard.lab.material import Material, Talk

FEWEST_OF_PERSON: Final = 60
FEWEST_OF_PROGRAM: Final = 60
FEWEST_OF_HARVEST: Final = 100
MOST_OF_PROGRAM: Final = 200
MOST_OF_HARVEST: Final = 240


class Part(msgspec.Struct, frozen=True):
    """What one key will ask, in order: its conversations, most of them of one request."""

    text_class: TextClass
    source: str
    name: str
    talks: tuple[tuple[Row, ...], ...]

    @property
    def requests(self) -> int:
        """Return the number of requests."""
        return sum(map(len, self.talks))

    @property
    def single(self) -> bool:
        """Tell whether no request goes on from another."""
        return all(len(talk) == 1 for talk in self.talks)

    @property
    def chinese(self) -> bool:
        """Tell whether most of its conversations begin in Chinese."""
        return 2 * sum(looks_chinese(talk[0].prompt) for talk in self.talks) > len(self.talks)

    @property
    def first_turns(self) -> Part:
        """Return the same with nothing but the first request of each conversation."""
        return msgspec.structs.replace(self, talks=tuple([talk[:1] for talk in self.talks]))


def people(material: Material, seed: int) -> list[Part]:
    """Return every person there are enough conversations for; none is given out twice."""
    found: list[Part] = []
    for source in material.of_class("human"):
        talks = _shuffled(source, seed)
        taken: list[Talk] = []
        for talk in talks:
            taken.append(talk)
            if sum(map(len, taken)) >= FEWEST_OF_PERSON:
                name = f"{source.name} person {len(found)}"
                found.append(Part("human", source.name, name, tuple(taken)))
                taken = []
    return found


def programs(material: Material, seed: int) -> list[Part]:
    """Return one program for each stream that has enough requests."""
    found = []
    for source in material.of_class("app"):
        for stream, conversations in source.streams().items():
            talks = [tuple(talk[:LONGEST_TALK]) for talk in conversations]
            Random(f"{seed}:{source.name}:{stream}").shuffle(talks)
            part = _up_to(MOST_OF_PROGRAM, talks)
            program = Part("app", source.name, f"{source.name} program {stream}", part)
            if program.requests >= FEWEST_OF_PROGRAM:
                found.append(program)
    return found


def harvesters(material: Material, seed: int, keys: int) -> list[Part]:
    """Return so many harvesting keys of each source; a key asks nothing twice.

    Keys of one source are drawn independently, so they may share questions.
    """
    found = []
    for source in material.of_class("harvest"):
        for number in range(keys):
            talks = _up_to(MOST_OF_HARVEST, _shuffled(source, seed, number))
            name = f"{source.name} harvester {number}"
            part = Part("harvest", source.name, name, talks)
            if part.requests >= FEWEST_OF_HARVEST:
                found.append(part)
    return found


def _shuffled(source: Source, seed: int, number: int = 0) -> list[Talk]:
    talks = [tuple(talk[:LONGEST_TALK]) for talk in source.conversations()]
    Random(f"{seed}:{source.text_class}:{source.name}:{number}").shuffle(talks)
    return talks


def _up_to(most: int, talks: list[Talk]) -> tuple[Talk, ...]:
    """Return the first talks that make so many requests in all."""
    return tuple(_taken(most, talks))


def _taken(most: int, talks: list[Talk]) -> Iterator[Talk]:
    made = 0
    for talk in talks:
        if made >= most:
            return
        yield talk
        made += len(talk)
