"""Reads folders of texts to compose traffic from: ``<class>_<source>.jsonl`` or ``.jsonl.gz``.

A line is one request of a user or program. Rows of one conversation stand together.
"""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Final, Literal, get_args

import msgspec

from gateway_guard.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TextClass = Literal["human", "app", "harvest"]
CLASSES: Final[tuple[TextClass, ...]] = get_args(TextClass)
SUFFIXES: Final = (".jsonl", ".jsonl.gz")


class Row(msgspec.Struct, frozen=True, gc=False):
    """One request as it was recorded.

    ``conv`` names the conversation and ``turn`` its place in it, from 0. ``stream`` names the
    program within the source. ``system`` and ``output_len`` (characters of the answer) are None
    where they are not recorded. ``role`` is ``tool`` where the text is a tool's result.
    """

    prompt: str
    turn: int = 0
    conv: str | int | None = None
    system: str | None = None
    output_len: int | float | None = None
    stream: str | int | None = None
    role: str | None = None


class Source(msgspec.Struct, frozen=True):
    """All rows of one file."""

    text_class: TextClass
    name: str
    rows: tuple[Row, ...]

    def conversations(self) -> list[list[Row]]:
        """Return the rows by conversation, in the file's order; a row without one stands alone."""
        found: list[list[Row]] = []
        previous: str | int | None = None
        for row in self.rows:
            if row.conv is None or row.conv != previous:
                found.append([])
            found[-1].append(row)
            previous = row.conv
        return found

    def streams(self) -> dict[str, list[list[Row]]]:
        """Return the conversations by program, in the file's order; empty for one without name."""
        found: dict[str, list[list[Row]]] = {}
        for conversation in self.conversations():
            stream = conversation[0].stream
            found.setdefault("" if stream is None else str(stream), []).append(conversation)
        return found


def read_folder(folder: Path) -> list[Source]:
    """Read every source of a folder, in the order of their names.

    Raises:
        ConfigurationError: if there is no such folder, no source in it, or a line that is no row.

    """
    if not folder.is_dir():
        message = f"{folder} is no folder"
        raise ConfigurationError(message)
    sources = [read_source(path, text_class) for path, text_class in source_files(folder)]
    if not sources:
        names = ", ".join(f"{name}_*.jsonl.gz" for name in CLASSES)
        message = f"{folder} holds no texts"
        raise ConfigurationError(message, hint=f"files are named {names}")
    return sources


def source_files(folder: Path) -> Iterator[tuple[Path, TextClass]]:
    """Yield the files that hold texts, each with the class that its name begins with."""
    for path in sorted(folder.iterdir()):
        text_class = next((name for name in CLASSES if path.name.startswith(f"{name}_")), None)
        if text_class is not None and path.name.endswith(SUFFIXES):
            yield path, text_class


def read_source(path: Path, text_class: TextClass) -> Source:
    """Read one file.

    Raises:
        ConfigurationError: if a line is no row.

    """
    name = path.name.removeprefix(f"{text_class}_").partition(".jsonl")[0]
    opener = gzip.open if path.suffix == ".gz" else open
    decoder = msgspec.json.Decoder(Row)
    rows = []
    with opener(path, "rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.isspace():
                continue
            try:
                rows.append(decoder.decode(line))
            except msgspec.DecodeError as error:
                message = f"{path.name}, line {number}: {error}"
                raise ConfigurationError(message) from error
    return Source(text_class, name, tuple(rows))
