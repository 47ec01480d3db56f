"""Decayed linear slices: sums whose past fades with a half-life.

A slice is a vector of float32. Adding commutes with decaying, so slices kept by different writers
combine by decaying both to the later instant and adding.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

HALF_LIVES_SECONDS = (3600.0, 14 * 86400.0)
"""Half-life of the fast and of the slow slice."""

_RATES = -1.0 / np.array(HALF_LIVES_SECONDS)


def decay_factors(elapsed_seconds: npt.NDArray[np.float64]) -> FloatArray:
    """Return factors of shape (..., 2), fast and slow, for elapsed times of shape (...).

    Negative times count as 0.
    """
    elapsed = np.maximum(elapsed_seconds, 0.0)
    return np.exp2(elapsed[..., None] * _RATES).astype(np.float32)


def update(
    slices: FloatArray, elapsed_seconds: npt.NDArray[np.float64], added: FloatArray
) -> FloatArray:
    """Decay slices of shape (n, 2, width) by times of shape (n,) and add vectors (n, width)."""
    return slices * decay_factors(elapsed_seconds)[..., None] + added[:, None, :]


def combine(
    left: FloatArray, left_at: float, right: FloatArray, right_at: float
) -> tuple[FloatArray, float]:
    """Combine two writers' slices of shape (2, width): decay both to the later instant and add."""
    at = max(left_at, right_at)
    ages = np.array([at - left_at, at - right_at])
    factors = decay_factors(ages)[..., None]
    return left * factors[0] + right * factors[1], at
