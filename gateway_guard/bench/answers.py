"""What the measured applications answer: one completion, whole or in chunks."""

from __future__ import annotations

import json
from typing import Any, Final

CHUNKS: Final = 500
TEXT: Final = (
    "The report compares three ways to move the archive. Copying it over night is the slowest but "
    "needs no change to the servers; sending the disks is quick and costs a courier; the third "
    "way, a second line for one month, pays off only if the old office is kept open until spring."
)
_ID: Final = "chatcmpl-bench-000001"
_USAGE: Final = {"prompt_tokens": 512, "completion_tokens": 64, "total_tokens": 576}


def completion(text: str = TEXT) -> dict[str, Any]:
    """Return a completion as a model server answers it, about 600 bytes of JSON."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "logprobs": None,
        "finish_reason": "stop",
    }
    return {**_head("chat.completion"), "choices": [choice], "usage": _USAGE}


def chunks(count: int = CHUNKS) -> list[bytes]:
    """Return the events of a streamed completion, of which the last two end it."""
    words = TEXT.split()
    events = [_chunk({"content": words[number % len(words)] + " "}) for number in range(count - 2)]
    events.append(_chunk({}, finish="stop", usage=_USAGE))
    return [*map(_event, events), b"data: [DONE]\n\n"]


def _chunk(
    delta: dict[str, str], finish: str | None = None, usage: dict[str, int] | None = None
) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return {**_head("chat.completion.chunk"), "choices": [choice], "usage": usage}


def _head(kind: str) -> dict[str, Any]:
    return {"id": _ID, "object": kind, "created": 1_767_225_600, "model": "bench-1"}


def _event(chunk: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % json.dumps(chunk, separators=(",", ":")).encode()
