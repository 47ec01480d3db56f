"""A ledger of many answers to many keys, and a data set that three of the keys have fed."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from gateway_guard.bench.ledger_texts import ASKED_BY, COMMON_SHARE, Composer
from gateway_guard.ledger.batches import Entries
from gateway_guard.ledger.fingerprints import Winnower
from gateway_guard.ledger.served import Served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gateway_guard.bench.ledger_texts import Answer

BEGIN: Final = 1_799_884_800.0  # 2027-01-14, 00:00 UTC
DAYS: Final = 7
MOST_FINGERPRINTS: Final = 512
_DAY: Final = 86_400.0
_PORTION: Final = 4096
_SEGMENT: Final = 16_384
_FLATTENING: Final = 20
"""The most active key has so many times fewer answers than Zipf's law would give it."""
_KEYS_AN_ORGANISATION: Final = 3
_SHARE_TAKEN: Final = 0.2


class Size(NamedTuple):
    """How much there is."""

    answers: int
    keys: int
    samples: int


class Scene(NamedTuple):
    """What was composed: the texts that were taken, of which key each, and what makes more."""

    thieves: tuple[str, ...]
    taken: list[str]
    whose: list[str]
    composer: Composer


def compose(directory: Path, key: bytes, size: Size, seed: int = 0) -> Scene:
    """Write a ledger and return what there is to find in it."""
    questions = int(size.answers * COMMON_SHARE / ASKED_BY)
    composer = Composer(seed, questions)
    random = np.random.default_rng(seed + 1)
    weights = 1.0 / (np.arange(size.keys) + _FLATTENING)
    whose = random.choice(size.keys, size.answers, p=weights / weights.sum())
    thieves = tuple(size.keys * share // 1000 for share in (8, 16, 24))
    picked = _picked(random, whose, thieves, int(size.samples * _SHARE_TAKEN))
    entries = Entries(directory, Winnower(key, most=MOST_FINGERPRINTS), BEGIN)
    taken: list[str] = []
    for first, answers in _portions(composer, size.answers):
        texts = [composer.text(answer) for answer in answers]
        last = first + len(texts)
        served = [
            _served(text, int(who), BEGIN + (first + at) * DAYS * _DAY / size.answers)
            for at, (text, who) in enumerate(zip(texts, whose[first:last], strict=True))
        ]
        for at in range(0, len(served), 16):
            entries.enter(served[at : at + 16])
        taken += [texts[at - first] for at in picked[(picked >= first) & (picked < last)].tolist()]
        if len(entries) >= _SEGMENT:
            entries.write(served[-1].at)
    entries.write(BEGIN + DAYS * _DAY)
    ids = [key_of(int(whose[at])).hex() for at in picked.tolist()]
    return Scene(tuple(key_of(thief).hex() for thief in thieves), taken, ids, composer)


def key_of(number: int) -> bytes:
    """Return the id of a key."""
    return b"\1" + number.to_bytes(15)


def _served(text: str, who: int, at: float) -> Served:
    organisation = b"\6" + (who // _KEYS_AN_ORGANISATION).to_bytes(15)
    template = b"\3\0" + bytes(6) + (who * 7919 % 997).to_bytes(8)
    name = blake2b(text.encode(), digest_size=16).digest()
    return Served(
        text, at, key_of(who), None, organisation, template, "model-1", "openai_chat", name
    )


def _picked(
    random: np.random.Generator,
    whose: np.ndarray[tuple[int], np.dtype[np.int64]],
    thieves: tuple[int, ...],
    count: int,
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Choose the answers that the thieves hand on, an equal part each."""
    chosen = [
        random.choice(np.flatnonzero(whose == thief), count // len(thieves), replace=False)
        for thief in thieves
    ]
    return np.sort(np.concatenate(chosen))


def _portions(composer: Composer, count: int) -> Iterator[tuple[int, list[Answer]]]:
    for first in range(0, count, _PORTION):
        yield first, composer.fresh(min(_PORTION, count - first))
