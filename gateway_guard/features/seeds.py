"""Everything secret that the hashes of texts depend on, derived once."""

from __future__ import annotations

from hashlib import shake_256

import msgspec

from gateway_guard.features.types import Cue

_WORD = 8


class Seeds(msgspec.Struct, frozen=True):
    """A 64-bit seed for each kind of hash, so that hashes of two kinds never meet by accident.

    ``numbers`` are 258 more, for the tables of the window hashes.
    """

    text: int
    place: int
    head: int
    tail: int
    system: int
    body: int
    cues: tuple[int, ...]
    numbers: tuple[int, ...]

    @classmethod
    def derive(cls, secret: bytes) -> Seeds:
        """Return the seeds of a deployment's secret, the same on every replica."""
        count = 6 + len(Cue) + 258
        stream = shake_256(b"gateway-guard features 1\0" + secret).digest(_WORD * count)
        found = [int.from_bytes(stream[at : at + _WORD]) for at in range(0, len(stream), _WORD)]
        text, place, head, tail, system, body, *rest = found
        cues, numbers = tuple(rest[: len(Cue)]), tuple(rest[len(Cue) :])
        return cls(text, place, head, tail, system, body, cues, numbers)
