"""Undo percent-encoding (RFC 3986, section 2.1) of large texts at the cost of a few copies."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

import numpy as np

_FEW = 256
_PERCENT = ord("%")
_NO_DIGIT = 16
_DIGITS = np.full(256, _NO_DIGIT, dtype=np.uint8)
for _digits in (b"0123456789abcdef", b"0123456789ABCDEF"):
    _DIGITS[np.frombuffer(_digits, dtype=np.uint8)] = np.arange(_NO_DIGIT)


def percent_decoded(text: bytes) -> bytes:
    """Return a text without its escapes; what is no escape is left as it is."""
    if text.count(b"%") <= _FEW:
        return unquote_to_bytes(text)
    chars = np.frombuffer(text, dtype=np.uint8)
    digits = _DIGITS[chars]
    high, low = digits[1:-1], digits[2:]
    escapes = (chars[:-2] == _PERCENT) & (high < _NO_DIGIT) & (low < _NO_DIGIT)
    places = np.flatnonzero(escapes)
    made, kept = chars.copy(), np.ones(len(chars), dtype=np.bool_)
    made[places] = high[places] << 4 | low[places]
    kept[places + 1] = kept[places + 2] = False
    return made[kept].tobytes()
