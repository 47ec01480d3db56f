"""Observing one response as it passes: what the answer was, without delaying or changing a byte."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gateway_guard.dialects import decoder_for
from gateway_guard.dialects.silence import SilentReader
from gateway_guard.exchange import MOST_ID_CHARS, Answer, AnswerText, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway_guard.dialects.base import Dialect, ResponseReader
    from gateway_guard.dialects.encoding import Decoder

_OK, _REDIRECT, _BAD_REQUEST = 200, 300, 400
_MOST_ERROR_BYTES = 2**12
_POLICY = re.compile(
    rb"content[_ -]?(?:filter|policy|management|moderation)|responsibleaipolicy"
    rb"|safety[_ -]?violation|datainspectionfailed|prompt[_ -]?(?:blocked|shield)",
    re.IGNORECASE,
)
"""What errors of OpenAI, Azure, Anthropic and others say where a policy for contents forbids it."""
_CHARS_A_BYTE = 3  # of JSON or events in an encoding that nothing here decodes, about
_MOST_PUT_OFF_BYTES = 2**16
MOST_HEARD_CHARS = 2**20
"""Of a long answer's text, which waits to be heard: its two ends."""
_AMAZON_ID = b"x-amzn-requestid"
"""Amazon gives answers no other id."""
_TYPE_LENGTH, _ENCODING_LENGTH = len(b"content-type"), len(b"content-encoding")


class Observation:
    """Follows one response from its start to its end, or to where it broke off."""

    __slots__ = (
        "_decoder",
        "_dialect",
        "_error",
        "_id",
        "_key",
        "_reader",
        "_undecoded_bytes",
        "completed",
        "status",
    )

    def __init__(self, dialect: Dialect, digest_key: bytes) -> None:
        """Begin before the response has started."""
        self._dialect = dialect
        self._key = digest_key
        self._decoder: Decoder | None = None
        self._reader: ResponseReader | None = None
        self._undecoded_bytes = 0
        self._error: bytes | None = None
        self._id: bytes | None = None
        self.status: int | None = None
        self.completed = False

    def start(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Take note of the status and choose a reader by the headers."""
        self.status = status
        if not _OK <= status < _REDIRECT:
            self._error = b"" if status == _BAD_REQUEST else None
            return
        encoding, kind = b"", b""
        for name, value in headers:
            if len(name) == _TYPE_LENGTH and name.lower() == b"content-type":
                kind = value
            elif len(name) == _ENCODING_LENGTH:
                lower = name.lower()
                if lower == b"content-encoding":
                    encoding = value
                elif lower == _AMAZON_ID:
                    self._id = value
        self._decoder = decoder_for(encoding)
        if self._decoder is not None:
            event_stream = b"text/event-stream" in kind.lower()
            self._reader = self._dialect.response_reader(
                event_stream=event_stream, digest_key=self._key
            )

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the body as they are on the wire."""
        if self._error is not None:
            self._error += chunk[: max(0, _MOST_ERROR_BYTES - len(self._error))]
        elif self._reader is None or self._decoder is None:
            self._undecoded_bytes += len(chunk)
        elif chunk:
            self._reader.feed(self._decoder.decode(chunk))

    def outcome(self) -> Outcome:
        """Return how the exchange ended; may be called once.

        What was in an encoding that cannot be decoded is an answer of about its length. A short
        answer is read later, of a long one both ends are heard then.
        """
        reader, answer, unread = self._reader, None, None
        texts: list[AnswerText] = []
        if isinstance(reader, SilentReader):
            return Outcome(self.status, self.completed)
        if reader is not None and reader.held_bytes <= _MOST_PUT_OFF_BYTES:
            unread = reader.finish
        elif reader is not None:
            answer = reader.finish(lambda text: texts.append(text.ends(MOST_HEARD_CHARS)))
        elif self.status is not None and _OK <= self.status < _REDIRECT:
            answer = Answer(output_chars=_CHARS_A_BYTE * self._undecoded_bytes)
        declined = self._error is not None and _POLICY.search(self._error) is not None
        given = None if self._id is None else self._id[:MOST_ID_CHARS].decode("latin-1")
        return Outcome(self.status, self.completed, answer, unread, tuple(texts), declined, given)
