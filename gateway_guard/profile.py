"""Profile: what is remembered of one subject, as one row of the slab.

The row is a structured NumPy type, so that a row's bytes are its snapshot. Everything that can be a
sum is one: rows written by different replicas are combined, copies of one writer's row are joined,
and no order of doing so matters.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from gateway_guard.sketches import cardinality, countmin, linear

RowArray = npt.NDArray[Any]

WIDTH = 192
USED = 84
"""Places of a linear slice in use; those behind them are reserved, zero and never decayed."""
LAYOUT_VERSION = 2


class Slot(IntEnum):
    """Places in a linear slice. Each exchange adds its value once."""

    EXCHANGES = 0
    REFUSED = 1
    ABANDONED = 2
    REJECTED = 3
    SINGLE = 4  # nothing of the claimed history was observed
    CLAIMED = 5  # history was claimed, whether observed or not
    ANSWERED = 6  # an answer was seen to its end
    ANSWER_LOG = 7  # log2 of the answer's characters
    QUESTION_LOG = 8  # log2 of the variable part's characters
    YIELD = 9  # long answer for a short question, 0 to 1
    CONSTANT = 10  # share of the text that recurs
    CEILING = 11  # output budget near the ceiling, 0 to 1
    THINKING = 12  # thinking budget near the ceiling, 0 to 1
    REASONING_CUE = 13
    SYNTHESIS_CUE = 14
    RUBRIC_CUE = 15
    EXTRACTION_CUE = 16
    LOGITS = 17  # log-probabilities or logit bias asked for, 0 to 1
    MULTIPLE = 18  # more than one answer asked for
    TOOLS = 19
    INFLIGHT = 20  # exchanges of the subject under way at admission, itself included
    INFLIGHT_SQUARED = 21
    REFILL = 22  # admitted as another one of the subject had just ended
    YOUNG = 23  # under a young key
    ITEMS_LOG = 24
    UNSPACED = 25
    IMAGES = 26
    STREAMED = 27
    OBSERVED = 28
    SHINGLED = 29  # had windows that could recur
    DETERMINISTIC = 30  # temperature 0; seeds may differ
    REPEATED_ANCHOR = 31  # reserved for the content anchor's repetitions
    REASONED = 32  # reasoning was served
    TRUNCATED = 33  # the answer ran into its output budget
    CONTAINED = 34  # answers that stand in what was asked, as far as they could be compared
    COMPARED = 35  # answers that could be compared with what was asked
    DECLINED = 36  # the upstream declined to answer
    REWORDED = 37  # says much of what was declined before, in other words
    EARLY = 38  # in the first minutes of a young key
    LABEL = 39  # the first of eight places: answers by the remainder of their hash
    TRAIN = 48  # asks an item of a train corpus
    TEST = 49  # asks an item of a test corpus
    DIRECTED = 50  # the caller said something new, whose direction is known
    DIRECTED_SQUARES = 51  # squares of the weights with which it counted
    DIRECTION = 52  # the first of WIDTH places: the sum of directions


LABEL_PLACES = tuple(range(Slot.LABEL, Slot.LABEL + 8))
"""Where answers are counted by their hash: a few labels stand in a few of these places."""


class Cardinality(IntEnum):
    """The five sets whose sizes are estimated."""

    BODIES = 0
    NETWORKS_AND_CLIENTS = 1
    KEYS = 2
    YOUNG_KEYS = 3
    TERMS = 4


VALUE_SETS = (
    *(Cardinality.BODIES, Cardinality.NETWORKS_AND_CLIENTS, Cardinality.NETWORKS_AND_CLIENTS),
    *(Cardinality.KEYS, Cardinality.YOUNG_KEYS, Cardinality.TERMS, Cardinality.TERMS),
)
"""The sets of an exchange's values: body, network, client, key, young key, two terms."""

ROW = np.dtype(
    [
        ("linear", np.float32, (2, WIDTH)),
        ("shingles", np.uint16, (countmin.DEPTH, countmin.WIDTH)),
        ("registers", np.uint8, (len(Cardinality), 2, cardinality.REGISTERS)),
        ("counts", np.uint32, (len(Cardinality), 2)),
        ("subject", np.uint8, 16),
        ("first_seen_at", np.float64),
        ("last_seen_at", np.float64),
        ("updated_at", np.float64),
        ("until_at", np.float64),
        ("paced_at", np.float64),
        ("sequence", np.uint64),
        ("epoch", np.uint32),
        ("reset_epoch", np.uint32),
        ("panes", np.int32, 2),
        ("shingled", np.float32),
        ("offences", np.uint16),
        ("action", np.uint8),
        ("version", np.uint8),
        ("reserved", np.uint8, 40),
    ]
)
"""One profile: 4,008 bytes. ``updated_at`` is the instant the slices were last decayed to."""

_SET_PANES = 2 * np.array(VALUE_SETS)


class Reading(msgspec.Struct, frozen=True, gc=False):
    """A profile as signals read it, decayed to the time of reading.

    ``fast`` and ``slow`` are the linear slices as lists in the order of ``Slot``. Cardinalities
    come as pairs of the estimated number of different values and the number of values seen, both
    from the same two panes.
    """

    fast: list[float]
    slow: list[float]
    bodies: tuple[float, int]
    keys: tuple[float, int]
    young_keys: tuple[float, int]
    places: tuple[float, int]
    terms: tuple[float, int] = (0.0, 0)


def offset_of(field: str) -> int:
    """Return the byte at which a field of a row begins."""
    return dict(ROW.fields or {})[field][1]


_REGISTERS_AT, _COUNTS_AT = offset_of("registers"), offset_of("counts") // 4


def empty(count: int = 1) -> RowArray:
    """Return rows of which nothing is known, in the present layout."""
    rows = np.zeros(count, dtype=ROW)
    rows["version"] = LAYOUT_VERSION
    return rows


def pane_of(wall_at: float) -> int:
    """Return the number of the wall-clock-aligned pane that an instant falls into."""
    return int(wall_at // cardinality.PANE_SECONDS)


def turn_panes(rows: RowArray, pane: int) -> None:
    """Begin pane ``pane`` in rows whose place for it still holds another one."""
    place = pane & 1
    stale = rows["panes"][:, place] != pane
    if stale.any():
        rows["registers"][stale, :, place] = 0
        rows["counts"][stale, :, place] = 0
        rows["panes"][stale, place] = pane


def add_values(
    rows: RowArray,
    target: npt.NDArray[np.intp],
    hashes: npt.NDArray[np.uint64],
    counted: npt.NDArray[np.uint32],
    pane: int,
) -> None:
    """Add values to the sets of contiguous rows in place, in pane ``pane``.

    ``hashes`` and ``counted`` have a line for each exchange, whose row ``target`` names, and a
    column for each of ``VALUE_SETS``; ``counted`` says how often the value came, 0 where it is not
    in the set.
    """
    turn_panes(rows, pane)
    register, rank = cardinality.places(hashes)
    set_pane = _SET_PANES + (pane & 1)
    registers = (target * ROW.itemsize + _REGISTERS_AT)[:, None] + set_pane * cardinality.REGISTERS
    np.maximum.at(
        rows.view(np.uint8), (registers + register).ravel(), (rank * (counted > 0)).ravel()
    )
    counts = (target * (ROW.itemsize // 4) + _COUNTS_AT)[:, None] + set_pane
    np.add.at(rows.view(np.uint32), counts.ravel(), counted.ravel())


def read(row: RowArray, elapsed_seconds: float, wall_at: float) -> Reading:
    """Read one row of shape (1,), decayed by the time since it was updated."""
    factors = linear.decay_factors(np.array([elapsed_seconds]))[0]
    fast, slow = (row["linear"][0, :, :USED] * factors[:, None]).tolist()
    sets = _cardinalities(row, pane_of(wall_at))
    return Reading(
        fast=fast,
        slow=slow,
        bodies=sets[Cardinality.BODIES],
        keys=sets[Cardinality.KEYS],
        young_keys=sets[Cardinality.YOUNG_KEYS],
        places=sets[Cardinality.NETWORKS_AND_CLIENTS],
        terms=sets[Cardinality.TERMS],
    )


def _cardinalities(row: RowArray, pane: int) -> list[tuple[float, int]]:
    fresh = (row["panes"][0] >= pane - 1)[:, None]
    registers = (row["registers"][0] * fresh).max(axis=1)
    counts = (row["counts"][0] * fresh[:, 0]).sum(axis=1).tolist()
    estimates = cardinality.estimate(registers)
    return [(min(size, float(n)), n) for size, n in zip(estimates, counts, strict=True)]


def join(left: RowArray, right: RowArray) -> RowArray:
    """Join two copies of one writer's row of shape (1,): the newer (epoch, sequence) wins.

    Registers and counts of a pane that both have are joined by maximum.
    """
    newer, older = (left, right) if _version(left) >= _version(right) else (right, left)
    joined = newer.copy()
    joined["first_seen_at"] = _earliest(left, right)
    joined["last_seen_at"] = np.maximum(left["last_seen_at"], right["last_seen_at"])
    if newer["reset_epoch"][0] == older["reset_epoch"][0]:
        _merge_panes(joined, older, counts=np.maximum)
    return joined


def combine(left: RowArray, right: RowArray) -> RowArray:
    """Combine two writers' parts of one subject, shape (1,): add sums, take registers' maximum.

    A part of an older ``reset_epoch`` counts as zero. The standing is that of the part whose action
    is more severe, then the later ``until_at``.
    """
    if left["reset_epoch"][0] != right["reset_epoch"][0]:
        return (left if left["reset_epoch"][0] > right["reset_epoch"][0] else right).copy()
    combined = max(left, right, key=_standing).copy()
    slices, at = linear.combine(
        left["linear"][0],
        float(left["updated_at"][0]),
        right["linear"][0],
        float(right["updated_at"][0]),
    )
    combined["linear"][0], combined["updated_at"] = slices, at
    combined["shingles"] = countmin.combine(left["shingles"], right["shingles"])
    combined["shingled"] = left["shingled"] + right["shingled"]
    combined["first_seen_at"] = _earliest(left, right)
    for field in ("last_seen_at", "paced_at", "offences", "sequence", "epoch"):
        combined[field] = np.maximum(left[field], right[field])
    for field in ("panes", "registers", "counts"):
        combined[field] = left[field]
    _merge_panes(combined, right, counts=np.add)
    return combined


def serialize(row: RowArray) -> bytes:
    """Return the bytes of one row of shape (1,)."""
    return row.tobytes()


def deserialize(data: bytes) -> RowArray | None:
    """Return the row in ``data``, shape (1,), ``None`` where size or layout version do not fit."""
    if len(data) != ROW.itemsize:
        return None
    row = np.frombuffer(data, dtype=ROW).copy()
    return row if row["version"][0] == LAYOUT_VERSION else None


def _version(row: RowArray) -> tuple[int, int, int]:
    return int(row["reset_epoch"][0]), int(row["epoch"][0]), int(row["sequence"][0])


def _standing(row: RowArray) -> tuple[int, float]:
    return int(row["action"][0]), float(row["until_at"][0])


def _earliest(left: RowArray, right: RowArray) -> float:
    instants = [float(row["first_seen_at"][0]) for row in (left, right)]
    return min((at for at in instants if at > 0), default=0.0)


def _merge_panes(target: RowArray, other: RowArray, *, counts: np.ufunc) -> None:
    """Merge another row's panes into ``target``; a newer pane replaces an older one."""
    for place in (0, 1):
        mine, theirs = int(target["panes"][0, place]), int(other["panes"][0, place])
        if theirs < mine:
            continue
        registers, counted = other["registers"][0, :, place], other["counts"][0, :, place]
        if theirs == mine:
            registers = np.maximum(target["registers"][0, :, place], registers)
            counted = counts(target["counts"][0, :, place], counted)
        target["panes"][0, place] = theirs
        target["registers"][0, :, place] = registers
        target["counts"][0, :, place] = counted
