"""Made-up answers that are hard to attribute, a few microseconds each.

A third of each answer is boilerplate that all keys get. The rest is words and set phrases, both
drawn by Zipf's law, so that unrelated answers share runs as people's sentences do. A fifth answer a
question that several keys have asked, and those answers differ in few words only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Integers = npt.NDArray[np.int64]

WORDS: Final = 20_000
PHRASES: Final = 50_000
SENTENCES: Final = 600
_PHRASE_WORDS: Final = 4
_SENTENCE_WORDS: Final = 16
_SENTENCES_AN_ANSWER: Final = 8
_UNITS: Final = 100
"""Words and phrases of an answer besides boilerplate; about 250 words."""
_PIECES: Final = 9
"""Boilerplate stands between so many pieces of an answer."""
COMMON_SHARE: Final = 0.2
ASKED_BY: Final = 4
"""A common question is asked so often, by another key each time for the most part."""
_VARIED: Final = 0.03
_SINGLE: Final = 0.5
_POOL: Final = 1 << 19
_LETTERS: Final = np.frombuffer(b"etaoinshrdlucmfwypvbgk", "S1")


class Answer(NamedTuple):
    """An answer as units, and the boilerplate around them."""

    units: Integers
    sentences: Integers


class Composer:
    """Makes answers; the same seed makes the same."""

    def __init__(self, seed: int, questions: int) -> None:
        """Prepare words, phrases, boilerplate and ``questions`` that are common."""
        self._random = random = np.random.default_rng(seed)
        words = _words(random)
        phrases = self._joined(words, _zipf(random, WORDS, 1.0), PHRASES, _PHRASE_WORDS)
        self._sentences = self._joined(words, _zipf(random, WORDS, 1.0), SENTENCES, _SENTENCE_WORDS)
        self._table = [*words, *phrases]
        single = _zipf(random, WORDS, 1.0)
        several = WORDS + _zipf(random, PHRASES, 0.9)
        self._pool = np.where(random.random(_POOL) < _SINGLE, single, several)
        self._popular = _zipf(random, SENTENCES, 0.7)
        self._common = self._draw((max(1, questions), _UNITS))

    def fresh(self, count: int) -> list[Answer]:
        """Return answers, a fifth of them to common questions, as nobody has had them."""
        units = self._draw((count, _UNITS))
        common = self._random.random(count) < COMMON_SHARE
        asked = self._random.integers(0, len(self._common), count)
        varied = self._random.random((count, _UNITS)) < _VARIED
        units = np.where(common[:, None] & ~varied, self._common[asked], units)
        sentences = self._popular[self._random.integers(0, _POOL, (count, _SENTENCES_AN_ANSWER))]
        return [Answer(*pair) for pair in zip(units, sentences, strict=True)]

    def text(self, answer: Answer) -> str:
        """Write an answer out."""
        words = list(map(self._table.__getitem__, answer.units.tolist()))
        pieces = []
        size = -(-len(words) // _PIECES)
        for number, sentence in enumerate(answer.sentences.tolist()):
            pieces.append(" ".join(words[number * size : (number + 1) * size]))
            pieces.append(self._sentences[sentence])
        pieces.append(" ".join(words[len(answer.sentences) * size :]))
        return ". ".join(pieces)

    def half(self, text: str) -> str:
        """Return the half of a text that begins somewhere."""
        words = text.split(" ")
        begin = int(self._random.integers(0, max(1, len(words) // 2)))
        return " ".join(words[begin : begin + len(words) // 2])

    def changed(self, text: str, share: float) -> str:
        """Return a text with a share of its words replaced by others."""
        words = text.split(" ")
        for at in np.flatnonzero(self._random.random(len(words)) < share).tolist():
            words[at] = self._table[int(self._pool[self._random.integers(_POOL)])]
        return " ".join(words)

    def mixed(self, one: str, other: str) -> str:
        """Return the first half of a text and the second of another."""
        first, second = one.split(" "), other.split(" ")
        return " ".join(first[: len(first) // 2] + second[len(second) // 2 :])

    def paraphrased(self, text: str) -> str:
        """Return a text with every third word replaced, and its sentences in another order."""
        sentences = text.split(". ")
        order = self._random.permutation(len(sentences)).tolist()
        return self.changed(". ".join(sentences[at] for at in order), 1 / 3)

    def _draw(self, shape: tuple[int, int]) -> Integers:
        return self._pool[self._random.integers(0, _POOL, shape)]

    def _joined(self, words: Sequence[str], pool: Integers, count: int, length: int) -> list[str]:
        """Return strings of so many words each."""
        chosen = pool[self._random.integers(0, len(pool), (count, length))]
        return [" ".join(words[at] for at in row) for row in chosen.tolist()]


def _words(random: np.random.Generator) -> list[str]:
    """Return distinct words of two to eleven letters, those that come first being short."""
    lengths = np.clip(2 + np.arange(WORDS) // 2500 + random.integers(0, 4, WORDS), 2, 11)
    letters = random.choice(_LETTERS, (WORDS, 12)).tobytes().decode()
    found: dict[str, None] = {}
    for at, length in enumerate(lengths.tolist()):
        word = letters[12 * at : 12 * at + length]
        found[word if word not in found else letters[12 * at : 12 * at + 12]] = None
    return list(found)


def _zipf(random: np.random.Generator, count: int, exponent: float) -> Integers:
    """Return a pool in which the number n stands as often as Zipf's law says."""
    weights = np.arange(1, count + 1, dtype=np.float64) ** -exponent
    cumulated = np.cumsum(weights) / weights.sum()
    pool: Integers = cumulated.searchsorted(random.random(_POOL)).clip(max=count - 1)
    return pool
