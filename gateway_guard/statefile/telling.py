"""Telling: what an operator says to guards that are running, and to those that are away."""

from __future__ import annotations

from secrets import randbits
from typing import TYPE_CHECKING

from gateway_guard.syncing.news import News, encode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway_guard.stores.base import Store
    from gateway_guard.syncing.news import Notice

SLOT = 0xFFFE
"""Under this one nobody writes parts, and nobody leases it."""


class Teller:
    """A writer of entries that holds no slot; nobody takes two of them for one."""

    def __init__(self, store: Store) -> None:
        """Say nothing yet to the guards of a connected store."""
        self._store, self._epoch, self._number = store, randbits(48), 0

    def tell(self, notices: Sequence[Notice], logs: Sequence[str]) -> None:
        """Write the same entry into logs."""
        self.hand_on(News(notices=[*notices], at=self._store.now()), logs)

    def hand_on(self, news: News, logs: Sequence[str]) -> None:
        """Write what somebody else had told into logs."""
        self._number += 1
        news.slot, news.epoch, news.number = SLOT, self._epoch, self._number
        for log in logs:
            self._store.append(log, encode(news))
