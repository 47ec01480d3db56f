"""Askers: whose question an answer belongs to, also where it comes later and to another request.

Of those who wait for an answer nothing is kept but the hashes that stand for them, as long as the
answer is awaited, so that what is fetched is put down to who asked for it: by his key, on behalf of
the end user and the organisation that he named then.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from gateway_guard.awaited import AWAITED_SECONDS, MOST_AWAITED
from gateway_guard.principal import SubjectKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway_guard.pending import Ticket

_MOST_OF_A_NAME = 8


class Asker(NamedTuple):
    """Who asked, of whom and in which dialect; ids as those of subjects."""

    key: bytes
    end_user: bytes | None = None
    organisation: bytes | None = None
    template: bytes | None = None
    model: str = ""
    dialect: str = ""

    @classmethod
    def of(cls, ticket: Ticket) -> Asker:
        """Return who asked an exchange."""
        return cls(
            key=ticket.key.id,
            end_user=_first(ticket, SubjectKind.END_USER),
            organisation=ticket.principal.organisation,
            template=_first(ticket, SubjectKind.TEMPLATE),
            model=ticket.model,
            dialect=ticket.dialect,
        )


class Askers:
    """Those who wait for answers, by the ids that these are fetched by; bounded."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self._waiting: OrderedDict[bytes, tuple[float, tuple[Asker, ...]]] = OrderedDict()

    def __len__(self) -> int:
        """Return the number of ids that are waited for."""
        return len(self._waiting)

    def expect(self, asker: Asker, name: bytes, at: float) -> None:
        """Remember who waits for an answer, by the digest of its id; ``at`` is monotonic seconds.

        Careless upstreams give the same id twice: of each key the last one who asked counts.
        """
        waiting = self._waiting
        _, known = waiting.pop(name, (at, ()))
        others = [one for one in known if one.key != asker.key]
        waiting[name] = (at, (asker, *others[: _MOST_OF_A_NAME - 1]))
        oldest, _ = next(iter(waiting.values()))
        while len(waiting) > MOST_AWAITED or oldest < at - AWAITED_SECONDS:
            waiting.popitem(last=False)
            oldest, _ = next(iter(waiting.values()))

    def find(self, key: bytes, names: Iterable[bytes], at: float) -> Asker:
        """Return who asked for what a key has fetched under one of these ids.

        That is the key's own question, or else that of the only one who waits for it. Where nobody
        is known to, it is the key.
        """
        for name in names:
            since, known = self._waiting.get(name, (at, ()))
            own = [one for one in known if one.key == key] or known
            if len(own) == 1 and since >= at - AWAITED_SECONDS:
                return own[0]
        return Asker(key)


def _first(ticket: Ticket, kind: SubjectKind) -> bytes | None:
    """Return the subject of a kind that a request speaks for; of templates the system text's."""
    return min([id_ for each, id_ in ticket.ids if each is kind], default=None)
