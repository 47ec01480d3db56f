"""Bring texts that read alike to the same bytes, so that spelling tricks do not hide them.

ASCII text is taken as it is: letter case, white space and punctuation are dealt with by the byte
tables of the word windows and by the patterns of the cues. Any other text goes through one table
from code point to code point: case folded, accents and zero-width characters removed, compatibility
forms and lookalikes resolved, punctuation reduced to ASCII.
"""

from __future__ import annotations

import sys
import tomllib
from functools import cache
from importlib.resources import files
from unicodedata import category, decomposition, is_normalized, normalize

import numpy as np
import numpy.typing as npt

_UTF32 = f"utf-32-{sys.byteorder[0]}e"
_TABLE_SIZE = 0x20000
"""Code points the table knows; above it are rare ideographs, which are kept, and tags."""
_TAGS = 0xE0000
_BLANK = ord(" ")
_REMOVED = 0
_KEPT_CONTROLS = frozenset("\t\n\r")
_FILLERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")
_MARKS = (
    (0x0300, 0x036F),
    (0x0483, 0x0489),
    (0x180B, 0x180F),
    (0x1AB0, 0x1AFF),
    (0x1DC0, 0x1DFF),
    (0x20D0, 0x20FF),
    (0xFE00, 0xFE0F),
    (0xFE20, 0xFE2F),
)
"""Accents and variation selectors. Marks that carry vowels in other scripts stay."""
_LETTER_RUNS = (0x1F130, 0x1F150, 0x1F170, 0x1F1E6)
"""Where runs of squared, circled and regional letters A to Z begin."""
_PLAIN_KINDS = frozenset({"Lo", "Cn", "Co"})
_HANGUL = range(0xAC00, 0xD7A4)
"""Syllables, which fall apart into letters when decomposed."""
_SWELLING = frozenset({0x0F77, 0x0F79, *range(0xFDF0, 0xFDFE)})
"""Whole words and vowels in one character, which would become up to eighteen."""


def normalise(text: str) -> bytes:
    """Return the UTF-8 bytes under which ``text`` is compared; lone surrogates are dropped.

    The result is at most about twice as long as the text's own UTF-8 bytes.
    """
    if text.isascii():
        return text.encode("ascii")
    folded = _translate(text)
    if not is_normalized("NFKC", folded):
        folded = _translate(normalize("NFKC", folded))
    return folded.replace("ß", "ss").encode()


def prepare() -> None:
    """Build the table now; it takes a tenth of a second."""
    _table()


def _translate(text: str) -> str:
    """Map every code point through the table."""
    points = np.frombuffer(text.encode(_UTF32, "surrogatepass"), np.uint32)
    mapped = _table().take(points, mode="clip")
    if int(points.max(initial=0)) >= _TABLE_SIZE:
        high = np.where(points < _TAGS, points, _REMOVED)
        mapped = np.where(points < _TABLE_SIZE, mapped, high)
    if not mapped.all():
        mapped = mapped[mapped != _REMOVED]
    return mapped.tobytes().decode(_UTF32)


@cache
def _table() -> npt.NDArray[np.uint32]:
    """Return what each code point below ``_TABLE_SIZE`` becomes, 0 for those removed."""
    lookalikes = _lookalikes()
    mapped = (_fold(chr(point), lookalikes) for point in range(_TABLE_SIZE))
    table = np.fromiter(mapped, np.uint32, _TABLE_SIZE)
    for first in _LETTER_RUNS:
        table[first : first + 26] = np.arange(ord("a"), ord("z") + 1)
    table.setflags(write=False)
    return table


def _lookalikes() -> dict[str, str]:
    """Read the table of characters drawn like others, keyed by the character to replace."""
    data = tomllib.loads(files(__package__).joinpath("lookalikes.toml").read_text("utf-8"))
    groups = {**data["letters"], **data["punctuation"]}
    return {double: plain for plain, doubles in groups.items() for double in doubles}


def _fold(char: str, lookalikes: dict[str, str]) -> int:
    """Return the code point that stands for ``char``."""
    if char in lookalikes:
        return ord(lookalikes[char])
    kind = category(char)
    if _is_removed(char, kind):
        return _REMOVED
    if kind in _PLAIN_KINDS and (not decomposition(char) or ord(char) in _HANGUL):
        return ord(char)
    plain = _plain(char)
    if len(plain) == 1 and plain != char:
        return _fold(plain, lookalikes)
    if char.isascii():
        return _BLANK if kind == "Cc" and char not in _KEPT_CONTROLS else ord(char)
    return ord("-") if kind == "Pd" else _BLANK if _is_blank(char, kind) else ord(char)


def _is_removed(char: str, kind: str) -> bool:
    """Tell whether a character is not seen, or only decorates the one before it."""
    return kind in {"Cf", "Cs"} or char in _FILLERS or (kind in {"Mn", "Me"} and _is_mark(char))


def _is_blank(char: str, kind: str) -> bool:
    """Tell whether a character outside ASCII parts words."""
    return kind[0] in "ZPS" or kind == "Cc" or ord(char) in _SWELLING


def _plain(char: str) -> str:
    """Return the character without compatibility form, accents and case, or as it is."""
    base = "".join(part for part in normalize("NFKD", char) if not _is_mark(part))
    composed = normalize("NFKC", char)
    form = base if len(base) == 1 else composed if len(composed) == 1 else char
    return _small(form) if form == char else form


def _small(char: str) -> str:
    """Return the caseless form, or the lower case where that takes more than one character."""
    folded = char.casefold()
    return folded if len(folded) == 1 else char.lower()


def _is_mark(char: str) -> bool:
    """Tell whether a character is an accent or selects a variant."""
    return any(first <= ord(char) <= last for first, last in _MARKS)
