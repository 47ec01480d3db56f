"""Answers as bytes, whole or as an event stream, in the two dialects of the upstream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway_guard.demo.script import Answer, Request

CHARS_PER_TOKEN: Final = 4
MOST_DELTAS: Final = 8
SMALLEST_DELTA: Final = 24
SIGNATURE: Final = "c2lnbmVkIGJ5IHRoZSBkZW1v"
Json = dict[str, Any]


def whole(request: Request, ticket: str, body_bytes: int) -> bytes:
    """Return the JSON body of an answer."""
    shape = openai_whole if request.dialect == "openai" else anthropic_whole
    return msgspec.json.encode(shape(request, ticket, body_bytes))


def events(request: Request, ticket: str, body_bytes: int) -> Iterator[bytes]:
    """Yield an answer as server-sent events."""
    shape = openai_events if request.dialect == "openai" else anthropic_events
    yield from shape(request, ticket, body_bytes)


def openai_whole(request: Request, ticket: str, body_bytes: int) -> Json:
    """Shape an answer as a chat completion, once for each choice asked for."""
    answer = request.answer
    message: Json = {"role": "assistant", "content": answer.text or None, "refusal": None}
    if answer.reasoning:
        message["reasoning_content"] = answer.reasoning
    if answer.calls:
        message["tool_calls"] = openai_calls(answer)
    choices = [
        {
            "index": index,
            "message": message,
            "logprobs": None,
            "finish_reason": openai_finish(answer),
        }
        for index in range(request.parameters.n)
    ]
    head = openai_head(request, ticket, "chat.completion")
    return head | {"choices": choices, "usage": openai_usage(request, body_bytes)}


def openai_events(request: Request, ticket: str, body_bytes: int) -> Iterator[bytes]:
    """Yield an answer as chat completion chunks, usage last, then ``[DONE]``."""
    answer = request.answer
    head = openai_head(request, ticket, "chat.completion.chunk")

    def event(delta: Json, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return b"data: " + msgspec.json.encode(head | {"choices": [choice]}) + b"\n\n"

    yield event({"role": "assistant", "content": ""})
    for part in deltas(answer.reasoning):
        yield event({"reasoning_content": part})
    for part in deltas(answer.text):
        yield event({"content": part})
    if answer.calls:
        calls = [{"index": index, **call} for index, call in enumerate(openai_calls(answer))]
        yield event({"tool_calls": calls})
    usage = head | {"choices": [], "usage": openai_usage(request, body_bytes)}
    last = b"data: " + msgspec.json.encode(usage) + b"\n\ndata: [DONE]\n\n"
    yield event({}, openai_finish(answer)) + last


def openai_head(request: Request, ticket: str, kind: str) -> Json:
    """Return the fields that every object of one answer begins with."""
    return {"id": f"chatcmpl-{ticket}", "object": kind, "created": 0, "model": request.model}


def openai_calls(answer: Answer) -> list[Json]:
    """Shape the tools that an answer calls."""
    return [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for call in answer.calls
    ]


def openai_finish(answer: Answer) -> str:
    """Say why the answer ended."""
    return "tool_calls" if answer.calls else "length" if answer.cut else "stop"


def openai_usage(request: Request, body_bytes: int) -> Json:
    """Count tokens as OpenAI does: reasoning is part of the completion."""
    answer, n = request.answer, request.parameters.n
    reasoning = tokens(len(answer.reasoning)) if answer.reasoning else 0
    completion = (tokens(spoken(answer)) + reasoning) * n
    return {
        "prompt_tokens": tokens(body_bytes),
        "completion_tokens": completion,
        "total_tokens": tokens(body_bytes) + completion,
        "completion_tokens_details": {"reasoning_tokens": reasoning * n},
    }


def anthropic_whole(request: Request, ticket: str, body_bytes: int) -> Json:
    """Shape an answer as a message."""
    answer = request.answer
    content = [block for block, _ in anthropic_blocks(answer)]
    usage = {"input_tokens": tokens(body_bytes), "output_tokens": output_tokens(answer)}
    return anthropic_head(request, ticket) | {
        "content": content,
        "stop_reason": anthropic_finish(answer),
        "stop_sequence": None,
        "usage": usage,
    }


def anthropic_blocks(answer: Answer) -> Iterator[tuple[Json, Json]]:
    """Yield each content block, whole and as a stream opens it."""
    if answer.reasoning:
        opened: Json = {"type": "thinking", "thinking": "", "signature": ""}
        yield opened | {"thinking": answer.reasoning, "signature": SIGNATURE}, opened
    if answer.text:
        yield {"type": "text", "text": answer.text}, {"type": "text", "text": ""}
    for call in answer.calls:
        opened = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
        yield opened | {"input": msgspec.json.decode(call.arguments)}, opened


def anthropic_events(request: Request, ticket: str, body_bytes: int) -> Iterator[bytes]:
    """Yield an answer as the named events of a message stream."""
    answer = request.answer
    usage = {"input_tokens": tokens(body_bytes), "output_tokens": 1}
    unfinished: Json = {"content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
    yield named("message_start", message=anthropic_head(request, ticket) | unfinished)
    for index, (block, opened) in enumerate(anthropic_blocks(answer)):
        yield named("content_block_start", index=index, content_block=opened)
        for delta in anthropic_deltas(block):
            yield named("content_block_delta", index=index, delta=delta)
        yield named("content_block_stop", index=index)
    ending = {"stop_reason": anthropic_finish(answer), "stop_sequence": None}
    spent = {"output_tokens": output_tokens(answer)}
    yield named("message_delta", delta=ending, usage=spent) + named("message_stop")


def anthropic_deltas(block: Json) -> Iterator[Json]:
    """Yield the pieces that a content block arrives in."""
    if block["type"] == "text":
        yield from ({"type": "text_delta", "text": part} for part in deltas(block["text"]))
    elif block["type"] == "thinking":
        yield from (
            {"type": "thinking_delta", "thinking": part} for part in deltas(block["thinking"])
        )
        yield {"type": "signature_delta", "signature": block["signature"]}
    else:
        arguments = msgspec.json.encode(block["input"]).decode()
        yield {"type": "input_json_delta", "partial_json": arguments}


def anthropic_head(request: Request, ticket: str) -> Json:
    """Return the fields that a message begins with."""
    return {"id": f"msg_{ticket}", "type": "message", "role": "assistant", "model": request.model}


def anthropic_finish(answer: Answer) -> str:
    """Say why the answer ended."""
    return "tool_use" if answer.calls else "max_tokens" if answer.cut else "end_turn"


def named(name: str, **data: object) -> bytes:
    """Return one event that carries its name twice, as Anthropic's do."""
    payload = msgspec.json.encode({"type": name, **data})
    return b"event: " + name.encode() + b"\ndata: " + payload + b"\n\n"


def deltas(text: str) -> Iterator[str]:
    """Cut a text into the pieces that it is streamed in."""
    size = max(SMALLEST_DELTA, -(-len(text) // MOST_DELTAS))
    return (text[start : start + size] for start in range(0, len(text), size))


def output_tokens(answer: Answer) -> int:
    """Count everything that an answer cost, reasoning included."""
    return tokens(spoken(answer) + len(answer.reasoning))


def spoken(answer: Answer) -> int:
    """Count the characters of an answer outside its reasoning."""
    return len(answer.text) + sum(len(call.arguments) for call in answer.calls)


def tokens(chars: int) -> int:
    """Return about as many tokens as a tokenizer would count."""
    return max(1, chars // CHARS_PER_TOKEN)
