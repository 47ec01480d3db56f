"""What traffic is composed from: the sources of a folder, none sharing a text with another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from gateway_guard.corpora import Row, Source, read_folder
from gateway_guard.lab.traces import Trace, read_traces

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Talk = tuple[Row, ...]
"""The requests of one conversation; most have but one."""

_SHORTEST_SHARED_CHARS: Final = 40
# People who never met begin with "hello"; shorter texts are nobody's.


class Material(msgspec.Struct, frozen=True):
    """Sources by class, and when real clients send their requests."""

    sources: tuple[Source, ...]
    traces: tuple[Trace, ...]

    def of_class(self, text_class: str) -> list[Source]:
        """Return the sources of one class."""
        return [source for source in self.sources if source.text_class == text_class]


def read_material(folder: Path) -> Material:
    """Read a folder in the format of ``gateway_guard.corpora``, and the traces below it.

    Raises:
        ConfigurationError: if there is nothing to read, or something that is none of it.

    """
    sources = read_folder(folder)
    return Material(tuple(without_shared(sources)), tuple(read_traces(folder / "traces")))


def without_shared(sources: Iterable[Source]) -> list[Source]:
    """Drop from larger sources the conversations that a smaller one begins with the same words.

    What two sources share would be seen by the model that judges the one through the other.
    """
    found = list(sources)
    owner: dict[str, str] = {}
    for source in sorted(found, key=lambda each: (len(each.rows), each.name)):
        for row in source.rows:
            if len(row.prompt) >= _SHORTEST_SHARED_CHARS:
                owner.setdefault(row.prompt, name_of(source))
    return [_owned(source, owner) for source in found]


def _owned(source: Source, owner: dict[str, str]) -> Source:
    """Return a source without conversations that hold another one's text."""
    name = name_of(source)
    kept = [
        row
        for talk in source.conversations()
        if all(owner.get(row.prompt, name) == name for row in talk)
        for row in talk
    ]
    return Source(source.text_class, source.name, tuple(kept))


def name_of(source: Source) -> str:
    """Return a source's name with its class, as its file has it."""
    return f"{source.text_class}_{source.name}"
