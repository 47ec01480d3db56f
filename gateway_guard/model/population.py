"""Population: what people ask, as one mean vector, and how far from it a subject asks.

The statistic is the linear maximum mean discrepancy (Gretton et al., 2012) between the texts of a
subject and a reference: the squared distance of their means. A mean of n random unit vectors is
about 1/n away from its expectation, so the pairs of a text with itself are left out (a U-statistic)
and the statistic is 0 on average for texts drawn from the reference, however few they are.
"""

from __future__ import annotations

import math
import tomllib
from operator import mul
from typing import TYPE_CHECKING

import msgspec

from gateway_guard.model.words import WIDTH

if TYPE_CHECKING:
    from collections.abc import Sequence

FORMAT = 1
_HEADER = """\
# The mean of texts that people ask assistants, each hashed to a direction under a published seed.
# An aggregate: no text and no word can be read from it. Made by `gateway-guard lab population`.
"""


class Population(msgspec.Struct, frozen=True):
    """A reference: the mean direction of many people's texts, under the hashes of one seed.

    Attributes:
        seed: of the hashes that it was made with.
        mean: ``WIDTH`` numbers, at most 1 long together.
        texts: how many it was made from.
        sources: the names of the collections that it was made from, each of the same weight.
        square: that of the mean's length; it is computed.

    """

    seed: int
    mean: tuple[float, ...]
    texts: int = 0
    sources: tuple[str, ...] = ()
    square: float = 0.0

    def __post_init__(self) -> None:
        """Compute the square of the mean's length, which every shift needs."""
        msgspec.structs.force_setattr(self, "square", _dot(self.mean, self.mean))

    def shift(self, total: Sequence[float], count: float, squares: float) -> float:
        """Return the squared distance of the mean of texts from the reference, about -1 to 4.

        ``total`` is the sum of their directions, each times its weight, ``count`` the sum of their
        weights and ``squares`` that of the weights' squares, less than the square of ``count``.
        """
        own = (_dot(total, total) - squares) / (count * count - squares)
        return own - 2.0 * _dot(total, self.mean) / count + self.square


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: int
    seed: int
    mean: tuple[float, ...]
    texts: int
    sources: tuple[str, ...]


def dump_population(population: Population) -> str:
    """Return a population as TOML."""
    mean = "".join(f"  {value:.6f},\n" for value in population.mean)
    sources = ", ".join(f'"{name}"' for name in population.sources)
    return (
        f"{_HEADER}format = {FORMAT}\nseed = {population.seed}\ntexts = {population.texts}\n"
        f"sources = [{sources}]\nmean = [\n{mean}]\n"
    )


def parse_population(data: bytes) -> Population:
    """Read a population from TOML.

    Raises:
        ValueError: it is of another format, or something is missing or makes no sense.

    """
    file = msgspec.convert(tomllib.loads(data.decode()), _File)
    if file.format != FORMAT:
        message = f"its format is {file.format}, not {FORMAT}"
        raise ValueError(message)
    norm = math.sqrt(_dot(file.mean, file.mean))
    if len(file.mean) != WIDTH or not norm <= 1.0 or not 0 <= file.seed < 1 << 64:
        message = f"its mean is no {WIDTH} numbers of length 1 at most, or its seed too large"
        raise ValueError(message)
    return Population(file.seed, file.mean, file.texts, file.sources)


def _dot(left: Sequence[float], right: Sequence[float]) -> float:
    return float(sum(map(mul, left, right)))
