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
    from collections.abc import Sequence

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
_STOOD_BY = ("action", "offences", "until_at", "paced_at")


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
    return to_parts([(row, updated_at)], slot)[0]


def to_parts(rows: Sequence[tuple[RowArray, float]], slot: int) -> list[Part]:
    """Return what rows of shape (1,), each with its ``updated_at``, hold as parts of a slot."""
    if not rows:
        return []
    # Twenty times as fast as to concatenate arrays with fields.
    table = np.frombuffer(b"".join(row.tobytes() for row, _ in rows), profile.ROW)
    subjects = [subject.tobytes() for subject in table["subject"]]
    numbers = (table[name].tolist() for name in ("reset_epoch", "epoch", "sequence"))
    versions = zip(*numbers, strict=True)
    encoded = encode_rows(table, [updated_at for _, updated_at in rows])
    found = zip(subjects, versions, encoded, strict=True)
    return [Part(subject, slot, version, data) for subject, version, data in found]


def from_part(part: Part) -> RowArray | None:
    """Return the row that a part holds, shape (1,), ``None`` where nobody can read it."""
    row = decode(part.data)
    if row is not None:
        row["subject"] = np.frombuffer(part.subject, np.uint8)
        row["reset_epoch"], row["epoch"], row["sequence"] = part.version
    return row


def encode(row: RowArray, updated_at: float) -> bytes:
    """Return the sums, counters, registers and instants of a row of shape (1,)."""
    return encode_rows(row, [updated_at])[0]


def encode_rows(rows: RowArray, updated_at: Sequence[float]) -> list[bytes]:
    """Return what each row of shape (n,) holds; many together take a third of the time."""
    lasted = rows["first_seen_at"] != rows["last_seen_at"]
    stood = np.any([rows[name] != 0 for name in _STOOD_BY], axis=0)
    same, sums = _packed_sums(rows["linear"][:, :, : profile.USED])
    flags = (_SAME * same | _STOOD * stood | _ONCE * ~lasted).tolist()
    heads = zip(
        flags,
        rows["first_seen_at"].tolist(),
        updated_at,
        rows["shingled"].tolist(),
        *rows["panes"].T.tolist(),
        strict=True,
    )
    lasts = zip(lasted.tolist(), rows["last_seen_at"].tolist(), strict=True)
    standings = zip(*(rows[name].tolist() for name in _STOOD_BY), strict=True)
    pieces = zip(
        (_HEAD.pack(*head) for head in heads),
        (_INSTANT.pack(last) if has else b"" for has, last in lasts),
        sums,
        _packed(rows["shingles"].reshape(len(rows), -1)),
        _packed(rows["registers"].reshape(len(rows), -1)),
        _packed_counts(rows["counts"].reshape(len(rows), -1)),
        (_STANDING.pack(*one) if any(one) else b"" for one in standings),
        strict=True,
    )
    return [bytes((LAYOUT,)) + _deflated(b"".join(each)) for each in pieces]


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
        for name, value in zip(_STOOD_BY, reader.unpack(_STANDING), strict=True):
            row[name] = value
    instants = (first, updated, shingled, *row["last_seen_at"].tolist())
    if not reader.over or not np.isfinite(row["linear"]).all() or not np.isfinite(instants).all():
        raise ValueError(flags)
    return row


def _packed_sums(linear: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.bool_], list[bytes]]:
    """Return where both slices are the same, shape (n,), and the sums that are not zero."""
    fast, slow = linear[:, 0], linear[:, 1]
    used = (fast != 0) | (slow != 0)
    same = (fast == slow).all(axis=1)
    ends = 4 * used.sum(axis=1).cumsum()
    first, second = (each[used].astype("<f4").tobytes() for each in (fast, slow))
    bounds = zip(same.tolist(), [0, *ends.tolist()], ends.tolist(), strict=False)
    masks = [mask.tobytes() for mask in np.packbits(used, axis=1)]
    told = (
        first[begin:end] + (b"" if is_same else second[begin:end]) for is_same, begin, end in bounds
    )
    return same, [mask + values for mask, values in zip(masks, told, strict=True)]


def _packed(values: npt.NDArray[Any]) -> list[bytes]:
    """Return small numbers, shape (n, many), each row in whichever way is the shortest."""
    marked = values != 0
    places = np.flatnonzero(marked) % values.shape[1]
    found, listed = values[marked], places.astype("<u2").tobytes()
    narrow, broad = (found.astype(dtype).tobytes() for dtype in ("<u1", "<u2"))
    ends = marked.sum(axis=1).cumsum().tolist()
    marks = np.packbits(marked, axis=1)
    packed, begin = [], 0
    for number, (end, largest) in enumerate(zip(ends, values.max(axis=1).tolist(), strict=True)):
        wide, ones = largest > _BYTE, largest == 1
        size = 2 if wide else 1
        told = b"" if ones else (broad if wide else narrow)[begin * size : end * size]
        way = _shortest(values.shape[1], end - begin, size, len(told))
        head = bytes((way | _WIDE * wide | _ONES * ones,)) if way else b"\0"
        if way == _Way.LISTED:
            told = (end - begin).to_bytes(2, "little") + listed[2 * begin : 2 * end] + told
        elif way == _Way.MARKED:
            told = marks[number].tobytes() + told
        elif way == _Way.WHOLE:
            told = values[number].astype("<u2" if wide else "<u1").tobytes()
        packed.append(head + told)
        begin = end
    return packed


def _shortest(places: int, used: int, size: int, told: int) -> int:
    """Return the way that is the shortest, of those that are as short the first."""
    if not used:
        return _Way.NOTHING
    lengths = (2 + 2 * used + told, places // 8 + told, places * size)
    return 1 + lengths.index(min(lengths))


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


def _packed_counts(counts: npt.NDArray[np.uint32]) -> list[bytes]:
    """Return bytes that say how wide counts are and which are not zero, and those."""
    marked = counts != 0
    marks, widths = np.packbits(marked, axis=1), (counts.max(axis=1) > _BYTE).tolist()
    heads = [bytes((wide,)) + mark.tobytes() for wide, mark in zip(widths, marks, strict=True)]
    told = (
        row[places].astype("<u4" if wide else "<u1").tobytes()
        for wide, row, places in zip(widths, counts, marked, strict=True)
    )
    return [head + values for head, values in zip(heads, told, strict=True)]


def _unpacked_counts(reader: _Reader) -> npt.NDArray[np.uint32]:
    wide = reader.take(1)[0]
    marks = np.frombuffer(reader.take((_COUNTED + 7) // 8), np.uint8)
    counts = np.zeros(_COUNTED, np.uint32)
    places = np.flatnonzero(np.unpackbits(marks)[:_COUNTED])
    counts[places] = reader.array(len(places), "<u4" if wide else "<u1")
    return counts
