"""The file that ``state export`` writes: a line of JSON for each thing that is kept.

The first line says what it is::

    {"format": "gateway-guard state", "version": 1, "schema": 1, "layout": 2,
     "namespace": "default", "secret": "9f2c...", "made_at": "2026-11-24T18:00:00Z"}

``schema`` is the store's, ``layout`` that of the parts; ``secret`` tells secrets apart and is none.
Then come, in any order, bytes in base64::

    ["slot", slot, epoch]                           a writer's slot
    ["part", subject, slot, version, data, until]   of a subject; slot 65535 has its standing
    ["instants", kind, hashes, instants]            little-endian, 8 bytes each
    ["entry", log, data]                            of the logs news, history and orders

The last line, ``{"lines": 7, "digest": "..."}``, has a keyed BLAKE2b of all before it. A file that
is cut, was changed, or was made under another secret is refused as a whole.
"""

from __future__ import annotations

import os
from hashlib import blake2b
from secrets import compare_digest, token_hex
from typing import TYPE_CHECKING, Final

import msgspec

from gateway_guard.exceptions import GatewayGuardError
from gateway_guard.memory import derived
from gateway_guard.stores.base import SCHEMA
from gateway_guard.stores.parts import LAYOUT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO

FORMAT: Final = "gateway-guard state"
VERSION: Final = 1
_LONGEST_LINE: Final = 1 << 26
_NAMED_BYTES: Final = 8
_DIGEST_BYTES: Final = 32


class StateFileError(GatewayGuardError):
    """A file of a store's state cannot be used, and nothing of it was."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What a file is, and of what."""

    format: str
    version: int
    schema: int
    layout: int
    namespace: str
    secret: str
    made_at: str


class Trailer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many lines come before it, the first included, and their digest."""

    lines: int
    digest: str


class SlotLine(msgspec.Struct, frozen=True, array_like=True, tag="slot"):
    """A slot, and the epoch of whoever leased it last."""

    slot: int
    epoch: int


class PartLine(msgspec.Struct, frozen=True, array_like=True, tag="part"):
    """A part of a subject, or its standing."""

    subject: bytes
    slot: int
    version: tuple[int, int, int]
    data: bytes
    until_at: float


class InstantsLine(msgspec.Struct, frozen=True, array_like=True, tag="instants"):
    """Instants of a kind."""

    kind: str
    hashes: bytes
    at: bytes


class EntryLine(msgspec.Struct, frozen=True, array_like=True, tag="entry"):
    """An entry of a log."""

    log: str
    data: bytes


Line = SlotLine | PartLine | InstantsLine | EntryLine
_headers, _trailers = msgspec.json.Decoder(Header), msgspec.json.Decoder(Trailer)
_lines = msgspec.json.Decoder(Line)


def name_of(secret: bytes) -> str:
    """Return what tells a deployment's secret from others."""
    return derived(secret, b"state file")[:_NAMED_BYTES].hex()


class StateWriter:
    """Writes a file that has its name only once it is whole."""

    def __init__(self, path: Path, header: Header, secret: bytes) -> None:
        """Begin a draft beside the path, which only its owner can read."""
        self._path, self._draft = path, path.with_name(f".{path.name}.{token_hex(4)}")
        self._digest = blake2b(key=derived(secret, b"state"), digest_size=_DIGEST_BYTES)
        self.lines = 0
        handle = os.open(self._draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(handle, "wb")
        self._write(msgspec.json.encode(header))

    def add(self, line: Line) -> None:
        """Write a line."""
        self._write(msgspec.json.encode(line))

    def finish(self) -> str:
        """Write the last line and give the file its name; return the digest."""
        digest = self._digest.hexdigest()
        self._file.write(msgspec.json.encode(Trailer(self.lines, digest)) + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._draft.replace(self._path)
        return digest

    def abandon(self) -> None:
        """Leave nothing behind of a file that was not finished."""
        self._file.close()
        self._draft.unlink(missing_ok=True)

    def _write(self, line: bytes) -> None:
        self._digest.update(line + b"\n")
        self._file.write(line + b"\n")
        self.lines += 1


class StateReader:
    """Reads a file that is whole, as often as it is asked to."""

    def __init__(self, file: BinaryIO, secrets: Sequence[bytes]) -> None:
        """Check all of it.

        Raises:
            StateFileError: it is cut or changed, or nobody here can read it.

        """
        self._file = file
        self.header = _header(file.readline(_LONGEST_LINE))
        secret = next((each for each in secrets if name_of(each) == self.header.secret), None)
        if secret is None:
            message = "the file was made under another secret, and its ids mean nothing here"
            raise StateFileError(message, hint="set GATEWAY_GUARD_SECRET to what it was then")
        self._check(derived(secret, b"state"))

    def __iter__(self) -> Iterator[Line]:
        """Yield its lines."""
        self._file.seek(0)
        self._file.readline(_LONGEST_LINE)
        for _ in range(self.lines - 1):
            yield _line(self._file.readline(_LONGEST_LINE))

    def _check(self, key: bytes) -> None:
        self._file.seek(0)
        digest, last, self.lines = blake2b(key=key, digest_size=_DIGEST_BYTES), b"", 0
        while line := self._file.readline(_LONGEST_LINE):
            if last:
                digest.update(last)
                self.lines += 1
            last = line
        trailer = _trailer(last)
        if trailer.lines != self.lines or not compare_digest(trailer.digest, digest.hexdigest()):
            message = "the file was changed since it was made"
            raise StateFileError(message, hint="take another copy; nothing was imported")


def _header(line: bytes) -> Header:
    try:
        header = _headers.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        header = None
    if header is None or header.format != FORMAT:
        message = "the file is no state of gateway-guard"
        raise StateFileError(message, hint="make one with `gateway-guard state export`")
    found = (header.version, header.schema, header.layout)
    if found != (VERSION, SCHEMA, LAYOUT):
        message = (
            f"the file is of version {found[0]}, schema {found[1]} and layout {found[2]}, "
            f"and this gateway-guard reads version {VERSION}, schema {SCHEMA} and layout {LAYOUT}"
        )
        raise StateFileError(message, hint="import it with the version that made it")
    return header


def _trailer(line: bytes) -> Trailer:
    try:
        if line.endswith(b"\n"):
            return _trailers.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        pass
    message = "the file ends too early"
    raise StateFileError(message, hint="export it again; nothing was imported")


def _line(line: bytes) -> Line:
    try:
        known: Line = _lines.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        message = "a line of the file says nothing that is known"
        raise StateFileError(message, hint="import it with the version that made it") from None
    return known
