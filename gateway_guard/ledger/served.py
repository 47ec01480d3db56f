"""What is handed over of an answer: its text, and to whom it was served."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final, Literal

import msgspec

from gateway_guard.exchange import MOST_ID_CHARS

Part = Literal["answer", "reasoning"]
_ID_BYTES: Final = 8


def answer_digest(name: str, key: bytes) -> bytes:
    """Return what stands in a ledger for an answer's id (keyed BLAKE2b); ``key`` is the ledger's.

    Of a longer id than any upstream gives only the beginning counts.
    """
    given = name[:MOST_ID_CHARS].encode("utf-8", "surrogatepass")
    return blake2b(given, key=key, digest_size=_ID_BYTES, person=b"answer id").digest()


class Served(msgspec.Struct, frozen=True, gc=False):
    """A text that was served, and to whom; ids as those of subjects, ``at`` wall-clock seconds.

    ``answer_id`` is ``answer_digest`` of what the upstream called the answer.
    """

    text: str
    at: float
    key: bytes
    end_user: bytes | None = None
    organisation: bytes | None = None
    template: bytes | None = None
    model: str = ""
    dialect: str = ""
    answer_id: bytes | None = None
    part: Part = "answer"

    def saying(self, text: str, part: Part) -> Served:
        """Return the same with a text."""
        return msgspec.structs.replace(self, text=text, part=part)
