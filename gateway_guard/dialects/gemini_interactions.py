"""Gemini's interactions, which the newer of Google's clients speak."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from gateway_guard.dialects.asides import ABSENT, aside, tools_aside, with_asides
from gateway_guard.dialects.cloud_errors import google_error_body
from gateway_guard.dialects.decoding import decoder_of
from gateway_guard.dialects.gemini_interactions_answers import GRAMMAR
from gateway_guard.dialects.gemini_requests import Config, definitions, model_name, sampling_of
from gateway_guard.dialects.gemini_steps import MENDERS, Item, Items, items_turns
from gateway_guard.dialects.loose import read_as
from gateway_guard.dialects.readers import JsonReader, StreamReader
from gateway_guard.dialects.sampling import known_effort
from gateway_guard.exchange import Exchange, Sampling, Turn

if TYPE_CHECKING:
    from gateway_guard.dialects.base import Refusal, ResponseReader

_SUFFIX = "/interactions"
_FREE = frozenset({"", "text/plain"})


class _Config(Config, gc=False):
    level: str | None = msgspec.field(default=None, name="thinking_level")
    level_: str | None = msgspec.field(default=None, name="thinkingLevel")


class _Form(msgspec.Struct, gc=False):
    mime: str = msgspec.field(default="", name="mime_type")
    schema: msgspec.Raw = ABSENT


class _Request(msgspec.Struct, gc=False):
    input: list[Item | str] | Item | str | None = None
    model: str = ""
    agent: str = ""
    stream: bool | None = None
    system: Items = msgspec.field(default=None, name="system_instruction")
    previous: str | None = msgspec.field(default=None, name="previous_interaction_id")
    config: _Config | None = msgspec.field(default=None, name="generation_config")
    mime: str | None = msgspec.field(default=None, name="response_mime_type")
    form: list[_Form] | _Form | None = msgspec.field(default=None, name="response_format")
    tools: list[msgspec.Raw] | None = None
    # Gemini has neither: whoever takes them is another server under a common name.
    other_messages: Any = msgspec.field(default=None, name="messages")
    other_prompt: Any = msgspec.field(default=None, name="prompt")


_NO_CONFIG = _Config()
_DECODER = decoder_of(_Request)


class GeminiInteractions:
    """The dialect of ``/interactions``."""

    name: str = "gemini_interactions"

    def recognise(self, path: str) -> bool:
        """Tell from the decoded path, whatever stands before its end."""
        return path.rstrip("/").endswith(_SUFFIX)

    def read_request(self, body: bytes, path: str) -> Exchange | None:
        """Return the exchange, or ``None`` where nothing is put in.

        Raises one of ``lenient.UNREADABLE`` where msgspec does not read the body as JSON.
        """
        del path  # names no model here
        return read_as(body, _DECODER, MENDERS, lambda request: _exchange(request, len(body)))

    def response_reader(self, *, event_stream: bool, digest_key: bytes) -> ResponseReader:
        """Return a reader for one response."""
        reader = StreamReader if event_stream else JsonReader
        return reader(GRAMMAR, digest_key)

    def error_body(self, refusal: Refusal) -> bytes:
        """Return Google's error object."""
        return google_error_body(refusal)


def _exchange(request: _Request, size: int) -> Exchange | None:
    said = items_turns(request.input)
    if not said or request.other_messages or request.other_prompt:
        return None
    turns = [Turn("system", turn.text, turn.images) for turn in items_turns(request.system)]
    if request.previous:
        # What it refers to was said by the model, and is not repeated.
        turns.append(Turn("assistant", "", call_ids=(request.previous,)))
    forms = _forms(request)
    shown = [tools_aside(request.tools or ()), *(aside(form.schema) for form in forms)]
    return Exchange(
        dialect=GeminiInteractions.name,
        model=model_name(request.model or request.agent),
        turns=with_asides([*turns, *said], shown),
        sampling=_sampling(request, forms),
        stream=request.stream is True,
        tool_definitions=sum(map(definitions, request.tools or ())),
        body_bytes=size,
    )


def _forms(request: _Request) -> list[_Form]:
    form = request.form
    if form is None:
        return []
    return form if isinstance(form, list) else [form]


def _sampling(request: _Request, forms: list[_Form]) -> Sampling:
    config = request.config or _NO_CONFIG
    mimes = (request.mime or "", *(form.mime for form in forms))
    structured = any(mime not in _FREE for mime in mimes) or any(
        aside(form.schema) for form in forms
    )
    drawn = sampling_of(config)
    return msgspec.structs.replace(
        drawn,
        effort=known_effort(config.level or config.level_) or drawn.effort,
        structured=structured or drawn.structured,
    )
