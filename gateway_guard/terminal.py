"""Tables and progress bars on a terminal: the one place that knows the library that draws them."""

from __future__ import annotations

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

__all__ = ["Console", "Group", "Live", "Table", "Text", "progress"]


def progress() -> Progress:
    """Return progress bars on the standard error: the standard output belongs to results."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True))
