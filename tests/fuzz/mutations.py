"""Mutations that keep JSON whole: wrong types, known names, many of a thing, deep ones."""

from __future__ import annotations

import json
import re
from pathlib import Path
from random import Random

from tests.fuzz.inputs import HEAD_BYTES

READERS = Path(__file__).parents[2] / "gateway_guard" / "dialects"

_LONGEST_NAME = 40
_WORD = re.compile(r'"([\w.:/-]+)"|^    (\w+): ', re.MULTILINE)
_FEW, _MANY, _DEEP = 3, 60, 40
_SCALARS: tuple[object, ...] = (None, True, 0, -1, 2**63, 1e308, 0.5, "", "x", "\ud800", "é\0", "7")


def names() -> list[str]:
    """Return the words that the readers know: the names of fields, types and events."""
    texts = [path.read_text(encoding="utf-8") for path in READERS.glob("*.py")]
    found = {"".join(word) for text in texts for word in _WORD.findall(text)}
    return sorted(name for name in found if len(name) <= _LONGEST_NAME)


def dictionary() -> str:
    """Return the words in the form in which libFuzzer reads them."""
    return "".join(f'"{name}"\n' for name in names() if name.isascii())


class Mutator:
    """Changes one place in the JSON of an input."""

    def __init__(self) -> None:
        """Know the words that the readers know."""
        self._names = names()

    def mutate(self, data: bytes, most_bytes: int, seed: int) -> bytes | None:
        """Return an input changed at one place, ``None`` where its body is no JSON."""
        head, body = data[:HEAD_BYTES], data[HEAD_BYTES:]
        try:
            value = json.loads(body)
            changed = head + json.dumps(self._changed(value, Random(seed))).encode()
        except (ValueError, RecursionError):
            return None
        return changed if len(changed) <= most_bytes else None

    def _changed(self, value: object, random: Random) -> object:
        """Walk down to a place and return the value with something else there."""
        if isinstance(value, dict) and value and random.randrange(_FEW + 1):
            at = random.choice(list(value))
            if random.randrange(_FEW * 2):
                return {**value, at: self._changed(value[at], random)}
            renamed = {at: random.choice(self._names)}
            return {renamed.get(name, name): inner for name, inner in value.items()}
        if isinstance(value, list) and value and random.randrange(_FEW + 1):
            place = random.randrange(len(value))
            return [*value[:place], self._changed(value[place], random), *value[place + 1 :]]
        return self._other(value, random)

    def _other(self, value: object, random: Random) -> object:
        name = random.choice(self._names)
        deep = value
        for _ in range(random.randrange(_DEEP)):
            deep = [deep] if random.randrange(2) else {name: deep}
        return random.choice(
            [
                random.choice(_SCALARS),
                name,
                [value] * random.randrange(_MANY),
                {name: value},
                {**value, name: random.choice(_SCALARS)} if isinstance(value, dict) else [],
                deep,
                json.dumps(value),
            ]
        )
