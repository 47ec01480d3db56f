"""Which subjects a request speaks for, and what each kind may impose."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from gateway_guard.actions import Action
from gateway_guard.principal import SubjectKind

if TYPE_CHECKING:
    from gateway_guard.contribution import Contribution
    from gateway_guard.exchange import Exchange
    from gateway_guard.features import Anchors
    from gateway_guard.principal import Principal, SubjectIds

POWERS = {
    SubjectKind.KEY: Action.BLOCK,
    SubjectKind.END_USER: Action.THROTTLE,
    SubjectKind.TEMPLATE: Action.BLOCK,
    SubjectKind.CORPUS: Action.BLOCK,
    SubjectKind.TEMPLATE_IN_KEY: Action.BLOCK,
    SubjectKind.NETWORK: Action.WATCH,
    SubjectKind.CLIENT: Action.WATCH,
    SubjectKind.ORGANISATION: Action.THROTTLE,
}
"""The most that a subject of each kind may impose alone."""

IMITABLE = frozenset({SubjectKind.TEMPLATE, SubjectKind.CORPUS, SubjectKind.ORGANISATION})
"""Kinds that an attacker can put on and that impose something: old members do not answer for it."""

MINIMUM_SAMPLE = 8
"""No signal speaks of fewer exchanges than this, jitter aside."""

PENDING_KEPT = 256
"""Exchanges of a subject whose answers are still to come that its scores can see."""

_NETWORK, _CLIENT, _TEMPLATE = SubjectKind.NETWORK, SubjectKind.CLIENT, SubjectKind.TEMPLATE
_PARTS = tuple(bytes((_TEMPLATE, part)) + bytes(6) for part in range(4))
"""What the ids of templates begin with: those of system text, head, tail and content."""
CONTENT = _PARTS[3]
"""What the id of a template begins with that was chosen by its content."""
CORPUS = bytes((SubjectKind.CORPUS,)) + bytes(7)
"""What the id of a corpus begins with."""
TOLD_BY_TEXTS = (CONTENT, CORPUS)
"""What ids begin with of subjects that only show once texts have been read."""

SubjectId = tuple[SubjectKind, bytes]
LOWER_HALF = (1 << 32) - 1


class Held(NamedTuple):
    """An exchange as one subject's row will count it.

    ``inflight`` are the subject's exchanges under way at admission, this one included; ``refilled``
    says that another one had just ended; ``answers`` is how many exchanges it counts as, ``weight``
    for how many like it it was drawn.
    """

    contribution: Contribution
    inflight: int
    refilled: bool
    answers: int
    weight: int = 1


class Subject(msgspec.Struct, eq=False, gc=False):
    """One subject while it is hot.

    Its profile is row ``row`` of the slab, or -1 while it waits for admission.

    ``waiting`` are the contributions of a subject that has no row yet, ``keys`` the verified keys
    they came under. ``pending`` are contributions whose answers are still to come, at most
    ``PENDING_KEPT`` of them, and ``inflight`` counts them all. ``fresh`` counts exchanges since the
    subject was last scored, which is due at ``due`` and does not wait for other work at ``urgent``.
    ``quiet`` says that it is well known, and far from every threshold, ``near`` that its last
    score, ``logit``, is not far from them.
    """

    id: bytes
    kind: SubjectKind
    owner: bytes
    row: int = -1
    exchanges: int = 0
    fresh: int = 0
    due: int = MINIMUM_SAMPLE
    urgent: int = MINIMUM_SAMPLE
    quiet: bool = False
    near: bool = False
    logit: float = 0.0
    inflight: int = 0
    admitted_at: float = inf
    ended_at: float = -inf
    waiting: tuple[Held, ...] = ()
    keys: frozenset[bytes] = frozenset()
    pending: dict[int, Held] = msgspec.field(default_factory=dict)

    def begin_anew(self) -> None:
        """Be scored as one of which nothing was counted yet."""
        self.exchanges, self.fresh, self.quiet, self.near = 0, 0, False, False
        self.due = self.urgent = MINIMUM_SAMPLE


def subject_ids(
    principal: Principal, exchange: Exchange, anchors: Anchors, ids: SubjectIds
) -> list[SubjectId]:
    """Return the kind and id of every subject that can be told before the texts are read.

    The key comes first; what the request's texts have in common with others' comes later.
    """
    found = [
        (SubjectKind.KEY, principal.key),
        (_NETWORK, principal.network),
        (_CLIENT, principal.client),
    ]
    if principal.organisation is not None:
        found.append((SubjectKind.ORGANISATION, principal.organisation))
    if principal.doubled is not None:
        found += [(SubjectKind.KEY, key) for key in (principal.doubled, *principal.further)]
    if exchange.end_user is not None:
        end_user = exchange.end_user.encode("utf-8", "surrogatepass")
        found.append(
            (SubjectKind.END_USER, ids.make(SubjectKind.END_USER, principal.key, end_user))
        )
    for part, anchor in zip(_PARTS, (anchors.system, anchors.head, anchors.tail), strict=False):
        if anchor is not None:
            found.append((_TEMPLATE, part + anchor.to_bytes(8)))
    return found


def content_template_id(window: int) -> bytes:
    """Return the id of the template that a window of words stands for."""
    return CONTENT + window.to_bytes(8)


def corpus_id(corpus: int) -> bytes:
    """Return the id of the subject that a public pool of questions stands for."""
    return CORPUS + corpus.to_bytes(8)


def system_template_id(anchor: int) -> bytes:
    """Return the id of the template that a system text stands for."""
    return _PARTS[0] + anchor.to_bytes(8)


def template_in_key_id(template: bytes, key: bytes) -> bytes:
    """Return the id of what one key's own requests with a template or from a corpus show."""
    return bytes((SubjectKind.TEMPLATE_IN_KEY,)) + template[8:] + key[-7:]


def is_in_key(subject: bytes, key: bytes) -> bool:
    """Tell whether a subject stands for a template within a key."""
    return subject[0] == SubjectKind.TEMPLATE_IN_KEY and subject.endswith(key[-7:])


def hash_of(subject: bytes) -> int:
    """Return the 64-bit hash under which a subject's id enters sketches and compact tables."""
    return int.from_bytes(subject[-8:])


def under_key(hash_: int, key_hash: int) -> int:
    """Return the hash of something that a key has shown, with the key's own upper half.

    So what is kept of a key can be found again, and erased, though nobody knows what it was.
    """
    return hash_ & LOWER_HALF ^ key_hash


def half_of(hash_: int) -> int:
    """Return the upper half of a key's hash, or of that of something it has shown."""
    return hash_ >> 32
