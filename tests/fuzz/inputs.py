"""What a fuzzer's bytes mean: a head of choices, and a body of which a piece may be repeated."""

from __future__ import annotations

import itertools
from typing import NamedTuple

HEAD_BYTES = 8
PLAIN = bytes(HEAD_BYTES)
MOST_BYTES = 2**19

_REPEATING = 0xC0
_OFTEN = 0xC7
_EXPONENTS = 20
_CUTS = 7


class Chosen(NamedTuple):
    """One input: which way of a reader is taken, where the body is cut, and the body."""

    way: int
    cuts: int
    body: bytes

    def pieces(self) -> list[bytes]:
        """Return the body cut where the fuzzer chose to, seven times or byte by byte."""
        body, size = self.body, len(self.body)
        if not self.cuts:
            return [body]
        if self.cuts == 1 and size <= MOST_BYTES // 2**6:
            return [body[at : at + 1] for at in range(size)]
        places = sorted(self.cuts * (number + 1) ** 3 % (size + 1) for number in range(_CUTS))
        edges = [0, *places, size]
        return [body[start:end] for start, end in itertools.pairwise(edges)]


def chosen(data: bytes) -> Chosen:
    """Read a fuzzer's input; one in four repeats a piece of itself up to half a megabyte.

    Small inputs find what raises; what takes long takes many of something.
    """
    head, body = data[:HEAD_BYTES].ljust(HEAD_BYTES, b"\0"), data[HEAD_BYTES:]
    if head[1] >= _REPEATING and body:
        start = int.from_bytes(head[2:4]) % len(body)
        piece = body[start : start + 1 + int.from_bytes(head[4:6]) % (len(body) - start)]
        most = max(1, (MOST_BYTES - len(body)) // len(piece))
        times = min(2 ** (head[1] % _EXPONENTS), most)
        body = body[:start] + piece * times + body[start + len(piece) :]
    return Chosen(head[0], int.from_bytes(head[6:8]), body)


def repeating(before: bytes, piece: bytes, after: bytes, way: int = 0) -> bytes:
    """Return the input whose middle is repeated as often as there is room."""
    place = len(before).to_bytes(2) + (len(piece) - 1).to_bytes(2)
    return bytes([way, _OFTEN]) + place + bytes(2) + before + piece + after
