"""What every dialect offers: recognise, read a request, read a response, shape an error body."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from gateway_guard.exchange import Answer, Exchange, Hear


class ResponseReader(Protocol):
    """Reads one response body as it passes by. Never raises on any bytes, split anywhere."""

    @property
    def held_bytes(self) -> int:
        """Return how many bytes are held that have not been read yet."""
        ...

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the decoded (not compressed) response body."""
        ...

    def finish(self, hear: Hear | None = None) -> Answer:
        """Return what was seen, and tell ``hear`` what was said, of which nothing is kept.

        Called once, after the last byte or when the stream broke.
        """
        ...


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """What a refusal says, before a dialect gives it its shape."""

    status: int
    message: str
    request_id: str
    code: str


class Voice(Protocol):
    """How refusals are told to those who speak to a model in one way."""

    def error_body(self, refusal: Refusal) -> bytes:
        """Return the JSON that tells of a refusal."""
        ...


class Dialect(Protocol):
    """One way of speaking to a model over HTTP."""

    name: str

    def recognise(self, path: str) -> bool:
        """Tell from the decoded path, without ``root_path``, whether this dialect is spoken."""
        ...

    def read_request(self, body: bytes, path: str) -> Exchange | None:
        """Return the exchange in a body, or ``None`` where nothing asks a model for an answer.

        Raises:
            msgspec.DecodeError: the body is not what the dialect's servers accept; the caller tries
            other readers.

        """
        ...

    def response_reader(self, *, event_stream: bool, digest_key: bytes) -> ResponseReader:
        """Return a reader for one response; ``digest_key`` (16 to 64 bytes) keys ``digests``."""
        ...

    def error_body(self, refusal: Refusal) -> bytes:
        """Return the JSON body of a refusal as this dialect's clients expect it."""
        ...
