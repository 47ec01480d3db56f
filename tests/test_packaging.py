"""The wheel is all that an operator needs: it installs and runs with the core dependencies only."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
UV = str(Path(sys.executable).with_name("uv"))


def run(*command: str, cwd: Path) -> str:
    """Run a command away from the source tree and return what it printed.

    Raises:
        AssertionError: it failed; the message is what it said.
    """
    outside = ("PYTHONPATH", "VIRTUAL_ENV", "COVERAGE_PROCESS_CONFIG")
    env = {name: value for name, value in os.environ.items() if name not in outside}
    done = subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from the tree, with the build backend that the lock pins."""
    out = tmp_path_factory.mktemp("dist")
    build = [UV, "--quiet", "--no-config", "build", "--wheel", "--no-build-isolation"]
    run(*build, "--python", sys.executable, "--out-dir", str(out), str(ROOT), cwd=out)
    [path] = out.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel, without extras, in an environment of its own; return its programs."""
    home = tmp_path_factory.mktemp("installed")
    quiet = [UV, "--quiet", "--no-config"]
    run(*quiet, "venv", "--python", sys.executable, str(home / "venv"), cwd=home)
    programs = home / "venv" / "bin"
    install = [*quiet, "pip", "install", "--python", str(programs / "python")]
    run(*install, "--constraints", str(ROOT / "requirements.lock"), str(wheel), cwd=home)
    return programs


def test_wheel_carries_the_package_and_nothing_else(wheel: Path) -> None:
    """Types are announced; tests and examples stay at home."""
    names = zipfile.ZipFile(wheel).namelist()
    assert "gateway_guard/py.typed" in names
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"gateway_guard", wheel.name.removesuffix("-py3-none-any.whl") + ".dist-info"}


def test_wheel_carries_every_source_and_data_file(wheel: Path) -> None:
    """What lies in the package's folder is installed, data included."""
    package = ROOT / "gateway_guard"
    files = {str(path.relative_to(ROOT)) for path in package.rglob("*") if path.is_file()}
    files = {name for name in files if "__pycache__" not in name}
    assert files <= set(zipfile.ZipFile(wheel).namelist())


def test_installed_command_shows_its_help(installed: Path) -> None:
    """``gateway-guard --help`` needs no extra."""
    assert "gateway-guard" in run(str(installed / "gateway-guard"), "--help", cwd=installed)


def test_installed_package_has_the_middleware(installed: Path) -> None:
    """The class that proxies mount is importable by its short path, from the wheel."""
    claim = "import gateway_guard; gateway_guard.GuardMiddleware; print(gateway_guard.__file__)"
    printed = run(str(installed / "python"), "-c", claim, cwd=installed)
    assert Path(printed.strip()).is_relative_to(installed.parent)


def test_core_installation_brings_no_extra(installed: Path) -> None:
    """Whoever mounts the middleware gets no second server beside the one that is there."""
    find = "import importlib.util as u; print([n for n in {names!r} if u.find_spec(n)])"
    names = ["uvicorn", "aiohttp", "rich", "fastapi", "limits", "slowapi"]
    code = find.format(names=names)
    assert run(str(installed / "python"), "-c", code, cwd=installed).strip() == "[]"
