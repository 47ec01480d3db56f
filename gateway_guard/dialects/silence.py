"""Answers that say nothing of what a model writes: it will be fetched later."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway_guard.exchange import Answer

if TYPE_CHECKING:
    from gateway_guard.exchange import Hear


class SilentReader:
    """Passes over one response."""

    held_bytes: int = 0

    def feed(self, chunk: bytes) -> None:
        """Pass over the next bytes."""

    def finish(self, hear: Hear | None = None) -> Answer:
        """Return an answer of nothing; who asked counts it as one that was not seen."""
        del hear
        return Answer()
