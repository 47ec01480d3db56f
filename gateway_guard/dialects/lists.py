"""Requests that hold many: each element of a batch or of a list is an exchange of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gateway_guard.dialects import sampling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway_guard.exchange import Exchange

MOST_OTHERS = 255


def together(exchanges: Sequence[Exchange]) -> Exchange | None:
    """Return the first of a request's exchanges with the others in it, ``None`` for none.

    The last one that is kept stands for all those that are not, as if it drew their answers too.
    """
    if not exchanges:
        return None
    first, *others = exchanges[: MOST_OTHERS + 1]
    dropped = len(exchanges) - 1 - len(others)
    if dropped:
        others[-1] = _standing_for(others[-1], dropped)
    return msgspec.structs.replace(first, others=tuple(others)) if others else first


def _standing_for(exchange: Exchange, dropped: int) -> Exchange:
    drawn = exchange.sampling
    answers = sampling.answer_count(drawn.answers * (dropped + 1))
    return msgspec.structs.replace(
        exchange, sampling=msgspec.structs.replace(drawn, answers=answers)
    )
