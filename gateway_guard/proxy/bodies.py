"""Bodies as they are handed to a transport, and as one may hand them back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable


class BufferedBody(httpx.AsyncByteStream):
    """A body that was there at once, as one piece of bytes."""

    __slots__ = ("content",)

    def __init__(self, content: bytes) -> None:
        self.content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the body."""
        yield self.content


class StreamedBody(httpx.AsyncByteStream):
    """A body that is still arriving: its first piece, and a function that waits for the next.

    It is its own iterator, since an abandoned generator would have to be finished by somebody.
    """

    __slots__ = ("_first", "_next")

    def __init__(self, first: bytes, following: Callable[[], Awaitable[bytes | None]]) -> None:
        self._first = first
        self._next = following

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Return itself: a body that streams can be read once."""
        return self

    async def __anext__(self) -> bytes:
        """Return the next piece that is not empty."""
        piece: bytes | None = self._first
        self._first = b""
        while not piece:
            piece = await self._next()
            if piece is None:
                raise StopAsyncIteration
        return piece


class AnswerBody(httpx.AsyncByteStream, ABC):
    """The body of an answer that can say at once whether anything follows what was read."""

    __slots__ = ()

    @property
    @abstractmethod
    def is_over(self) -> bool:
        """Whether the body was read to its end."""
