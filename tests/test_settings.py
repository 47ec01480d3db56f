"""Settings: every variable is read strictly, and every complaint says what to do."""

from __future__ import annotations

import ipaddress
import os
import stat
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from gateway_guard import settings as room
from gateway_guard.exceptions import ConfigurationError
from gateway_guard.settings import (
    Settings,
    deployment_secret,
    describe_variables,
    first_started_at,
    format_duration,
    format_size,
    load_settings,
    parse_duration,
    parse_size,
    previous_secret,
    secret_survives,
)
from gateway_guard.settings.units import parse_list

if TYPE_CHECKING:
    from pathlib import Path

HIDDEN = "correct horse battery staple"


def complaint(monkeypatch: pytest.MonkeyPatch, **variables: str) -> str:
    """Return what is said about an environment that cannot be used."""
    for name, value in variables.items():
        monkeypatch.setenv(f"GATEWAY_GUARD_{name}", value)
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7d", 604_800),
        ("15m", 900),
        ("1h30m", 5_400),
        ("2w1d", 1_296_000),
        ("250ms", 0.25),
        ("1m250ms", 60.25),
        (" 1.5H ", 5_400),
        ("90", 90),
        ("0", 0),
        (12.5, 12.5),
    ],
)
def test_durations_are_read_as_people_write_them(text: object, seconds: float) -> None:
    """Units add up, longest first; a plain number is seconds."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        *["", "d7", "7 years", "1m1h", "1h1h", "-1s", "nan", "inf", "1e9w", "9999w", "\u0661h"],
        *["7d" + " " * 99 + "x", True, None, -1, float("nan"), float("inf"), b"7d", "0" * 99],
    ],
)
def test_what_is_no_duration_is_refused(text: object) -> None:
    """Negative, endless, misordered and mistyped ones raise."""
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512MiB", 2**29),
        ("32MB", 32_000_000),
        ("64 kib", 65_536),
        ("1.5KB", 1_500),
        ("7b", 7),
        ("7", 7),
        (1_024, 1_024),
    ],
)
def test_sizes_are_read_in_both_kinds_of_units(text: object, size: int) -> None:
    """``MB`` is a million bytes and ``MiB`` 1,048,576, in any case."""
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MB", "512M", "1XB", "-1", "1e3", "1MB1KB", "9999TiB", True])
def test_what_is_no_size_is_refused(text: object) -> None:
    """A bare ``M`` says neither of the two units and is not guessed."""
    with pytest.raises(ValueError, match="not a size"):
        parse_size(text)


@given(st.integers(0, 10**9))
def test_a_written_duration_is_read_back(seconds: int) -> None:
    """What the table of variables shows can be copied into the environment."""
    assert parse_duration(format_duration(seconds)) == seconds


@given(st.integers(0, 2**50))
def test_a_written_size_is_read_back(size: int) -> None:
    """What the table of variables shows can be copied into the environment."""
    assert parse_size(format_size(size)) == size


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text makes a parser fail in another way than by saying no."""
    for parse in (parse_duration, parse_size):
        with suppress(ValueError):
            assert parse(text) >= 0


def test_lists_lose_blanks_and_empty_entries() -> None:
    """A trailing comma is no entry, and a sequence is a list already."""
    assert parse_list(" a, ,b,") == parse_list(["a", " ", "b"]) == ("a", "b")
    with pytest.raises(ValueError, match="comma list"):
        parse_list(3)


def test_without_an_environment_the_guard_enforces() -> None:
    """Mounted is protected: nothing has to be set."""
    settings = load_settings()
    assert settings.mode == "enforce"
    assert (settings.warmup, settings.memory, settings.max_body) == (604_800, 2**29, 32_000_000)
    assert list(settings.throttle_rates) == [10.0, 3.0, 1.0]
    assert not settings.trusted_proxies


def test_variables_are_read_each_by_its_type(monkeypatch: pytest.MonkeyPatch) -> None:
    """Durations, sizes, lists, networks, switches and paths come out typed."""
    for name, value in {
        "MODE": "shadow",
        "WARMUP": "0",
        "MEMORY": "64MiB",
        "KEY_SOURCES": "X-Api-Key, ?key",
        "TRUSTED_PROXIES": "10.0.0.0/8, fd00::/8, unix, ::ffff:192.0.2.0/120, 203.0.113.7",
        "ORGANISATION_HEADER": "X-Organisation",
        "JITTER": "off",
        "THROTTLE_RATES": "20,5,2",
        "STATE_DIR": "/var/lib/guard",
        "CONTACT": " abuse@example.com ",
    }.items():
        monkeypatch.setenv(f"GATEWAY_GUARD_{name}", value)
    settings = load_settings()
    assert (settings.mode, settings.warmup, settings.memory) == ("shadow", 0, 2**26)
    assert settings.key_sources == ("x-api-key", "?key")
    assert settings.trusted_proxies == (
        ipaddress.ip_network("10.0.0.0/8"),
        ipaddress.ip_network("fd00::/8"),
        "unix",
        ipaddress.ip_network("192.0.2.0/24"),
        ipaddress.ip_network("203.0.113.7/32"),
    )
    assert settings.organisation_header == "x-organisation"
    assert (settings.jitter, settings.throttle_rates) == (0, (20, 5, 2))
    assert str(settings.state_dir) == "/var/lib/guard"
    assert settings.contact == "abuse@example.com"


@pytest.mark.parametrize(
    ("text", "sources"),
    [
        ("OpenAI", "authorization,sec-websocket-protocol"),
        ("anthropic", "x-api-key,authorization"),
        ("gemini", "x-goog-api-key,?key,authorization"),
        ("x-mine, anthropic", "x-mine,x-api-key,authorization"),
        ("authorization,anthropic", "authorization,x-api-key"),
        ("azure", "api-key,authorization,ocp-apim-subscription-key,?api-key"),
    ],
)
def test_a_preset_stands_for_the_places_where_an_upstream_looks(text: str, sources: str) -> None:
    """Others can stand before it and behind it."""
    assert load_settings(key_sources=text).key_sources == tuple(sources.split(","))
    assert load_settings(key_sources="default") == load_settings()


def test_an_empty_variable_is_none_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose files set what they have no value for."""
    for name in Settings.model_fields:
        if not name.startswith("secret"):
            monkeypatch.setenv(f"GATEWAY_GUARD_{name.upper()}", "")
    assert load_settings() == Settings()


def test_what_is_passed_by_name_beats_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that mounts the guard has the last word."""
    monkeypatch.setenv("GATEWAY_GUARD_MODE", "shadow")
    settings = load_settings(mode="enforce", warmup="1h", organisation_header=None)
    assert (settings.mode, settings.warmup) == ("enforce", 3_600)
    assert load_settings().mode == "shadow"


def test_settings_cannot_be_changed() -> None:
    """Values are frozen, so that no request changes the next one's rules."""
    with pytest.raises(ValueError, match="frozen"):
        Settings.__setattr__(load_settings(), "mode", "shadow")


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("MODE", "off", "enforce or shadow"),
        ("WARMUP", "7 years", "7d, 1h30m"),
        ("BODY_TIMEOUT", "0", "7d, 1h30m"),
        ("MEMORY", "512M", "512MiB"),
        ("MEMORY", "0", "512MiB"),
        ("KEY_SOURCES", "authorization,x api key", "authorization,x-api-key"),
        ("KEY_SOURCES", "?key,?key", "authorization,x-api-key"),
        ("KEY_SOURCES", ",", "authorization,x-api-key"),
        ("KEY_SOURCES", "?", "authorization,x-api-key"),
        ("KEY_SOURCES", "litellm,litellm", "authorization,x-api-key"),
        ("KEY_CLAIM", "a\nb", "like sub"),
        ("KEY_CLAIM", "x" * 101, "like sub"),
        ("TRUSTED_PROXIES", "0.0.0.0/0", "10.0.0.0/8"),
        ("TRUSTED_PROXIES", "::/0", "10.0.0.0/8"),
        ("TRUSTED_PROXIES", "::ffff:0:0/96", "10.0.0.0/8"),
        ("TRUSTED_PROXIES", "10.0.0.1/8", "10.0.0.0/8"),
        ("TRUSTED_PROXIES", "*", "10.0.0.0/8"),
        ("ORGANISATION_HEADER", "x org", "x-organisation"),
        ("BUFFER_UNVERIFIED_SHARE", "1.5", "0.25"),
        ("BLOCK_LOGIT", "inf", "0.25"),
        ("BLOCK_LOGIT", "nan", "0.25"),
        ("STEP_EXCHANGES", "2.5", "whole number"),
        ("JITTER", "0.9", "0 to 0.5"),
        ("JITTER", "nan", "0 to 0.5"),
        ("JITTER", "some", "0 to 0.5"),
        ("THROTTLE_RATES", "10,3", "10,3,1"),
        ("THROTTLE_RATES", "1,3,10", "10,3,1"),
        ("THROTTLE_RATES", "inf,3,1", "10,3,1"),
        ("THROTTLE_RATES", "10,3,0.1", "10,3,1"),
        ("CONTACT", "a\r\nb", "one line"),
        ("CONTACT", "x" * 201, "one line"),
    ],
)
def test_a_bad_value_is_quoted_with_its_variable_and_a_hint(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, hint: str
) -> None:
    """The reader of the log knows what to change and to what."""
    message = complaint(monkeypatch, **{name: value})
    assert message.startswith(f"GATEWAY_GUARD_{name}={value!r}"[:60])
    assert hint in message.partition("HINT: ")[2]


def test_all_bad_values_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to start three times to find three mistakes."""
    message = complaint(monkeypatch, MODE="off", YOUNG="?", FAIL="never")
    assert [line.partition("=")[0] for line in message.splitlines()[:3]] == [
        "GATEWAY_GUARD_MODE",
        "GATEWAY_GUARD_YOUNG",
        "GATEWAY_GUARD_FAIL",
    ]


def test_a_setting_that_does_not_exist_is_named_with_the_nearest() -> None:
    """A mistyped argument is an error, since code can be right."""
    with pytest.raises(
        ConfigurationError, match="no setting 'warmpu'\nHINT: did you mean 'warmup'"
    ):
        load_settings(warmpu="7d")
    with pytest.raises(ConfigurationError, match=r"no setting 'zzz'$"):
        load_settings(zzz=1)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"WATCH_LOGIT": "1"}, "must rise"),
        ({"BLOCK_FIRST": "60d"}, "longer than"),
        ({"MAX_BODY": "100MB"}, "exceeds BUFFER_MEMORY"),
        ({"ORGANISATION_HEADER": "x-org"}, "counts only from"),
        ({"SECRET": ""}, "is empty"),
        ({"SECRET": "a", "SECRET_PREVIOUS": ""}, "SECRET_PREVIOUS is empty"),
        ({"SECRET_PREVIOUS": "a"}, "set both"),
        ({"SECRET": "a", "SECRET_PREVIOUS": "a"}, "set both"),
        ({"KEY_CLAIM": "sub", "KEYS": "ignore"}, "KEY_CLAIM reads keys"),
    ],
)
def test_values_that_contradict_each_other_are_refused(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], words: str
) -> None:
    """No option is accepted that could not do anything."""
    assert words in complaint(monkeypatch, **variables)


def test_an_unknown_variable_is_warned_about_with_the_nearest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A typing error does not go unnoticed, and its value, perhaps a secret, is not shown."""
    monkeypatch.setenv("GATEWAY_GUARD_SECRT", HIDDEN)
    monkeypatch.setenv("gateway_guard_mode", "shadow")
    monkeypatch.setenv("GATEWAY_GUARD_ZZZZZZZZ", "1")
    monkeypatch.setenv("GATEWAY_GUARD_WARMUP_FILE", "1")
    with capture_logs() as logs:
        load_settings()
    assert {log["event"] for log in logs} == {"gateway_guard.unknown_variable"}
    assert {log["variable"]: log["nearest"] for log in logs} == {
        "GATEWAY_GUARD_SECRT": "GATEWAY_GUARD_SECRET",
        "gateway_guard_mode": "GATEWAY_GUARD_MODE",
        "GATEWAY_GUARD_ZZZZZZZZ": None,
        "GATEWAY_GUARD_WARMUP_FILE": "GATEWAY_GUARD_WARMUP",
    }
    assert HIDDEN not in repr(logs)


def test_every_variable_is_described() -> None:
    """The table has a row for each field, and its default is written as it is read."""
    rows = {row.name: row for row in describe_variables()}
    assert list(rows) == [room.variable(name) for name in Settings.model_fields]
    assert all(row.kind and row.meaning for row in rows.values())
    assert rows["GATEWAY_GUARD_WARMUP"].default == "7d"
    assert rows["GATEWAY_GUARD_MEMORY"].default == "512MiB"
    assert rows["GATEWAY_GUARD_THROTTLE_RATES"].default == "10,3,1"
    assert rows["GATEWAY_GUARD_SECRET"].default == ""
    assert rows["GATEWAY_GUARD_POLICY"].kind == "path"


def test_described_defaults_are_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """Setting every variable to what the table says changes nothing."""
    for row in describe_variables():
        if row.default:
            monkeypatch.setenv(row.name, row.default)
    assert load_settings() == Settings()


def test_a_secret_can_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The file's text without its line break is the secret."""
    path = tmp_path / "secret"
    path.write_text(HIDDEN + "\n", encoding="utf-8")
    monkeypatch.setenv("GATEWAY_GUARD_SECRET_FILE", str(path))
    from_file = deployment_secret(load_settings())
    monkeypatch.delenv("GATEWAY_GUARD_SECRET_FILE")
    assert from_file == deployment_secret(load_settings(secret=HIDDEN))


def test_a_secret_is_given_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two sources would leave it to chance which one counts; neither is shown."""
    path = tmp_path / "secret"
    path.write_text("another", encoding="utf-8")
    message = complaint(monkeypatch, SECRET=HIDDEN, SECRET_FILE=str(path))
    assert "both set" in message
    assert HIDDEN not in message


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"\n"])
def test_a_secret_file_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None
) -> None:
    """Missing, undecodable and empty ones stop the start."""
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    assert "GATEWAY_GUARD_SECRET" in complaint(monkeypatch, SECRET_FILE=str(path))


def test_a_secret_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the settings nor a complaint about other values or about it contain it."""
    assert HIDDEN not in repr(load_settings(secret=HIDDEN))
    assert HIDDEN not in complaint(monkeypatch, SECRET=HIDDEN, MODE="off")
    with pytest.raises(ConfigurationError, match="not shown") as caught:
        load_settings(secret=[HIDDEN])
    assert HIDDEN not in str(caught.value)


def test_the_previous_secret_is_what_the_secret_was() -> None:
    """Text for text."""
    before, now = load_settings(secret="a"), load_settings(secret="b", secret_previous="a")
    assert previous_secret(now) == deployment_secret(before) != deployment_secret(now)
    assert previous_secret(before) is None


def test_any_text_makes_a_secret_of_32_bytes() -> None:
    """Texts give different keys, the same text the same one."""
    first, again, other = (
        deployment_secret(load_settings(secret=text)) for text in ("a", "a", "b\udc80")
    )
    assert first == again != other
    assert len(first) == 32


def test_a_made_up_secret_survives_in_the_state_directory(tmp_path: Path) -> None:
    """It is kept where only its owner can read it."""
    settings = load_settings(state_dir=tmp_path / "deep" / "state")
    assert deployment_secret(settings) == deployment_secret(settings)
    [path] = (tmp_path / "deep" / "state").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert deployment_secret(load_settings(state_dir=tmp_path)) != deployment_secret(settings)


def test_without_a_place_the_secret_lasts_for_the_process() -> None:
    """Everybody who asks in this process gets the same one."""
    settings = load_settings()
    assert deployment_secret(settings) == deployment_secret(settings)
    assert not secret_survives(settings)
    assert secret_survives(load_settings(secret="x"))


def test_workers_that_start_together_agree_on_one_secret(tmp_path: Path) -> None:
    """Whoever is first has its secret kept, and no one reads half a file."""
    settings, found = load_settings(state_dir=tmp_path), list[bytes]()
    barrier = threading.Barrier(8)

    def start() -> None:
        barrier.wait()
        found.append(deployment_secret(settings))

    workers = [threading.Thread(target=start) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_a_worker_that_comes_second_takes_what_is_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A file that appears after the look is not replaced."""
    settings = load_settings(state_dir=tmp_path)
    link = os.link

    def lose_the_race(draft: str, path: Path) -> None:
        path.write_text("from the other worker", encoding="ascii")
        link(draft, path)

    monkeypatch.setattr(os, "link", lose_the_race)
    first = deployment_secret(settings)
    monkeypatch.undo()
    assert first == deployment_secret(settings)
    assert (tmp_path / "secret").read_text(encoding="ascii") == "from the other worker"


def test_the_first_start_is_remembered(tmp_path: Path) -> None:
    """A restart does not begin the warm-up anew; without a directory it does."""
    settings = load_settings(state_dir=tmp_path)
    assert first_started_at(settings, 1_000.5) == 1_000.5
    assert first_started_at(settings, 2_000.0) == 1_000.5
    assert first_started_at(load_settings(), 2_000.0) == 2_000.0


def test_a_first_start_in_the_future_counts_as_now(tmp_path: Path) -> None:
    """A clock that was wrong once does not prolong the warm-up for years."""
    settings = load_settings(state_dir=tmp_path)
    first_started_at(settings, 9_000.0)
    assert first_started_at(settings, 1_000.0) == 1_000.0


@pytest.mark.parametrize("content", [b"", b"soon", b"\xff", b"nan", b"-1"])
def test_a_damaged_state_file_is_said_so(tmp_path: Path, content: bytes) -> None:
    """It is neither guessed nor overwritten."""
    path = tmp_path / "first_started_at"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="is damaged\nHINT: "):
        first_started_at(load_settings(state_dir=tmp_path), 1.0)
    assert path.read_bytes() == content


def test_a_state_directory_that_cannot_be_used_is_said_so(tmp_path: Path) -> None:
    """The complaint names the path and the variable."""
    (tmp_path / "file").write_text("", encoding="ascii")
    with pytest.raises(ConfigurationError, match="GATEWAY_GUARD_STATE_DIR"):
        deployment_secret(load_settings(state_dir=tmp_path / "file"))
