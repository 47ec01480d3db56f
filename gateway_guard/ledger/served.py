"""What is handed over of an answer: its text, and to whom it was served."""

from __future__ import annotations

from typing import Literal

import msgspec

Part = Literal["answer", "reasoning"]


class Served(msgspec.Struct, frozen=True, gc=False):
    """A text that was served, and to whom; ids as those of subjects, ``at`` wall-clock seconds."""

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
