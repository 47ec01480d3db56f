"""Corpora: filters of public pools of questions, built from files of their items."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any, Final

import msgspec

from gateway_guard.exceptions import ConfigurationError
from gateway_guard.features.seeded import SeededReader
from gateway_guard.lab.texts import readings
from gateway_guard.model import SHIPPED, Corpus, Pool, make_corpus
from gateway_guard.model.corpus import WINDOWS_KEPT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from gateway_guard.model.words import Hashes

FIELD: Final = "prompt"


def build_corpus(
    pool: Pool,
    items: Iterable[str],
    seed: int,
    *,
    keep: int = WINDOWS_KEPT,
    elsewhere: Iterable[str] = (),
) -> Corpus:
    """Return the corpus of the distinct items of a pool, ``keep`` windows of each.

    Windows that come in texts ``elsewhere`` as well are not the pool's own, such as the wording
    that tasks are put in, and items that an evaluation shows as examples.

    Raises:
        ConfigurationError: none of the items has a window of words.

    """
    reader = SeededReader(msgspec.structs.replace(SHIPPED, seed=seed, corpora=()))
    corpus = make_corpus(
        pool,
        seed,
        _windows(reader, dict.fromkeys(items)),
        keep=keep,
        elsewhere=_windows(reader, elsewhere),
    )
    if not corpus.items:
        message = f"{pool.name}: there is no item of five words or more"
        raise ConfigurationError(message, hint="name files with an item a line")
    return corpus


def read_items(paths: Sequence[Path], field: str = FIELD) -> Iterator[str]:
    """Yield the items in files: ``field`` of each line of JSON, or each line of other text.

    Raises:
        ConfigurationError: a file cannot be read, or a line has no such field.

    """
    for path in paths:
        is_json = path.name.removesuffix(".gz").endswith((".jsonl", ".json"))
        number = 0
        try:
            with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as lines:
                for line in lines:
                    number += 1
                    if line.strip():
                        yield _item(line, field if is_json else None)
        except (OSError, EOFError, ValueError, KeyError) as error:
            where = "" if isinstance(error, OSError | EOFError) else f", line {number}"
            message = f"{path}{where} cannot be read: {error}"
            hint = "an item is a line of text, or of JSON with the field that --field names"
            raise ConfigurationError(message, hint=hint, path=str(path)) from None


def _item(line: bytes, field: str | None) -> str:
    """Return the item on a line."""
    if field is None:
        return line.decode("utf-8", "replace").strip()
    row: dict[str, Any] = msgspec.json.decode(line, type=dict[str, Any])
    return msgspec.convert(row[field], str)


def _windows(reader: SeededReader, items: Iterable[str]) -> Iterator[Hashes]:
    for some in readings(items):
        yield from reader.windows(some)
