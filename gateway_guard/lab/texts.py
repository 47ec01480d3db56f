"""Read texts as the guard does, many at a time, and none of them as part of a request."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from gateway_guard.exchange import Turn
from gateway_guard.features.reading import Reading, longest_buffer, read_texts
from gateway_guard.features.seeds import Seeds
from gateway_guard.features.survey import Text, survey
from gateway_guard.features.windows import WindowHasher

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Read = tuple[list[Text], Reading]
"""The texts of an exchange, and how they were read."""

BUDGET: Final = 1 << 16
_AT_ONCE: Final = 64
_NO_SECRET: Final = b"what is made here depends on no secret"


def readings(texts: Iterable[str]) -> Iterator[list[Read]]:
    """Yield texts as they are read, each as if a caller wrote it, some at a time."""
    seeds = Seeds.derive(_NO_SECRET)
    hasher = WindowHasher(seeds.numbers, longest=longest_buffer(BUDGET))
    rest = iter(texts)
    while some := list(islice(rest, _AT_ONCE)):
        found = []
        for text in some:
            body = survey((Turn("user", text),), seeds.text, _unknown).body
            own = [] if body is None else [body]
            found.append((own, read_texts(own, hasher, budget=BUDGET, seed=seeds.place)))
        yield found


def _unknown(_: int) -> None:
    return None
