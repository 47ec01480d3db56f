"""Find what is said to a model in JSON of unknown shape.

Names decide: a field that is known to hold prompts is read as such at any depth.
"""

from __future__ import annotations

from gateway_guard.dialects.bounds import (
    MOST_DEPTH,
    MOST_TOKEN_NUMBERS,
    MOST_TURNS,
    OBJECT_COST,
    Budget,
    check_bound,
)
from gateway_guard.dialects.generic_parts import read_message, read_parts
from gateway_guard.dialects.loose import strings_in
from gateway_guard.dialects.names import fold
from gateway_guard.exchange import Turn

_SYSTEM = frozenset({"system", "systeminstruction", "systemprompt", "instructions", "preamble"})
_CONVERSATIONS = frozenset({"messages", "contents"})
_HISTORY = _CONVERSATIONS | {"chathistory", "history", "conversation", "turns"}
# A list under one of these names is a list of prompts, each with an answer of its own.
_LISTS = frozenset(
    {
        "input",
        "inputids",
        "inputs",
        "prompt",
        "prompts",
        "prompttokenids",
        "queries",
        "questions",
        "sentences",
        "text",
        "text1",
        "text2",
        "texts",
        "tokenids",
    },
)
# Each object of a list under one of these names asks for an answer of its own.
_REQUESTS = frozenset({"instances", "requests"})
_JOINED = frozenset({"content", "parts"})
_PROMPTS = (
    _HISTORY
    | _LISTS
    | _JOINED
    | {
        "documents",
        "inputtext",
        "instruction",
        "message",
        "passages",
        "query",
        "question",
        "rawprompt",
        "userprompt",
    }
)
_KNOWN = _PROMPTS | _SYSTEM
_IGNORED = frozenset(
    {
        "functions",
        "generationconfig",
        "logitbias",
        "metadata",
        "responseformat",
        "responseschema",
        "safetysettings",
        "toolchoice",
        "toolconfig",
        "tools",
    },
)


class Found:
    """What was found to be said: turns in order, and how many answers that asks for."""

    __slots__ = ("_budget", "_lists", "_system", "_turns")

    def __init__(self, data: object) -> None:
        """Look through a plain JSON value.

        Raises:
            TooLargeError: there is more in it, or deeper down, than is looked at.

        """
        self._system: list[Turn] = []
        self._turns: list[Turn] = []
        self._lists = 0
        self._budget = Budget()
        self._look_at(data, MOST_DEPTH)

    @property
    def turns(self) -> tuple[Turn, ...]:
        """Return the turns, system text that stands apart from the messages first."""
        return (*self._system, *self._turns)

    @property
    def answers(self) -> int:
        """Return the number of prompts and conversations, 1 or more."""
        return max(1, self._lists)

    def _look_at(self, value: object, depth: int) -> None:
        """Look for prompts below a value that is not known to be one."""
        if isinstance(value, dict):
            self._enter(len(value), depth)
            self._look_at_object(value, depth)
        elif isinstance(value, list):
            inner = [item for item in value if isinstance(item, dict | list)]
            self._enter(len(inner), depth)
            for item in inner:
                self._look_at(item, depth - 1)

    def _look_at_object(self, data: dict[str, object], depth: int) -> None:
        said = read_message(data)
        if said is not None:
            self._turns += said
            return
        for name in sorted(data, key=_rank):
            self._look_at_field(fold(name), data[name], depth)

    def _look_at_field(self, name: str, value: object, depth: int) -> None:
        if name in _SYSTEM:
            self._add_system(value)
        elif name in _PROMPTS:
            self._lists += name in _CONVERSATIONS and bool(value)
            self._add_prompt(name, value, depth)
        elif name in _REQUESTS and isinstance(value, list):
            self._enter(len(value), depth)
            for item in value:
                self._look_at_request(item, depth - 1)
        elif name not in _IGNORED:
            self._look_at(value, depth - 1)

    def _look_at_request(self, value: object, depth: int) -> None:
        lists, turns = self._lists, len(self._turns)
        self._look_at(value, depth - 1)
        self._lists += self._lists == lists and len(self._turns) > turns

    def _enter(self, count: int, depth: int) -> None:
        self._budget.spend(count)
        check_bound(len(self._turns), MOST_TURNS)
        check_bound(1, depth)

    def _add_system(self, value: object) -> None:
        text = "\n".join(strings_in(value, self._budget))
        if text:
            self._system.append(Turn("system", text))

    def _add_prompt(self, name: str, value: object, depth: int) -> None:
        if isinstance(value, str):
            self._turns.append(Turn("user", value))
        elif isinstance(value, list) and value:
            self._add_list(name, value, depth)
        elif isinstance(value, dict) and value:
            self._enter(OBJECT_COST + len(value), depth)
            self._add_object(value, depth)

    def _add_list(self, name: str, items: list[object], depth: int) -> None:
        if type(items[0]) is int and all(type(item) is int for item in items):
            check_bound(len(items), MOST_TOKEN_NUMBERS)
            # A prompt of token numbers: they repeat as words do.
            self._turns.append(Turn("user", " ".join(map(str, items))))
        elif name in _JOINED:
            self._turns += read_parts("user", items)
        else:
            self._enter(len(items), depth)
            for item in items:
                self._lists += name in _LISTS and not isinstance(item, dict)
                self._add_prompt(name, item, depth - 1)

    def _add_object(self, data: dict[str, object], depth: int) -> None:
        if any(fold(name) in _KNOWN for name in data) or read_message(data) is not None:
            self._look_at_object(data, depth)
            return
        text = "" if "format" in data else "\n".join(strings_in(data, self._budget))
        if text:
            self._turns.append(Turn("user", text))


def _rank(name: str) -> int:
    """Put what was said before in front of what is said now, whatever the order of the fields."""
    name = fold(name)
    return 0 if name in _HISTORY else 1
