"""Suspects: texts, JSON, JSONL and Parquet files, read as samples one after the other."""

from __future__ import annotations

import gzip
import zlib
from codecs import BOM_UTF8
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from gateway_guard.dialects.lenient import UNREADABLE
from gateway_guard.dialects.standard import loads
from gateway_guard.exceptions import ConfigurationError
from gateway_guard.ledger import arrow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

FIELDS: Final = (
    *("output", "response", "completion", "answer", "generation", "text", "content"),
    *("messages", "conversations", "choices"),
)
"""Where samples stand if nobody says where: the first of these that a row has."""
_SAID: Final = ("content", "value", "text", "message")
_ROLES: Final = ("role", "from")
_ANSWERING: Final = frozenset({"assistant", "gpt", "model", "bot"})
_LINES: Final = (".jsonl", ".ndjson")
_JSON: Final = ".json"
_GZIP: Final = ".gz"
_BLANK: Final = b" \t\r\n\xef\xbb\xbf"
_HINT: Final = "suspects are text in UTF-8, JSON, JSONL or Parquet"
_PARQUET: Final = ".parquet"


class Suspect(NamedTuple):
    """One file: its name and digest, and the texts of its samples."""

    name: str
    sha256: str
    texts: list[str]


def read_suspects(paths: Sequence[Path], field: str | None) -> list[Suspect]:
    """Read files of samples; ``field`` is a name, or several with dots between them.

    Raises:
        ConfigurationError: a file cannot be read, or has no such field.

    """
    return [_read(path, field) for path in paths]


def _read(path: Path, field: str | None) -> Suspect:
    try:
        raw = path.read_bytes()
        texts = [text for text in _texts(path, raw, field) if text.strip()]
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror or 'it is damaged'}"
        raise ConfigurationError(message) from None
    except (EOFError, zlib.error) as error:
        message = f"{path} cannot be read: it is damaged, or was not copied to its end"
        raise ConfigurationError(message) from error
    except UnicodeDecodeError:
        message = f"{path} cannot be read: it is no UTF-8"
        raise ConfigurationError(message, hint=_HINT) from None
    except _UnreadableError as error:
        message = f"{path} cannot be read: {error} is no JSON in UTF-8"
        raise ConfigurationError(message, hint=_HINT) from None
    if not texts:
        message = f"{path} has no samples" + (f" under {field!r}" if field else "")
        hint = "name the field that holds them with --field; dots lead into nested ones"
        raise ConfigurationError(message, hint=hint)
    return Suspect(path.name, sha256(raw).hexdigest(), texts)


def _texts(path: Path, raw: bytes, field: str | None) -> Iterator[str]:
    """Yield the samples of a file; one that is no JSON and no Parquet is one sample."""
    name = path.name
    if name.endswith(_PARQUET):
        for columns in arrow.read_rows(path, *_columns(field)):
            yield from _samples(columns, field)
        return
    content = raw
    if name.endswith(_GZIP):
        name, content = name.removesuffix(_GZIP), gzip.decompress(raw)
    if name.endswith(_PARQUET):
        raise OSError(0, "unpack it first")
    if name.endswith((*_LINES, _JSON)):
        for value in _rows(content, whole=name.endswith(_JSON)):
            yield from _samples(value, field)
    else:
        yield content.decode("utf-8-sig")


def _rows(content: bytes, *, whole: bool) -> Iterator[object]:
    """Yield the rows of JSONL, or of a list; many a file that is called JSON has lines of it."""
    if whole:
        with suppress(_UnreadableError):
            rows = _json(content, "all of it")
            yield from rows if isinstance(rows, list) else [rows]
            return
    for number, line in enumerate(content.split(b"\n"), start=1):
        if line.strip(_BLANK):
            yield _json(line, f"line {number}")


def _json(text: bytes, where: str) -> object:
    """Return JSON, also as Python's own writer makes it, with ``NaN`` and half surrogates.

    Raises:
        _UnreadableError: it is none.

    """
    try:
        return msgspec.json.decode(text)
    except UNREADABLE:
        pass
    try:
        return loads(text.removeprefix(BOM_UTF8))
    except UNREADABLE:
        raise _UnreadableError(where) from None


class _UnreadableError(Exception):
    """What stands somewhere is no JSON."""


def _columns(field: str | None) -> tuple[str, ...]:
    return FIELDS if field is None else (field.partition(".")[0],)


def _samples(row: object, field: str | None) -> Iterator[str]:
    """Yield the texts that stand in one row."""
    if field is None:
        if isinstance(row, dict):
            name = next((name for name in FIELDS if row.get(name)), None)
            row = None if name is None else row[name]
    else:
        for name in field.split("."):
            row = _inner(row, name)
    yield from _said(row)


def _inner(value: object, name: str) -> object:
    """Return what stands under a name, or at a place in a list."""
    if isinstance(value, dict):
        return value.get(name)
    if isinstance(value, list) and name.lstrip("-").isdigit():
        return next(iter(value[int(name) :][:1]), None)
    return None


def _said(value: object) -> Iterator[str]:
    """Yield texts: of a conversation those of the assistant."""
    if isinstance(value, bytes):
        value = value.decode()
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _said(each)
    elif isinstance(value, dict):
        role = next((value[name] for name in _ROLES if name in value), None)
        if role is None or role in _ANSWERING:
            name = next((name for name in _SAID if value.get(name)), None)
            if name is not None:
                yield from _said(value[name])
