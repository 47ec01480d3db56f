"""Files that are whole or absent, whatever happens while they are written."""

from __future__ import annotations

import os
from contextlib import suppress
from hashlib import sha256
from secrets import token_hex
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_CHUNK: Final = 1 << 20
_PRIVATE: Final = 0o700


def make_directory(path: Path) -> None:
    """Make a directory that only its owner enters, and those above it; all survive a crash."""
    if path.is_dir():
        return
    make_directory(path.parent)
    path.mkdir(mode=_PRIVATE, exist_ok=True)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Have the names in a directory survive a crash, where the system knows how."""
    with suppress(OSError):  # Windows opens no directories
        _sync(path)


def put(draft: Path, path: Path) -> None:
    """Give a complete draft on the same disk its name, once its bytes are safe."""
    make_directory(path.parent)
    _sync(draft)
    draft.replace(path)
    sync_directory(path.parent)


def kept(path: Path, proposal: bytes) -> bytes:
    """Return what a file holds; the first of all processes that ask has its proposal kept."""
    if not path.exists():
        make_directory(path.parent)
        draft = path.with_name(f".{path.name}.{token_hex(8)}")
        draft.write_bytes(proposal)
        _sync(draft)
        with suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
        sync_directory(path.parent)
    return path.read_bytes()


def append_line(path: Path, lines: bytes) -> None:
    """Add whole lines to a file that one process writes, and wait until they are safe."""
    is_new = not path.exists()
    if is_new:
        make_directory(path.parent)
    with path.open("ab") as file:
        file.write(lines)
        file.flush()
        os.fsync(file.fileno())
    if is_new:
        sync_directory(path.parent)


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    state = sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            state.update(chunk)
    return state.hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
