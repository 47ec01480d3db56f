"""What exchanges add to profiles: a batch of them at once, to any number of rows.

The same code commits what has been settled and shows scores what is pending as if it were counted.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from gateway_guard import measures, profile, recurrence
from gateway_guard.exchange import Answer, Sampling
from gateway_guard.features.types import Cue, Features
from gateway_guard.model.words import WIDTH, length
from gateway_guard.profile import Slot
from gateway_guard.sketches import linear
from gateway_guard.timeline import Instant

if TYPE_CHECKING:
    from collections.abc import Sequence

CUE_SLOTS = {
    Cue.REASONING: Slot.REASONING_CUE,
    Cue.SYNTHESIS: Slot.SYNTHESIS_CUE,
    Cue.RUBRIC: Slot.RUBRIC_CUE,
    Cue.EXTRACTION: Slot.EXTRACTION_CUE,
}
_CUE_PLACES = [CUE_SLOTS[family] for family in Cue]
_PLACES = [
    *(Slot.EXCHANGES, Slot.SINGLE, Slot.OBSERVED, Slot.CLAIMED, Slot.CEILING, Slot.THINKING),
    *(Slot.LOGITS, Slot.MULTIPLE, Slot.TOOLS, Slot.YOUNG, Slot.ITEMS_LOG, Slot.UNSPACED),
    *(Slot.IMAGES, Slot.STREAMED, Slot.SHINGLED, Slot.DETERMINISTIC),
    *(Slot.REWORDED, Slot.EARLY),
    *(Slot.ANSWERED, Slot.ANSWER_LOG, Slot.REASONED, Slot.TRUNCATED),
    *(Slot.CONTAINED, Slot.COMPARED, Slot.DECLINED, *profile.LABEL_PLACES),
    *(Slot.TRAIN, Slot.TEST, Slot.DIRECTED),
]
"""Where the values of an exchange belong that are the same for all its subjects."""

_SETS = len(profile.VALUE_SETS)
_DIRECTION = slice(Slot.DIRECTION, Slot.DIRECTION + WIDTH)
_PACKED = Struct(f"={len(_PLACES)}f4f{_SETS}Q{_SETS}B{-_SETS % 4}x{WIDTH}s")
_MEASURED = np.dtype(
    [
        ("values", np.float32, len(_PLACES)),
        ("fresh", np.float32),
        ("known", np.float32),
        ("single", np.float32),
        ("scale", np.float32),
        ("hashes", np.uint64, _SETS),
        ("counted", np.uint8, _SETS),
        ("padding", np.uint8, -_SETS % 4),
        ("direction", np.int8, WIDTH),
    ]
)
"""One exchange; ``fresh`` and ``known`` are the lengths of its new and of its constant text."""


_UNSEEN = (0.0,) * (7 + len(profile.LABEL_PLACES))
_TERMS_PAD = (0, 0)
_WRAPPER_WEIGHT = 0.4
# The constant part of a text asks too, but not for something new each time.


class Contribution(msgspec.Struct, gc=False):
    """One exchange as it will be counted.

    ``single`` says that none of its claimed history was observed; ``young`` that its key is.
    ``answer`` is ``None`` until the answer was seen; until then ``settled_at`` is the instant of
    admission. The answer of a ``deferred`` one is never seen. ``windows`` and ``measured`` keep
    what was packed of the rest. ``contained`` says how many of the answer's windows stand in what
    was asked, and of how many; ``declined`` that its words decline to answer, ``reworded`` that the
    request says much of what an earlier one said that was declined, ``early`` that the key has come
    for a few minutes only.
    """

    features: Features
    sampling: Sampling
    single: bool
    claimed: bool
    young: bool
    streamed: bool
    tools: bool
    key: bytes
    key_hash: int
    place_hashes: tuple[int, int]
    settled_at: Instant
    answer: Answer | None = None
    deferred: bool = False
    contained: tuple[int, int] = (0, 0)
    declined: bool = False
    reworded: bool = False
    early: bool = False
    windows: recurrence.Windows | None = None
    measured: tuple[Answer | None, bytes] | None = None


class Share(NamedTuple):
    """A contribution to one subject's row, with what only that subject's own pace can say.

    ``answers`` is how many were asked for at once: each counts as an exchange, but one request is
    no template of its own. ``weight`` is for how many exchanges like it it was drawn: those count
    in the sums, and are missing from both sides of every ratio of distinct values.
    """

    row: int
    contribution: Contribution
    inflight: int
    refilled: bool
    answers: int = 1
    weight: int = 1


def apply(
    rows: profile.RowArray,
    shares: Sequence[Share],
    *,
    elapsed_seconds: npt.NDArray[np.float64],
    wall_at: float,
) -> None:
    """Add shares, at least one, to contiguous rows in place.

    Each share names its row; ``elapsed_seconds`` is that of each row since it was last decayed.
    Shares of one contribution should stand together.
    """
    targets = np.fromiter([share.row for share in shares], np.intp, len(shares))
    vectors, measured, times = _vectors(rows, shares, targets)
    slices = rows["linear"][:, :, : profile.USED]
    slices[...] = linear.update(slices, elapsed_seconds, _summed(vectors, targets, len(rows)))
    counted = measured["counted"] * times
    profile.add_values(rows, targets, measured["hashes"], counted, profile.pane_of(wall_at))


def credit(
    rows: profile.RowArray,
    shares: Sequence[Share],
    before: Contribution,
    *,
    elapsed_seconds: npt.NDArray[np.float64],
) -> None:
    """Add what a contribution's answer adds to the rows that counted it as ``before``, in place."""
    targets = np.fromiter([share.row for share in shares], np.intp, len(shares))
    earlier = [share._replace(contribution=before) for share in shares]
    added, _, _ = _vectors(rows, shares, targets, counted_before=True)
    had, _, _ = _vectors(rows, earlier, targets, counted_before=True)
    slices = rows["linear"][:, :, : profile.USED]
    slices[...] = linear.update(slices, elapsed_seconds, _summed(added - had, targets, len(rows)))


def _vectors(
    rows: profile.RowArray,
    shares: Sequence[Share],
    targets: npt.NDArray[np.intp],
    *,
    counted_before: bool = False,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[Any], npt.NDArray[np.uint32]]:
    """Return what shares add to the slices, how they were measured, and how often each counts.

    Their windows are counted in the rows in place, unless they were before.
    """
    _, contributions, inflight, refilled, answers, weights = zip(*shares, strict=True)
    items, which = _distinct(contributions)
    measured = np.frombuffer(b"".join([_measured(item) for item in items]), _MEASURED)[which]
    windows = [_windows(item) for item in items]
    constant = recurrence.update(rows, windows, targets, which, counted_before=counted_before)
    vectors = np.zeros((len(shares), profile.USED), dtype=np.float32)
    vectors[:, _PLACES] = measured["values"]
    vectors[:, Slot.INFLIGHT] = pace = np.array(inflight, np.float32)
    vectors[:, Slot.INFLIGHT_SQUARED] = pace * pace
    vectors[:, Slot.REFILL] = refilled
    _fill_relative(vectors, measured, constant)
    vectors[:, _DIRECTION] = measured["direction"] * measured["scale"][:, None]
    times = np.array(answers, np.uint32)[:, None]
    weight = times * np.array(weights, np.uint32)[:, None]
    vectors[:, Slot.DIRECTED_SQUARES] = vectors[:, Slot.DIRECTED] * weight[:, 0]
    vectors *= weight
    return vectors, measured, times


def _distinct(
    contributions: Sequence[Contribution],
) -> tuple[list[Contribution], npt.NDArray[np.intp]]:
    """Return neighbours that are the same only once, and which of these each was."""
    distinct: list[Contribution] = []
    which, before = [], None
    for item in contributions:
        if item is not before:
            distinct.append(item)
            before = item
        which.append(len(distinct) - 1)
    return distinct, np.array(which, np.intp)


def _windows(item: Contribution) -> recurrence.Windows:
    if item.windows is None:
        item.windows = recurrence.pack(item.features)
    return item.windows


def _measured(item: Contribution) -> bytes:
    """Return an exchange as one packed ``_MEASURED``, made anew once its answer has been seen."""
    kept = item.measured
    if kept is None or kept[0] is not item.answer:
        kept = item.measured = (item.answer, _measure(item))
    return kept[1]


def _measure(item: Contribution) -> bytes:
    features, unspaced = item.features, item.features.unspaced
    terms = (features.terms + _TERMS_PAD)[: len(_TERMS_PAD)]
    return _PACKED.pack(
        *_request_values(item),
        *_answer_values(item),
        *(len(features.train) > 0, features.test, len(features.direction) > 0),
        measures.latin_letters(features.new_chars, unspaced),
        measures.latin_letters(features.constant_chars, unspaced),
        item.single,
        1.0 / max(1.0, length(features.direction)),
        features.body_hash,
        *item.place_hashes,
        item.key_hash,
        item.key_hash,
        *terms,
        *(1, 1, 1, 1, item.young),
        *map(bool, terms),
        features.direction,
    )


def _request_values(item: Contribution) -> tuple[float, ...]:
    """Return what is known of an exchange before its answer, in the order of ``_PLACES``."""
    features, sampling, single = item.features, item.sampling, item.single
    return (
        *(1.0, single, not single, item.claimed),
        single * measures.ceiling(sampling),
        single * measures.thinking(sampling),
        measures.logits(sampling),
        sampling.answers > 1,
        item.tools,
        item.young,
        measures.log2_1p(features.items),
        features.unspaced,
        features.images > 0,
        item.streamed,
        len(features.shingles) > 0,
        sampling.temperature == 0,
        *(item.reworded, item.early),
    )


def _answer_values(item: Contribution) -> tuple[float, ...]:
    answer = item.answer
    if answer is None:
        return _UNSEEN
    length = measures.answer_length(answer, item.sampling, item.features.unspaced)
    return (
        *(1.0, measures.log2_1p(length), answer.reasoning_chars > 0, measures.truncated(answer)),
        *measures.containment(*item.contained),
        is_declined(item),
        *measures.label(answer, item.sampling),
    )


def is_declined(item: Contribution) -> bool:
    """Tell whether an answer was seen that declines: by its words, or held back by the upstream."""
    answer = item.answer
    return answer is not None and (item.declined or measures.held_back(answer))


def _fill_relative(
    vectors: npt.NDArray[np.float32],
    measured: npt.NDArray[Any],
    constant: recurrence.Recurrence,
) -> None:
    """Fill what depends on which part of the text recurs in this subject."""
    vectors[:, _CUE_PLACES] = constant.cues
    fresh = measured["fresh"]
    variable = fresh * (1.0 - constant.shares)
    question_log = np.log2(1.0 + variable + _WRAPPER_WEIGHT * (fresh - variable))
    vectors[:, Slot.QUESTION_LOG] = question_log
    vectors[:, Slot.CONSTANT] = 1.0 - variable / np.maximum(1.0, fresh + measured["known"])
    yielded = measures.yields(vectors[:, Slot.ANSWER_LOG], question_log)
    vectors[:, Slot.YIELD] = measured["single"] * yielded


def _summed(
    vectors: npt.NDArray[np.float32], target: npt.NDArray[np.intp], count: int
) -> npt.NDArray[np.float32]:
    """Sum vectors that go to the same of ``count`` rows."""
    width = profile.USED
    places = target[:, None] * width + np.arange(width)
    summed = np.bincount(places.ravel(), vectors.ravel(), count * width)
    return summed.reshape(count, width).astype(np.float32)
