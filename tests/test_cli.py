"""The command line says what there is, and what is missing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from gateway_guard.cli import SUBCOMMANDS, extra, main
from gateway_guard.exceptions import ConfigurationError
from gateway_guard.proxy import ProxyOptions, server
from gateway_guard.proxy.server import Listen

if TYPE_CHECKING:
    from collections.abc import Callable


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """With a line on each, and where the guard's own settings are."""
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    shown = capsys.readouterr().out
    assert ended.value.code == 0
    assert "GATEWAY_GUARD_*" in shown
    for add in SUBCOMMANDS:
        assert f"    {add.__name__.removeprefix('add_').replace('_', '-')} " in shown


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
