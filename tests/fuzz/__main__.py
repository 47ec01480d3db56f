"""``python -m tests.fuzz``: fuzz readers, two at a time, and say what was found.

Inputs that lead somewhere new stay in ``.fuzz``, and the next run goes on from there.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tests.fuzz.targets import targets

HOME = Path(__file__).parents[2] / ".fuzz"
_LEEWAY_SECONDS = 120


def main() -> int:
    """Fuzz what is asked for; return 1 where something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=2.0, help="how long for each reader")
    parser.add_argument("--reader", default="all", help="beginnings of names, or all")
    parser.add_argument("--at-once", type=int, default=2, help="how many at a time")
    asked = parser.parse_args()
    names = chosen_names(asked.reader)
    if not names:
        parser.error(f"choose from {', '.join(targets())}")
    with ThreadPoolExecutor(asked.at_once) as pool:
        found = list(pool.map(partial(fuzz, seconds=60 * asked.minutes), names))
    for name, findings in zip(names, found, strict=True):
        sys.stdout.write(f"{name}: {len(findings)} findings\n")
        sys.stdout.writelines(f"  {path}\n" for path in findings)
    return int(any(found))


def chosen_names(readers: str) -> list[str]:
    """Return the targets whose names begin as one of those given, separated by commas."""
    beginnings = tuple(reader.strip() for reader in readers.split(",") if reader.strip())
    return [name for name in targets() if "all" in beginnings or name.startswith(beginnings)]


def fuzz(name: str, *, seconds: float) -> list[Path]:
    """Fuzz one target in a process of its own; return the inputs that something is wrong with."""
    home = HOME / name
    home.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tests.fuzz.reader", name, str(seconds), str(home)]
    with (home / "log").open("w", encoding="utf-8") as log:
        limit = seconds + _LEEWAY_SECONDS
        done = subprocess.run(command, stdout=log, stderr=log, timeout=limit, check=False)
    found = sorted([*home.glob("died-on-*"), *home.glob("findings/*")])
    return found or [home / "log"] * bool(done.returncode)


if __name__ == "__main__":
    sys.exit(main())
