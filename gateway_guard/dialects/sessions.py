"""What every way of speaking to a model over a websocket offers, and what they have in common.

A server keeps the conversation, so that a message says little by itself: a session puts together
what an answer is asked for with, and tells which answer belongs to which question.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from secrets import token_hex
from typing import TYPE_CHECKING

import msgspec

from gateway_guard.dialects.density import both_ends
from gateway_guard.dialects.tally import Tally
from gateway_guard.dialects.transcript import Transcript
from gateway_guard.exchange import Exchange, Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from gateway_guard.dialects.base import Refusal
    from gateway_guard.exchange import Answer, Hear

MOST_WAITING = 64
"""Answers of one socket that are waited for, and as many that are under way."""

_MOST_ANSWER_CHARS = 2**16
_PIECES_AT_ONCE = 64
_HEAD_BYTES = 256
_MEDIA = (b"input_audio_buffer.append", b"realtimeInput", b"realtime_input")
_OK = 200
REJECTED = 400
"""What stands for the status of an answer that never began because of an error."""


class Asking:
    """One answer, from the message that asks for it to its end.

    ``said`` are the turns that the message brings along. ``status`` is ``None`` until the answer
    begins, ``over`` says that no more of it comes, ``completed`` that all of it came. An answer
    that nobody asked for, as that to speech, begins with an ``exchange`` still to be decided on.
    ``merged`` are those that waited when it began, where they may be answered together.
    """

    __slots__ = (
        "_pieces",
        "completed",
        "exchange",
        "joins",
        "label",
        "merged",
        "over",
        "reference",
        "said",
        "status",
        "tally",
    )

    def __init__(
        self,
        exchange: Exchange,
        said: Sequence[Turn] = (),
        *,
        label: str | None = None,
        joins: bool = True,
    ) -> None:
        """Ask for an answer, which becomes part of the conversation if it ``joins`` it."""
        self.exchange: Exchange | None = exchange
        self.said = said
        self.label = label
        self.joins = joins
        self.tally = Tally(_MOST_ANSWER_CHARS)
        # Nobody can know it, so that only what was served on this socket vouches for its history.
        self.reference = token_hex(8)
        self.status: int | None = None
        self.over = False
        self.completed = False
        self.merged: tuple[Asking, ...] = ()
        self._pieces = 0

    def start(self) -> None:
        """Take note that the answer begins."""
        self.status = _OK

    def say(self, text: str) -> None:
        """Take a piece of what is answered."""
        self.tally.say(0, text)
        self.count_piece()

    def count_piece(self) -> None:
        """Join the pieces that were taken, once they are many."""
        self._pieces += 1
        if self._pieces % _PIECES_AT_ONCE == 0:
            self.tally.settle()

    def end(self, *, completed: bool = True) -> None:
        """Take note that no more comes."""
        self.over = True
        self.completed = completed

    def reject(self) -> None:
        """Take note that no answer comes because of an error."""
        self.status, self.over = REJECTED, True

    def answer(self, digest_key: bytes, hear: Hear | None = None) -> Answer:
        """Return what was seen of the answer, and tell what it says."""
        self.tally.refer("answer", self.reference)
        return self.tally.answer(digest_key, hear)


class Session(ABC):
    """What is said on one websocket, message by message; both kinds may come at any time."""

    name: str

    def __init__(self, path: str, model: str) -> None:
        """Begin at a decoded path; ``model`` is the one that the query names, if any."""
        self.path = path
        self.model = model
        self.transcript = Transcript()
        self.waiting: deque[Asking] = deque()
        self.label: str | None = None
        self._bytes = 0

    @abstractmethod
    def hear(self, message: bytes) -> Asking | None:
        """Read a message of the client; return what it asks for, if it does.

        Raises one of ``lenient.UNREADABLE`` where it is not what the servers accept.
        """

    @abstractmethod
    def watch(self, message: bytes) -> Sequence[Asking]:
        """Read a message of the server; return the answers that it begins or ends.

        Raises one of ``lenient.UNREADABLE`` where it is no message of theirs.
        """

    @abstractmethod
    def error_body(self, refusal: Refusal) -> bytes:
        """Return the event that tells of a refusal."""

    def refused(self, asking: Asking) -> None:
        """Take note that a message does not reach the server, for the event that tells of it."""
        self.label = asking.label

    def accept(self, asking: Asking) -> Sequence[Asking]:
        """Wait for an answer whose message passes on; return those that end by it."""
        self.transcript.add(asking.said)
        self.waiting.append(asking)
        if len(self.waiting) <= MOST_WAITING:
            return ()
        lost = self.waiting.popleft()
        lost.end(completed=False)
        return (lost,)

    def overlook(self, message: bytes) -> Asking | None:
        """Take note of a message that is too large to be read; return what it may ask for."""
        self._bytes += len(message)
        if not any(name in message[:_HEAD_BYTES] for name in _MEDIA):
            self.transcript.add([Turn("user", both_ends(message))])
        return None

    def passed(self, message: bytes) -> None:
        """Count the bytes of a message."""
        self._bytes += len(message)

    def sized(self, exchange: Exchange) -> Exchange:
        """Return an exchange with the size of all messages since the last one."""
        size, self._bytes = self._bytes, 0
        return msgspec.structs.replace(exchange, body_bytes=size)

    def unread(self) -> Exchange:
        """Return the exchange of an answer to what was not read."""
        turns = tuple(or_silence(self.transcript.asked()))
        return self.sized(Exchange(self.name, self.model, turns, stream=True, unparsed=True))

    def begin_next(self, unasked: Callable[[], Exchange]) -> Asking:
        """Return the answer that begins now: the oldest one waited for, or one nobody asked for."""
        asking = self.waiting.popleft() if self.waiting else Asking(unasked())
        asking.start()
        return asking

    def finish(self, asking: Asking, *, completed: bool = True) -> None:
        """End an answer, and let it stand in the conversation where it belongs."""
        asking.end(completed=completed)
        if asking.joins:
            self.transcript.add([Turn("assistant", "", 0, (asking.reference,))])


def or_silence(turns: Iterable[Turn]) -> list[Turn]:
    """Return turns, one of a silent user where there are none: an answer can be had for nothing."""
    return list(turns) or [Turn("user", "")]
