"""Answers that say nothing of what a model writes: it will be fetched later."""

from __future__ import annotations

from gateway_guard.exchange import Answer


class SilentReader:
    """Passes over one response."""

    held_bytes: int = 0

    def feed(self, chunk: bytes) -> None:
        """Pass over the next bytes."""

    def finish(self) -> Answer:
        """Return an answer of nothing; who asked counts it as one that was not seen."""
        return Answer()
