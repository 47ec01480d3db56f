"""Small ledgers for tests: answers of made-up words, to made-up keys, at times of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway_guard.ledger.batches import Entries
from gateway_guard.ledger.fingerprints import Winnower
from gateway_guard.ledger.served import Served

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from random import Random

FINGERPRINT_KEY = b"f" * 32
WINNOWER = Winnower(FINGERPRINT_KEY)
NOON = 1_799_928_000.0  # 2027-01-14, 12:00 UTC
DAY = 86_400.0


def prose(random: Random, count: int) -> str:
    """Return random words."""
    return " ".join(
        "".join(random.choices("abcdefghijklmnop", k=random.randint(2, 9))) for _ in range(count)
    )


def served(text: str, key: str, at: float = NOON, organisation: str | None = None) -> Served:
    """Return a text that was served to a key."""
    whose = None if organisation is None else _id(6, organisation)
    return Served(text, at, _id(1, key), organisation=whose, model="m-1", dialect="openai_chat")


def key_id(key: str) -> str:
    """Return what a key is called in reports."""
    return _id(1, key).hex()


def write(directory: Path, answers: Sequence[Served], now: float = NOON) -> None:
    """Write answers as one writer's only batch of each day."""
    entries = Entries(directory, WINNOWER, now)
    entries.enter(answers)
    entries.write(now)


def _id(kind: int, name: str) -> bytes:
    return bytes([kind]) + name.encode().rjust(15, b"\0")
