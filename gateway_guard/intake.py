"""The body of one request: buffered within the budgets, read as a server may read it, replayed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gateway_guard.dialects import decoder_for, dialect_for
from gateway_guard.dialects.duplicates import resolved
from gateway_guard.dialects.readings import ORDINARY, before_json, readings
from gateway_guard.responses import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import Message, Receive, Scope

    from gateway_guard.buffers import HeldBody
    from gateway_guard.deadlines import Deadlines
    from gateway_guard.settings import Settings

_LONGEST_NUMBER = 16
_ENCODING = b"content-encoding"
_KIND = b"content-type"
_UPLOADS = (b"multipart/", b"audio/", b"image/", b"video/")
_FORM = b"multipart/form-data"
_MOST_FORM_BYTES = 2**20
_JSON = (b"{", b"[")
_SILENCE = bytes(4)  # no encoding of JSON has as many zeroes in a row


class Intake:
    """Takes in one request's body, and gives it to the application as it came.

    ``more`` tells that a part of it has not arrived, ``readable`` that what there is can be read.
    Once its texts were taken, ``undecoded`` tells that it does not decode as it claims, and ``cut``
    that it decodes to more than was read.
    """

    __slots__ = (
        "_body",
        "_disconnect",
        "_fields",
        "_receive",
        "_replayed",
        "_scope",
        "_settings",
        "cut",
        "more",
        "readable",
        "undecoded",
    )

    def __init__(
        self,
        settings: Settings,
        scope: Scope,
        fields: dict[bytes, bytes],
        receive: Receive,
        body: HeldBody,
    ) -> None:
        """Take what ``receive`` brings into ``body``; ``fields`` are the header fields by name."""
        self._settings = settings
        self._scope = scope
        self._fields = fields
        self._receive = receive
        self._body = body
        self._disconnect: Message | None = None
        self._replayed = False
        self.more = True
        self.readable = False
        self.undecoded = False
        self.cut = False

    async def buffer(self, deadlines: Deadlines) -> Problem | None:
        """Read the body within the budgets; return what is wrong with one that exceeds them."""
        settings, upload = self._settings, self._is_upload()
        refusing = settings.oversize == "refuse"
        if refusing and not upload and self._declared() > settings.max_body:
            return Problem.TOO_LARGE
        wait = deadlines.begin()
        try:
            problem = await self._collect(upload=upload)
        except asyncio.CancelledError:
            if not wait.is_over():
                raise
            return Problem.TIMEOUT
        finally:
            deadlines.end(wait)
        self.readable = self.readable or problem is Problem.TOO_LARGE
        return None if problem is Problem.TOO_LARGE and not refusing else problem

    async def _collect(self, *, upload: bool) -> Problem | None:
        """Hold the body as it arrives; of an upload only its beginning, unless that is JSON's.

        Of a form with files as much is held as its texts may take.
        """
        body, most, begin = self._body, self._settings.max_body, b""
        while self.more:
            message = await self._receive()
            if message["type"] != "http.request":
                self._disconnect = message
                return None
            chunk = message.get("body", b"")
            self.more = message.get("more_body", False)
            if not body.take(chunk):
                return Problem.UNAVAILABLE
            begin = begin or (_begin(chunk) if upload else b"")
            if begin and begin not in _JSON:
                self.readable = self._is_form()
                if not self.readable or body.counted_bytes > min(most, _MOST_FORM_BYTES):
                    return None
            elif body.counted_bytes > most:
                return Problem.TOO_LARGE
        self.readable = True
        return None

    def _is_upload(self) -> bool:
        """Tell whether the body claims to be a file, which no model reads as a prompt."""
        if not self._fields.get(_KIND, b"").lower().startswith(_UPLOADS):
            return False
        named = all(kind.lower().startswith(_UPLOADS) for kind in self._kinds())
        unread = named and _ENCODING not in self._fields
        return unread and dialect_for(route(self._scope)).name == "generic"

    def _is_form(self) -> bool:
        """Tell whether a line of the header says that the body is a form with files."""
        return any(kind.lower().startswith(_FORM) for kind in self._kinds())

    def _kinds(self) -> list[bytes]:
        """Return the content types that the header's lines name; servers take any of them."""
        return [value for name, value in self._scope["headers"] if name == _KIND]

    @property
    def size(self) -> int:
        """Return the bytes that came, or that were announced if those are more."""
        return max(self._body.counted_bytes, self._declared())

    def _declared(self) -> int:
        """Return the declared length of the body, 0 where it is not declared or makes no sense."""
        length = self._fields.get(b"content-length", b"")[:_LONGEST_NUMBER]
        return int(length) if length.isdigit() else 0

    def texts(self) -> Iterator[bytes]:
        """Yield what the body says to a server, the likeliest first.

        Many servers ignore a content encoding or a content type, and there are bytes that are JSON
        to them and something else to others: what can be read in several ways is read in all.
        """
        body, fields, headers = self._body.read(), self._fields, self._scope["headers"]
        found, choice = [body], self._settings.duplicate_keys
        ordinary = fields.get(_KIND, b"") in ORDINARY and _ENCODING not in fields
        if not ordinary or len(headers) > len(fields):
            found = readings(self._bodies(body), self._kinds())
        if choice != "last":
            found = [resolved(text, choice) for text in found]
        yield from found

    def _bodies(self, body: bytes) -> Iterator[bytes]:
        """Yield the body as it is, and as it decodes."""
        yield body
        encoding = self._encoding()
        decoded = self._decoded(body, encoding) if encoding and body else b""
        if decoded:
            yield decoded

    def _encoding(self) -> bytes:
        """Return the content encoding of all header lines together, empty where there is none."""
        if _ENCODING not in self._fields:
            return b""
        encoding = b",".join(value for name, value in self._scope["headers"] if name == _ENCODING)
        return b"" if encoding.strip().lower() in {b"", b"identity"} else encoding

    def _decoded(self, body: bytes, encoding: bytes) -> bytes:
        """Return the body without its encoding, as far as that is known and the limits go."""
        decoder = decoder_for(encoding, self._settings.max_body)
        if decoder is None:
            self.undecoded = True
            return b""
        decoded = decoder.decode(body)
        self.undecoded = decoder.stopped or not decoded
        self.cut = decoder.stopped and bool(decoded)
        return decoded

    async def replay(self) -> Message:
        """Return the body in one piece, then what ended it, then what comes."""
        if not self._replayed:
            self._replayed = True
            return {"type": "http.request", "body": self._body.let_go(), "more_body": self.more}
        disconnect, self._disconnect = self._disconnect, None
        return await self._receive() if disconnect is None else disconnect

    def let_go(self) -> None:
        """Give the room of the body back; may be called again."""
        self._body.let_go()


def route(scope: Scope) -> str:
    """Return the decoded path without the prefix that the server mounted the application under."""
    path, root = str(scope["path"]), str(scope.get("root_path", "")).rstrip("/")
    return path[len(root) :] if root and path.startswith(root + "/") else path


def _begin(chunk: bytes) -> bytes:
    """Return the first byte of what may be JSON, empty where all of it may stand before JSON."""
    if _SILENCE in chunk[:64]:
        return b"\0"
    return before_json(chunk)[:1]
