"""What an operator orders: that somebody is pardoned, or that nothing is kept of him.

Both are a notice with a reset, the instant before which nothing counts. It stands in the store in
the place of the subject's standing, so that no part of before it is taken any more, and in two
logs: guards that run hear of it with the news, within a round; those that were away read what was
ordered before they say anything. Tombstones are kept as long as anything is: for ``RETENTION``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

from gateway_guard.actions import Action
from gateway_guard.instrumentation import utc
from gateway_guard.principal import SubjectKind
from gateway_guard.statefile.telling import Teller
from gateway_guard.stores.base import STANDING
from gateway_guard.syncing.news import NEWS, ORDERS, Notice, decode_notice
from gateway_guard.syncing.notices import kept

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway_guard.stores.base import Part, Store

_AT_ONCE: Final = 100
Verdict = Literal["none", "kept", "lifted"]


class Ordered(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one subject; ``verdict`` says whether it was throttled or blocked, and is."""

    id: str
    kind: str
    known: bool
    verdict: Verdict
    action: str = "pass"
    until: str | None = None


def pardon(store: Store, subjects: Sequence[bytes]) -> list[Ordered]:
    """Clear subjects of everything that was found against them, for good and everywhere.

    Of whom the store knows nothing nothing is said: it was the wrong id, or there is nothing to
    pardon.
    """
    found = _standings(store, subjects)
    known = [subject for subject in subjects if found[subject].parts]
    notices = [found[subject].pardoned(store.now()) for subject in known]
    _order(store, notices)
    return [_said(found[subject], "lifted") for subject in subjects]


def erase(
    store: Store, subjects: Sequence[bytes], *, lift: bool
) -> dict[bytes, tuple[int, Ordered]]:
    """Order that nothing of before now is kept of subjects, whether they are known or not.

    A throttle or block in force stays in force without its reasons, unless it is to be lifted.
    Return the reset of each, and what became of it.
    """
    found = _standings(store, subjects)
    notices = [found[subject].erased(store.now(), lift=lift) for subject in subjects]
    _order(store, notices)
    verdict: Verdict = "lifted" if lift else "kept"
    return {each.subject: (each.reset, _said(found[each.subject], verdict)) for each in notices}


class _Found:
    """What a store keeps of a subject, and what is in force against it at an instant."""

    def __init__(self, subject: bytes, parts: Sequence[Part], now: float) -> None:
        self.subject, self.parts = subject, parts
        notices = [decode_notice(part.data) for part in parts if part.slot == STANDING]
        self.notice = next((notice for notice in notices if notice), Notice(subject))
        self.in_force = self.notice.action > Action.WATCH and self.notice.ends_at > now
        self._reset = max((part.version[0] for part in parts), default=0)

    def pardoned(self, now: float) -> Notice:
        """Return what clears the subject."""
        at = int(now)
        return Notice(self.subject, reset=max(at, self._reset + 1), revision=at, seen=at)

    def erased(self, now: float, *, lift: bool) -> Notice:
        """Return what erases the subject: of a verdict in force, what it needs to stay so."""
        # The second that has begun is over with it.
        pardoned = self.pardoned(now + 1)
        if lift or not self.in_force:
            return msgspec.structs.replace(pardoned, erased=True)
        return msgspec.structs.replace(
            self.notice,
            erased=True,
            reset=pardoned.reset,
            revision=pardoned.revision,
            seen=pardoned.seen,
            score=0.0,
            reasons=(),
            families=(),
            added=0,
        )


def _standings(store: Store, subjects: Sequence[bytes]) -> dict[bytes, _Found]:
    found, now = {}, store.now()
    for begin in range(0, len(subjects), _AT_ONCE):
        asked = subjects[begin : begin + _AT_ONCE]
        for subject, parts in zip(asked, store.parts(asked), strict=True):
            found[subject] = _Found(subject, parts, now)
    return found


def _order(store: Store, notices: Sequence[Notice]) -> None:
    teller = Teller(store)
    for begin in range(0, len(notices), _AT_ONCE):
        each = notices[begin : begin + _AT_ONCE]
        store.write([kept(notice) for notice in each])
        teller.tell(each, (ORDERS, NEWS))


def _said(found: _Found, verdict: Verdict) -> Ordered:
    notice, in_force = found.notice, found.in_force
    return Ordered(
        id=found.subject.hex(),
        kind=SubjectKind(found.subject[0]).name.lower(),
        known=bool(found.parts),
        verdict=verdict if in_force else "none",
        action=Action(notice.action).name.lower() if in_force else "pass",
        until=utc(notice.ends_at) if in_force else None,
    )
