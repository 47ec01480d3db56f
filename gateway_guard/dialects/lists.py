"""Requests that hold many: each element of a batch or of a list is an exchange of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gateway_guard.dialects import sampling
from gateway_guard.dialects.asides import plain
from gateway_guard.exchange import MOST_OTHERS, Exchange, Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def read_each(
    elements: Sequence[msgspec.Raw], dialect: str, read: Callable[[bytes], Exchange | None]
) -> Exchange | None:
    """Return the first of the exchanges in a list, with the others in it, ``None`` for none.

    Elements beyond the bound are read together, as the JSON that they are: the last of the others
    stands for all of them.
    """
    alone, rest = elements[:MOST_OTHERS], elements[MOST_OTHERS:]
    exchanges = [made for made in map(read, map(bytes, alone)) if made is not None]
    if rest:
        model = exchanges[0] if exchanges else Exchange(dialect, "", ())
        exchanges.append(_standing_for(rest, model))
    if not exchanges:
        return None
    first, *others = exchanges
    sizeless = [msgspec.structs.replace(other, body_bytes=0) for other in others]
    return msgspec.structs.replace(first, others=tuple(sizeless))


def _standing_for(rest: Sequence[msgspec.Raw], like: Exchange) -> Exchange:
    text = plain(b",\n".join(rest).decode("utf-8", "replace"))
    drawn = like.sampling
    answers = sampling.answer_count(drawn.answers * len(rest))
    return msgspec.structs.replace(
        like,
        turns=(Turn("user", text),),
        sampling=msgspec.structs.replace(drawn, answers=answers),
    )
