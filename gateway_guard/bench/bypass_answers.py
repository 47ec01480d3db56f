"""How a model server answers in each dialect: whole, and as the events of a stream."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Fields = dict[str, Any]

TEXT: Final = (
    "The quick way is to ask the office by telephone before noon, and to send the papers by post "
    "in the afternoon so that they are there on the next day."
)
_WIDTH: Final = 24
_VECTOR: Final = [0.25, -0.5, 0.125]
_CREATED: Final = 1_767_225_600


class Cost(NamedTuple):
    """Tokens of a question and of its answers, and how many answers there are."""

    prompt: int
    completion: int
    answers: int


def chat(cost: Cost) -> Fields:
    """Return OpenAI's chat completion."""
    message = {"role": "assistant", "content": TEXT}
    choices = [
        {"index": at, "message": message, "finish_reason": "stop", "logprobs": None}
        for at in range(cost.answers)
    ]
    return _head("chat.completion") | {"choices": choices, "usage": _usage(cost)}


def chat_events(cost: Cost) -> Iterator[bytes]:
    """Yield it as chunks, without usage: nobody has asked for that."""
    head = _head("chat.completion.chunk")
    for at in range(cost.answers):
        for delta in ({"role": "assistant", "content": ""}, *({"content": it} for it in _pieces())):
            yield _data(head | {"choices": [{"index": at, "delta": delta, "finish_reason": None}]})
        yield _data(head | {"choices": [{"index": at, "delta": {}, "finish_reason": "stop"}]})
    yield b"data: [DONE]\n\n"


def completion(cost: Cost) -> Fields:
    """Return OpenAI's completion, with as many choices as there are answers to all prompts."""
    choices = [
        {"index": at, "text": TEXT, "finish_reason": "stop", "logprobs": None}
        for at in range(cost.answers)
    ]
    return _head("text_completion") | {"choices": choices, "usage": _usage(cost)}


def completion_events(cost: Cost) -> Iterator[bytes]:
    """Yield it as chunks."""
    head = _head("text_completion")
    for at in range(cost.answers):
        for text, finish in (*((it, None) for it in _pieces()), ("", "stop")):
            choice = {"index": at, "text": text, "finish_reason": finish, "logprobs": None}
            yield _data(head | {"choices": [choice]})
    yield b"data: [DONE]\n\n"


def embedding(cost: Cost) -> Fields:
    """Return a vector for each text."""
    data = [
        {"object": "embedding", "index": at, "embedding": _VECTOR} for at in range(cost.answers)
    ]
    usage = {"prompt_tokens": cost.prompt, "total_tokens": cost.prompt}
    return {"object": "list", "model": "bypass", "data": data, "usage": usage}


def response(cost: Cost) -> Fields:
    """Return OpenAI's response."""
    part = {"type": "output_text", "text": TEXT, "annotations": []}
    return {
        "id": "resp_bypass",
        "object": "response",
        "created_at": _CREATED,
        "status": "completed",
        "model": "bypass",
        "output": [_item("completed", [part])],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "temperature": 1.0,
        "top_p": 1.0,
        "usage": {
            "input_tokens": cost.prompt,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": cost.completion,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": cost.prompt + cost.completion,
        },
    }


def response_events(cost: Cost) -> Iterator[bytes]:
    """Yield it as events."""
    whole = response(cost)
    part, place = whole["output"][0]["content"][0], {"output_index": 0, "item_id": "msg_bypass"}
    inner = place | {"content_index": 0}
    begun = whole | {"status": "in_progress", "output": [], "usage": None}
    events: list[tuple[str, Fields]] = [
        ("response.created", {"response": begun}),
        ("response.output_item.added", {"output_index": 0, "item": _item("in_progress", [])}),
        ("response.content_part.added", inner | {"part": part | {"text": ""}}),
        *(("response.output_text.delta", inner | {"delta": it}) for it in _pieces()),
        ("response.output_text.done", inner | {"text": TEXT}),
        ("response.content_part.done", inner | {"part": part}),
        ("response.output_item.done", {"output_index": 0, "item": whole["output"][0]}),
        ("response.completed", {"response": whole}),
    ]
    for number, (name, fields) in enumerate(events):
        yield _event(name, fields | {"sequence_number": number})


def message(cost: Cost) -> Fields:
    """Return Anthropic's message."""
    return {
        "id": "msg_bypass",
        "type": "message",
        "role": "assistant",
        "model": "bypass",
        "content": [{"type": "text", "text": TEXT}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": cost.prompt, "output_tokens": cost.completion},
    }


def message_events(cost: Cost) -> Iterator[bytes]:
    """Yield it as events."""
    begun = message(cost) | {"content": [], "stop_reason": None}
    yield _event("message_start", {"message": begun})
    block: Fields = {"type": "text", "text": ""}
    yield _event("content_block_start", {"index": 0, "content_block": block})
    for text in _pieces():
        delta = {"type": "text_delta", "text": text}
        yield _event("content_block_delta", {"index": 0, "delta": delta})
    yield _event("content_block_stop", {"index": 0})
    ending = {"stop_reason": "end_turn", "stop_sequence": None}
    usage = {"output_tokens": cost.completion}
    yield _event("message_delta", {"delta": ending, "usage": usage})
    yield _event("message_stop", {})


def candidates(cost: Cost, text: str = TEXT) -> Fields:
    """Return what Gemini generates."""
    content = {"role": "model", "parts": [{"text": text}]}
    return {
        "candidates": [{"content": content, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {
            "promptTokenCount": cost.prompt,
            "candidatesTokenCount": cost.completion,
            "totalTokenCount": cost.prompt + cost.completion,
        },
        "modelVersion": "bypass",
    }


def candidate_events(cost: Cost) -> Iterator[bytes]:
    """Yield it as events."""
    for text in _pieces():
        yield _data(candidates(cost, text))


def own(cost: Cost) -> Fields:
    """Return an answer in a shape that an application has made up."""
    usage = {"prompt_tokens": cost.prompt, "completion_tokens": cost.completion}
    return {"answer": TEXT, "usage": usage}


def _head(kind: str) -> Fields:
    return {"id": "bypass-1", "object": kind, "created": _CREATED, "model": "bypass"}


def _usage(cost: Cost) -> Fields:
    total = cost.prompt + cost.completion
    return {
        "prompt_tokens": cost.prompt,
        "completion_tokens": cost.completion,
        "total_tokens": total,
    }


def _item(status: str, content: Iterable[Fields]) -> Fields:
    head = {"type": "message", "id": "msg_bypass", "status": status, "role": "assistant"}
    return head | {"content": list(content)}


def _pieces() -> list[str]:
    return [TEXT[at : at + _WIDTH] for at in range(0, len(TEXT), _WIDTH)]


def _data(fields: Fields) -> bytes:
    return b"data: %b\n\n" % json.dumps(fields).encode()


def _event(name: str, fields: Fields) -> bytes:
    return b"event: %b\n%b" % (name.encode(), _data({"type": name} | fields))
