"""Corpora: public pools of questions, each as a filter of some windows of its items.

Of each item the windows with the smallest hashes are kept (bottom-k sampling), among those under
``CEILING`` only, so that a reader looks at a quarter of a request's windows. Windows that come in
more than a few items are nobody's.
"""

from __future__ import annotations

from collections import Counter
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
from xxhash import xxh3_64_intdigest

from gateway_guard.model.fuse import FuseFilter, FuseStack, Shape, build

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gateway_guard.model.words import Hashes, Positions

Kind = Literal["train", "test"]

CEILING: Final = np.uint64(1 << 62)
"""Windows with larger hashes are not looked at."""
WINDOWS_KEPT: Final = 8
"""Windows kept of an item, unless told otherwise."""
MOST_ITEMS_OF_A_WINDOW: Final = 3
"""A window that comes in more items than this is a turn of phrase."""
FEWEST_WINDOWS: Final = 3
"""Windows of an exchange that must be found for it to match."""

_FREE: Final = 16
_A_FURTHER: Final = 32
_MAGIC: Final = b"gateway-guard corpus "
_VERSION: Final = b"1"
_DIGEST_BYTES: Final = 16
_LARGEST: Final = 1 << 28


class Pool(NamedTuple):
    """What a pool of questions is called, what for it is, and who may use it how.

    Students are trained on answers to ``train``, while ``test`` is what everybody's evaluations
    ask.
    """

    name: str
    kind: Kind
    licence: str = ""


class Corpus(msgspec.Struct, frozen=True):
    """One pool of questions; ``id`` is what it is called where only numbers are kept."""

    pool: Pool
    seed: int
    items: int
    windows_an_item: int
    filter: FuseFilter

    @property
    def id(self) -> int:
        """Return the 64-bit hash of the name."""
        return xxh3_64_intdigest(self.pool.name.encode())


class Shelf:
    """Corpora that exchanges are compared with, all at once."""

    __slots__ = ("_stack", "corpora")

    def __init__(self, corpora: Sequence[Corpus]) -> None:
        """Take corpora whose hashes have the same seed."""
        self.corpora = tuple(corpora)
        self._stack = FuseStack([corpus.filter for corpus in corpora])

    def matches(self, hashes: Hashes, ends: Positions) -> list[tuple[Corpus, int]]:
        """Return each corpus with each of n exchanges that ask an item of it.

        ``hashes`` are their windows under ``CEILING``, one exchange's after another's; ``ends``,
        shape (n,), says where those of each end. The more there are, the more must be found,
        because one in 256 is by chance. A window that is repeated counts once.
        """
        found = self._stack.contains(hashes)
        which, places = found.nonzero()
        if which.size < FEWEST_WINDOWS:
            return []
        owners = ends.searchsorted(places, "right").tolist()
        hits = Counter(zip(which.tolist(), owners, strict=True))
        return [
            (self.corpora[number], owner)
            for (number, owner), count in hits.items()
            if count >= FEWEST_WINDOWS and _enough(hashes, found[number], ends, owner)
        ]


def _enough(hashes: Hashes, found: npt.NDArray[np.bool_], ends: Positions, owner: int) -> bool:
    """Tell whether so many different windows of an exchange were found that it asks an item."""
    begin, end = (ends.item(owner - 1) if owner else 0), ends.item(owner)
    needed = FEWEST_WINDOWS + max(0, end - begin - _FREE) // _A_FURTHER
    return np.unique(hashes[begin:end][found[begin:end]]).size >= needed


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    kind: Kind
    seed: int
    items: int
    windows_an_item: int
    licence: str
    filter_seed: int
    segment_length: int
    segments: int
    digest: str


def make_corpus(
    pool: Pool,
    seed: int,
    items: Iterable[Hashes],
    *,
    keep: int = WINDOWS_KEPT,
    elsewhere: Iterable[Hashes] = (),
) -> Corpus:
    """Make a corpus of the windows of its items, less those of texts ``elsewhere``.

    Items without any window under ``CEILING`` do not count.
    """
    listed = [np.unique(windows[windows < CEILING]) for windows in items]
    listed = [windows for windows in listed if windows.size]
    windows, counts = np.unique(_joined(listed), return_counts=True)
    common = np.union1d(windows[counts > MOST_ITEMS_OF_A_WINDOW], _joined(elsewhere))
    kept = [np.setdiff1d(each, common, assume_unique=True)[:keep] for each in listed]
    return Corpus(pool, seed, len(listed), keep, build(_joined(kept)))


def _joined(parts: Iterable[Hashes]) -> Hashes:
    return np.concatenate([np.zeros(0, np.uint64), *parts])


def dump_corpus(corpus: Corpus) -> bytes:
    """Return a corpus as a file: two lines of text, then the filter."""
    table = corpus.filter.fingerprints.tobytes()
    header = _Header(
        name=corpus.pool.name,
        kind=corpus.pool.kind,
        seed=corpus.seed,
        items=corpus.items,
        windows_an_item=corpus.windows_an_item,
        licence=corpus.pool.licence,
        filter_seed=corpus.filter.seed,
        segment_length=corpus.filter.shape.segment_length,
        segments=corpus.filter.shape.segments,
        digest=_digest(table),
    )
    return b"\n".join((_MAGIC + _VERSION, msgspec.json.encode(header), table))


def parse_corpus(data: bytes) -> Corpus:
    """Read a corpus from a file.

    Raises:
        ValueError: the data is no corpus, one of another version, or damaged.

    """
    first, _, rest = data.partition(b"\n")
    line, _, table = rest.partition(b"\n")
    if not first.startswith(_MAGIC):
        message = "it is no corpus"
        raise ValueError(message)
    if first != _MAGIC + _VERSION:
        message = f"its version is not {_VERSION.decode()}: it was made by another release"
        raise ValueError(message)
    header = msgspec.json.decode(line, type=_Header)
    shape = Shape(header.segment_length, header.segments)
    if not _sound(header, shape) or len(table) != shape.places or _digest(table) != header.digest:
        message = "it is damaged or incomplete"
        raise ValueError(message)
    return Corpus(
        pool=Pool(header.name, header.kind, header.licence),
        seed=header.seed,
        items=header.items,
        windows_an_item=header.windows_an_item,
        filter=FuseFilter(header.filter_seed, shape, np.frombuffer(table, np.uint8)),
    )


def _sound(header: _Header, shape: Shape) -> bool:
    """Tell whether the numbers of a header can be those of a filter."""
    length = shape.segment_length
    power = length > 0 and length & (length - 1) == 0
    seeds = 0 <= header.seed < 1 << 64 and 0 <= header.filter_seed < 1 << 32
    return power and seeds and shape.segments > 0 and shape.places <= _LARGEST


def _digest(table: bytes) -> str:
    return blake2b(table, digest_size=_DIGEST_BYTES).hexdigest()
