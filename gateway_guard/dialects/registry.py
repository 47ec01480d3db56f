"""Choose the dialect by the path, and read any body at all."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from gateway_guard.dialects.anthropic_batches import AnthropicBatches
from gateway_guard.dialects.anthropic_messages import AnthropicMessages
from gateway_guard.dialects.bedrock import BedrockConverse, BedrockInvoke
from gateway_guard.dialects.bounds import TooLargeError
from gateway_guard.dialects.cohere_chat import CohereChat
from gateway_guard.dialects.density import MOST_LENIENT_COMMAS, both_ends, is_dense, thinned
from gateway_guard.dialects.gemini_batches import GeminiBatches
from gateway_guard.dialects.gemini_generate import GeminiGenerate
from gateway_guard.dialects.gemini_interactions import GeminiInteractions
from gateway_guard.dialects.generic import Generic
from gateway_guard.dialects.lenient import UNREADABLE, normalise, normalise_form
from gateway_guard.dialects.ollama import Ollama
from gateway_guard.dialects.openai_batches import OpenAIBatches
from gateway_guard.dialects.openai_chat import OpenAIChat
from gateway_guard.dialects.openai_completions import OpenAICompletions
from gateway_guard.dialects.openai_embeddings import OpenAIEmbeddings
from gateway_guard.dialects.openai_responses import OpenAIResponses
from gateway_guard.dialects.openai_threads import OpenAIThreads
from gateway_guard.dialects.vertex_anthropic import VertexAnthropic
from gateway_guard.exchange import Exchange, Turn

if TYPE_CHECKING:
    from gateway_guard.dialects.base import Dialect

GENERIC = Generic()
DIALECTS: tuple[Dialect, ...] = (
    OpenAIChat(),
    OpenAIResponses(),
    OpenAIThreads(),
    OpenAICompletions(),
    OpenAIEmbeddings(),
    AnthropicMessages(),
    AnthropicBatches(),
    OpenAIBatches(),
    GeminiGenerate(),
    GeminiBatches(),
    GeminiInteractions(),
    BedrockConverse(),
    BedrockInvoke(),
    VertexAnthropic(),
    CohereChat(),
    Ollama(),
    GENERIC,
)

_FETCHED: dict[str, Dialect] = {
    "responses": OpenAIResponses(),
    "interactions": GeminiInteractions(),
}
_OF_RUNS = frozenset({"messages", "runs"})
_THREADS = OpenAIThreads()
_APART = (AnthropicBatches, GeminiBatches)
"""Dialects that make nothing of their elements, but of those that they draw."""

_MOST_LENIENT_BYTES = 2**22
_NAMES = "(?:prompts?|messages|inputs?|contents?|query|question|text)"
_ASKS = re.compile(rf"[\"']{_NAMES}[\"']\s*:|(?:\A|&){_NAMES}=")


def dialect_for(path: str) -> Dialect:
    """Return the dialect that is spoken at a decoded path, without ``root_path``."""
    return next((dialect for dialect in DIALECTS if dialect.recognise(path)), GENERIC)


def fetched_at(path: str) -> tuple[Dialect, str] | None:
    """Return in which dialect a GET of a decoded path fetches an answer, and under which id."""
    *_, kind, name = ("", "", *path.rstrip("/").rsplit("/", 2))
    dialect = _FETCHED.get(kind)
    if dialect is None and "/threads/" in path and not {kind, name}.isdisjoint(_OF_RUNS):
        dialect = _THREADS
    return None if dialect is None else (dialect, name)


def read_request(body: bytes, path: str) -> tuple[Dialect, Exchange | None]:
    """Return the dialect of a path and the exchange in a body; never raises.

    The exchange is ``None`` where nothing asks a model for an answer. A body that nothing reads is
    an exchange with ``unparsed`` set.
    """
    dialect = dialect_for(path)
    if not body or body.isspace():
        return dialect, None
    try:
        exchange = _read(dialect, body, path)
    except UNREADABLE:
        exchange = _read_leniently(dialect, body, path)
    if exchange is not None and exchange.body_bytes != len(body):
        exchange = msgspec.structs.replace(exchange, body_bytes=len(body))
    return dialect, exchange


def _read(dialect: Dialect, body: bytes, path: str) -> Exchange | None:
    if is_dense(body):
        apart = dialect.read_dense(body, path) if isinstance(dialect, _APART) else None
        return apart or _read_thinned(dialect, body, path, whole=False)
    try:
        return _read_whole(dialect, body, path)
    except TooLargeError:
        return _read_thinned(dialect, body, path, whole=False)


def _read_whole(dialect: Dialect, body: bytes, path: str) -> Exchange | None:
    exchange = dialect.read_request(body, path)
    if exchange is None and dialect is not GENERIC:
        # The server may know a name for its prompts that the dialect does not.
        return GENERIC.read_request(body, path)
    return exchange


def _read_thinned(dialect: Dialect, body: bytes, path: str, *, whole: bool) -> Exchange | None:
    """Read what can be read of a body with too much in it: how the answer is drawn, if no more."""
    made = thinned(body, whole=whole)
    if made is None:
        return _unparsed(dialect, body)
    thin, complete = made
    try:
        exchange = None if is_dense(thin) else _read_whole(dialect, thin, path)
    except UNREADABLE:
        exchange = None
    if exchange is not None:
        return msgspec.structs.replace(exchange, unparsed=not complete)
    return _unparsed(dialect, body) if whole else _read_thinned(dialect, body, path, whole=True)


def _read_leniently(dialect: Dialect, body: bytes, path: str) -> Exchange | None:
    """Read a body that msgspec does not read, unless that would take too long."""
    if len(body) > _MOST_LENIENT_BYTES or is_dense(body, MOST_LENIENT_COMMAS):
        return _unparsed(dialect, body)
    try:
        return _read(dialect, normalise_form(body) or normalise(body), path)
    except UNREADABLE:
        return _unparsed(dialect, body)


def _unparsed(dialect: Dialect, body: bytes) -> Exchange | None:
    text = both_ends(body)
    if dialect is GENERIC and not _ASKS.search(text):
        return None
    return Exchange(dialect.name, "", (Turn("user", text),), unparsed=True)
