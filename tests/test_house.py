"""The house keeps its shape: who may import whom, how long things get, who reaches outside."""

from __future__ import annotations

import ast
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).parent.parent
PACKAGE = "gateway_guard"

# A room may import only rooms that stand above it.
ROOMS = (
    "exceptions",
    "arguments",
    "terminal",
    "actions",
    "settings",
    "timeline",
    "instrumentation",
    "policy",
    "exchange",
    "dialects",
    "principal",
    "model",
    "features",
    "sketches",
    "profile",
    "measures",
    "recurrence",
    "contribution",
    "expectation",
    "foreign",
    "standing",
    "subjects",
    "history",
    "placed",
    "declined",
    "waiting",
    "admission",
    "memory",
    "stores",
    "signals",
    "scoring",
    "verdict",
    "assessment",
    "campaigns",
    "enforcement",
    "elements",
    "pending",
    "powers",
    "lots",
    "opening",
    "awaited",
    "askers",
    "comparison",
    "events",
    "backlog",
    "protections",
    "responses",
    "ledger",
    "audit",
    "engine",
    "syncing",
    "statefile",
    "buffers",
    "deadlines",
    "background",
    "lines",
    "held_files",
    "file_reader",
    "uploads",
    "assembly",
    "intake",
    "observation",
    "fetching",
    "responder",
    "listening",
    "sockets",
    "middleware",
    "asgi",
    "mounts",
    "proxy",
    "replay",
    "admin",
    "corpora",
    "bench",
    "demo",
    "lab",
    "cli",
)
ROOMS_THAT_DO_IO = frozenset(
    {
        "settings",
        "instrumentation",
        "policy",
        "model",
        "stores",
        "ledger",
        "audit",
        "statefile",
        "middleware",
        "asgi",
        "mounts",
        "proxy",
        "replay",
        "admin",
        "corpora",
        "bench",
        "demo",
        "lab",
        "cli",
    }
)
IO_MODULES = frozenset(
    {
        "aiohttp",
        "ftplib",
        "http",
        "httpx",
        "os",
        "pathlib",
        "shutil",
        "smtplib",
        "socket",
        "socketserver",
        "sqlite3",
        "ssl",
        "subprocess",
        "tempfile",
        "urllib",
        "uvicorn",
    }
)
IO_MODULES_ALLOWED = frozenset({"http.HTTPStatus", "urllib.parse"})
IO_CALLS = frozenset({"open", "input", "write_text", "write_bytes", "mkdir", "unlink"})
LONGEST_FUNCTION = 40
LONGEST_MODULE = 300


class Module(NamedTuple):
    """One source file of the package: its dotted name and its text."""

    name: str
    source: str
    is_package: bool = False

    @property
    def room(self) -> str:
        """The entry of the drawing that it belongs to; empty for the package's own ``__init__``."""
        return self.name.partition(".")[2].partition(".")[0]

    @property
    def tree(self) -> ast.Module:
        """The parsed source."""
        return ast.parse(self.source, self.name)


def read_package() -> list[Module]:
    """Read every module of the package."""
    return [read_module(path) for path in sorted((ROOT / PACKAGE).rglob("*.py"))]


def read_module(path: Path) -> Module:
    """Read one file under the name that it is imported by."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    is_package = parts[-1] == "__init__"
    name = ".".join(parts[:-1] if is_package else parts)
    return Module(name, path.read_text(encoding="utf-8"), is_package)


@cache
def imported_names(module: Module) -> list[tuple[int, str]]:
    """Return line and absolute dotted name of everything that the module imports."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            origin = absolute_origin(module, node)
            found += [(node.lineno, f"{origin}.{alias.name}") for alias in node.names]
    return found


def absolute_origin(module: Module, node: ast.ImportFrom) -> str:
    """Resolve the dots of a relative import."""
    if not node.level:
        return node.module or ""
    up = node.level - module.is_package
    base = module.name.split(".")[: -up or None]
    return ".".join([*base, node.module] if node.module else base)


def broken_imports(modules: Iterable[Module]) -> list[str]:
    """Say which imports do not point upward, one sentence each."""
    found = []
    for module in modules:
        if module.room and module.room not in ROOMS:
            found.append(f"{module.name}: {module.room} is not a room of the house")
        elif module.room:
            found.extend(imports_that_point_down(module))
    return found


def imports_that_point_down(module: Module) -> Iterator[str]:
    """Yield the imports of this module that reach below it or into the re-exports."""
    above = ROOMS[: ROOMS.index(module.room) + 1]
    for line, name in imported_names(module):
        package, _, rest = name.partition(".")
        if package == PACKAGE and rest.partition(".")[0] not in above:
            yield f"{module.name}:{line} imports {name}, which does not stand above it"


def long_functions(modules: Iterable[Module]) -> list[str]:
    """Say which functions are too long, and by how much."""
    return [
        f"{module.name}.{node.name} has {lines} lines"
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or 0) - node.lineno + 1) > LONGEST_FUNCTION
    ]


def long_modules(modules: Iterable[Module]) -> list[str]:
    """Say which modules are too long, and by how much."""
    return [
        f"{module.name} has {lines} lines"
        for module in modules
        if (lines := len(module.source.splitlines())) > LONGEST_MODULE
    ]


def unexpected_io(modules: Iterable[Module]) -> list[str]:
    """Say which rooms that only compute reach for a file, a socket or a process."""
    return [
        f"{module.name}:{line} uses {name}"
        for module in modules
        if module.room and module.room not in ROOMS_THAT_DO_IO
        for line, name in [*io_imports(module), *io_calls(module)]
    ]


def io_imports(module: Module) -> Iterator[tuple[int, str]]:
    """Yield the imports of modules whose business is the world outside."""
    for line, name in imported_names(module):
        allowed = any(name == ok or name.startswith(f"{ok}.") for ok in IO_MODULES_ALLOWED)
        if name.partition(".")[0] in IO_MODULES and not allowed:
            yield line, name


def io_calls(module: Module) -> Iterator[tuple[int, str]]:
    """Yield the calls that open or change a file by whatever object they are made on."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if name in IO_CALLS:
                yield node.lineno, f"{name}()"


def importers(modules: Iterable[Module], package: str) -> set[str]:
    """Name the modules that import a package."""
    return {
        module.name
        for module in modules
        for _, name in imported_names(module)
        if name.partition(".")[0] == package
    }


def read_project() -> dict[str, Any]:
    """Read the project table of pyproject.toml."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        project: dict[str, Any] = tomllib.load(file)["project"]
    return project


def import_names(requirements: Iterable[str]) -> set[str]:
    """Turn requirements into the names that their packages are imported by."""
    names = {re.split(r"[^\w.-]", requirement)[0] for requirement in requirements}
    return {name.replace("-", "_") for name in names}


def test_imports_point_only_upward() -> None:
    """A room knows the rooms above it and none below."""
    assert broken_imports(read_package()) == []


def test_an_import_that_points_down_is_named() -> None:
    """A made-up tree with one broken import of every shape has each of them found."""
    source = """
import gateway_guard.cli
from gateway_guard import engine
from gateway_guard import GuardMiddleware
from .middleware import GuardMiddleware
from gateway_guard.scoring import Score
from gateway_guard.exchange import Exchange
def late():
    from . import demo
"""
    found = broken_imports([Module("gateway_guard.scoring", source.strip())])
    assert [sentence.split(" imports ")[1].split(",")[0] for sentence in found] == [
        "gateway_guard.cli",
        "gateway_guard.engine",
        "gateway_guard.GuardMiddleware",
        "gateway_guard.middleware.GuardMiddleware",
        "gateway_guard.demo",
    ]
    assert found[0] == (
        "gateway_guard.scoring:1 imports gateway_guard.cli, which does not stand above it"
    )


def test_relative_imports_are_resolved_from_their_own_room() -> None:
    """One dot in a room's ``__init__`` is the room, two dots in its files are the package."""
    room = Module("gateway_guard.signals", "from .base import View", is_package=True)
    file = Module("gateway_guard.signals.yields", "from ..engine import Engine\nfrom . import base")
    assert [name for _, name in imported_names(room)] == ["gateway_guard.signals.base.View"]
    [sentence] = broken_imports([room, file])
    assert sentence.startswith("gateway_guard.signals.yields:1 imports gateway_guard.engine.Engine")


def test_a_room_outside_the_drawing_is_named() -> None:
    """A file that nobody drew is found, and the package's ``__init__`` may import anything."""
    shed = Module("gateway_guard.utils", "")
    door = Module("gateway_guard", "from gateway_guard.cli import main", is_package=True)
    assert broken_imports([shed, door]) == ["gateway_guard.utils: utils is not a room of the house"]


def test_functions_and_modules_are_short() -> None:
    """No function is over 40 lines and no module over 300."""
    modules = read_package()
    assert long_functions(modules) == []
    assert long_modules(modules) == []


def test_a_long_function_and_a_long_module_are_named() -> None:
    """The measure counts the line that begins a function and the one that ends it."""
    body = "def fits():\n" + "    pass\n" * 39 + "async def spills():\n" + "    pass\n" * 40
    modules = [Module("gateway_guard.engine", body), Module("gateway_guard.cli", "\n" * 301)]
    assert long_functions(modules) == ["gateway_guard.engine.spills has 41 lines"]
    assert long_modules(modules) == ["gateway_guard.cli has 301 lines"]


def test_only_rooms_that_may_reach_outside_do_so() -> None:
    """What computes neither opens files nor sockets, nor starts a process."""
    assert unexpected_io(read_package()) == []


def test_io_in_a_room_that_computes_is_named() -> None:
    """Imports and calls are found, in rooms that compute and in no other."""
    source = "import socket\nfrom urllib.parse import unquote\nopen('x')\npath.write_text('x')\n"
    modules = [Module("gateway_guard.engine", source), Module("gateway_guard.stores.disk", source)]
    assert unexpected_io(modules) == [
        "gateway_guard.engine:1 uses socket",
        "gateway_guard.engine:3 uses open()",
        "gateway_guard.engine:4 uses write_text()",
    ]


def test_an_optional_dependency_has_one_importer() -> None:
    """Each package that only an extra brings is imported in one module at most."""
    project = read_project()
    extras = project["optional-dependencies"]
    optional = import_names(
        [
            name
            for extra in ("serve", "demo", "bench", "ledger", "lab", "valkey")
            for name in extras[extra]
        ]
    )
    optional -= import_names(project["dependencies"]) | {PACKAGE}
    modules = read_package()
    crowded = {name: found for name in optional if len(found := importers(modules, name)) > 1}
    assert crowded == {}


def test_what_only_tests_and_lint_bring_is_not_imported() -> None:
    """The package never needs what it is tested and checked with."""
    extras = read_project()["optional-dependencies"]
    tools = import_names([*extras["test"], *extras["lint"]])
    tools -= import_names(
        [
            name
            for extra in ("serve", "demo", "bench", "ledger", "lab", "valkey")
            for name in extras[extra]
        ]
    ) | {PACKAGE}
    modules = read_package()
    assert {name: found for name in tools if (found := importers(modules, name))} == {}
