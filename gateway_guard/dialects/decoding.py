"""Decoders of JSON that no number slows down.

What msgspec makes of ``1e308`` by itself takes it twenty microseconds, a thousand times as long as
of other numbers: a second for a quarter of a megabyte. Python's ``float`` takes a tenth of one.
"""

from __future__ import annotations

import math
from typing import TypeVar

import msgspec

T = TypeVar("T")


def decoder_of(kind: type[T], *, strict: bool = False) -> msgspec.json.Decoder[T]:
    """Return a decoder of a type; unless ``strict``, strings may stand for numbers.

    Fields that are declared as ``float`` stay slow.
    """
    return msgspec.json.Decoder(kind, strict=strict, float_hook=float)


def decode(body: bytes | str | msgspec.Raw, *, finite: bool = False) -> object:
    """Return JSON as plain values; numbers that are too large become infinite unless ``finite``.

    Raises one of ``lenient.UNREADABLE`` where msgspec does not read it, or a number is not finite.
    """
    value: object = (_FINITE if finite else _PLAIN).decode(body)
    return value


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        message = "a number is too large"
        raise ValueError(message)
    return number


_PLAIN = msgspec.json.Decoder(float_hook=float)
_FINITE = msgspec.json.Decoder(float_hook=_finite)
