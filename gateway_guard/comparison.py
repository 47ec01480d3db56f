"""Comparison of answers with what was asked: how much was copied, and whether one declines.

Of an answer's text only numbers are kept, and these until it is known what was asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

import msgspec

if TYPE_CHECKING:
    from gateway_guard.contribution import Contribution
    from gateway_guard.exchange import AnswerText
    from gateway_guard.features import FeatureReader, Reply
    from gateway_guard.pending import Ticket

_ONE_IN = 4
_LEAST_CHARS = 90
"""Shorter answers are not compared with what was asked: they yield nothing."""


def compare(item: Contribution, reply: Reply, reader: FeatureReader) -> None:
    """Note how an answer was made of what was asked."""
    item.contained = reader.contained(item.features, reply)
    item.declined = reply.declined


def reply_of(ticket: Ticket, text: AnswerText, reader: FeatureReader) -> Reply | None:
    """Return an answer in numbers, as far as it matters how it was made of what was asked.

    What is longer than the request is not contained in it, and nobody minds where a word is from.
    Of all the others, and of the longer ones, about one in four is looked at.
    """
    if not ticket.weight or ticket.deferred or not text.visible:
        return None
    said = text.visible[0]
    longer, drawn = len(said) > _chars_asked(ticket), _is_drawn(said)
    if longer or len(said) < _LEAST_CHARS or not drawn:
        return reader.pass_over(said, longer=longer and drawn)
    return reader.read_reply(said)


def reply_to(text: AnswerText, reader: FeatureReader) -> Reply | None:
    """Return an answer in numbers before it is known what was asked."""
    if not text.visible:
        return None
    said = text.visible[0]
    return reader.read_reply(said) if _is_drawn(said) else reader.pass_over(said, longer=False)


def compare_fetched(item: Contribution, reply: Reply, reader: FeatureReader) -> None:
    """Note how an answer was made of what was asked, once it has been found what that was."""
    chars = 0 if item.answer is None else item.answer.output_chars
    longer = len(reply.shingles) > 0 and chars > item.features.chars
    item.declined = reply.declined
    if longer or chars >= _LEAST_CHARS:
        compare(item, msgspec.structs.replace(reply, longer=longer), reader)


def _is_drawn(said: str) -> bool:
    """Draw about a quarter of all answers: a mean needs no more of them."""
    middle = len(said) // 2
    return crc32(said[middle : middle + 32].encode("utf-8", "replace")) % _ONE_IN == 0


def _chars_asked(ticket: Ticket) -> int:
    exchange, item = ticket.exchange, ticket.contribution
    if item is not None:
        return item.features.chars
    return 0 if exchange is None else sum([len(turn.text) for turn in exchange.turns])
