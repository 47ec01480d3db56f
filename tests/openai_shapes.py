"""Answers in the shapes that OpenAI sends, each checked by the official client's own types."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from openai.types import Completion, CreateEmbeddingResponse
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Fields = dict[str, Any]

EVENTS: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
USAGE = {
    "input_tokens": 37,
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens": 91,
    "output_tokens_details": {"reasoning_tokens": 64},
    "total_tokens": 128,
}
HEAD = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1756315696,
    "background": False,
    "error": None,
    "incomplete_details": None,
    "instructions": "You answer in the language of the question, and never in more than a line.",
    "max_output_tokens": None,
    "max_tool_calls": None,
    "model": "gpt-5-mini-2025-08-07",
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": "low", "summary": "detailed"},
    "safety_identifier": None,
    "service_tier": "default",
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
    "metadata": {},
}


def said(text: str, **more: object) -> Fields:
    """Return an item of the output that is a message."""
    part = {"type": "output_text", "annotations": [], "logprobs": [], "text": text}
    return _item("msg_1", "message", role="assistant", content=[part]) | more


def thought(summary: str) -> Fields:
    """Return an item of served reasoning."""
    parts = [{"type": "summary_text", "text": summary}] if summary else []
    return {"id": "rs_1", "type": "reasoning", "summary": parts}


def called(number: int = 1, arguments: str = '{"city":"Paris"}') -> Fields:
    """Return an item that calls a function."""
    call_id = f"call_{number}"
    return _item(
        f"fc_{number}", "function_call", arguments=arguments, call_id=call_id, name="look_up"
    )


def response(*output: Fields, **fields: object) -> Fields:
    """Return a whole response."""
    whole = HEAD | {"status": "completed", "output": list(output), "usage": USAGE} | fields
    Response.model_validate(whole)
    return whole


def response_events(*output: Fields, ending: str = "completed", **fields: object) -> list[Fields]:
    """Return the events of a response; the last one repeats all that the others said."""
    begun = response(status="in_progress", usage=None, **fields)
    events: list[Fields] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
    ]
    for index, item in enumerate(output):
        events += _item_events(index, item)
    whole = response(*output, status=ending, **fields)
    events.append({"type": f"response.{ending}", "response": whole})
    return numbered(events)


def numbered(events: Iterable[Fields]) -> list[Fields]:
    """Number events as the server does, and check them."""
    made = [event | {"sequence_number": number} for number, event in enumerate(events)]
    for event in made:
        EVENTS.validate_python(event)
    return made


def sse(events: Iterable[Fields]) -> bytes:
    """Write the events of a response as they are on the wire."""
    return b"".join(
        b"event: %b\ndata: %b\n\n" % (event["type"].encode(), _dump(event)) for event in events
    )


def completion(*texts: str, **fields: object) -> Fields:
    """Return a whole text completion with a choice for each text."""
    choices = [
        {"text": text, "index": index, "logprobs": None, "finish_reason": "stop"}
        for index, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
    head = {"id": "cmpl-1", "object": "text_completion", "created": 1589478378, "model": "m"}
    whole = head | {"choices": choices, "usage": usage} | fields
    Completion.model_validate(whole)
    return whole


def completion_chunks(*texts: str) -> bytes:
    """Write the same as a stream, the choices interleaved, with the usage at the end."""
    whole = completion(*texts)
    head = {name: whole[name] for name in ("id", "object", "created", "model")}
    pieces: list[Fields] = []
    for at in range(0, max(map(len, texts)), 3):
        for index, text in enumerate(texts):
            choice = {"text": text[at : at + 3], "index": index, "logprobs": None}
            pieces.append(head | {"choices": [choice | {"finish_reason": None}]})
    for index in range(len(texts)):
        choice = {"text": "", "index": index, "logprobs": None, "finish_reason": "stop"}
        pieces.append(head | {"choices": [choice]})
    pieces.append(head | {"choices": [], "usage": whole["usage"]})
    return b"".join(b"data: %b\n\n" % _dump(piece) for piece in pieces) + b"data: [DONE]\n\n"


def embeddings(count: int = 1, *, size: int = 8, packed: bool = False) -> Fields:
    """Return vectors, as numbers or packed in base64."""
    numbers = [-0.006929283495992422] * size
    vector = base64.b64encode(bytes(4 * size)).decode() if packed else numbers
    data = [{"object": "embedding", "index": at, "embedding": vector} for at in range(count)]
    usage = {"prompt_tokens": 8, "total_tokens": 8}
    whole = {"object": "list", "data": data, "model": "text-embedding-3-small", "usage": usage}
    if not packed:
        CreateEmbeddingResponse.model_validate(whole)
    return whole


def _item(item_id: str, kind: str, **fields: object) -> Fields:
    return {"id": item_id, "type": kind, "status": "completed"} | fields


def _item_events(index: int, item: Fields) -> Iterator[Fields]:
    """Yield the events of one item of the output: it begins, grows and is done."""
    place = {"output_index": index, "item_id": item["id"]}
    begun = item | {"summary": [], "content": [], "arguments": "", "status": "in_progress"}
    begun = {name: value for name, value in begun.items() if name in item}
    yield {"type": "response.output_item.added", "output_index": index, "item": begun}
    if item["type"] == "message":
        for at, part in enumerate(item["content"]):
            yield from _part_events(place | {"content_index": at}, part)
    elif item["type"] == "reasoning":
        for at, part in enumerate(item["summary"]):
            yield from _summary_events(place | {"summary_index": at}, part)
    elif "arguments" in item:
        for piece in _cut(item["arguments"]):
            yield {"type": "response.function_call_arguments.delta", "delta": piece, **place}
        done = {"arguments": item["arguments"], "name": item["name"], **place}
        yield {"type": "response.function_call_arguments.done", **done}
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _part_events(place: Fields, part: Fields) -> Iterator[Fields]:
    name = "text" if part["type"] == "output_text" else "refusal"
    stem = f"response.{part['type']}"
    rest: Fields = {"logprobs": []} if name == "text" else {}
    yield {"type": "response.content_part.added", "part": part | {name: ""}, **place}
    for piece in _cut(part[name]):
        yield {"type": f"{stem}.delta", "delta": piece, "obfuscation": "Xk2", **rest, **place}
    yield {"type": f"{stem}.done", name: part[name], **rest, **place}
    yield {"type": "response.content_part.done", "part": part, **place}


def _summary_events(place: Fields, part: Fields) -> Iterator[Fields]:
    stem = "response.reasoning_summary"
    yield {"type": f"{stem}_part.added", "part": part | {"text": ""}, **place}
    for piece in _cut(part["text"]):
        yield {"type": f"{stem}_text.delta", "delta": piece, "obfuscation": "q", **place}
    yield {"type": f"{stem}_text.done", "text": part["text"], **place}
    yield {"type": f"{stem}_part.done", "part": part, **place}


def _cut(text: str) -> list[str]:
    return [text[at : at + 5] for at in range(0, len(text), 5)]


def _dump(value: Fields) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
