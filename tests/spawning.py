"""Other people's servers in processes of their own, as operators start them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from threading import Event, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = Path(sys.executable).parent
_LONGEST_LIFE_SECONDS = "300"
_BOUNDED = (str(which("timeout")), "--kill-after=10", _LONGEST_LIFE_SECONDS)
_STARTED = "Application startup complete"


class Spawned:
    """A server that was started, perhaps not yet ready."""

    def __init__(self, *command: str, ready: str = _STARTED, **variables: str) -> None:
        """Start it; ``{port}`` in the command is a free one, ``ready`` what its log says then."""
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.said: list[str] = []
        self._ready, self._told = ready, Event()
        self._process = subprocess.Popen(
            # A server whose test run was killed ends by itself.
            [*_BOUNDED, *(part.format(port=self.port) for part in command)],
            cwd=ROOT,
            env=environment() | variables,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._listener = Thread(target=self._listen, daemon=True)
        self._listener.start()

    def wait_until_ready(self) -> None:
        """Wait until it serves.

        Raises:
            AssertionError: it ended instead; the message is what it said.

        """
        self._told.wait(float(_LONGEST_LIFE_SECONDS))
        assert self._process.poll() is None, "".join(self.said)

    def stop(self) -> None:
        """Tell it to stop, and wait."""
        self._process.terminate()
        self._process.wait()
        self._listener.join()

    def _listen(self) -> None:
        """Note what it says, to its end: a full pipe would stop it."""
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self.said.append(line)
                if self._ready in line:
                    self._told.set()
        self._process.wait()
        self._told.set()


@contextmanager
def spawned(*servers: Spawned) -> Iterator[None]:
    """Have servers that were started together serve; stop them at the end."""
    try:
        for server in servers:
            server.wait_until_ready()
        yield
    finally:
        for server in servers:
            server.stop()


def environment() -> dict[str, str]:
    """Return the variables of this process without those that configure a guard or a coverage."""
    foreign = ("GATEWAY_GUARD_", "COVERAGE_", "LITELLM_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    path = os.pathsep.join([str(PROGRAMS), kept.get("PATH", "")])
    return kept | {"PATH": path, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port
