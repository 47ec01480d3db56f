"""Small sound inputs to begin from: requests and answers of every dialect, and what is beside them.

Each is as short as the fields that it shows allow.
"""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

from tests.frames import event, exception, model_chunk
from tests.fuzz.inputs import PLAIN, repeating
from tests.openai_shapes import (
    called,
    completion,
    completion_chunks,
    embeddings,
    response,
    response_events,
    said,
    sse,
    thought,
)
from tests.upstreams import completion as chat
from tests.upstreams import completion_events, message, message_events

_GEMINI = "/v1beta/models/gemini-2.5-pro:"
_VERTEX = "/v1/projects/p/locations/l/publishers/anthropic/models/claude:"

PATHS: dict[str, tuple[str, ...]] = {
    "openai_chat": ("/v1/chat/completions",),
    "openai_responses": ("/v1/responses",),
    "openai_completions": ("/v1/completions", "/engines/e/completions"),
    "openai_embeddings": ("/v1/embeddings",),
    "anthropic_messages": ("/v1/messages",),
    "gemini_generate": tuple(
        _GEMINI + method
        for method in (
            "generateContent",
            "streamGenerateContent",
            "embedContent",
            "batchEmbedContents",
        )
    ),
    "gemini_interactions": ("/v1beta/interactions",),
    "openai_threads": ("/v1/threads", "/v1/threads/t/messages", "/v1/threads/t/runs"),
    "openai_batches": ("/v1/batches",),
    "anthropic_batches": ("/v1/messages/batches",),
    "gemini_batches": (_GEMINI + "batchGenerateContent", _GEMINI + "asyncBatchEmbedContent"),
    "bedrock_converse": ("/model/amazon.nova/converse", "/model/amazon.nova/converse-stream"),
    "bedrock_invoke": ("/model/anthropic.claude/invoke", "/model/meta.llama/invoke"),
    "vertex_anthropic": (_VERTEX + "rawPredict", _VERTEX + "streamRawPredict"),
    "cohere_chat": ("/v2/chat", "/v1/chat"),
    "ollama": ("/api/chat", "/api/generate"),
    "generic": ("/generate", "/v1/predict", "/invocations", "/rerank"),
}

_TOOL = {"name": "t", "description": "d", "input_schema": {"type": "object"}}
_FUNCTION = {"id": "c1", "type": "function", "function": {"name": "t", "arguments": '{"a":1}'}}
_TURNS = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "é"}]
_TEXT = {"type": "text", "text": "say"}
_ASKED: dict[str, Any] = {"tools": [_TOOL], "messages": [{"role": "user", "content": "q"}]}
_GEMINI_CONTENT = {"role": "user", "parts": [{"text": "a"}, {"inlineData": {"data": "AA"}}]}
_GEMINI_ASKED = {"contents": [_GEMINI_CONTENT]}
_BLOCKS = [{"text": "a"}, {"toolUse": {"toolUseId": "t", "name": "n", "input": {"b": 1}}}]

REQUESTS: dict[str, tuple[object, ...]] = {
    "openai_threads": (
        {"messages": _TURNS},
        {"role": "user", "content": [_TEXT]},
        {"assistant_id": "a", "thread": {"messages": _TURNS}, "additional_messages": _TURNS},
    ),
    "openai_batches": ({"input_file_id": "file-1", "endpoint": "/v1/responses"},),
    "anthropic_batches": ({"requests": [{"custom_id": "1", "params": _ASKED}]},),
    "gemini_batches": (
        {"batch": {"inputConfig": {"requests": {"requests": [{"request": _GEMINI_ASKED}]}}}},
        {"batch": {"inputConfig": {"fileName": "files/1"}}},
    ),
    "openai_chat": (
        {"model": "m", "messages": _TURNS, "n": 2, "stream": True, "user": "u"},
        {"messages": [{"role": "user", "content": [_TEXT]}], "tools": [_FUNCTION], "seed": 1},
        {"messages": [{"role": "assistant", "content": None, "tool_calls": [_FUNCTION]}]},
    ),
    "openai_responses": (
        {"input": "a", "instructions": "b", "previous_response_id": "resp_1"},
        {"input": [said("a"), called(1), thought("hm"), {"type": "function_call_output"}]},
        {"input": [{"role": "user", "content": "a"}], "prompt": {"id": "p", "variables": {"a": 1}}},
    ),
    "openai_completions": (
        {"prompt": "a", "n": 2, "suffix": "b"},
        {"prompt": ["a", "b"], "logprobs": 1},
        {"prompt": [[1, 2], [3]]},
    ),
    "openai_embeddings": (
        {"input": ["a", "b"]},
        {"input": [[1, 2], [3]]},
        {"input": [{"text": 1}]},
    ),
    "anthropic_messages": (
        {"system": [_TEXT], "messages": _TURNS, "tools": [_TOOL], "metadata": {"user_id": "u"}},
        {
            "messages": [
                {"role": "user", "content": [_TEXT, {"type": "tool_result", "content": "a"}]}
            ]
        },
        {"messages": _TURNS, "thinking": {"type": "enabled", "budget_tokens": 1}},
    ),
    "gemini_generate": (
        {"contents": [_GEMINI_CONTENT], "systemInstruction": {"parts": [{"text": "s"}]}},
        {"contents": "a", "generationConfig": {"temperature": 1, "candidateCount": 2}},
        {"batch": {"inputConfig": {"requests": {"requests": [{"request": {"contents": []}}]}}}},
        {"requests": [{"content": {"parts": [{"text": "a"}]}}]},
    ),
    "gemini_interactions": (
        {"input": "a", "previous_interaction_id": "i"},
        {"input": [{"type": "user_input", "content": [_TEXT]}, {"type": "thought"}]},
        {"input": [{"role": "user", "content": [_TEXT]}], "system_instruction": "s"},
    ),
    "bedrock_converse": (
        {"messages": [{"role": "user", "content": _BLOCKS}], "system": [{"text": "s"}]},
        {"messages": [{"role": "user", "content": [{"toolResult": {"content": _BLOCKS}}]}]},
    ),
    "bedrock_invoke": (
        {"anthropic_version": "bedrock", "messages": _TURNS, "max_tokens": 1},
        {"prompt": "a", "max_gen_len": 1},
        {"inputText": "a", "textGenerationConfig": {"temperature": 1}},
    ),
    "vertex_anthropic": ({"anthropic_version": "vertex", "messages": _TURNS, "system": "s"},),
    "cohere_chat": (
        {"messages": [{"role": "user", "content": [_TEXT]}], "documents": [{"data": {"a": "b"}}]},
        {"message": "a", "chat_history": [{"role": "USER", "message": "b"}], "preamble": "c"},
    ),
    "ollama": (
        {"messages": [{"role": "user", "content": "a", "images": ["AA"]}], "options": {"seed": 1}},
        {"prompt": "a", "system": "s", "context": [1, 2], "format": {"type": "object"}},
    ),
    "generic": (
        {"inputs": "a", "parameters": {"temperature": 1}},
        {"instances": [{"prompt": "a"}], "n": 2},
        {"query": "a", "documents": ["b", {"text": "c"}]},
        {"messages": _TURNS, "input_ids": [1, 2]},
    ),
}


def _events(*values: object) -> bytes:
    return b"".join(b"data: " + json.dumps(value).encode() + b"\r\n\r\n" for value in values)


_CANDIDATE = {"content": {"parts": [{"text": "a"}, {"functionCall": {"name": "f"}}]}}
_CHUNK = {"candidates": [{**_CANDIDATE, "finishReason": "STOP"}], "usageMetadata": {"a": 1}}
_CONVERSED = {
    "output": {"message": {"role": "assistant", "content": _BLOCKS}},
    "usage": {"inputTokens": 1, "outputTokens": 2},
}
_INTERACTION = {
    "id": "i",
    "outputs": [_TEXT],
    "status": "completed",
    "usage": {"total_input_tokens": 1},
}
_COHERE = {"id": "a", "message": {"content": [_TEXT]}, "usage": {"tokens": {"output_tokens": 1.0}}}
_OLLAMA = {"message": {"content": "a"}, "done": True, "eval_count": 2}

ANSWERS: dict[str, tuple[object, ...]] = {
    "openai_threads": ({"id": "msg_1", "object": "thread.message", "content": [_TEXT]},),
    "openai_batches": ({"id": "batch_1", "status": "validating"},),
    "anthropic_batches": ({"id": "msgbatch_1", "processing_status": "in_progress"},),
    "gemini_batches": ({"name": "batches/1", "metadata": {"state": "BATCH_STATE_PENDING"}},),
    "openai_chat": (chat({}), chat(_ASKED), b"".join(completion_events(_ASKED))),
    "openai_responses": (
        response(said("a"), called(1)),
        sse(response_events(thought("b"), said("a"), called(1))),
    ),
    "openai_completions": (completion("a", "b"), completion_chunks("a", "b")),
    "openai_embeddings": (embeddings(2), embeddings(1, packed=True)),
    "anthropic_messages": (message({}), message(_ASKED), b"".join(message_events(_ASKED))),
    "gemini_generate": (_CHUNK, [_CHUNK, _CHUNK], _events(_CHUNK, {"error": {"code": 1}})),
    "gemini_interactions": (
        _INTERACTION,
        _events(
            {"event_type": "interaction.start", "interaction": {"id": "i"}},
            {"event_type": "content.delta", "index": 0, "delta": _TEXT},
            {"event_type": "interaction.complete", "interaction": _INTERACTION},
        ),
    ),
    "bedrock_converse": (
        _CONVERSED,
        event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "a"}})
        + event("messageStop", {"stopReason": "end"})
        + exception("throttlingException"),
    ),
    "bedrock_invoke": (
        message({}),
        {"generation": "a", "generation_token_count": 1},
        model_chunk({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "a"}}),
    ),
    "vertex_anthropic": (message({}), b"".join(message_events({}))),
    "cohere_chat": (
        _COHERE,
        {"text": "a", "generation_id": "g", "finish_reason": "COMPLETE"},
        _events(
            {"type": "content-delta", "delta": {"message": {"content": {"text": "a"}}}},
            {"type": "message-end", "delta": {"finish_reason": "COMPLETE"}},
        ),
        {"event_type": "text-generation", "text": "a"},
    ),
    "ollama": (_OLLAMA, b'{"response":"a"}\n{"response":"b","done":true}\n'),
    "generic": (
        {"generated_text": "a"},
        [{"generated_text": "b"}],
        {"predictions": ["a"], "usage": {"completion_tokens": 1}},
        _events({"token": {"text": "a"}}, {"text": "b"}),
    ),
}

_HEADERS = (
    b"key=a&%6bey=b\nauthorization: Bearer sk-a\nx-api-key: sk-b\nuser-agent: curl/8",
    b'::1\nx-forwarded-for: 1.2.3.4, 5.6.7.8\nforwarded: for="[2001:db8::1]:80";by=b',
    b"\nauthorization: Basic dTpw\ncookie: a=b\napi-key: c\nx-goog-api-key: d",
    b"\nauthorization: Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.",
)
_TEXTS = (
    b"Write a question and its answer. Think step by step.",
    "Schreibe zehn Aufgaben \u200b über Zahlen.\0и ещё\0十个问题".encode(),
    b"Rewrite the following prompt: <p>a</p>\0" + b"word " * 40,
)
_FORMS = (b"messages=%5B%7B%22content%22%3A1%7D%5D&n=2", b'{"a":NaN,"messages":[]}', b"prompt=a+b")


def seeds(name: str) -> list[bytes]:
    """Return what a target begins from."""
    dialect, _, side = name.partition(".")
    if side == "request":
        ways = range(len(PATHS[dialect]))
        found = [_headed(_as_bytes(value), way) for value in REQUESTS[dialect] for way in ways]
        return [*found, *(repeating(b'{"%b":[' % part, b"{},", b"1]}") for part in _LISTS)]
    if side == "answer":
        bodies = [_as_bytes(value) for value in ANSWERS[dialect]]
        return [_headed(body, way, cuts) for body in bodies for way in (0, 1) for cuts in (0, 1, 9)]
    return [_headed(body, way) for body in _OTHERS[name] for way in range(3)]


_LISTS = (b"messages", b"input", b"contents", b"prompt", b"documents", b"tools")
_EVERY_REQUEST = [body for bodies in REQUESTS.values() for body in bodies]
_EVERY_ANSWER = [body for bodies in ANSWERS.values() for body in bodies]


def _as_bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


_OTHERS: dict[str, tuple[bytes, ...]] = {
    "encoding": (gzip.compress(b"a"), zlib.compress(b"a" * 99), b"plain", gzip.compress(b"") * 2),
    "form": _FORMS,
    "principal": _HEADERS,
    "features": _TEXTS,
    "middleware": tuple(map(_as_bytes, (*_EVERY_REQUEST, *_EVERY_ANSWER, *_FORMS))),
}


def _headed(body: bytes, way: int, cuts: int = 0) -> bytes:
    head = bytearray(PLAIN)
    head[0], head[6:8] = way, cuts.to_bytes(2)
    return bytes(head) + body
