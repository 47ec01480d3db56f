"""Which subjects a request speaks for, and what each kind may impose."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from gateway_guard.actions import Action
from gateway_guard.principal import SubjectKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway_guard.contribution import Contribution
    from gateway_guard.exchange import Exchange
    from gateway_guard.features import Features
    from gateway_guard.principal import Principal, SubjectIds

POWERS = {
    SubjectKind.KEY: Action.BLOCK,
    SubjectKind.END_USER: Action.THROTTLE,
    SubjectKind.TEMPLATE: Action.BLOCK,
    SubjectKind.TEMPLATE_IN_KEY: Action.BLOCK,
    SubjectKind.NETWORK: Action.WATCH,
    SubjectKind.CLIENT: Action.WATCH,
    SubjectKind.ORGANISATION: Action.THROTTLE,
}
"""The most that a subject of each kind may impose alone."""

IMITABLE = frozenset({SubjectKind.TEMPLATE, SubjectKind.ORGANISATION})
"""Kinds that an attacker can put on and that impose something: old members do not answer for it."""

MINIMUM_SAMPLE = 8
"""No signal speaks of fewer exchanges than this, jitter aside."""

PENDING_KEPT = 256
"""Exchanges of a subject whose answers are still to come that its scores can see."""

_SYSTEM, _HEAD, _TAIL, _CONTENT = range(4)
_PADDING = bytes(6)


class Held(NamedTuple):
    """An exchange as one subject's row will count it.

    ``inflight`` are the subject's exchanges under way at admission, this one included; ``refilled``
    says that another one had just ended; ``answers`` is how many exchanges it counts as.
    """

    contribution: Contribution
    inflight: int
    refilled: bool
    answers: int


@dataclass(slots=True, eq=False)
class Subject:
    """One subject while it is hot.

    Its profile is row ``row`` of the slab, or -1 while it waits for admission.

    ``waiting`` are the contributions of a subject that has no row yet, ``keys`` the verified keys
    they came under. ``pending`` are contributions whose answers are still to come, at most
    ``PENDING_KEPT`` of them, and ``inflight`` counts them all. ``fresh`` counts exchanges since the
    subject was last scored, which is due at ``due``.
    """

    id: bytes
    kind: SubjectKind
    owner: bytes
    row: int = -1
    exchanges: int = 0
    fresh: int = 0
    due: int = MINIMUM_SAMPLE
    inflight: int = 0
    admitted_at: float = inf
    ended_at: float = -inf
    waiting: list[Held] = field(default_factory=list)
    keys: set[bytes] = field(default_factory=set)
    pending: dict[int, Held] = field(default_factory=dict)


def subject_ids(
    principal: Principal,
    exchange: Exchange,
    features: Features,
    content: int | None,
    ids: SubjectIds,
) -> Iterator[tuple[SubjectKind, bytes]]:
    """Yield the kind and id of every subject the request speaks for, its key first."""
    yield SubjectKind.KEY, principal.key
    if principal.doubled is not None:
        for other in (principal.doubled, *principal.further):
            yield SubjectKind.KEY, other
    if exchange.end_user is not None:
        end_user = exchange.end_user.encode("utf-8", "surrogatepass")
        yield SubjectKind.END_USER, ids.make(SubjectKind.END_USER, principal.key, end_user)
    anchors = features.anchors
    parts = (anchors.system, anchors.head, anchors.tail, content)
    for part, anchor in enumerate(parts):
        if anchor is not None:
            yield SubjectKind.TEMPLATE, _template_id(part, anchor)
    yield SubjectKind.NETWORK, principal.network
    yield SubjectKind.CLIENT, principal.client
    if principal.organisation is not None:
        yield SubjectKind.ORGANISATION, principal.organisation


def _template_id(part: int, anchor: int) -> bytes:
    return bytes((SubjectKind.TEMPLATE, part)) + _PADDING + anchor.to_bytes(8)


def template_in_key_id(template: bytes, key: bytes) -> bytes:
    """Return the id of what one key's own requests with a template show."""
    return bytes((SubjectKind.TEMPLATE_IN_KEY,)) + template[8:] + key[-7:]


def hash_of(subject: bytes) -> int:
    """Return the 64-bit hash under which a subject's id enters sketches and compact tables."""
    return int.from_bytes(subject[-8:])
