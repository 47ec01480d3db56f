"""One law for all classes: what a source does not record is drawn without regard to who asks.

A law may see what a request itself shows (its text, whether it goes on from an answer), and nothing
else: a law of its own for a class would be the label.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Final

from gateway_guard.demo.lengths import LengthLaw
from gateway_guard.exchange import Sampling

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from gateway_guard.corpora import Row
    from gateway_guard.lab.material import Material

_CHARS_A_SECOND: Final = 240.0
_FIRST_TOKEN_SECONDS: Final = 0.4
_LONGEST_GAP_SECONDS: Final = 6 * 3600.0
_SHORTEST_GAP_SECONDS: Final = 0.05
_POISSON_SECONDS: Final = (1.0, 600.0)
_THOUGHT: Final = (4.0, 0.9)
_SHORTEST_THOUGHT_SECONDS, _LONGEST_THOUGHT_SECONDS = 5.0, 3600.0
_TOOL_SECONDS: Final = (0.2, 5.0)
_TEMPERATURES: Final = (None, None, None, 0.0, 0.2, 0.7, 1.0)
_BUDGETS: Final = (None, None, None, 256, 512, 1024, 1024, 2048, 4096)


class Laws:
    """Draws what a source is silent on."""

    def __init__(self, material: Material) -> None:
        """Fit the laws on the rows and traces that record it."""
        self._lengths = LengthLaw(material.sources)
        self._traces = material.traces

    def answer_chars(self, rng: Random, row: Row) -> int:
        """Return the length of the answer: as recorded, else drawn from rows like this one."""
        return self._lengths.length(rng, row)

    def seconds(self, rng: Random, chars: int) -> float:
        """Draw how long an upstream takes for an answer of so many characters."""
        return _FIRST_TOKEN_SECONDS + chars / _CHARS_A_SECOND * rng.uniform(0.7, 1.4)

    def gaps(self, rng: Random) -> Iterator[float]:
        """Yield the seconds between the first requests of a client, those of a real one."""
        if not self._traces:
            mean = rng.uniform(*_POISSON_SECONDS)
            yield from (rng.expovariate(1.0 / mean) for _ in count())
        gaps = rng.choice(self._traces).gaps
        begin = rng.randrange(len(gaps))
        for at in count(begin):
            gap = gaps[at % len(gaps)]
            yield min(_LONGEST_GAP_SECONDS, max(_SHORTEST_GAP_SECONDS, gap))

    def thought(self, rng: Random, row: Row) -> float:
        """Draw the seconds between an answer and what follows it."""
        if row.role == "tool":
            return rng.uniform(*_TOOL_SECONDS)
        seconds = rng.lognormvariate(*_THOUGHT)
        return min(_LONGEST_THOUGHT_SECONDS, max(_SHORTEST_THOUGHT_SECONDS, seconds))

    def sampling(self, rng: Random) -> Sampling:
        """Draw a client's parameters."""
        return Sampling(temperature=rng.choice(_TEMPERATURES), max_tokens=rng.choice(_BUDGETS))
