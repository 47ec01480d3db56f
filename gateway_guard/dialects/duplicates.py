"""Read JSON objects in which a name stands twice, as the upstream does.

The parsers of Python take the last value, as msgspec does; there are others that take the first,
and some to which names that differ by case are one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from gateway_guard.dialects.density import both_ends, is_dense
from gateway_guard.dialects.standard import dumps, leading_documents

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway_guard.dialects.standard import Pairs

Choice = Literal["first", "last", "both"]

_SAID = frozenset(
    {"content", "input", "messages", "parts", "prompt", "role", "system", "text", "contents"}
)


def resolved(body: bytes, choice: Choice) -> bytes:
    """Return a body of which msgspec reads what the upstream reads: itself if no name is twice.

    Args:
        body: any bytes; what is no JSON is left as it is.
        choice: which value counts; ``both`` takes all readings that there are into one list.

    """
    if choice == "last":
        return body
    if is_dense(body):
        return dumps({"prompt": both_ends(body)})
    objects: list[Pairs] = []
    try:
        leading_documents(body, objects.append)
        if not any(map(_is_twofold if choice == "first" else _is_ambiguous, objects)):
            return body
        hooks = (_first,) if choice == "first" else (_first, dict, _folded)
        made = dict.fromkeys(_read(body, hook) for hook in hooks)
    except (ValueError, RecursionError):
        return body
    return next(iter(made)) if len(made) == 1 else b"[" + b",".join(made) + b"]"


def _read(body: bytes, hook: Callable[[Pairs], object]) -> bytes:
    found = leading_documents(body, hook)
    return dumps(found[0] if len(found) == 1 else found)


def _is_twofold(pairs: Pairs) -> bool:
    """Tell whether a name stands twice."""
    return len(dict(pairs)) < len(pairs)


def _is_ambiguous(pairs: Pairs) -> bool:
    """Tell whether a name stands twice, in any case, or is not spelled as usual."""
    names = [name for name, _ in pairs]
    lower = [name.lower() for name in names]
    return len(set(lower)) < len(lower) or (lower != names and not _SAID.isdisjoint(lower))


def _first(pairs: Pairs) -> dict[str, object]:
    """Return an object in which the first value of a name counts."""
    return dict(reversed(pairs))


def _folded(pairs: Pairs) -> dict[str, object]:
    """Return an object in which names under which things are said are spelled as usual."""
    return {lower if (lower := name.lower()) in _SAID else name: value for name, value in pairs}
