"""The command line says what there is, and what is missing."""

from __future__ import annotations

import io
import json
import socket
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from gateway_guard.arguments import extra
from gateway_guard.cli import SUBCOMMANDS, log_to_stderr, main
from gateway_guard.exceptions import ConfigurationError
from gateway_guard.proxy import ProxyOptions, server
from gateway_guard.proxy.server import Listen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Terminal(io.StringIO):
    """A stream that somebody looks at."""

    def isatty(self) -> bool:
        """Say so."""
        return True


@pytest.fixture(autouse=True)
def _unconfigured() -> Iterator[None]:
    """Leave structlog as it was."""
    yield
    structlog.reset_defaults()


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """With a line on each, and where the guard's own settings are."""
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    shown = capsys.readouterr().out
    assert ended.value.code == 0
    assert "GATEWAY_GUARD_*" in shown
    for add in SUBCOMMANDS:
        assert f"    {add.__name__.removeprefix('add_').replace('_', '-')} " in shown.replace(
            "\n", " "
        )


def test_a_command_is_required(capsys: pytest.CaptureFixture[str]) -> None:
    """The bare name says how it is used, and is an error to scripts."""
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2
    assert "COMMAND" in capsys.readouterr().err


def test_help_on_serve_states_the_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    """Every one that the options have."""
    with pytest.raises(SystemExit):
        main(["serve", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    for option, default in (
        ("--host", Listen().host),
        ("--port", Listen().port),
        ("--notice-seconds", Listen().notice_seconds),
        ("--drain-seconds", Listen().drain_seconds),
        ("--connect-seconds", ProxyOptions().connect_seconds),
        ("--read-seconds", ProxyOptions().read_seconds),
        ("--pool-seconds", ProxyOptions().pool_seconds),
        ("--max-connections", ProxyOptions().max_connections),
        ("--max-in-flight", ProxyOptions().max_in_flight),
    ):
        described = shown.split(f" {option} ")[-1]
        assert f"(default: {default})" in described.split(" --")[0]


def test_serve_runs_with_what_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every option reaches the proxy or its server."""
    given: dict[str, Any] = {}

    def serve(upstream: str, **options: object) -> None:
        given.update(upstream=upstream, **options)

    monkeypatch.setattr(server, "serve", serve)
    arguments = (
        "serve --upstream http://up --host ::1 --port 1 --notice-seconds 2 --drain-seconds 3"
    )
    limits = "--connect-seconds 4 --read-seconds 5 --pool-seconds 6 --max-connections 7"
    assert main([*arguments.split(), *limits.split(), "--max-in-flight", "8"]) == 0
    assert given == {
        "upstream": "http://up",
        "listen": Listen(host="::1", port=1, notice_seconds=2, drain_seconds=3),
        "options": ProxyOptions(
            connect_seconds=4, read_seconds=5, pool_seconds=6, max_connections=7, max_in_flight=8
        ),
    }


def test_an_upstream_that_cannot_be_used_is_said_so(capsys: pytest.CaptureFixture[str]) -> None:
    """With a hint, without a traceback, and with an exit code that is not 0."""
    assert main(["serve", "--upstream", "ftp://up"]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("gateway-guard: the upstream 'ftp://up' is no http or https address")
    assert "HINT: " in shown


def test_a_missing_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The hint is a command that can be copied."""
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "gateway_guard.proxy.server", raising=False)
    assert main(["serve", "--upstream", "http://up"]) == 2
    shown = capsys.readouterr().err
    assert "needs uvicorn, which is not installed" in shown
    assert "pip install 'gateway-guard[serve]'" in shown


def test_what_is_not_an_absence_is_not_taken_for_one() -> None:
    """An extra that is broken says so itself."""

    def broken() -> None:
        message = "cannot import name 'x'"
        raise ImportError(message)

    caught: list[Callable[[], None]] = [broken]
    with pytest.raises(ImportError, match="cannot import name"), extra("serve"):
        caught[0]()
    with pytest.raises(ConfigurationError, match="needs rich"), extra("demo"):
        raise ModuleNotFoundError(name="rich")


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    """What a report of a fault begins with."""
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"gateway-guard {version('gateway-guard')}\n"


@pytest.mark.parametrize(
    ("option", "value", "complaint"),
    [
        ("--port", "70000", "'70000' is not a whole number from 0 to 65535"),
        ("--port", "http", "'http' is not a whole number from 0 to 65535"),
        ("--max-in-flight", "0", "'0' is not a whole number from 1 to"),
        ("--max-connections", "-1", "'-1' is not a whole number from 1 to"),
        ("--connect-seconds", "0", "'0' is not a number from 0.001 to 86400"),
        ("--read-seconds", "nan", "'nan' is not a number from 0.001 to 86400"),
        ("--pool-seconds", "inf", "'inf' is not a number from 0.001 to 86400"),
        ("--notice-seconds", "-1", "'-1' is not a number from 0.0 to 86400"),
        ("--drain-seconds", "1.5", "'1.5' is not a whole number from 0 to 86400"),
    ],
)
def test_a_number_out_of_its_range_is_said_so(
    option: str, value: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the option's name and what it takes, before anything runs."""
    with pytest.raises(SystemExit) as ended:
        main(["serve", "--upstream", "http://up", f"{option}={value}"])
    assert ended.value.code == 2
    assert f"argument {option}: {complaint}" in capsys.readouterr().err


def test_a_port_that_is_taken_is_said_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line and a hint, with the exit code of a wrong configuration."""
    monkeypatch.setenv("GATEWAY_GUARD_SECRET", "made up")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert main(["serve", "--upstream", "http://127.0.0.1:9", "--port", str(port)]) == 2
    shown = capsys.readouterr().err
    assert f"gateway-guard: cannot listen on 127.0.0.1 port {port}: Address already in use" in shown
    assert "HINT: choose an address" in shown


def test_warnings_stay_off_the_standard_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script that reads an id reads an id; who collects the errors reads JSON in UTC."""
    monkeypatch.setenv("GATEWAY_GUARD_SECRET", "made up")
    monkeypatch.setenv("GATEWAY_GUARD_MODUS", "shadow")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"sk-a\n")))
    assert main(["key-id"]) == 0
    shown = capsys.readouterr()
    assert len(shown.out.strip()) == 32
    told = json.loads(shown.err)
    assert (told["event"], told["level"]) == ("gateway_guard.unknown_variable", "warning")
    assert datetime.fromisoformat(told["timestamp"]).tzinfo == UTC


def test_a_terminal_is_shown_lines_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    """JSON is for collectors."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    log_to_stderr()
    structlog.get_logger("gateway_guard").info("gateway_guard.verdict", action="block")
    assert "gateway_guard.verdict" in terminal.getvalue()
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(terminal.getvalue())


def test_the_library_leaves_logging_to_its_host() -> None:
    """To import the package and the command line configures nothing."""
    code = "import structlog, gateway_guard.cli; raise SystemExit(structlog.is_configured())"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
