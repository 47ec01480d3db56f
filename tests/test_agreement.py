"""What is said twice is said the same: versions, variables, pins; and nothing names a place."""

from __future__ import annotations

import os
import re
import tomllib
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway_guard.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
FOLDERS = ("gateway_guard", "tests", "examples", ".ci")
# Joined from parts, so that this file does not name them either.
REGISTRIES = [f"{name}.org" for name in ("pypi", "pythonhosted", "npmjs", "debian")]
OUTSIDE = f"{os.pardir}/shared"


def read_text(name: str) -> str:
    """Read a file of the project."""
    return (ROOT / name).read_text(encoding="utf-8", errors="replace")


def read_project() -> dict[str, Any]:
    """Read the project table of pyproject.toml."""
    project: dict[str, Any] = tomllib.loads(read_text("pyproject.toml"))["project"]
    return project


def project_files() -> Iterator[str]:
    """Yield the name of every file that a reader of the project is given."""
    paths = [path for path in ROOT.iterdir() if not path.name.startswith(".coverage")]
    for folder in FOLDERS:
        paths.extend((ROOT / folder).rglob("*"))
    for path in paths:
        if path.is_file() and "__pycache__" not in path.parts:
            yield str(path.relative_to(ROOT))


def documented_variables() -> list[str]:
    """List the variables that stand in the first cells of the README's tables."""
    rows = [line for line in read_text("README.md").splitlines() if line.startswith("|")]
    first_cells = [row.split("|")[1] for row in rows]
    return [name for cell in first_cells for name in re.findall(r"`(GATEWAY_GUARD_\w+)`", cell)]


def test_version_and_newest_changelog_heading_agree() -> None:
    """The first version that the changelog tells of is the one that is built."""
    headings = re.findall(r"^## \[([^]]+)\]", read_text("CHANGELOG.md"), flags=re.MULTILINE)
    assert headings[0] == read_project()["version"]


def test_readme_lists_exactly_the_variables_that_exist() -> None:
    """Each setting has one row in the README's table, and each row a setting."""
    declared = [f"GATEWAY_GUARD_{name.upper()}" for name in Settings.model_fields]
    assert sorted(documented_variables()) == sorted(declared)


def test_lock_pins_every_requirement() -> None:
    """What pyproject.toml asks for, extras included, has a pinned version in the lock."""
    project = read_project()
    wanted = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    names = {re.split(r"[^\w.-]", name)[0].replace(".", "-") for name in wanted}
    pinned = set(re.findall(r"^([\w.-]+)==", read_text("requirements.lock"), flags=re.MULTILINE))
    assert names - {project["name"]} <= pinned


def test_no_file_names_a_registry_or_a_place_outside() -> None:
    """The project works wherever it is cloned and whatever registry it is installed from."""
    foreign = [*REGISTRIES, OUTSIDE]
    named = [
        (file, word) for file in project_files() for word in foreign if word in read_text(file)
    ]
    assert named == []
