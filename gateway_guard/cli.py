"""The command line: one function per subcommand adds its arguments and says what runs it."""

from __future__ import annotations

import argparse
import logging
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import structlog

from gateway_guard.arguments import PROGRAM, extra, within
from gateway_guard.exceptions import GatewayGuardError
from gateway_guard.lab.arguments import add_lab
from gateway_guard.ledger.arguments import add_attribute, add_verify_bundle, add_whose
from gateway_guard.principal import key_id_of
from gateway_guard.settings import load_settings
from gateway_guard.statefile.arguments import add_state

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway_guard.arguments import AddParser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0, or 2 if it cannot be run as asked."""
    options = parser().parse_args(arguments)
    log_to_stderr()
    try:
        return int(options.run(options) or 0)
    except GatewayGuardError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 2


def log_to_stderr() -> None:
    """Log what the package tells, with instants in UTC: in colours to a terminal, else as JSON.

    The standard output belongs to results. A host that mounts the guard configures this itself.
    """
    shown = (
        structlog.dev.ConsoleRenderer()
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            shown,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )


def parser() -> argparse.ArgumentParser:
    """Build the parser with every subcommand."""
    top = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Recognise output harvesting at an LLM gateway and slow it down.",
        epilog="The guard itself is configured by GATEWAY_GUARD_* environment variables.",
    )
    top.add_argument("--version", action="version", version=f"{PROGRAM} {version(PROGRAM)}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in SUBCOMMANDS:
        add(commands.add_parser)
    return top


def add_serve(add_parser: AddParser) -> None:
    """Add ``serve``."""
    command = add_parser(
        "serve",
        help="forward requests to an upstream, with the guard mounted",
        description="Run a streaming reverse proxy with the guard mounted in front of an upstream.",
        epilog="GET /healthz says 200 while serving and 503 while draining. SSL_CERT_FILE names "
        "a private authority for an https upstream.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    command.add_argument(
        "--upstream",
        required=True,
        metavar="URL",
        default=argparse.SUPPRESS,
        help="where requests go: http://host:port or https://host, with a path at most",
    )
    for name, read, default, meaning in SERVE_OPTIONS:
        command.add_argument(f"--{name}", type=read, default=default, help=meaning)
    command.set_defaults(run=run_serve)


def run_serve(options: argparse.Namespace) -> None:
    """Run the proxy until it is told to stop."""
    with extra("serve"):
        from gateway_guard.proxy.options import ProxyOptions
        from gateway_guard.proxy.server import Listen, serve

    listen = Listen(
        host=options.host,
        port=options.port,
        notice_seconds=options.notice_seconds,
        drain_seconds=options.drain_seconds,
    )
    limits = ProxyOptions(
        connect_seconds=options.connect_seconds,
        read_seconds=options.read_seconds,
        pool_seconds=options.pool_seconds,
        max_connections=options.max_connections,
        max_in_flight=options.max_in_flight,
    )
    serve(options.upstream, listen=listen, options=limits)


def add_key_id(add_parser: AddParser) -> None:
    """Add ``key-id``."""
    command = add_parser(
        "key-id",
        help="turn a raw key, read from the standard input, into its id",
        description="Read one raw key from the standard input and print the id that stands for it "
        "in the policy file, in logs and in metrics. Needs the guard's own GATEWAY_GUARD_SECRET "
        "or GATEWAY_GUARD_STATE_DIR.",
    )
    command.set_defaults(run=run_key_id)


def run_key_id(_: argparse.Namespace) -> None:
    """Print the id of the key on the first line of the standard input."""
    print(key_id_of(sys.stdin.buffer.readline(), load_settings()))


def add_demo(add_parser: AddParser) -> None:
    """Add ``demo``."""
    command = add_parser(
        "demo",
        help="watch the guard before people, programs and harvesters",
        description="Play ten days of traffic before the guard, over real HTTP on this machine, in "
        "event time that runs faster than the clock.",
    )
    command.add_argument("--seed", type=int, default=0, help="another seed, another story")
    command.add_argument(
        "--cast",
        type=Path,
        metavar="DIR",
        help="take the texts from a folder of <class>_<source>.jsonl[.gz], class being human, app "
        "or harvest",
    )
    command.add_argument(
        "--scene",
        choices=["cold", "model"],
        help="cold: honest traffic only, before a guard that knows nobody yet; model: a few "
        "questions to a small real model, and what the guard saw of its answers; takes no option",
    )
    command.add_argument("--json", action="store_true", help="print the results as JSON only")
    command.set_defaults(run=run_demo)


def run_demo(options: argparse.Namespace) -> None:
    """Play the demo."""
    with extra("demo"):
        from gateway_guard.demo.command import demo
        from gateway_guard.demo.questions import demo_model

    if options.scene == "model":
        demo_model()
        return
    demo(seed=options.seed, folder=options.cast, scene=options.scene, as_json=options.json)


def add_bench(add_parser: AddParser) -> None:
    """Add ``bench``."""
    command = add_parser(
        "bench",
        help="measure what the guard costs on this machine",
        description="Measure what the guard adds to a request and what it keeps of the throughput, "
        "beside other middlewares on the same work, whether its memory stays within bounds, what "
        "stores cost and survive, and whether any way to ask a model leads past it. Takes about "
        "fifteen minutes on two idle cores, of which the stores take five.",
    )
    command.add_argument(
        "--only",
        default="",
        metavar="NAME[,NAME]",
        help="measure in-process, kept, proxy, scale, flood, buffers, ledger or bypass, all "
        "if none is named; or store or fleet, in another five and four minutes; what is not "
        "measured is null in JSON",
    )
    command.add_argument(
        "--quick", action="store_true", help="take a few minutes, for rougher figures"
    )
    command.add_argument("--json", action="store_true", help="print the results as JSON only")
    command.set_defaults(run=run_bench)


def run_bench(options: argparse.Namespace) -> None:
    """Measure."""
    with extra("bench"):
        from gateway_guard.bench.command import bench

    bench(only=options.only, quick=options.quick, as_json=options.json)


_DAY: Final = 86_400
_PORT: Final = within(int, 0, 65_535)
_COUNT: Final = within(int, 1, 1_000_000)
_TIMEOUT: Final = within(float, 0.001, float(_DAY))
SERVE_OPTIONS: Final[tuple[tuple[str, Callable[[str], Any], str | float, str], ...]] = (
    ("host", str, "127.0.0.1", "address to listen on"),
    ("port", _PORT, 8080, "port to listen on, 0 for any that is free"),
    ("connect-seconds", _TIMEOUT, 5.0, "how long the upstream may take to accept a connection"),
    ("read-seconds", _TIMEOUT, 600.0, "how long it may stay silent, before and within an answer"),
    ("pool-seconds", _TIMEOUT, 5.0, "how long a request may wait for a free connection to it"),
    ("max-connections", _COUNT, 1000, "connections to the upstream"),
    ("max-in-flight", _COUNT, 1000, "requests forwarded at a time; one more is answered with 503"),
    (
        "notice-seconds",
        within(float, 0.0, float(_DAY)),
        0.0,
        "after SIGTERM, how long to go on while /healthz says 503",
    ),
    (
        "drain-seconds",
        within(int, 0, _DAY),
        60,
        "then, how long requests in flight may take to finish",
    ),
)
SUBCOMMANDS: Final[tuple[Callable[[AddParser], None], ...]] = (
    add_serve,
    add_demo,
    add_bench,
    add_lab,
    add_attribute,
    add_whose,
    add_verify_bundle,
    add_state,
    add_key_id,
)
