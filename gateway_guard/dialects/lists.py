"""Requests that hold many: each element of a batch or of a list is an exchange of its own."""

from __future__ import annotations

from operator import itemgetter
from random import SystemRandom
from typing import TYPE_CHECKING, TypeVar

import msgspec

from gateway_guard.dialects import sampling
from gateway_guard.dialects.asides import plain
from gateway_guard.dialects.density import both_ends, is_dense
from gateway_guard.dialects.lenient import UNREADABLE
from gateway_guard.exchange import MOST_OTHERS, Exchange, Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")

_MOST_BRACES = 2**19
_MOST_TRIED = 512


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


def read_drawn(
    elements: Sequence[msgspec.Raw], dialect: str, read: Callable[[bytes], Exchange | None]
) -> Exchange | None:
    """Return what was drawn of a batch, each exchange with the number that it stands for.

    Of a batch that is not longer than a list may be everything is read. Of others as many are, at
    places that nobody can foretell, so that the sums stay what they would be. What is no request is
    passed over, so that it cannot take a request's place.
    """
    count, most = len(elements), 1 + MOST_OTHERS
    order = range(count) if count <= most else _shuffled(count)
    found: list[tuple[int, Exchange]] = []
    tried = 0
    for at in order:
        tried += 1
        made = _read_one(elements[at], dialect, read)
        if made is not None:
            found.append((at, made))
            if len(found) == most:
                break
    if not found:
        return None
    exchanges = [made for _, made in sorted(found, key=itemgetter(0))]
    times = portions(round(count * len(found) / tried), len(found))
    first, *others = [
        msgspec.structs.replace(made, times=each, body_bytes=0, others=())
        for made, each in zip(exchanges, times, strict=True)
    ]
    return msgspec.structs.replace(first, others=tuple(others), batch=True)


def read_dense(
    body: bytes, decoder: msgspec.json.Decoder[T], make: Callable[[T], Exchange | None]
) -> Exchange | None:
    """Return what ``make`` makes of a body of many values, whose elements nothing is made of.

    ``None`` where there are too many elements, or where one is not what it should be.
    """
    if body.count(b"{") > _MOST_BRACES:
        return None
    try:
        return make(decoder.decode(body))
    except UNREADABLE:
        return None


def portions(total: int, parts: int) -> list[int]:
    """Divide ``total`` among ``parts`` as evenly as whole numbers go, at least one for each."""
    each, more = divmod(max(total, parts), parts)
    return [each + (at < more) for at in range(parts)]


def _shuffled(count: int) -> list[int]:
    """Return places in an order that nobody can foretell, as many as are tried."""
    return SystemRandom().sample(range(count), min(count, _MOST_TRIED))


def _read_one(
    raw: msgspec.Raw, dialect: str, read: Callable[[bytes], Exchange | None]
) -> Exchange | None:
    """Read one element; what is dense or makes no sense in it is read as text."""
    body = bytes(raw)
    try:
        if not is_dense(body):
            return read(body)
    except UNREADABLE:
        pass
    return Exchange(dialect, "", (Turn("user", both_ends(body)),), unparsed=True)
