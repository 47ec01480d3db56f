"""How a row becomes a part and a part a row again, exactly.

A row is mostly zeroes: a subject that came once has written to a dozen sums, a handful of registers
and a few dozen counters. A part holds what is not zero, each array in whichever of four ways is the
shortest, deflated, so that one exchange takes less than 256 bytes and a busy subject less than
2 KiB.

``updated_at`` stands in a part as wall-clock seconds of the store; whoever writes and reads it
moves it, because a row counts in its process's own monotonic time.
"""

from __future__ import annotations

import struct
import zlib
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gateway_guard import profile
from gateway_guard.stores.base import Part

if TYPE_CHECKING:
    from gateway_guard.profile import RowArray

LAYOUT = profile.LAYOUT_VERSION
"""The first byte of a part; one of another layout of rows is nobody's."""

_RAW = -15  # deflate (RFC 1951) without a header
_HEAD = struct.Struct("<Bddfii")
_INSTANT = struct.Struct("<d")
_STANDING = struct.Struct("<BHdd")
_SAME, _STOOD, _ONCE = 1, 2, 4
_MASK_BYTES = (profile.USED + 7) // 8
_COUNTED = profile.ROW["counts"].shape[0] * 2


class _Way(IntEnum):
    """How an array of small numbers is written."""

    NOTHING = 0
    LISTED = 1  # how many are not zero, their places, their values
    MARKED = 2  # a bit for each place, and the values of those that are set
    WHOLE = 3


_WIDE, _ONES, _BYTE = 4, 8, 255


class _Reader:
    """Takes bytes from the front.

    Raises:
        ValueError: from any method, where there are too few.

    """

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def unpack(self, layout: struct.Struct) -> tuple[Any, ...]:
        return layout.unpack(self.take(layout.size))

    def take(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        if len(taken) < size:
            raise ValueError(size)
        self._at += size
        return taken

    def array(self, count: int, dtype: str) -> npt.NDArray[Any]:
        return np.frombuffer(self.take(count * np.dtype(dtype).itemsize), dtype)

    @property
    def over(self) -> bool:
        return self._at == len(self._data)


def to_part(row: RowArray, slot: int, updated_at: float) -> Part:
    """Return what a row of shape (1,) holds as the part of a writer's slot."""
    version = (int(row["reset_epoch"][0]), int(row["epoch"][0]), int(row["sequence"][0]))
    return Part(row["subject"][0].tobytes(), slot, version, encode(row, updated_at))


def from_part(part: Part) -> RowArray | None:
    """Return the row that a part holds, shape (1,), ``None`` where nobody can read it."""
    row = decode(part.data)
    if row is not None:
        row["subject"] = np.frombuffer(part.subject, np.uint8)
        row["reset_epoch"], row["epoch"], row["sequence"] = part.version
    return row


def encode(row: RowArray, updated_at: float) -> bytes:
    """Return the sums, counters, registers and instants of a row of shape (1,)."""
    fast, slow = row["linear"][0, :, : profile.USED]
    used = (fast != 0) | (slow != 0)
    same = bool((fast == slow).all())
    stood = any(row[name][0] for name in ("action", "offences", "until_at", "paced_at"))
    first, last = float(row["first_seen_at"][0]), float(row["last_seen_at"][0])
    flags = _SAME * same | _STOOD * stood | _ONCE * (first == last)
    panes = row["panes"][0].tolist()
    pieces = [
        _HEAD.pack(flags, first, updated_at, float(row["shingled"][0]), *panes),
        b"" if first == last else _INSTANT.pack(last),
        np.packbits(used).tobytes(),
        fast[used].astype("<f4").tobytes(),
        b"" if same else slow[used].astype("<f4").tobytes(),
        _packed(row["shingles"].ravel()),
        _packed(row["registers"].ravel()),
        _packed_counts(row["counts"].ravel()),
    ]
    if stood:
        names = ("action", "offences", "until_at", "paced_at")
        pieces.append(_STANDING.pack(*(row[name][0].item() for name in names)))
    return bytes((LAYOUT,)) + _deflated(b"".join(pieces))


def decode(data: bytes) -> RowArray | None:
    """Return the row in ``data``, shape (1,) and without its names, ``None`` where it is none."""
    if data[:1] != bytes((LAYOUT,)):
        return None
    try:
        return _decoded(_Reader(_inflated(data[1:])))
    except (ValueError, IndexError, struct.error, zlib.error):
        return None


def _deflated(data: bytes) -> bytes:
    """Return bytes without a header; most sums of a few exchanges are the same few numbers."""
    compressor = zlib.compressobj(wbits=_RAW)
    return compressor.compress(data) + compressor.flush()


def _inflated(data: bytes) -> bytes:
    """Return what was deflated, all of it, and no more than a row can hold.

    Raises:
        ValueError: it was cut, continued or is something else.

    """
    inflater = zlib.decompressobj(wbits=_RAW)
    inflated = inflater.decompress(data, profile.ROW.itemsize)
    if not inflater.eof or inflater.unused_data:
        raise ValueError(len(data))
    return inflated


def _decoded(reader: _Reader) -> RowArray:
    row = profile.empty()
    flags, first, updated, shingled, older, newer = reader.unpack(_HEAD)
    row["first_seen_at"] = row["last_seen_at"] = first
    if not flags & _ONCE:
        [row["last_seen_at"]] = reader.unpack(_INSTANT)
    row["updated_at"] = updated
    row["shingled"], row["panes"] = shingled, (older, newer)
    mask = np.frombuffer(reader.take(_MASK_BYTES), np.uint8)
    used = np.flatnonzero(np.unpackbits(mask)[: profile.USED])
    row["linear"][0, 0, used] = reader.array(len(used), "<f4")
    fast = row["linear"][0, 0, used]
    row["linear"][0, 1, used] = fast if flags & _SAME else reader.array(len(used), "<f4")
    row["shingles"] = _unpacked(reader, row["shingles"].size).reshape(row["shingles"].shape)
    row["registers"] = _unpacked(reader, row["registers"].size).reshape(row["registers"].shape)
    row["counts"] = _unpacked_counts(reader).reshape(row["counts"].shape)
    if flags & _STOOD:
        names = ("action", "offences", "until_at", "paced_at")
        for name, value in zip(names, reader.unpack(_STANDING), strict=True):
            row[name] = value
    instants = (first, updated, shingled, *row["last_seen_at"].tolist())
    if not reader.over or not np.isfinite(row["linear"]).all() or not np.isfinite(instants).all():
        raise ValueError(flags)
    return row


def _packed(values: npt.NDArray[Any]) -> bytes:
    """Return small numbers in whichever way is the shortest."""
    places = np.flatnonzero(values)
    if not len(places):
        return bytes((_Way.NOTHING,))
    found = values[places]
    wide = bool(found.max() > _BYTE)
    size, ones = 2 if wide else 1, bool((found == 1).all())
    told = 0 if ones else len(places) * size
    lengths = {
        _Way.LISTED: 2 + 2 * len(places) + told,
        _Way.MARKED: len(values) // 8 + told,
        _Way.WHOLE: len(values) * size,
    }
    way = min(lengths, key=lambda each: lengths[each])
    dtype = "<u2" if wide else "<u1"
    head = bytes((way | _WIDE * wide | _ONES * ones,))
    if way == _Way.WHOLE:
        return head + values.astype(dtype).tobytes()
    shown = b"" if ones else found.astype(dtype).tobytes()
    if way == _Way.MARKED:
        return head + np.packbits(values != 0).tobytes() + shown
    count = len(places).to_bytes(2, "little")
    return head + count + places.astype("<u2").tobytes() + shown


def _unpacked(reader: _Reader, size: int) -> npt.NDArray[Any]:
    """Return so many small numbers."""
    head = reader.take(1)[0]
    way, dtype = _Way(head & 3), "<u2" if head & _WIDE else "<u1"
    if way == _Way.WHOLE:
        return reader.array(size, dtype)
    values = np.zeros(size, np.uint16)
    if way == _Way.LISTED:
        count = int.from_bytes(reader.take(2), "little")
        places = reader.array(count, "<u2").astype(np.intp)
    else:
        marks = reader.take(0 if way == _Way.NOTHING else size // 8)
        places = np.flatnonzero(np.unpackbits(np.frombuffer(marks, np.uint8)))
    values[places] = 1 if head & _ONES else reader.array(len(places), dtype)
    return values


def _packed_counts(counts: npt.NDArray[np.uint32]) -> bytes:
    """Return bytes that say how wide counts are and which are not zero, and those."""
    places = counts != 0
    wide = bool(counts.max() > _BYTE)
    head = bytes((wide,)) + np.packbits(places).tobytes()
    told: bytes = counts[places].astype("<u4" if wide else "<u1").tobytes()
    return head + told


def _unpacked_counts(reader: _Reader) -> npt.NDArray[np.uint32]:
    wide = reader.take(1)[0]
    marks = np.frombuffer(reader.take((_COUNTED + 7) // 8), np.uint8)
    counts = np.zeros(_COUNTED, np.uint32)
    places = np.flatnonzero(np.unpackbits(marks)[:_COUNTED])
    counts[places] = reader.array(len(places), "<u4" if wide else "<u1")
    return counts
