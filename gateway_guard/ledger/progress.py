"""A progress bar on the standard error, where that is a terminal."""

from __future__ import annotations

import sys
from typing import Final

_CELLS: Final = 30
_CLEAR: Final = "\r\x1b[K"


class Progress:
    """Shows what is under way, and how much of it is done."""

    def __init__(self) -> None:
        """Show nothing yet."""
        self._shown = sys.stderr.isatty()

    def tell(self, what: str, share: float) -> None:
        """Show the share that is done of something."""
        if self._shown:
            cells = round(_CELLS * share)
            bar = "#" * cells + "." * (_CELLS - cells)
            sys.stderr.write(f"{_CLEAR}{what} [{bar}] {share:4.0%}")
            sys.stderr.flush()

    def end(self) -> None:
        """Leave nothing behind."""
        if self._shown:
            sys.stderr.write(_CLEAR)
            sys.stderr.flush()
