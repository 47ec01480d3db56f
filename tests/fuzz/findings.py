"""What counts as a finding: an exception, an input slower than others of its size, much memory."""

from __future__ import annotations

import hashlib
import resource
import sys
import traceback
from collections import defaultdict, deque
from statistics import median
from time import process_time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SLOWEST_TIMES = 20
FLOOR_SECONDS = 0.1
FLOOR_SECONDS_A_BYTE = 1e-6
"""What takes less than both is no finding, whatever it is compared with: most bytes are no JSON."""
MOST_MEMORY_BYTES = 2**27
KEPT = 20

_REMEMBERED = 500
_TRIES = 3
_FRAMES = 3


class TooSlowError(AssertionError):
    """An input took many times what others of its size take."""


class TooLargeError(AssertionError):
    """An input took more memory than any may."""


class Watch:
    """Runs a target and remembers how long inputs of each size took."""

    def __init__(self, target: Callable[[bytes], int]) -> None:
        """Watch a target, which returns the size of what it has read."""
        self._target = target
        self._seconds: dict[int, deque[float]] = defaultdict(lambda: deque(maxlen=_REMEMBERED))

    def run(self, data: bytes) -> None:
        """Run the target on an input.

        Raises:
            TooSlowError: it takes longer than it may, again and again.
            TooLargeError: the process has grown by more than it may.

        """
        before = _most_resident_bytes()
        size, seconds = self._timed(data)
        grown = _most_resident_bytes() - before
        remembered = self._seconds[size.bit_length()]
        remembered.append(seconds)
        floor = FLOOR_SECONDS + FLOOR_SECONDS_A_BYTE * size
        allowed = max(floor, SLOWEST_TIMES * median(remembered))
        if seconds > allowed:
            again = min(self._timed(data)[1] for _ in range(_TRIES))
            if again > allowed:
                message = f"{size} bytes took {again:.2f} s of {allowed:.2f}"
                raise TooSlowError(message)
        if grown > MOST_MEMORY_BYTES:
            message = f"{size} bytes took {grown >> 20} MiB"
            raise TooLargeError(message)

    def _timed(self, data: bytes) -> tuple[int, float]:
        begun = process_time()
        size = self._target(data)
        return size, process_time() - begun


class Findings:
    """Keeps the inputs that something is wrong with, one for each place in the code."""

    def __init__(self, folder: Path) -> None:
        """Keep them in a folder."""
        self._folder = folder
        self._places: set[str] = set()

    def note(self, error: Exception, data: bytes) -> None:
        """Keep an input and what came of it, unless its like is there already."""
        place = _place(error)
        if place in self._places or len(self._places) >= KEPT:
            return
        self._places.add(place)
        self._folder.mkdir(parents=True, exist_ok=True)
        kept = self._folder / f"{type(error).__name__}-{hashlib.sha256(data).hexdigest()[:12]}"
        kept.write_bytes(data)
        told = "".join(traceback.format_exception(error)[-_FRAMES:])
        sys.stderr.write(f"FOUND {kept}\n{told}\n")


def _place(error: Exception) -> str:
    if isinstance(error, TooSlowError):
        # All slow inputs come from one place in here; what they say tells some of them apart.
        return f"slow {len(str(error))}"
    frames = traceback.extract_tb(error.__traceback__)[-2:]
    where = [f"{frame.filename}:{frame.lineno}" for frame in frames]
    return f"{type(error).__name__} {where}"


def _most_resident_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
