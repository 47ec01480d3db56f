"""Multipart bodies, read as they stream by: no more is held of one than a boundary takes."""

from __future__ import annotations

import re
from typing import Protocol

_MOST_PARTS = 256
_MOST_HEADER_BYTES = 2**14
_BOUNDARY = re.compile(rb"boundary=(?:\"([^\"]{1,256})\"|([^\s;\"]{1,256}))", re.IGNORECASE)
_NAME = re.compile(rb";\s*name=\"?([^\";\r\n]*)", re.IGNORECASE)
_FILENAME = re.compile(rb";\s*filename\*?=", re.IGNORECASE)
_HEADERS_END = b"\r\n\r\n"


class Part(Protocol):
    """Takes what one part holds."""

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        ...

    def end(self) -> None:
        """Take note that this was all."""
        ...


def boundary_of(content_type: bytes) -> bytes | None:
    """Return the boundary of a multipart body, ``None`` where the content type names none."""
    if not content_type.lower().lstrip().startswith(b"multipart/"):
        return None
    match = _BOUNDARY.search(content_type)
    return None if match is None else match[1] or match[2]


class OpenPart(Protocol):
    """Returns what takes a part, ``None`` where the part is passed over."""

    def __call__(self, name: bytes, *, is_file: bool) -> Part | None:
        """Begin a part of this name."""
        ...


class Multipart:
    """Finds the parts of one body, which may be cut anywhere into pieces."""

    __slots__ = ("_delimiter", "_in_headers", "_open", "_over", "_part", "_parts", "_rest")

    def __init__(self, boundary: bytes, open_part: OpenPart) -> None:
        """Give each part to what ``open_part`` returns for it."""
        self._delimiter = b"\n--" + boundary
        self._open = open_part
        self._part: Part | None = None
        self._rest = b"\r\n"  # as if a line had ended before the body
        self._in_headers = False
        self._over = False
        self._parts = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        self._rest += data
        while not self._over and (self._headers() if self._in_headers else self._content()):
            pass

    def _content(self) -> bool:
        """Pass on the content of a part; tell whether its end was found."""
        rest, delimiter = self._rest, self._delimiter
        at = rest.find(delimiter)
        if at < 0:
            kept = len(delimiter) + 1
            self._pass_on(rest[:-kept])
            self._rest = rest[-kept:]
            return False
        behind = at + len(delimiter)
        if len(rest) < behind + 2:
            self._pass_on(rest[: max(0, at - 1)])
            self._rest = rest[max(0, at - 1) :]
            return False
        self._pass_on(rest[:at].removesuffix(b"\r"))
        if self._part is not None:
            self._part.end()
            self._part = None
        self._rest = rest[behind:]
        self._in_headers = True
        self._over = self._rest.startswith(b"--") or self._parts >= _MOST_PARTS
        return True

    def _headers(self) -> bool:
        """Read the headers of a part; tell whether they were all there."""
        at = self._rest.find(_HEADERS_END)
        if at < 0:
            self._over = len(self._rest) > _MOST_HEADER_BYTES
            return False
        headers, self._rest = self._rest[:at], self._rest[at + len(_HEADERS_END) :]
        name = _NAME.search(headers)
        self._part = self._open(
            name[1] if name else b"", is_file=_FILENAME.search(headers) is not None
        )
        self._in_headers = False
        self._parts += 1
        return True

    def _pass_on(self, data: bytes) -> None:
        if self._part is not None and data:
            self._part.feed(data)
