"""Heads: what each writer commits to, one line for each batch, each with the hash of the last.

Whoever holds a copy of a head can tell later that no answer of that batch, or of any before it, was
added, left out or changed. Copies may be put anywhere: they tell nothing of keys and texts.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec

from gateway_guard.exceptions import GatewayGuardError
from gateway_guard.ledger.files import append_line

if TYPE_CHECKING:
    from pathlib import Path

GENESIS: Final = "0" * 64


class LedgerError(GatewayGuardError):
    """A ledger, a bundle or their heads are not what they should be."""


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a writer commits to when a batch has become a segment.

    ``root`` is that of the Merkle tree over the batch's answers. ``answers_sha256`` and
    ``fingerprints_sha256`` are of the two files as they were written; compaction replaces the
    files, never what the root commits to.
    """

    version: int
    writer: str
    batch: int
    previous: str
    written_at: str
    segment: str
    answers: int
    fingerprints: int
    root: str
    answers_sha256: str
    fingerprints_sha256: str

    def line(self) -> bytes:
        """Return the head as it stands in its file, without the line break."""
        return msgspec.json.encode(self)

    def hash(self) -> str:
        """Return what the next head calls this one."""
        return sha256(self.line()).hexdigest()


def append_head(directory: Path, head: Head) -> None:
    """Add a head to its writer's file."""
    append_line(heads_file(directory, head.writer), head.line() + b"\n")


def heads_file(directory: Path, writer: str) -> Path:
    """Return where the heads of a writer stand."""
    return directory / "heads" / f"{writer}.jsonl"


def read_heads(path: Path) -> list[Head]:
    """Return the heads of one writer, having checked that they are a chain.

    A last line that a crash has cut does not count.

    Raises:
        LedgerError: a line is no head, or does not follow from the one before it.

    """
    heads: list[Head] = []
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    for number, line in enumerate(whole.splitlines(), start=1):
        previous = heads[-1].hash() if heads else GENESIS
        head = _head(line)
        if head is None or head.previous != previous or head.batch != number - 1:
            message = f"{path.name}, line {number} does not follow from what stands before it"
            raise LedgerError(message, hint="compare it with a copy that was published")
        heads.append(head)
    return heads


def _head(line: bytes) -> Head | None:
    """Return the head that a line is, if it is one to the byte."""
    try:
        head = msgspec.json.decode(line, type=Head)
    except msgspec.MsgspecError:
        return None
    return head if head.line() == line else None
