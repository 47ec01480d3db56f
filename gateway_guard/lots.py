"""Lots: which exchanges of well-known customers have their texts read.

Of a key that has been far from every threshold for long, one exchange in four is drawn and stands
for four. That keeps every sum as it would be, at the price of its noise, and takes most of the
guard's work away from those who need it least. Nobody can tell which exchange will be drawn.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

from xxhash import xxh3_64_intdigest

from gateway_guard.actions import Action
from gateway_guard.principal import SubjectKind
from gateway_guard.sketches.compact import TwoPaneSet
from gateway_guard.subjects import POWERS, hash_of

if TYPE_CHECKING:
    from gateway_guard.exchange import Exchange
    from gateway_guard.pending import Ticket

ONE_IN = 4

_FEW_TURNS = 4
_SMALL_BYTES = 2**15
_SIGHTED_KEPT = 2**17
_SIGHTED_SECONDS = 86400.0
_TEMPLATE = SubjectKind.TEMPLATE


class Lots:
    """Draws exchanges, and remembers which templates some that were passed over began or ended."""

    def __init__(self, secret: bytes) -> None:
        """Draw as only holders of the secret could foretell."""
        self._seed = int.from_bytes(blake2b(b"lots", key=secret[:64], digest_size=8).digest())
        self._drawn = 0
        self._sighted = TwoPaneSet(_SIGHTED_KEPT, _SIGHTED_SECONDS)

    def draw(self, ticket: Ticket, exchange: Exchange) -> int:
        """Return for how many exchanges this one is read, 0 if it is passed over.

        Read whatever the lot says is what is not quiet in all its subjects, what goes on from an
        answer, and what begins or ends as an earlier one did that nobody knows.
        """
        if not self._is_plain(ticket, exchange) or not self._is_known(ticket):
            return 1
        self._drawn += 1
        lot = xxh3_64_intdigest(self._drawn.to_bytes(8), self._seed)
        return 0 if lot % ONE_IN else ONE_IN

    def _is_plain(self, ticket: Ticket, exchange: Exchange) -> bool:
        """Tell whether this is one small question."""
        if ticket.answers > 1 or exchange.tool_definitions or exchange.body_bytes > _SMALL_BYTES:
            return False
        turns = exchange.turns
        return len(turns) <= _FEW_TURNS and all(turn.role != "assistant" for turn in turns)

    def _is_known(self, ticket: Ticket) -> bool:
        """Tell whether all that could impose something is quiet, and no template comes again."""
        quiet = set()
        for subject in ticket.known:
            if not subject.quiet and POWERS[subject.kind] > Action.WATCH:
                return False
            quiet.add(subject.id)
        is_known, at = True, ticket.admitted_at.steady
        for kind, id_ in ticket.ids:
            if id_ in quiet:
                continue
            place = hash_of(id_)
            if kind is not _TEMPLATE:
                is_known = is_known and POWERS[kind] <= Action.WATCH
            elif place in self._sighted:
                is_known = False
            else:
                self._sighted.add(place, at)
        return is_known
