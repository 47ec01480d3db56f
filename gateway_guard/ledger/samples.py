"""Suspects: texts, JSONL and Parquet files, read as samples one after the other."""

from __future__ import annotations

import gzip
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

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
_LINES: Final = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")
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
    except (UnicodeDecodeError, msgspec.DecodeError) as error:
        message = f"{path} cannot be read: {error}"
        raise ConfigurationError(message, hint="suspects are text, JSONL or Parquet") from None
    if not texts:
        message = f"{path} has no samples" + (f" under {field!r}" if field else "")
        hint = "name the field that holds them with --field; dots lead into nested ones"
        raise ConfigurationError(message, hint=hint)
    return Suspect(path.name, sha256(raw).hexdigest(), texts)


def _texts(path: Path, raw: bytes, field: str | None) -> Iterator[str]:
    """Yield the samples of a file; one that is neither JSONL nor Parquet is one sample."""
    if path.name.endswith(_PARQUET):
        for row in arrow.read_rows(path, *_columns(field)):
            yield from _samples(row, field)
    elif path.name.endswith(_LINES):
        text = gzip.decompress(raw) if path.suffix == ".gz" else raw
        for line in text.splitlines():
            if line.strip():
                yield from _samples(msgspec.json.decode(line), field)
    else:
        yield raw.decode()


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
