"""News: what writers tell each other at once, an entry of a log for each round of each of them.

It holds keyed hashes, instants and standings, and is numbered, so that whoever reads an entry twice
learns nothing twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from gateway_guard.features import CueHit
from gateway_guard.history import Learned

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway_guard.memory import Memory

NEWS, HISTORY, ORDERS = "news", "history", "orders"
AGES, USES = "ages", "uses"
ID_BYTES = 16
_MOST_OF_A_KIND = 65_536  # of what may be forgotten


class Notice(msgspec.Struct, frozen=True, array_like=True):
    """What a subject has coming, as one writer tells the others; instants are the store's clock.

    ``added`` are the exchanges above the threshold since this writer last told of the subject,
    ``seen`` is the revision that he knew when he made this one. ``erased`` says that nothing of
    before the reset is to be kept of the subject anywhere.
    """

    subject: bytes
    reset: int = 0
    operator: bool = False
    revision: int = 0
    action: int = 0
    score: float = 0.0
    reasons: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    until_at: float = 0.0
    watched_at: float = 0.0
    penalty_until_at: float = 0.0
    paced_at: float = 0.0
    seen: int = 0
    above: int = 0
    added: int = 0
    offences: int = 0
    returns: int = 0
    probation: bool = False
    provisional: bool = False
    erased: bool = False

    @property
    def rank(self) -> tuple[int, int, int]:
        """Return the version under which it is kept: of two, the greater one is true.

        A pardon beats what came before it, an operator what is automatic, then the newer the older
        and the more severe the milder.
        """
        return self.reset, int(self.operator), (self.revision << 8) + self.action

    @property
    def ends_at(self) -> float:
        """Return until when something is refused, 0 for nothing."""
        return max(self.until_at if self.action else 0.0, self.penalty_until_at)


class News(msgspec.Struct, array_like=True):
    """One entry, told at an instant of the store's clock.

    Hashes are packed, eight bytes each, instants four. ``near`` are the ids of subjects near a
    threshold, of which the writer has just pushed what is new.
    """

    slot: int = -1
    epoch: int = 0
    number: int = 0
    at: float = 0.0
    notices: list[Notice] = []
    ages: tuple[bytes, bytes] = (b"", b"")
    uses: tuple[bytes, bytes] = (b"", b"")
    texts: bytes = b""
    pairs: bytes = b""
    hits: list[tuple[int, tuple[CueHit, ...]]] = []
    sightings: list[tuple[bytes, bytes, int]] = []
    near: bytes = b""

    @property
    def empty(self) -> bool:
        """Tell whether there is nothing to tell."""
        said = (self.notices, self.ages[0], self.uses[0], self.texts, self.pairs, self.sightings)
        return not any((*said, self.near))

    def extend(self, later: News) -> None:
        """Take what a later entry says into this one, as far as there is room for it."""
        self.notices = [*self.notices, *later.notices]
        self.ages = self.ages[0] + later.ages[0], self.ages[1] + later.ages[1]
        self.uses = self.uses[0] + later.uses[0], self.uses[1] + later.uses[1]
        self.texts = (self.texts + later.texts)[-_MOST_OF_A_KIND * 8 :]
        self.pairs = (self.pairs + later.pairs)[-_MOST_OF_A_KIND * 8 :]
        self.hits = (self.hits + later.hits)[-_MOST_OF_A_KIND:]
        self.sightings = (self.sightings + later.sightings)[-_MOST_OF_A_KIND:]
        self.near = (self.near + later.near)[-_MOST_OF_A_KIND * ID_BYTES :]

    @property
    def learned(self) -> Learned:
        """Return what it says of the history."""
        return Learned(_hashes(self.texts), _hashes(self.pairs), dict(self.hits))

    def instants(self, kind: str) -> list[tuple[int, float]]:
        """Return the hashes and instants of a kind."""
        hashes, at = self.ages if kind == AGES else self.uses
        return list(zip(_hashes(hashes), np.frombuffer(at, "<u4").tolist(), strict=False))


_encoder, _decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(News)
_notices = msgspec.msgpack.Decoder(Notice)


def encode(news: News | Notice) -> bytes:
    """Return an entry, or what is kept of a standing."""
    return _encoder.encode(news)


def decode(data: bytes) -> News | None:
    """Return what an entry says, ``None`` for one that nobody here can read."""
    try:
        return _decoder.decode(data)
    except msgspec.MsgspecError:
        return None


def decode_notice(data: bytes) -> Notice | None:
    """Return what is kept of a standing, ``None`` where nobody here can read it."""
    try:
        return _notices.decode(data)
    except msgspec.MsgspecError:
        return None


def gathered(memory: Memory) -> News:
    """Return what is new in the memory, save standings; it is told once."""
    learned = memory.history.news()
    news = News(
        ages=_taken(memory.ages.added),
        uses=_taken(memory.first_uses.added),
        texts=_packed(learned.texts),
        pairs=_packed(learned.pairs),
        hits=list(learned.hits.items()),
    )
    sightings, table = memory.subjects.sightings, memory.subjects
    if sightings:
        news.sightings = [(*seen, count) for seen, count in sightings.items()]
        table.sightings = {}
    return news


def _taken(added: dict[int, float] | None) -> tuple[bytes, bytes]:
    if not added:
        return b"", b""
    packed = _packed(added), np.array(list(added.values()), "<u4").tobytes()
    added.clear()
    return packed


def _packed(hashes: Iterable[int]) -> bytes:
    return np.array(list(hashes), "<u8").tobytes()


def _hashes(packed: bytes) -> list[int]:
    hashes: list[int] = np.frombuffer(packed[: len(packed) // 8 * 8], "<u8").tolist()
    return hashes
