"""Erasing: who is behind a pseudonym is deleted, what was written under it stays.

Nobody can tell any more to whom those answers were served. A key that comes back has the same
pseudonym as before until the month is over, and other ones from then on.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from gateway_guard.ledger.pseudonyms import IDENTITIES, Identity

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def erase_identities(directory: Path, subjects: Iterable[bytes]) -> int:
    """Delete whom pseudonyms stand for, in every month, where it is one of the subjects' ids.

    Return how many pseudonyms that were. Lines become blank where they stand, because a writer may
    be adding to the same file.
    """
    ids = {subject.hex() for subject in subjects}
    return sum(_blank(path, ids) for path in sorted((directory / IDENTITIES).glob("*/*.jsonl")))


def _blank(path: Path, ids: set[str]) -> int:
    decoder, blanked, at = msgspec.json.Decoder(Identity), 0, 0
    with path.open("r+b") as file:
        for line in file.read().splitlines(keepends=True):
            if line.endswith(b"\n") and line.strip() and decoder.decode(line).id in ids:
                file.seek(at)
                file.write(b" " * (len(line) - 1))
                blanked += 1
            at += len(line)
        file.flush()
        os.fsync(file.fileno())
    return blanked
