"""What a coding agent sends: a famous system prompt, tools, a task that grows turn by turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway_guard.demo.lexicon import EVERYDAY, fill, split
from gateway_guard.demo.script import Tool

if TYPE_CHECKING:
    from random import Random

SYSTEM: Final = (
    "You are Lathe, a coding agent that works in the user's terminal.\n\n# Manner\nBe brief. "
    "Answer with fewer than four lines unless asked for detail. Do not explain what you did "
    "unless asked. Never guess at files: read them first.\n\n"
    "# Work\nUse the tools to understand the task before you edit. Follow the conventions of the "
    "code around you: its names, its libraries, its tests. Check that a library is used already "
    "before you rely on it. After an edit run the tests and the linter if you know their "
    "commands; if you do not, ask. Never commit unless the user says so.\n\n"
    "# Safety\nRefuse to write code that is meant to harm. Keep secrets out of logs and out of "
    "the repository.\n\n"
    "# Planning\nFor work of more than three steps write a plan with the plan tool, keep it "
    "current, and mark each step as done the moment it is. Prefer small edits that can be read in "
    "one look. If a step fails twice, stop and say so."
)
TOOLS: Final = (
    Tool("read_file", "Read a file of the repository.", ("path",)),
    Tool("search", "Search the repository by regular expression.", ("pattern", "folder")),
    Tool("edit_file", "Replace a text in a file by another.", ("path", "old", "new")),
    Tool("run", "Run a command in the shell and return what it prints.", ("command",)),
    Tool("plan", "Write down the plan and what is done of it.", ("steps",)),
)
WORDS: Final = EVERYDAY | {
    "part": split(
        "parser; scheduler; billing page; login form; cache; importer; exporter; migration; "
        "worker; router; uploader; search index; audit log; date picker; rate limiter; mailer"
    ),
    "fault": split(
        "returns None for empty input; is slow on large files; crashes on {day}; loses the time "
        "zone; ignores the {thing} flag; writes {n} rows twice; times out in {place}; fails the "
        "{month} test"
    ),
    "wish": split(
        "add a dry-run flag; support {code} files; log the {thing} id; split the module; add "
        "tests; rename it to {animal}_store; drop the {month} workaround; make it async"
    ),
    "path": split(
        "src/core/{animal}.py; app/{subject3}/views.py; lib/{animal}_{n}.ts; "
        "tests/test_{animal}.py; cmd/{animal}/main.go; pkg/{subject3}/store.rs; web/{animal}.tsx"
    ),
    "subject3": split("orders; people; ledger; media; geo; auth; feed; stock; tasks; mail"),
    "symbol": split(
        "load_{animal}; parse_{subject3}; {animal}Store; render_{subject3}; retry_{animal}; "
        "open_{subject3}"
    ),
}
TASK_PATTERNS: Final = (
    "the {part} {fault}, please fix it. the code is somewhere around {path}",
    "{wish} in the {part} ({path})",
    "why does {symbol} {fault}? look at {path} and tell me",
    "Our CI is red since {day}: {symbol} {fault}. Find the cause and {wish}",
    "review my last change to {path}, I think the {part} {fault} now",
    "can you {wish}? {name} wants it by {day}. start in {path}",
)
LINES: Final = (
    "def {symbol}(items, limit={n}):",
    "    if not items: return None  # {fault}",
    "    for item in items[:{n}]:",
    "        result = {symbol}(item.{subject3}, timeout={n})",
    "import {subject3}_{animal} as {subject3}",
    "{path}:{n}: {symbol} called from {path}",
    "FAILED {path}::{symbol} - assert {n} == {n}",
    "class {animal}Handler({subject3}Base):",
    "    self.{subject3} = config.get('{animal}', {n})",
    "{n} passed, {n} warnings in {n}.1s",
)


def task(rng: Random) -> str:
    """Return what a developer asks for."""
    return fill(rng, rng.choice(TASK_PATTERNS), WORDS)


def arguments(rng: Random, tool: Tool) -> dict[str, str]:
    """Return arguments for a tool."""
    patterns = {
        "path": "{path}",
        "pattern": "{symbol}",
        "folder": "src",
        "command": "make test {symbol}",
    }
    return {name: fill(rng, patterns.get(name, "{symbol}: {wish}"), WORDS) for name in tool.fields}


def result(rng: Random) -> str:
    """Return what a tool prints."""
    return "\n".join(fill(rng, rng.choice(LINES), WORDS) for _ in range(rng.randint(4, 40)))
