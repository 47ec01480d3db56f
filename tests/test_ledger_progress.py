"""A bar is shown to people, and to nobody else."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

from gateway_guard.ledger.progress import Progress

if TYPE_CHECKING:
    import pytest


class Terminal(io.StringIO):
    """A standard error that somebody looks at."""

    def isatty(self) -> bool:
        """Tell that it is a terminal."""
        return True


def test_on_a_terminal_the_bar_grows_and_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    """And leaves the line as it was."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    progress = Progress()
    progress.tell("reading", 0.5)
    progress.end()
    assert "reading [###############...............]  50%" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_a_file_is_not_filled_with_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written where nobody looks."""
    file = io.StringIO()
    monkeypatch.setattr(sys, "stderr", file)
    progress = Progress()
    progress.tell("reading", 0.5)
    progress.end()
    assert file.getvalue() == ""
