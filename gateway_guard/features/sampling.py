"""Decide what is read of texts that are too many or too long to be read whole."""

from __future__ import annotations

from itertools import pairwise

from gateway_guard.features.windows import MASK

MOST_TEXTS = 128
"""Texts read in one request; half of them are the newest."""
_PIECE = 1024
"""Bytes read at each sampled place."""
_GOLDEN = 0x9E3779B97F4A7C15
_FACTORS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)


def chosen(count: int, seed: int) -> list[int]:
    """Return which of ``count`` texts are read: the newest, which come first, and some others."""
    if count <= MOST_TEXTS:
        return list(range(count))
    half = MOST_TEXTS // 2
    return [*range(half), *_spread(half, count, half, 1, seed)]


def shares(sizes: list[int], budget: int) -> list[int]:
    """Divide ``budget`` bytes among texts of these sizes, newest first.

    The newest text may take half of the budget, and more where the others leave it; the others
    share evenly, so that a long text leaves room for a short one.
    """
    if sum(sizes) <= budget:
        return sizes
    newest = min(sizes[0], max(budget // 2, budget - sum(sizes[1:])))
    given = [newest] + [0] * (len(sizes) - 1)
    left = budget - newest
    by_size = sorted(range(1, len(sizes)), key=sizes.__getitem__)
    for rank, index in enumerate(by_size):
        given[index] = min(sizes[index], left // (len(by_size) - rank))
        left -= given[index]
    return given


def places(size: int, share: int, seed: int) -> list[tuple[int, int]]:
    """Return the byte ranges read of a text: its head, its tail and seeded places between.

    What lies between head and tail is taken as a ring, parted evenly from a random point on; one
    range lies at random in each part. So every byte is as likely to be read as any other, and
    nobody without the secret can place words where they are not read.
    """
    if share >= size:
        return [(0, size)]
    edge = share // 4
    length = max(1, min(_PIECE, share - 2 * edge))
    ring = _ring(size - 2 * edge, (share - 2 * edge) // length, length, seed)
    return _merged([(0, edge), *((edge + a, edge + b) for a, b in ring), (size - edge, size)])


def _ring(span: int, count: int, length: int, seed: int) -> list[tuple[int, int]]:
    """Return ``count`` ranges of ``length``; one that passes the end goes on at the beginning."""
    turn = _random(seed - 1) % span
    ranges: list[tuple[int, int]] = []
    for start in _spread(0, span, count, length, seed):
        begin = (start + turn) % span
        ranges.append((begin, min(span, begin + length)))
        if begin + length > span:
            ranges.append((0, begin + length - span))
    return sorted(ranges)


def _merged(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return ranges of which those that touch have become one."""
    merged = ranges[:1]
    for begin, end in ranges[1:]:
        if begin == merged[-1][1]:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((begin, end))
    return merged


def _spread(begin: int, end: int, count: int, length: int, seed: int) -> list[int]:
    """Return starts of ranges of ``length``, one in each of ``count`` parts of begin to end."""
    bounds = [begin + (end - begin) * part // max(1, count) for part in range(count + 1)]
    return [
        start + _random(seed + part) % max(1, stop - start - length + 1)
        for part, (start, stop) in enumerate(pairwise(bounds))
    ]


def _random(value: int) -> int:
    """Return 64 random bits for each value (SplitMix64; Steele, Lea and Flood, 2014)."""
    value = value * _GOLDEN & MASK
    value = (value ^ value >> 30) * _FACTORS[0] & MASK
    value = (value ^ value >> 27) * _FACTORS[1] & MASK
    return value ^ value >> 31
