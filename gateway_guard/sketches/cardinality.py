"""Cardinality panes: how many different values were seen?

HyperLogLog with 128 registers (Flajolet et al., 2007), read with the estimator of Ertl, "New
cardinality estimation algorithms for HyperLogLog sketches" (2017), which needs neither a bias table
nor a switch for small ranges. The standard error is 1.04 / sqrt(128), about 9%. Each sketch keeps
two panes aligned to the wall clock, so that what is older than two panes is forgotten as a whole.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

RegisterArray = npt.NDArray[np.uint8]
HashArray = npt.NDArray[np.uint64]

REGISTERS = 128
PANE_SECONDS = 86400.0
"""Length of a pane; a reader sees between one and two of them."""

_RANK_BITS = 53  # as many as a float64 holds exactly, and more than any stream can use up
_RANK_SHIFT = np.uint64(64 - _RANK_BITS)
_FULL = _RANK_BITS + 1
_ALPHA = 1.0 / (2.0 * math.log(2.0))
_RANK_WEIGHTS = np.zeros(256)
_RANK_WEIGHTS[1:_FULL] = 0.5 ** np.arange(1, _FULL)


def places(hashes: HashArray) -> tuple[npt.NDArray[np.int64], RegisterArray]:
    """Return the register and the rank of each hash."""
    register = (hashes & np.uint64(REGISTERS - 1)).astype(np.int64)
    length = np.frexp((hashes >> _RANK_SHIFT).astype(np.float64))[1]
    return register, (_FULL - length).astype(np.uint8)


def join(left: RegisterArray, right: RegisterArray) -> RegisterArray:
    """Join sketches by maximum, whether of the same values or of different writers."""
    return np.maximum(left, right)


def estimate(registers: RegisterArray) -> list[float]:
    """Estimate the number of different values behind each of n sketches, shape (n, 128).

    A sketch that is full everywhere says infinity.
    """
    touched = _RANK_WEIGHTS[registers].sum(axis=1).tolist()
    empty = (registers == 0).sum(axis=1).tolist()
    full = (registers >= _FULL).sum(axis=1).tolist()
    return [_estimate(*counts) for counts in zip(touched, empty, full, strict=True)]


def _estimate(touched: float, empty: int, full: int) -> float:
    tail = REGISTERS * _tau(1.0 - full / REGISTERS) * 0.5**_RANK_BITS
    total = tail + touched + REGISTERS * _sigma(empty / REGISTERS)
    return _ALPHA * REGISTERS * REGISTERS / total if total else math.inf


def _sigma(share: float) -> float:
    """Sum Ertl's series for registers never touched."""
    if share == 1.0:
        return math.inf
    power, total = 1.0, share
    while True:
        share *= share
        before = total
        total += share * power
        power += power
        if total == before:
            return total


def _tau(share: float) -> float:
    """Sum Ertl's series for registers that are full."""
    if share in {0.0, 1.0}:
        return 0.0
    power, total = 1.0, 1.0 - share
    while True:
        share = math.sqrt(share)
        before = total
        power *= 0.5
        total -= (1.0 - share) ** 2 * power
        if total == before:
            return total / 3.0
