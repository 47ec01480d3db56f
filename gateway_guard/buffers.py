"""One global budget for buffered request bodies, a small share of it for unverified keys."""

from __future__ import annotations


class BufferBudget:
    """Counts the bytes of request bodies held in memory before and while they are read."""

    def __init__(self, total_bytes: int, unverified_share: float) -> None:
        """Allow ``total_bytes`` in all, ``unverified_share`` of it to unverified keys together."""
        self._limits = (total_bytes, int(total_bytes * unverified_share))
        self._held = [0, 0]

    @property
    def held_bytes(self) -> int:
        """Return the bytes held now."""
        return self._held[0]

    def reserve(self, size: int, *, verified: bool) -> bool:
        """Reserve bytes; return false, and reserve nothing, where there is no room for them."""
        if self._held[0] + size > self._limits[0]:
            return False
        if not verified:
            if self._held[1] + size > self._limits[1]:
                return False
            self._held[1] += size
        self._held[0] += size
        return True

    def release(self, size: int, *, verified: bool) -> None:
        """Give back what was reserved."""
        self._held[0] -= size
        if not verified:
            self._held[1] -= size
