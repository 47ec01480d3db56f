"""What other writers know of a subject: their parts in sum, kept beside the slab.

It is added to the subject's own row where that is read for a score, and nowhere else; what counts
exchanges never looks at it. Windows of words are not kept: only whoever counts them compares them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gateway_guard import profile
from gateway_guard.sketches import linear

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway_guard.profile import RowArray

FOREIGN = np.dtype(
    [
        ("linear", np.float32, (2, profile.USED)),
        ("registers", profile.ROW["registers"]),
        ("counts", profile.ROW["counts"]),
        ("panes", profile.ROW["panes"]),
        ("updated_at", np.float64),
        ("first_seen_at", np.float64),
        ("exchanges", np.float64),
    ]
)
"""The sum of other writers' parts; ``exchanges`` is how many they held when it was made."""

ForeignArray = npt.NDArray[Any]


def gather(parts: Sequence[RowArray], reset_epoch: int) -> ForeignArray:
    """Return the sum of parts of shape (1,), shape (1,); those before a reset count as zero."""
    found = np.zeros(1, FOREIGN)
    kept = [part for part in parts if part["reset_epoch"][0] >= reset_epoch]
    if not kept:
        return found
    rows = np.concatenate(kept)
    found["updated_at"] = at = rows["updated_at"].max()
    factors = linear.decay_factors(at - rows["updated_at"])[..., None]
    found["linear"][0] = (rows["linear"][:, :, : profile.USED] * factors).sum(axis=0)
    found["panes"][0] = panes = rows["panes"].max(axis=0)
    fresh = (rows["panes"] == panes)[:, None, :]
    found["counts"][0] = (rows["counts"] * fresh).sum(axis=0)
    found["registers"][0] = (rows["registers"] * fresh[..., None]).max(axis=0)
    known = rows["first_seen_at"][rows["first_seen_at"] > 0]
    found["first_seen_at"] = known.min() if len(known) else 0.0
    found["exchanges"] = found["linear"][0, 1, profile.Slot.EXCHANGES]
    return found


def added(
    row: RowArray, elapsed_seconds: float, foreign: ForeignArray, steady_at: float
) -> RowArray:
    """Return a row of shape (1,) as if others' exchanges had been counted in it, decayed to now."""
    total = row.copy()
    ages = np.array([elapsed_seconds, steady_at - float(foreign["updated_at"])])
    own, others = linear.decay_factors(ages)[..., None]
    slices = total["linear"][0, :, : profile.USED]
    slices *= own
    slices += foreign["linear"] * others
    mine, theirs = row["panes"][0], foreign["panes"]
    panes = total["panes"][0] = np.maximum(mine, theirs)
    registers, counts = total["registers"][0], total["counts"][0]
    registers *= (mine == panes)[None, :, None]
    counts *= (mine == panes)[None, :]
    np.maximum(registers, foreign["registers"] * (theirs == panes)[None, :, None], out=registers)
    counts += foreign["counts"] * (theirs == panes)[None, :]
    return total
