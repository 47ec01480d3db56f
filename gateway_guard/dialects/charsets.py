"""Charsets that a content type may name."""

from __future__ import annotations

import re
import warnings
from encodings import normalize_encoding
from encodings.aliases import aliases
from functools import cache
from typing import Final

_CHARSET: Final = re.compile(rb"(?i)charset\s*=\s*[\"']?([\w.:()-]{1,40})")
_MOST_NAMED: Final = 4
_PRINTABLE: Final = bytes(range(32, 127))
_SHIFTING: Final = frozenset({"hz", "raw_unicode_escape", "unicode_escape"})
_MORE: Final = {"cp1006", "cp720", "cp874", "koi8_u", "utf_8_sig", *_SHIFTING}
_OTHERS: Final = "ascii base64_codec bz2_codec hex_codec mbcs quopri_codec rot_13 utf_8 uu_codec"
# Looking up a name that Python does not know would be remembered for ever.
_CODECS: Final = frozenset({*aliases.values(), *_MORE} - {*_OTHERS.split(), "zlib_codec"})


def codecs_in(content_type: bytes) -> list[str]:
    """Return the codecs that a header names, those left out that mean UTF-8 or no text."""
    if b"=" not in content_type:
        return []
    named = _CHARSET.findall(content_type)[:_MOST_NAMED]
    names = [normalize_encoding(name.decode("latin-1")).lower() for name in named]
    codecs = [aliases.get(name, name) for name in names]
    return [codec for codec in dict.fromkeys(codecs) if codec in _CODECS]


@cache
def extends_ascii(codec: str) -> bool:
    """Tell whether ASCII means itself in a charset, so that what is JSON in UTF-8 is it here."""
    return codec not in _SHIFTING and _PRINTABLE.decode(codec, "replace").encode() == _PRINTABLE


def is_utf8(text: bytes) -> bool:
    """Tell whether bytes are UTF-8."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def decoded(text: bytes, codec: str, errors: str = "strict") -> str:
    """Return bytes as Starlette decodes them: by the codec, or else as Latin-1."""
    try:
        if codec not in _SHIFTING:
            return text.decode(codec, errors)
        with warnings.catch_warnings(action="ignore"):  # of escapes that mean nothing
            return text.decode(codec, errors)
    except UnicodeError:
        return text.decode("latin-1")
