"""One law for the length of answers, whoever asks: fitted on the rows that record it.

It sees what a request itself shows, the length of its prompt and what it asks for, and nothing
else. A law per class would be the label itself.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from gateway_guard.demo.prose import looks_chinese

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from random import Random

    from gateway_guard.corpora import Row, Source

    Cell = tuple[str, bool, int]

# A large source must not be the law.
ROWS_PER_SOURCE: Final = 1500
FEWEST_ROWS: Final = 25
READ_CHARS: Final = 400
# Where a folder records no length at all: half of the answers have 200 to 800 characters.
UNKNOWN: Final = (6.0, 1.0)
ASKS: Final = {
    "choice": r"yes or no|true or false|^\(?[A-D][.):]|pick one|options:|answer:\s*$"
    r"|which of the following",
    "translation": r"translat|翻译",
    "code": r"\b(code|function|script|program|implement|sql|regex|html|python)\b|代码|编程",
    "text": r"\b(write|describe|explain|create|generate|compose|list|story|essay|detailed?|step by"
    r"|summari[sz]e|plan|imagine|rewrite)\b|写|描述|解释|列出|详细",
    "question": r"[?？]\s*$",
}
PATTERNS: Final = {
    name: re.compile(pattern, re.IGNORECASE | re.MULTILINE) for name, pattern in ASKS.items()
}


class LengthLaw:
    """Draws the length of an answer, in characters, from the rows that are most like a prompt."""

    def __init__(self, sources: Iterable[Source]) -> None:
        self._by_cell: dict[Cell, list[int]] = defaultdict(list)
        self._by_ask: dict[str, list[int]] = defaultdict(list)
        self._all: list[int] = []
        for source in sources:
            known = [row for row in source.rows if row.output_len is not None]
            for row in known[:: max(1, len(known) // ROWS_PER_SOURCE)]:
                self._learn(row.prompt, int(row.output_len or 0))

    def length(self, rng: Random, row: Row) -> int:
        """Return the length of a row's answer: as recorded, else drawn."""
        return self.draw(rng, row.prompt) if row.output_len is None else int(row.output_len)

    def draw(self, rng: Random, prompt: str) -> int:
        """Draw the length of the answer to a prompt."""
        ask, *_ = cell = describe(prompt)
        for lengths in (self._by_cell.get(cell, []), self._by_ask.get(ask, []), self._all):
            if len(lengths) >= FEWEST_ROWS:
                return rng.choice(lengths)
        return int(rng.lognormvariate(*UNKNOWN))

    def _learn(self, prompt: str, length: int) -> None:
        cell = describe(prompt)
        self._by_cell[cell].append(length)
        self._by_ask[cell[0]].append(length)
        self._all.append(length)


def describe(prompt: str) -> Cell:
    """Return what a prompt shows: what it asks for, its script, the logarithm of its length."""
    ends = prompt[:READ_CHARS] + "\n" + prompt[-READ_CHARS:]
    ask = next((name for name, pattern in PATTERNS.items() if pattern.search(ends)), "other")
    return ask, looks_chinese(prompt), len(prompt).bit_length()


def token_room(lengths: Sequence[int]) -> int:
    """Return the power of two of tokens, from 16 to 1,024, that holds the longest answer."""
    longest = max(lengths, default=0) // 4
    return next((room for room in (16, 32, 64, 128, 256, 512) if room > longest), 1024)
