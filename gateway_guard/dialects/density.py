"""Tell bodies that hold far more values than any real one, before anything is made of them.

Eight mebibytes of text are read in milliseconds, the same bytes of empty lists in most of a second.
What is dense is therefore not parsed: it is cut out of its request, or read as text.
"""

from __future__ import annotations

import msgspec

MOST_VALUES = 2**17
MOST_COMMAS = 2**19
MOST_LENIENT_COMMAS = 2**17

_LEAST_DENSE_BYTES = 2**18
_MOST_TEXT_BYTES = 2**20
_MOST_PLAIN_BYTES = 2**16
_CONVERSATIONS = ("messages", "contents", "chat_history", "history", "conversation", "turns")
_TEXTS = (
    "system",
    "system_instruction",
    "systemInstruction",
    "instructions",
    "preamble",
    "prompt",
    "prompts",
    "input",
    "inputs",
    "inputText",
    "content",
    "message",
    "query",
    "queries",
    "question",
    "questions",
    "texts",
    "sentences",
    "documents",
    "instruction",
    "user_prompt",
    "raw_prompt",
    "text",
)
_PLAIN = (
    "model",
    "model_id",
    "modelId",
    "stream",
    "n",
    "best_of",
    "temperature",
    "top_p",
    "topP",
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "max_new_tokens",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "seed",
    "stop",
    "stop_sequences",
    "reasoning_effort",
    "reasoning",
    "thinking",
    "response_format",
    "output_config",
    "output_format",
    "generationConfig",
    "generation_config",
    "inferenceConfig",
    "parameters",
    "options",
    "user",
    "safety_identifier",
    "metadata",
    "tools",
    "functions",
    "toolConfig",
    "instances",
    "requests",
)
# Fields that are not named here are passed over without making anything of them.
_Skeleton = msgspec.defstruct(
    "_Skeleton",
    [(name, msgspec.Raw, msgspec.Raw()) for name in (*_CONVERSATIONS, *_TEXTS, *_PLAIN)],
    gc=False,
)


def is_dense(body: bytes, most_commas: int = MOST_COMMAS) -> bool:
    """Tell whether JSON holds more values than are made; what stands inside strings is no value."""
    if len(body) <= min(_LEAST_DENSE_BYTES, most_commas):
        return False
    values = body.count(b"[") + body.count(b"{") + body.count(b'"') // 2
    if values <= MOST_VALUES and body.count(b",") <= most_commas:
        return False
    bare = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    strings = bare.count(b'"') // 2
    if strings > MOST_VALUES:
        return True
    outside = b"".join(bare.split(b'"')[::2])
    values = strings + outside.count(b"[") + outside.count(b"{")
    return values > MOST_VALUES or outside.count(b",") > most_commas


def thinned(body: bytes, *, whole: bool) -> tuple[bytes, bool] | None:
    """Return a request without what is dense in it, and whether all that is said is still there.

    What is said in a dense field becomes one text, its bytes; other dense fields and all unknown
    ones are left out. With ``whole`` every field in which things are said becomes text. The result
    is ``None`` where the body is no JSON object.
    """
    try:
        skeleton = msgspec.json.decode(body, type=_Skeleton)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    kept: dict[str, msgspec.Raw] = {}
    complete = True
    for name in _Skeleton.__struct_fields__:
        raw = bytes(getattr(skeleton, name))
        if raw and name not in _PLAIN:
            thin = _said(name, raw) if is_dense(raw) or (whole and raw[:1] in b"[{") else raw
            complete = complete and thin is raw
            kept[name] = msgspec.Raw(thin)
        elif raw and not (is_dense(raw) or (whole and len(raw) > _MOST_PLAIN_BYTES)):
            kept[name] = msgspec.Raw(raw)
    return msgspec.json.encode(kept), complete


def both_ends(body: bytes) -> str:
    """Return what is not parsed as text: of long bytes half a mebibyte from either end."""
    if len(body) > _MOST_TEXT_BYTES:
        half = _MOST_TEXT_BYTES // 2
        body = body[:half] + body[-half:]
    return body.replace(b"\0", b"").decode("utf-8", "replace")


def _said(name: str, raw: bytes) -> bytes:
    """Return a field's bytes as the text that they are, in the shape the field has."""
    text = both_ends(raw)
    said = [{"role": "user", "content": text}] if name in _CONVERSATIONS else text
    return msgspec.json.encode(said)
