"""Uploads of files for batches, read as they pass by on their way to the application."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gateway_guard.dialects.multipart import boundary_of
from gateway_guard.dialects.upload_answers import UploadAnswer
from gateway_guard.file_reader import FileReader
from gateway_guard.held_files import HeldFiles
from gateway_guard.instrumentation import Contained
from gateway_guard.lines import Chance

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from gateway_guard.buffers import HeldBody
    from gateway_guard.elements import Element
    from gateway_guard.engine import Engine
    from gateway_guard.exchange import Exchange
    from gateway_guard.principal import Principal
    from gateway_guard.timeline import Timeline

_SUFFIX = "/files"
_FINALIZE = b"finalize"
_SLICE = 2**16


class Uploads:
    """Reads files for batches, and finds them again when a batch names them."""

    def __init__(
        self,
        engine: Engine,
        timeline: Timeline,
        secret: bytes,
        size_bytes: int,
    ) -> None:
        """Hold what was read within ``size_bytes``."""
        self.engine = engine
        self.timeline = timeline
        self.chance = Chance(secret)
        self.files = HeldFiles(size_bytes, secret)

    def around(
        self,
        app: ASGIApp,
        path: str,
        fields: dict[bytes, bytes],
        principal: Principal,
        room: Callable[[], HeldBody],
    ) -> ASGIApp:
        """Return what handles a request: the application, which is watched where it takes a file.

        ``room`` returns what holds a line while it is read.
        """
        if not path.rstrip("/").endswith(_SUFFIX):
            return app
        boundary = boundary_of(fields.get(b"content-type", b""))
        if boundary is None and not _is_whole(fields):
            return app
        reader = FileReader(self.engine, self.timeline, principal, self.chance, room())
        return Upload(self, app, principal, reader.of_form(boundary) if boundary else reader)

    def find(self, exchange: Exchange, principal: Principal) -> list[Element]:
        """Return the exchanges of the file that a batch names; count a file that is not known."""
        if not exchange.file:
            return []
        found = self.files.find(exchange.file, _owner(principal), self.timeline.now().wall)
        self.engine.instruments.count("batches", "known_file" if found else "unknown_file")
        return found


def _is_whole(fields: dict[bytes, bytes]) -> bool:
    """Tell whether a body is all of a file, as Gemini's clients send it."""
    command = fields.get(b"x-goog-upload-command", b"").lower()
    return _FINALIZE in command and not fields.get(b"x-goog-upload-offset", b"0").strip(b"0 ")


def _owner(principal: Principal) -> bytes:
    """Return whose a file is: the one that a token names, where there are such."""
    return principal.claimed or principal.key


class Upload:
    """One file on its way through, as a layer around the application that takes it."""

    __slots__ = (
        "_answer",
        "_app",
        "_contained",
        "_principal",
        "_reader",
        "_receive",
        "_send",
        "_uploads",
    )

    def __init__(
        self, uploads: Uploads, app: ASGIApp, principal: Principal, reader: FileReader
    ) -> None:
        """Watch one request of ``principal`` to ``app``."""
        self._app = app
        self._principal = principal
        self._reader = reader
        self._uploads = uploads
        self._contained = Contained(uploads.engine.instruments)
        self._answer = UploadAnswer()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on."""
        self._receive, self._send = receive, send
        try:
            await self._app(scope, self._take, self._watch)
        finally:
            self._reader.let_go()

    async def _take(self) -> Message:
        """Return the next message, once what it holds was read, other tasks between the slices."""
        message = await self._receive()
        if message["type"] != "http.request":
            return message
        body, over = message.get("body", b""), not message.get("more_body", False)
        for begin in range(0, len(body) or over, _SLICE):
            if begin:
                await asyncio.sleep(0)
            last = over and begin + _SLICE >= len(body)
            more = self._read(body[begin : begin + _SLICE], over=last)
            while more:
                await asyncio.sleep(0)
                more = self._read(b"", over=False)
        return message

    def _read(self, data: bytes, *, over: bool) -> bool:
        """Read what arrived, or go on with that; tell whether there is more to do."""
        with self._contained:
            self._reader.feed(data)
            if over:
                self._reader.end()
            return self._reader.work()
        return False

    async def _watch(self, message: Message) -> None:
        await self._send(message)
        with self._contained:
            kind = message["type"]
            if kind == "http.response.start":
                self._answer.start(message["status"], message.get("headers", ()))
            elif kind == "http.response.body":
                self._answer.feed(message.get("body", b""))
                if not message.get("more_body", False):
                    self._hold()

    def _hold(self) -> None:
        """Hold what was read under the id that the answer gives the file."""
        file, elements = self._answer.file(), self._reader.elements()
        if file and elements:
            uploads = self._uploads
            owner, wall = _owner(self._principal), uploads.timeline.now().wall
            uploads.files.hold(file, owner, elements, wall)
            uploads.engine.instruments.count("batches", "file")
