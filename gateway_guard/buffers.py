"""One global budget for buffered request bodies: shares for callers, little for strangers."""

from __future__ import annotations

SMALL_BODY_BYTES = 2**16
"""A body of this size finds room where large ones have taken all the rest."""

_SPARE_PART = 16
_PARTS_A_CALLER = 4
_LARGE, _SPARE = 0, 1


class BufferBudget:
    """Counts the bytes of request bodies held in memory before and while they are read.

    A sixteenth is spare: the beginnings of bodies go there when the rest is full. A caller has a
    quarter of either part, and of what is not spare at least one body of the largest size. What is
    remembered of a caller goes with its last body.
    """

    def __init__(self, total_bytes: int, unverified_share: float, largest_body: int) -> None:
        """Allow ``total_bytes`` in all, ``unverified_share`` of it to unverified callers."""
        self._all = _Pool(total_bytes, largest_body)
        self._unverified = _Pool(int(total_bytes * unverified_share), largest_body)
        self._callers: dict[bytes, list[int]] = {}

    @property
    def held_bytes(self) -> int:
        """Return the bytes held now."""
        return sum(self._all.held)

    @property
    def callers(self) -> int:
        """Return the number of callers of whom something is held."""
        return len(self._callers)

    def reserve(self, body: HeldBody, size: int) -> bool:
        """Reserve bytes; return false, and reserve nothing, where there is no room for them."""
        if self._fits(body, size, _LARGE):
            part = _LARGE
        elif body.counted_bytes + size <= SMALL_BODY_BYTES and self._fits(body, size, _SPARE):
            part = _SPARE
        else:
            return False
        self._count(body, size, part)
        return True

    def release(self, body: HeldBody) -> None:
        """Give back all that was reserved for a body."""
        for part, size in enumerate(body.counted):
            if size:
                self._count(body, -size, part)
        if not any(self._callers.get(body.caller, ())):
            self._callers.pop(body.caller, None)

    def _fits(self, body: HeldBody, size: int, part: int) -> bool:
        pool = self._all if body.verified else self._unverified
        held = self._callers.get(body.caller)
        mine = size if held is None else held[part] + size
        return mine <= pool.most[part] and pool.fits(size, part) and self._all.fits(size, part)

    def _count(self, body: HeldBody, size: int, part: int) -> None:
        self._all.held[part] += size
        if not body.verified:
            self._unverified.held[part] += size
        self._callers.setdefault(body.caller, [0, 0])[part] += size
        body.counted[part] += size


class _Pool:
    """Room for bodies: a part that all of them fill, and a spare one for their beginnings."""

    __slots__ = ("_limits", "held", "most")

    def __init__(self, size: int, largest_body: int) -> None:
        spare = max(0, min(size // _SPARE_PART, size - largest_body))
        large = size - spare
        caller = max(size // _PARTS_A_CALLER, largest_body)
        self._limits = (large, spare)
        self.most = (min(large, caller), spare // _PARTS_A_CALLER)
        self.held = [0, 0]

    def fits(self, size: int, part: int) -> bool:
        return self.held[part] + size <= self._limits[part]


class HeldBody:
    """The body of one request as it arrives, counted in the budget until it is let go.

    ``caller`` is whose share it is part of; ``counted`` is what it has of the two parts of the
    budget.
    """

    __slots__ = ("_budget", "_bytes", "caller", "counted", "verified")

    def __init__(self, budget: BufferBudget, caller: bytes, *, verified: bool) -> None:
        """Hold nothing yet."""
        self._budget = budget
        self._bytes: bytes | bytearray = b""
        self.caller = caller
        self.verified = verified
        self.counted = [0, 0]

    @property
    def counted_bytes(self) -> int:
        """Return the bytes counted in the budget."""
        return self.counted[_LARGE] + self.counted[_SPARE]

    def take(self, chunk: bytes) -> bool:
        """Hold the next bytes too; return false where the budget has no room to count them."""
        # In one piece: many small ones would take many times their size.
        if not self._bytes:
            self._bytes = chunk
        elif isinstance(self._bytes, bytearray):
            self._bytes += chunk
        else:
            self._bytes = bytearray(self._bytes) + chunk
        return not chunk or self._budget.reserve(self, len(chunk))

    def read(self) -> bytes:
        """Return the bytes held."""
        self._bytes = bytes(self._bytes)
        return self._bytes

    def let_go(self) -> bytes:
        """Return the bytes, and give their room in the budget back."""
        held, self._bytes = bytes(self._bytes), b""
        self._budget.release(self)
        return held
