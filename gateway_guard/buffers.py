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


class HeldBody:
    """The body of one request as it arrives, counted in the budget until it is let go."""

    __slots__ = ("_budget", "_bytes", "_verified", "counted_bytes")

    def __init__(self, budget: BufferBudget, *, verified: bool) -> None:
        """Hold nothing yet."""
        self._budget = budget
        self._bytes: bytes | bytearray = b""
        self._verified = verified
        self.counted_bytes = 0

    def take(self, chunk: bytes) -> bool:
        """Hold the next bytes too; return false where the budget has no room to count them."""
        # In one piece: many small ones would take many times their size.
        if not self._bytes:
            self._bytes = chunk
        elif isinstance(self._bytes, bytearray):
            self._bytes += chunk
        else:
            self._bytes = bytearray(self._bytes) + chunk
        if not self._budget.reserve(len(chunk), verified=self._verified):
            return False
        self.counted_bytes += len(chunk)
        return True

    def read(self) -> bytes:
        """Return the bytes held."""
        self._bytes = bytes(self._bytes)
        return self._bytes

    def let_go(self) -> bytes:
        """Return the bytes, and give their room in the budget back."""
        held, self._bytes = bytes(self._bytes), b""
        counted, self.counted_bytes = self.counted_bytes, 0
        self._budget.release(counted, verified=self._verified)
        return held
