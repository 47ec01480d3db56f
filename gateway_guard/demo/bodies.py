"""Requests as bytes, in the two dialects that the cast speaks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from gateway_guard.demo.script import DialectName, Message, Parameters, Request, Tool

PATHS: Final[dict[DialectName, bytes]] = {
    "openai": b"/v1/chat/completions",
    "anthropic": b"/v1/messages",
}
# Anthropic's clients must state a maximum; this is what most of them send.
ANTHROPIC_DEFAULT_TOKENS: Final = 4096
Json = dict[str, Any]


def encode_body(request: Request) -> bytes:
    """Return the JSON body of a request in its dialect."""
    shape = openai_body if request.dialect == "openai" else anthropic_body
    return msgspec.json.encode(shape(request))


def openai_body(request: Request) -> Json:
    """Shape a request as OpenAI's chat completions expect it."""
    messages = [openai_message(message) for message in request.messages]
    if request.system is not None:
        messages.insert(0, {"role": "system", "content": request.system})
    body: Json = {"model": request.model, "messages": messages}
    if request.tools:
        body["tools"] = [openai_tool(tool) for tool in request.tools]
    if request.stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    if request.user is not None:
        body["user"] = request.user
    return body | openai_parameters(request.parameters)


def openai_message(message: Message) -> Json:
    """Shape one message; a tool's result names the call it answers."""
    if message.role == "tool":
        return {"role": "tool", "tool_call_id": message.call_id, "content": message.text}
    if not message.calls:
        return {"role": message.role, "content": message.text}
    calls = [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for call in message.calls
    ]
    return {"role": message.role, "content": message.text or None, "tool_calls": calls}


def openai_tool(tool: Tool) -> Json:
    """Shape the offer of a tool."""
    function = {"name": tool.name, "description": tool.description, "parameters": schema(tool)}
    return {"type": "function", "function": function}


def openai_parameters(parameters: Parameters) -> Json:
    """Return the sampling parameters that are stated."""
    stated: Json = {
        "temperature": parameters.temperature,
        "top_p": parameters.top_p,
        "max_tokens": parameters.max_tokens,
        "n": parameters.n if parameters.n > 1 else None,
        "stop": list(parameters.stop) or None,
        "logprobs": parameters.logprobs or None,
        "top_logprobs": parameters.top_logprobs or None,
        "logit_bias": {str(token): -100 for token in parameters.logit_bias} or None,
        "seed": parameters.seed,
        "reasoning_effort": "high" if parameters.thinking_tokens else None,
        "response_format": {"type": "json_object"} if parameters.json_mode else None,
    }
    return {name: value for name, value in stated.items() if value is not None}


def anthropic_body(request: Request) -> Json:
    """Shape a request as Anthropic's messages expect it."""
    parameters = request.parameters
    body: Json = {
        "model": request.model,
        "max_tokens": parameters.max_tokens or ANTHROPIC_DEFAULT_TOKENS,
        "messages": [anthropic_message(message) for message in request.messages],
    }
    stated: Json = {
        "system": request.system,
        "temperature": parameters.temperature,
        "top_p": parameters.top_p,
        "stop_sequences": list(parameters.stop) or None,
        "stream": request.stream or None,
        "tools": [anthropic_tool(tool) for tool in request.tools] or None,
        "metadata": {"user_id": request.user} if request.user is not None else None,
        "thinking": thinking(parameters.thinking_tokens),
    }
    return body | {name: value for name, value in stated.items() if value is not None}


def anthropic_message(message: Message) -> Json:
    """Shape one message; calls and results of tools are content blocks."""
    if message.role == "tool":
        block: Json = {
            "type": "tool_result",
            "tool_use_id": message.call_id,
            "content": message.text,
        }
        return {"role": "user", "content": [block]}
    if not message.calls:
        return {"role": message.role, "content": message.text}
    blocks: list[Json] = [{"type": "text", "text": message.text}] if message.text else []
    blocks += [
        {
            "type": "tool_use",
            "id": call.id,
            "name": call.name,
            "input": msgspec.json.decode(call.arguments),
        }
        for call in message.calls
    ]
    return {"role": message.role, "content": blocks}


def anthropic_tool(tool: Tool) -> Json:
    """Shape the offer of a tool."""
    return {"name": tool.name, "description": tool.description, "input_schema": schema(tool)}


def thinking(budget: int | None) -> Json | None:
    """Return the field that asks for extended thinking."""
    return {"type": "enabled", "budget_tokens": budget} if budget else None


def schema(tool: Tool) -> Json:
    """Return the JSON schema of a tool's arguments, all of them strings."""
    properties = {name: {"type": "string"} for name in tool.fields}
    return {"type": "object", "properties": properties, "required": list(tool.fields)}
