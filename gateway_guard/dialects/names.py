"""How fields are called, whoever named them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def fold(name: str) -> str:
    """Return a field's name without case and separators: ``maxTokens`` and ``max_tokens`` agree."""
    return name.replace("_", "").replace("-", "").lower()


def folded(data: dict[str, object]) -> dict[str, object]:
    """Return an object under folded names; of two that agree the first one counts."""
    fields: dict[str, object] = {}
    for name, value in data.items():
        fields.setdefault(fold(name), value)
    return fields


def first(fields: dict[str, object], names: Iterable[str]) -> object:
    """Return the first value that is not ``None`` under one of the names, else ``None``."""
    for name in names:
        value = fields.get(name)
        if value is not None:
            return value
    return None
