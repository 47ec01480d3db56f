"""How durations, sizes and lists are written in a variable: read them, and write them back."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_NUMBER: Final = r"([0-9]+(?:\.[0-9]+)?)"
_DURATION_UNITS: Final = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1, "ms": 0.001}
_DURATION: Final = re.compile(
    "".join(rf"(?:{_NUMBER}{unit}(?![a-z]))?" for unit in _DURATION_UNITS)
)
_SIZE_UNITS: Final = {
    "TiB": 2**40,
    "TB": 10**12,
    "GiB": 2**30,
    "GB": 10**9,
    "MiB": 2**20,
    "MB": 10**6,
    "KiB": 2**10,
    "KB": 10**3,
    "B": 1,
}
_SIZE: Final = re.compile(_NUMBER + r"\s*([a-z]+)")
_LENGTHS: Final = {unit.lower(): length for unit, length in _SIZE_UNITS.items()}
_LONGEST_SECONDS: Final = 100 * 366 * 86_400
_LARGEST_BYTES: Final = 2**50
_LONGEST_TEXT: Final = 64


def parse_duration(value: object) -> float:
    """Return the seconds of ``7d``, ``1h30m``, ``0`` or a plain number of seconds.

    Raises:
        ValueError: it is no duration, negative, or over a century.

    """
    seconds = _parse(value, _sum_of_units)
    if not 0 <= seconds <= _LONGEST_SECONDS:
        message = "not a duration between 0 and a century"
        raise ValueError(message)
    return seconds


def parse_size(value: object) -> int:
    """Return the bytes of ``512MiB``, ``32MB`` or a plain number of bytes.

    Raises:
        ValueError: it is no size, negative, or over 1024 TiB.

    """
    size = _parse(value, _number_with_unit)
    if not 0 <= size <= _LARGEST_BYTES:
        message = "not a size between 0 and 1024TiB"
        raise ValueError(message)
    return int(size)


def parse_list(value: object) -> tuple[str, ...]:
    """Return the entries of a comma list, or of a sequence, without empty ones.

    Raises:
        ValueError: it is neither text nor a sequence.

    """
    match value:
        case str():
            entries = value.split(",")
        case list() | tuple():
            entries = [str(entry) for entry in value]
        case _:
            message = "not a comma list"
            raise ValueError(message)
    return tuple(text for entry in entries if (text := entry.strip()))


def format_duration(seconds: float) -> str:
    """Write seconds so that ``parse_duration`` reads them back: ``5400`` is ``1h30m``."""
    rest, text = seconds, ""
    for unit in ("d", "h", "m"):
        count, rest = divmod(rest, _DURATION_UNITS[unit])
        text += f"{count:.0f}{unit}" if count else ""
    return f"{text}{rest:g}s" if rest else text or "0"


def format_size(size: int) -> str:
    """Write bytes in the largest unit that leaves a whole number: ``32000000`` is ``32MB``."""
    for unit, length in _SIZE_UNITS.items():
        if size and size % length == 0:
            return f"{size // length}{unit}"
    return str(size)


def _parse(value: object, parse_text: Callable[[str], float]) -> float:
    """Return a value that is a number already or text for one; not a number for anything else."""
    if isinstance(value, int | float):
        return math.nan if isinstance(value, bool) else float(value)
    text = str(value).strip().lower()
    if len(text) > _LONGEST_TEXT:
        return math.nan
    return float(text) if re.fullmatch(_NUMBER, text) else parse_text(text)


def _sum_of_units(text: str) -> float:
    """Add up numbers with units, longest unit first; not a number where the text is no such sum."""
    found = _DURATION.fullmatch(text) if text else None
    if found is None:
        return math.nan
    lengths = zip(found.groups(), _DURATION_UNITS.values(), strict=True)
    return sum(float(number) * length for number, length in lengths if number)


def _number_with_unit(text: str) -> float:
    """Multiply a number by its unit; not a number where the text is no such product."""
    found = _SIZE.fullmatch(text)
    return float(found[1]) * _LENGTHS.get(found[2], math.nan) if found else math.nan
