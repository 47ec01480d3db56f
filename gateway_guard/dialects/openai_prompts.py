"""Prompts that come as lists: each of them is an exchange."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from gateway_guard.dialects import sampling
from gateway_guard.dialects.asides import plain
from gateway_guard.dialects.bounds import Budget
from gateway_guard.dialects.decoding import decode
from gateway_guard.dialects.loose import strings_in
from gateway_guard.exchange import MOST_OTHERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway_guard.exchange import Exchange, Turn

_ALONE = MOST_OTHERS
_BLANKS = bytes.maketrans(b",", b" ")


class Prompts(NamedTuple):
    """The texts of prompts, and how many of them the last text stands for."""

    texts: list[str]
    joined: int = 1


def prompts_in(raw: msgspec.Raw) -> Prompts:
    """Return the prompts in a raw JSON value; the numbers of tokens stand as words.

    Raises:
        TooLargeError: there is more in one of them than is looked at.

    """
    data = bytes(raw)
    if not data.startswith(b"["):
        return Prompts([] if data in {b"", b"null"} else [_text(data, Budget())])
    if _is_numeric(data):
        return _numeric_prompts(data)
    try:
        texts = msgspec.json.decode(data, type=list[str])
    except msgspec.ValidationError:
        return _mixed_prompts(msgspec.json.decode(data, type=list[msgspec.Raw]))
    if len(texts) <= 1 + MOST_OTHERS:
        return Prompts(texts)
    return Prompts([*texts[:_ALONE], "\n".join(texts[_ALONE:])], len(texts) - _ALONE)


def _numeric_prompts(data: bytes) -> Prompts:
    """Return the prompts in a list of numbers, which is one prompt, or in a list of such lists."""
    inner = data[1:-1]
    if b"[" not in inner:
        return Prompts(list(filter(None, [_numbers(inner)])))
    pieces = inner.split(b"]", _ALONE)
    if not pieces[-1].strip():
        del pieces[-1]
    return Prompts(list(map(_numbers, pieces)), max(1, pieces[-1].count(b"[")))


def _mixed_prompts(pieces: list[msgspec.Raw]) -> Prompts:
    """Return prompts of any kind; those that are joined stay JSON, as models read that too."""
    budget = Budget()
    texts = [_text(bytes(piece), budget) for piece in pieces[:_ALONE]]
    rest = pieces[_ALONE:]
    if rest:
        texts.append(plain(b",".join(rest).decode("utf-8", "replace")))
    return Prompts(texts, max(1, len(rest)))


def fan_out(
    exchange: Exchange, prompts: Prompts, turns: Callable[[str], tuple[Turn, ...]]
) -> Exchange:
    """Return an exchange about the first of some prompts, with others for the rest."""
    first, *rest = prompts.texts
    if not rest:
        return msgspec.structs.replace(exchange, turns=turns(first))
    sizeless = msgspec.structs.replace(exchange, body_bytes=0)
    others = [msgspec.structs.replace(sizeless, turns=turns(text)) for text in rest]
    if prompts.joined > 1:
        answers = sampling.answer_count(exchange.sampling.answers * prompts.joined)
        drawn = msgspec.structs.replace(exchange.sampling, answers=answers)
        others[-1] = msgspec.structs.replace(others[-1], sampling=drawn)
    return msgspec.structs.replace(exchange, turns=turns(first), others=tuple(others))


def _text(data: bytes, budget: Budget) -> str:
    if _is_numeric(data):
        return _numbers(data)
    value = decode(data)
    return value if isinstance(value, str) else "\n".join(strings_in(value, budget))


def _is_numeric(data: bytes) -> bool:
    return b'"' not in data and b"{" not in data


def _numbers(data: bytes) -> str:
    """Return numbers with nothing but blanks between them: they repeat as words do."""
    return data.translate(_BLANKS, b"[] \t\r\n").decode("utf-8", "replace").strip()
