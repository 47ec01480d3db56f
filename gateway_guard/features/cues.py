"""Find wording that asks for more than an answer, in one pass of a linear-time automaton."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib import import_module
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

from gateway_guard.features.types import Cue

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_re2: Any = import_module("re2")  # ships no types

_MOST_AUTOMATON_BYTES = 32 << 20
"""Memory for the states of the one automaton over all cues; real text visits thousands."""
_MOST_PATTERN_BYTES = 1 << 20
_BLANK = r"(?:[\s[:punct:]]+)"
_NAME = re.compile(r"<(\w+)>")


class CueMatch(NamedTuple):
    """Where a cue stands in a text, in bytes."""

    family: Cue
    start: int
    end: int


class CueBook:
    """The cues of one version, compiled."""

    def __init__(self, text: str) -> None:
        """Compile the TOML in ``text``; ``cues.toml`` describes its form."""
        data = tomllib.loads(text)
        self.version: str = data["version"]
        self._any = _re2.Set.SearchSet(_options(_MOST_AUTOMATON_BYTES))
        self._cues: list[tuple[Cue, Any]] = []
        for family in sorted(Cue, key=lambda cue: list(data).index(cue.name.lower())):
            for entry in data[family.name.lower()]["patterns"]:
                self._add(family, entry, data["words"])
        self._any.Compile()

    def _add(self, family: Cue, entry: str | dict[str, str], words: dict[str, str]) -> None:
        """Compile one entry: a pattern, or one to look for where another was seen."""
        when, match = (entry, entry) if isinstance(entry, str) else (entry["when"], entry["match"])
        self._any.Add(_expand(when, words).encode())
        pattern = _re2.compile(_expand(match, words).encode(), _options(_MOST_PATTERN_BYTES))
        self._cues.append((family, pattern))

    def suspects(self, text: bytes) -> list[int]:
        """Return, the weightiest first, the numbers of all cues that ``text`` may hold."""
        return sorted(self._any.Match(text) or ())

    def find(self, text: bytes, suspects: Iterable[int] | None = None) -> Iterator[CueMatch]:
        """Yield the first place of each cue in normalised ``text``, the weightiest cues first."""
        for number in self.suspects(text) if suspects is None else suspects:
            family, pattern = self._cues[number]
            place = pattern.search(text)
            if place is not None:
                yield CueMatch(family, place.start(), place.end())


@cache
def cue_book() -> CueBook:
    """Return the cues that ship with the package."""
    return CueBook(files(__package__).joinpath("cues.toml").read_text("utf-8"))


def _options(most_bytes: int) -> object:
    """Return the options all patterns share; their automata take at most ``most_bytes``."""
    options = _re2.Options()
    options.case_sensitive = False
    options.never_capture = True
    options.log_errors = False
    options.max_mem = most_bytes
    return options


def _expand(pattern: str, words: dict[str, str]) -> str:
    """Put the named groups in their places and turn blanks into runs of separators."""
    while (expanded := _NAME.sub(lambda name: words.get(name[1], name[0]), pattern)) != pattern:
        pattern = expanded
    return pattern.replace(" ", _BLANK)
