"""Recurrence: which windows of its texts belong to the constant part of a subject?

A window is constant when it came in at least half of the subject's exchanges. Wording that asks for
more than an answer speaks with full weight there only: a victim may have been fed everything else.
"""

from __future__ import annotations

from operator import attrgetter
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from gateway_guard import profile
from gateway_guard.features.types import Cue
from gateway_guard.sketches import countmin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway_guard.features.types import Features

VARIABLE_CUE_WEIGHT = 0.1
"""What a cue weighs in text that a tool fetched and in the variable body."""

CONSTANT_SHARE = 0.5
"""A window is constant when it came in at least this share of a subject's exchanges."""

CUE_CONSTANT_SHARE = 0.75
"""A cue's window must come in more of them: a popular page can stand in half of them."""

FEWEST_RECURRENCES = 2.0
"""Nothing is constant that came less often than this."""

_TEXTS = attrgetter("texts")
_HASH = np.dtype(np.uint64)
_PACKED_HASH = Struct("=Q")
_PACKED_HIT = Struct("=IB??x")
_HIT = np.dtype(
    [
        ("place", np.uint32),
        ("family", np.uint8),
        ("from_tool", np.bool_),
        ("constant", np.bool_),
        ("", "V1"),
    ]
)
_STRIDE = profile.ROW.itemsize // 2
_START = profile.offset_of("shingles") // 2

Numbers = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]


class Windows(msgspec.Struct, frozen=True, gc=False):
    """The distinct windows of one exchange, packed for batches.

    ``hashes`` holds first the ``texts`` windows chosen from its texts, then those of its cue hits
    that are not among them. ``hits`` says which of all these each hit stands in.
    """

    hashes: bytes
    texts: int
    hits: bytes


class Recurrence(NamedTuple):
    """How constant n exchanges are.

    ``shares`` are those of their windows, shape (n,), ``cues`` the weights of cue families, shape
    (n, families).
    """

    shares: npt.NDArray[np.float32]
    cues: npt.NDArray[np.float32]


def pack(features: Features) -> Windows:
    """Pack the windows of an exchange: each counts once, however often a cue was found in it."""
    texts, hits = features.shingles, b""
    hashes = texts.tobytes()
    if not features.hits:
        return Windows(hashes, len(texts), hits)
    places = dict(zip(texts.tolist(), range(len(texts)), strict=True))
    for hit in features.hits:
        place = places.setdefault(hit.shingle, len(places))
        if place * _HASH.itemsize == len(hashes):
            hashes += _PACKED_HASH.pack(hit.shingle)
        hits += _PACKED_HIT.pack(place, hit.family, hit.from_tool, hit.constant)
    return Windows(hashes, len(texts), hits)


def update(
    rows: profile.RowArray,
    exchanges: Sequence[Windows],
    target: Numbers,
    which: Numbers,
    *,
    counted_before: bool = False,
) -> Recurrence:
    """Count the windows of exchanges in contiguous rows in place, then read how constant they are.

    An exchange counts in any number of rows: ``which`` names it and ``target`` its row. It is part
    of its own history, and of that of all others in the batch. Of what was counted before, nothing
    is counted again.
    """
    hashes = _Spread([item.hashes for item in exchanges], _HASH, which)
    sketch = target * _STRIDE + _START
    cells = countmin.cells(hashes.elements).take(hashes.index, axis=1)
    places = cells + sketch.repeat(hashes.sizes)
    counters = rows.view(np.uint16)
    if counted_before:
        counted = countmin.estimate(counters.take(places))
    else:
        counted = countmin.estimate(countmin.count(counters, places))
        rows["shingled"] += np.bincount(target, minlength=len(rows))
    shingled = rows["shingled"][target].repeat(hashes.sizes)
    constant = counted >= np.maximum(FEWEST_RECURRENCES, CONSTANT_SHARE * shingled)
    steady = counted >= np.maximum(FEWEST_RECURRENCES, CUE_CONSTANT_SHARE * shingled)
    _halve(rows)
    texts = np.fromiter(map(_TEXTS, exchanges), np.intp, len(exchanges))[which]
    hits = _Spread([item.hits for item in exchanges], _HIT, which)
    return Recurrence(_shares(constant, hashes.starts, texts), _cues(steady, hashes.starts, hits))


class _Spread:
    """What exchanges have of one kind, for each of the rows that they count in.

    Row by row, ``index`` says which of the ``elements`` are an exchange's, ``sizes`` how many, and
    ``starts`` where they begin in the index.
    """

    __slots__ = ("elements", "index", "sizes", "starts")

    def __init__(self, packed: list[bytes], layout: np.dtype[Any], which: Numbers) -> None:
        lengths = np.fromiter(map(len, packed), np.intp, len(packed)) // layout.itemsize
        self.elements: npt.NDArray[Any] = np.frombuffer(b"".join(packed), layout)
        self.sizes = lengths[which]
        self.starts = self.sizes.cumsum() - self.sizes
        shift = (lengths.cumsum() - lengths)[which] - self.starts
        self.index = np.arange(int(self.sizes.sum())) + shift.repeat(self.sizes)


def _shares(constant: Flags, starts: Numbers, texts: Numbers) -> npt.NDArray[np.float32]:
    """Return the share of each exchange's text windows that is constant; 0 for one without any."""
    before = np.zeros(len(constant) + 1, dtype=np.intp)
    np.cumsum(constant, out=before[1:])
    found = before[starts + texts] - before[starts]
    shares: npt.NDArray[np.float64] = found / np.maximum(1, texts)
    return shares.astype(np.float32)


def _cues(constant: Flags, starts: Numbers, spread: _Spread) -> npt.NDArray[np.float32]:
    """Return the weight of each cue family in each exchange, that of its weightiest hit."""
    cues = np.zeros((len(starts), len(Cue)), dtype=np.float32)
    if len(spread.index):
        hits = spread.elements[spread.index]
        exchange = np.arange(len(starts)).repeat(spread.sizes)
        recurs = constant[starts[exchange] + hits["place"]]
        full = (recurs | hits["constant"]) & ~hits["from_tool"]
        cues[exchange, hits["family"]] = VARIABLE_CUE_WEIGHT
        cues[exchange[full], hits["family"][full]] = 1.0
    return cues


def _halve(rows: profile.RowArray) -> None:
    full = rows["shingled"] >= countmin.HALVE_AT
    if full.any():
        rows["shingles"][full] >>= 1
        rows["shingled"][full] *= 0.5
