"""What a request lays over itself, for gateways that do so before they send it on.

LiteLLM puts the fields of ``extra_body`` in the place of those beside it, and those of a fallback
once the model that was asked for has failed. Where that changes what is said, both is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from gateway_guard.dialects.generic_turns import Found
from gateway_guard.dialects.loose import read_as

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from gateway_guard.dialects.loose import Menders
    from gateway_guard.exchange import Exchange, Turn

_MOST_OVERLAYS = 8


class Overlaid(msgspec.Struct, gc=False):
    """What a request may lay over itself."""

    extra_body: Any = None
    fallbacks: Any = None


T = TypeVar("T", bound=Overlaid)


def overlaid(
    body: bytes,
    decoder: msgspec.json.Decoder[T],
    menders: Menders,
    make: Callable[[T], Exchange | None],
) -> Exchange | None:
    """Return what ``read_as`` does, and what the request says with anything laid over it.

    Raises what ``read_as`` does.
    """
    overlays: list[dict[str, object]] = []

    def look(request: T) -> Exchange | None:
        if request.extra_body or request.fallbacks:
            overlays.extend(_overlays(request))
        return make(request)

    exchange = read_as(body, decoder, menders, look)
    if not overlays:
        return exchange
    plain = msgspec.json.decode(body, type=dict[str, Any])
    for overlay in overlays[:_MOST_OVERLAYS]:
        text = msgspec.json.encode({**plain, **overlay})
        exchange = _joined(exchange, read_as(text, decoder, menders, make))
        exchange = _with_turns(exchange, Found(overlay).turns)
    return exchange


def _overlays(request: Overlaid) -> Iterator[dict[str, object]]:
    later = request.fallbacks if isinstance(request.fallbacks, list) else ()
    for overlay in (request.extra_body, *later):
        if isinstance(overlay, dict):
            yield overlay


def _joined(plain: Exchange | None, laid: Exchange | None) -> Exchange | None:
    """Return one exchange for two readings of a request, of which one comes true."""
    if plain is None or laid is None:
        return plain or laid
    if _answers(laid) > _answers(plain):
        turns = dict.fromkeys((*_turns(plain), *laid.turns))
        return msgspec.structs.replace(laid, turns=tuple(turns), body_bytes=plain.body_bytes)
    new = dict.fromkeys(turn for turn in _turns(laid) if turn not in plain.turns)
    return msgspec.structs.replace(plain, turns=(*plain.turns, *new))


def _with_turns(exchange: Exchange | None, turns: Iterable[Turn]) -> Exchange | None:
    """Return an exchange with what is said under names that only other dialects know."""
    if exchange is None:
        return None
    texts = {turn.text for turn in _turns(exchange)}
    new = dict.fromkeys(turn for turn in turns if turn.text not in texts)
    return msgspec.structs.replace(exchange, turns=(*exchange.turns, *new)) if new else exchange


def _turns(exchange: Exchange) -> Iterator[Turn]:
    for one in (exchange, *exchange.others):
        yield from one.turns


def _answers(exchange: Exchange) -> int:
    return sum(one.sampling.answers for one in (exchange, *exchange.others))
