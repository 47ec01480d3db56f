"""Elements: the exchanges of a batch that were read when its file was uploaded, without a word.

Of each only what a profile will need is kept: numbers, hashes, the name of the model. Packed, one
takes some five hundred bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from gateway_guard.exchange import Sampling
from gateway_guard.features.types import Features

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_HASHES = 64
"""Texts of one element that are remembered once its batch was accepted: the newest."""


class Element(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One exchange that was read before it was asked for.

    ``end_user`` is the id of its end user under the key that uploaded it, ``times`` for how many
    exchanges of its file it stands. The others are what ``pending.Surveyed`` says.
    """

    model: str
    sampling: Sampling
    features: Features
    single: bool
    claimed: bool
    streamed: bool
    tools: bool
    end_user: bytes | None = None
    times: int = 1


def slimmed(features: Features) -> Features:
    """Return features that remember no more texts than an element may."""
    if len(features.text_hashes) <= MOST_HASHES and len(features.new_hits) <= MOST_HASHES:
        return features
    return msgspec.structs.replace(
        features,
        text_hashes=features.text_hashes[-MOST_HASHES:],
        new_hits=features.new_hits[:MOST_HASHES],
    )


def halved(elements: Sequence[Element]) -> list[Element]:
    """Return one of each two elements, by a lot that their hashes draw, to stand for both."""
    kept = []
    for one, two in zip(elements[::2], elements[1::2], strict=False):
        lot = (one.features.body_hash ^ two.features.body_hash) & 1
        kept.append(msgspec.structs.replace(two if lot else one, times=one.times + two.times))
    return kept + list(elements[len(kept) * 2 :])


def pack(elements: Sequence[Element]) -> bytes:
    """Return elements as bytes."""
    return _ENCODER.encode(list(elements))


def unpack(packed: bytes) -> list[Element]:
    """Return the elements that were packed."""
    return _DECODER.decode(packed)


def _as_bytes(value: object) -> object:
    if isinstance(value, np.ndarray):
        return value.tobytes()
    raise NotImplementedError


def _as_array(kind: object, value: object) -> object:
    del kind  # hashes are the only arrays there are
    return np.frombuffer(value, np.uint64) if isinstance(value, bytes) else value


_ENCODER = msgspec.msgpack.Encoder(enc_hook=_as_bytes)
_DECODER = msgspec.msgpack.Decoder(list[Element], dec_hook=_as_array)
