"""Prompts that nobody has sent before, made fast enough to be made between two measurements."""

from __future__ import annotations

from random import Random
from typing import Final

_WORDS: Final = """
    the a this our their each every some most another about after against along among around
    before behind below between beyond during except for from inside into near off onto over
    since through toward under until upon with team invoice garden server customer meeting
    recipe budget report river engine letter holiday lesson contract database window neighbour
    paragraph delivery interview ticket schedule language museum battery bicycle kitchen harvest
    journey question answer summary section version feature release error message account
    payment station weather picture village hospital library teacher student doctor manager
    company office project market history wrote moved asked found built opened closed changed
    checked compared explained finished followed happened helped improved increased joined
    learned measured noticed offered planned prepared printed received removed repeated replaced
    returned reviewed shared started stopped studied suggested tested translated updated visited
    waited quickly slowly often rarely today yesterday again almost already always never perhaps
    really together twice blue green small large early late simple careful private public local
    broken ready recent quiet heavy short long
"""
_PHRASES: Final = 4096
_BREAKS: Final = (" ", " ", " ", " ", " ", ", ", ". ", "? ", "\\n")


class Texts:
    """Makes random texts of plain words, as they stand in a JSON string.

    A text is made of phrases of three words, so that no run of six words is likely to come twice.
    The same seed makes the same texts.
    """

    def __init__(self, seed: int) -> None:
        self._random = random = Random(seed)
        words = _WORDS.split()
        self._phrases = [
            (" ".join(random.choices(words, k=3)) + random.choice(_BREAKS)).encode()
            for _ in range(_PHRASES)
        ]
        self._mean_bytes = sum(map(len, self._phrases)) / _PHRASES

    def text(self, size_bytes: int) -> bytes:
        """Return a new text of about ``size_bytes``."""
        count = max(1, round(size_bytes / self._mean_bytes))
        return b"".join(self._random.choices(self._phrases, k=count))
