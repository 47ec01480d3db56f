"""Prompts that come as lists: each of them is an exchange."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gateway_guard.dialects import sampling
from gateway_guard.dialects.bounds import Budget
from gateway_guard.dialects.loose import strings_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway_guard.exchange import Exchange, Turn

MOST_EXCHANGES = 256
"""The first one of a request and its 255 others."""

_BLANKS = bytes.maketrans(b",", b" ")


def texts_in(prompt: msgspec.Raw) -> list[str]:
    """Return the text of each prompt in a raw JSON value; the numbers of tokens stand as words.

    Raises:
        TooLargeError: there is more in one of them than is looked at.

    """
    data = bytes(prompt)
    if not data.startswith(b"["):
        return [] if data in {b"", b"null"} else [_text(data)]
    if _is_numeric(data) and data.find(b"[", 1) < 0:
        return list(filter(None, [_numbers(data)]))
    try:
        return msgspec.json.decode(data, type=list[str])
    except msgspec.ValidationError:
        pieces = msgspec.json.decode(data, type=list[msgspec.Raw])
        return [_text(bytes(piece)) for piece in pieces]


def fan_out(
    exchange: Exchange, texts: list[str], turns: Callable[[str], tuple[Turn, ...]]
) -> Exchange:
    """Return an exchange about the first of some texts, at least one, with others for the rest."""
    first = msgspec.structs.replace(exchange, turns=turns(texts[0]))
    if len(texts) == 1:
        return first
    alone, rest = texts[1 : MOST_EXCHANGES - 1], texts[MOST_EXCHANGES - 1 :]
    sizeless = msgspec.structs.replace(exchange, body_bytes=0)
    others = [msgspec.structs.replace(sizeless, turns=turns(text)) for text in alone]
    if rest:
        answers = sampling.answer_count(exchange.sampling.answers * len(rest))
        drawn = msgspec.structs.replace(exchange.sampling, answers=answers)
        text = turns("\n".join(rest))
        others.append(msgspec.structs.replace(sizeless, turns=text, sampling=drawn))
    return msgspec.structs.replace(first, others=tuple(others))


def _text(data: bytes) -> str:
    if _is_numeric(data):
        return _numbers(data)
    value = msgspec.json.decode(data)
    return value if isinstance(value, str) else "\n".join(strings_in(value, Budget()))


def _is_numeric(data: bytes) -> bool:
    return b'"' not in data and b"{" not in data


def _numbers(data: bytes) -> str:
    """Return numbers with nothing but blanks between them: they repeat as words do."""
    return data.translate(_BLANKS, b"[] \t\r\n").decode("utf-8", "replace")
