"""Requests and answers of httpx whose fields nobody takes apart before somebody asks for them.

httpx copies every field twice to make them ready for look-ups, of which a proxy does none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Sequence

    Fields = Sequence[tuple[bytes, bytes]]


class LateHeaders:
    """The headers of a message that has its fields as pairs of bytes."""

    _fields: Fields
    _headers: httpx.Headers | None

    @property
    def headers(self) -> httpx.Headers:
        """The fields, as httpx has them."""
        if self._headers is None:
            self._headers = httpx.Headers(list(self._fields))
        return self._headers

    @headers.setter
    def headers(self, headers: httpx.Headers) -> None:
        self._headers = headers

    @property
    def fields(self) -> Fields:
        """The fields as pairs of bytes, with whatever was done to the headers."""
        return self._fields if self._headers is None else self._headers.raw


class ForwardedRequest(LateHeaders, httpx.Request):
    """A request with its fields, body and extensions, to which nothing needs to be added."""

    def __init__(
        self,
        method: str,
        url: httpx.URL,
        fields: Fields,
        stream: httpx.AsyncByteStream,
        extensions: dict[str, Any],
    ) -> None:
        # All that httpx would do here, except for the headers.
        self.method = method
        self.url = url
        self.stream = stream
        self.extensions = extensions
        self._fields, self._headers = fields, None


class ReceivedResponse(LateHeaders, httpx.Response):
    """An answer with its status and fields, and a body that is still to be read."""

    def __init__(self, status: int, fields: Fields, stream: httpx.AsyncByteStream) -> None:
        super().__init__(status, stream=stream)
        self._fields, self._headers = fields, None


def fields_of(message: httpx.Request | httpx.Response) -> Fields:
    """Return the fields of a message as pairs of bytes."""
    return message.fields if isinstance(message, LateHeaders) else message.headers.raw
