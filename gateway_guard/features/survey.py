"""Tell the texts that a key has shown before from those that must be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from xxhash import xxh3_64_intdigest

from gateway_guard.exchange import Role, Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway_guard.features.types import CueHit

    Known = Callable[[int], tuple[CueHit, ...] | None]

MOST_TURNS = 1024
"""Turns looked at one by one; where there are more, the older ones are joined in groups."""


class Text(msgspec.Struct, gc=False):
    """A text to be read; ``raw`` is its UTF-8 form, lone surrogates passed through."""

    content: str
    raw: bytes
    hash: int
    role: Role
    is_new: bool


class Survey(msgspec.Struct):
    """The texts of a request, sorted and counted; every list runs from the newest to the oldest.

    ``body`` is the newest user text, ``others`` are the other texts not seen before, each once.
    ``hashes`` stand for all texts, ``systems`` for the system texts that are known.
    """

    body: Text | None = None
    others: list[Text] = []
    hashes: list[int] = []
    systems: list[int] = []
    chars: int = 0
    new_chars: int = 0
    system_chars: int = 0
    constant_chars: int = 0
    turns: int = 0
    tool_turns: int = 0
    images: int = 0


def survey(turns: Sequence[Turn], seed: int, known: Known) -> Survey:
    """Hash every text of a request with a secret ``seed`` and look it up."""
    found = Survey()
    _count_turns(found, turns)
    hashes, others, new = found.hashes, found.others, set[int]()
    had_user, chars = False, 0
    listed = turns if len(turns) <= MOST_TURNS else joined(turns)
    for turn in reversed(listed):
        content, role = turn.text, turn.role
        is_body = role == "user" and not had_user
        had_user = had_user or is_body
        if not content:
            continue
        raw = content.encode("utf-8", "surrogatepass")
        text_hash = xxh3_64_intdigest(raw, seed)
        chars += len(content)
        hits = known(text_hash)
        if hits is None or is_body or role == "system":
            is_new = hits is None and text_hash not in new
            text = Text(content, raw, text_hash, role, is_new)
            if is_new:
                new.add(text_hash)
                found.new_chars += len(content)
            if is_body:
                found.body = text
            elif is_new:
                others.append(text)
            if role == "system":
                _add_system(found, text, is_known=hits is not None)
        hashes.append(text_hash)
    found.chars = chars
    return found


def _count_turns(found: Survey, turns: Sequence[Turn]) -> None:
    """Count what is no text."""
    roles = [turn.role for turn in turns]
    found.turns = len(roles) - roles.count("system")
    found.tool_turns = roles.count("tool")
    found.images = sum([turn.images for turn in turns])


def _add_system(found: Survey, text: Text, *, is_known: bool) -> None:
    """Count a system text; the cues of a known one belong to the request without being read."""
    found.system_chars += len(text.content)
    if is_known:
        found.constant_chars += len(text.content)
        found.systems.append(text.hash)


def joined(turns: Sequence[Turn]) -> list[Turn]:
    """Return about ``MOST_TURNS`` turns at most: of more, the older ones are joined.

    Groups begin at fixed places: as a conversation grows, its old groups stay what they were, and
    known. The newest user turn stays by itself.
    """
    half = MOST_TURNS // 2
    size = 2
    while (len(turns) - half) // size > half:
        size *= 2
    cut = (len(turns) - half) // size * size
    newest_user = max((at for at, turn in enumerate(turns) if turn.role == "user"), default=-1)
    kept: list[Turn] = []
    for begin in range(0, cut, size):
        group = turns[begin : begin + size]
        kept += group if begin <= newest_user < begin + size else [_join(group)]
    return [*kept, *turns[cut:]]


def _join(turns: Sequence[Turn]) -> Turn:
    """Return one turn with the texts of several."""
    roles = {turn.role for turn in turns}
    role: Role = roles.pop() if len(roles) == 1 else "assistant"
    return Turn("assistant" if role == "user" else role, "\n".join([turn.text for turn in turns]))
