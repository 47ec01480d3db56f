"""Read JSON of unknown shape: no path is a way around the guard."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gateway_guard.dialects import sampling
from gateway_guard.dialects.asides import with_asides
from gateway_guard.dialects.decoding import decode
from gateway_guard.dialects.errors import openai_error_body
from gateway_guard.dialects.generic_answers import GRAMMAR
from gateway_guard.dialects.generic_sampling import find_asides, find_sampling, flatten
from gateway_guard.dialects.generic_turns import Found
from gateway_guard.dialects.readers import JsonReader, StreamReader
from gateway_guard.exchange import Exchange

if TYPE_CHECKING:
    from gateway_guard.dialects.base import Refusal, ResponseReader

_COUNTING = (
    "/count_tokens",
    "/count-tokens",
    "/count-tokens:rawpredict",
    ":counttokens",
    ":computetokens",
    "/tokenize",
    "/detokenize",
    "/token_counter",
    "/responses/input_tokens",
    "/responses/compact",
)
_MODEL_NAMES = ("model", "modelId", "model_id", "model_name", "engine")
_MODEL_IN_PATH = re.compile(r"/(?:models?|engines|deployments)/([^/]+?)(?::[A-Za-z]+)?(?:/|\Z)")


class Generic:
    """The dialect of everything that no other one is recognised for."""

    name: str = "generic"

    def recognise(self, path: str) -> bool:
        """Recognise every path."""
        del path
        return True

    def read_request(self, body: bytes, path: str) -> Exchange | None:
        """Return the exchange, or ``None`` where no field is known to hold prompts.

        Raises one of ``lenient.UNREADABLE`` where msgspec does not read the body as JSON, or
        ``TooLargeError`` where there is more in it than is looked at.
        """
        if path.rstrip("/").lower().endswith(_COUNTING):
            return None
        data = decode(body)
        found = Found(data)
        if not found.turns:
            return None
        fields = data if isinstance(data, dict) else {}
        flat = flatten(fields)
        return Exchange(
            dialect=self.name,
            model=sampling.model_name(_model(fields, path)),
            turns=with_asides(found.turns, find_asides(flat)),
            sampling=find_sampling(flat, found.answers),
            stream=fields.get("stream") is True or "stream" in path.rpartition("/")[2].lower(),
            tool_definitions=_tool_count(fields),
            end_user=_end_user(fields),
            body_bytes=len(body),
        )

    def response_reader(self, *, event_stream: bool, digest_key: bytes) -> ResponseReader:
        """Return a reader for one response."""
        reader = StreamReader if event_stream else JsonReader
        return reader(GRAMMAR, digest_key)

    def error_body(self, refusal: Refusal) -> bytes:
        """Return OpenAI's error object, which most clients read."""
        return openai_error_body(refusal)


def _model(fields: dict[str, object], path: str) -> str:
    named = (fields.get(name) for name in _MODEL_NAMES)
    model = next((name for name in named if isinstance(name, str) and name), None)
    if model is not None:
        return model
    match = _MODEL_IN_PATH.search(path)
    return match[1] if match else ""


def _end_user(fields: dict[str, object]) -> str | None:
    metadata = fields.get("metadata")
    inner = metadata.get("user_id") if isinstance(metadata, dict) else None
    for name in (fields.get("safety_identifier"), fields.get("user"), inner):
        if isinstance(name, str) and name:
            return sampling.end_user_name(name)
    return None


def _tool_count(fields: dict[str, object]) -> int:
    config = fields.get("toolConfig")
    nested = config.get("tools") if isinstance(config, dict) else None
    lists = (fields.get("tools"), fields.get("functions"), nested)
    return sum(_definitions(tool) for tools in lists if isinstance(tools, list) for tool in tools)


def _definitions(tool: object) -> int:
    """Count what a tool defines: Gemini puts many functions into one."""
    many = tool.get("functionDeclarations") if isinstance(tool, dict) else None
    return len(many) if isinstance(many, list) else 1
