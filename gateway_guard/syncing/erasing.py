"""Erasing: what is told of subjects, without what is about some of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from gateway_guard.principal import SubjectKind
from gateway_guard.subjects import hash_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateway_guard.stores.base import Hashes
    from gateway_guard.syncing.news import News, Notice

_UPPER = np.uint64(32)


class Erasure:
    """Subjects of which nothing is to be kept, each with the instant of before which it is not."""

    def __init__(self, resets: Mapping[bytes, int], before: float = 0.0) -> None:
        """Take the reset of each subject; with a key go the templates within it.

        What was told after the last of them, and after ``before``, says only what is new.
        """
        self._resets = resets
        keys = [subject for subject in resets if subject[0] == SubjectKind.KEY]
        self._within = {key[-7:]: resets[key] for key in keys}
        self._ends = {key[-8:]: resets[key] for key in keys}
        self.latest = max((before, *resets.values()))
        self.hashes = np.array([hash_of(key) for key in keys], np.uint64)

    def reset(self, subject: bytes) -> int:
        """Return before which instant nothing of a subject counts, 0 where it is not erased."""
        reset = self._resets.get(subject, 0)
        if subject[0] == SubjectKind.TEMPLATE_IN_KEY:
            reset = max(reset, self._within.get(subject[-7:], 0))
        return reset

    def of_keys(self, hashes: Hashes) -> Hashes:
        """Return those of some hashes that are an erased key's own."""
        return hashes[np.isin(hashes, self.hashes)]

    def shown(self, hashes: Hashes) -> Hashes:
        """Return the hashes of what erased keys have shown."""
        return hashes[np.isin(hashes >> _UPPER, self.hashes >> _UPPER)]

    def without(self, news: News) -> News:
        """Return what an entry says, but for what it says of erased subjects."""
        notices = [notice for notice in news.notices if not self._void(notice)]
        if news.at > self.latest:
            return msgspec.structs.replace(news, notices=notices)
        return msgspec.structs.replace(
            news,
            notices=notices,
            ages=_dropped(news.ages, self.of_keys),
            uses=_dropped(news.uses, self.shown),
            texts=_dropped((news.texts, b""), self.shown)[0],
            pairs=_dropped((news.pairs, b""), self.shown)[0],
            hits=[hit for hit in news.hits if not len(self.shown(np.array([hit[0]], np.uint64)))],
            sightings=[seen for seen in news.sightings if not self._saw(*seen[:2])],
        )

    def _void(self, notice: Notice) -> bool:
        return notice.reset < self.reset(notice.subject)

    def _saw(self, subject: bytes, end: bytes) -> bool:
        return end in self._ends or self.reset(subject) > 0


def _dropped(
    packed: tuple[bytes, bytes], chosen: Callable[[Hashes], Hashes]
) -> tuple[bytes, bytes]:
    """Return packed hashes, with their instants if they have some, without chosen ones."""
    hashes = np.frombuffer(packed[0][: len(packed[0]) // 8 * 8], "<u8")
    kept = ~np.isin(hashes, chosen(hashes))
    if kept.all():
        return packed
    at = np.frombuffer(packed[1], "<u4")[: len(hashes)]
    return hashes[kept].tobytes(), at[kept].tobytes() if len(at) else b""
