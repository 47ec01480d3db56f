"""The operator's policy: entitlements, names and terms, read strictly and never lost."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from gateway_guard import policy as room
from gateway_guard.actions import Action
from gateway_guard.exceptions import ConfigurationError
from gateway_guard.policy import BUILT_IN_TERMS, Policy, PolicyFile, read_policy
from gateway_guard.policy.document import parse_policy
from gateway_guard.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path

KEY = bytes.fromhex("01" + "ab" * 15)
OTHER = bytes.fromhex("01" + "cd" * 15)
NOW = datetime(2026, 12, 1, 12, tzinfo=UTC).timestamp()
DAY = 86_400.0

EXEMPT = f"""
[[entitlement]]
key_id = "{KEY.hex().upper()}"
grant = "exempt"
purpose = "licensed distillation"
expires = 2026-12-01
"""


def caller(
    key: bytes = KEY, doubled: bytes | None = None, organisation: str | None = None
) -> SimpleNamespace:
    """Return what a policy has to know of a principal."""
    return SimpleNamespace(key=key, doubled=doubled, organisation_name=organisation)


def entitlement(holder: str, grant: str = "exempt", expires: str = "2027-01-01") -> str:
    """Write one entitlement."""
    return f"[[entitlement]]\n{holder}\ngrant = '{grant}'\npurpose = 'p'\nexpires = {expires}\n"


def terms(line: str, title: str = "T", clause: str = "C") -> str:
    """Write one set of terms."""
    return f"[[terms]]\n{line}\ntitle = '{title}'\nclause = '{clause}'\n"


def write(path: Path, text: str) -> Path:
    """Put a new file in a policy's place, as an editor or a mounted volume does."""
    draft = path.with_suffix(".new")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
    return path


def test_without_a_policy_nobody_is_special() -> None:
    """No ceiling, the built-in clause for every model, no names."""
    policy = PolicyFile(load_settings(), NOW).current
    assert policy.ceiling(caller(), "user", NOW) is Action.BLOCK
    assert policy.terms_for("any", "/v1/chat/completions") is BUILT_IN_TERMS
    assert policy.name_of(KEY.hex()) is None


def test_an_exempt_key_passes_and_no_other() -> None:
    """The id counts in any letter case; nobody else gains anything."""
    policy = parse_policy(EXEMPT)
    assert policy.ceiling(caller(), None, NOW) is Action.PASS
    assert policy.ceiling(caller(OTHER), None, NOW) is Action.BLOCK


def test_a_grant_can_be_watching() -> None:
    """Such traffic is never slowed, but looked at."""
    policy = parse_policy(entitlement("organisation = 'Example Ltd'", "watch"))
    assert policy.ceiling(caller(organisation="Example Ltd"), None, NOW) is Action.WATCH
    assert policy.ceiling(caller(organisation="Example"), None, NOW) is Action.BLOCK
    assert policy.ceiling(caller(), None, NOW) is Action.BLOCK


def test_the_closest_entitlement_decides() -> None:
    """An end user's beats the key's, and the key's beats the organisation's."""
    policy = parse_policy(
        entitlement("organisation = 'Org'")
        + entitlement(f"key_id = '{KEY.hex()}'", "watch")
        + entitlement(f"key_id = '{KEY.hex()}'\nend_user = 'u'")
    )
    assert policy.ceiling(caller(organisation="Org"), "u", NOW) is Action.PASS
    assert policy.ceiling(caller(organisation="Org"), "v", NOW) is Action.WATCH
    assert policy.ceiling(caller(OTHER, organisation="Org"), "u", NOW) is Action.PASS
    assert policy.ceiling(caller(OTHER), "u", NOW) is Action.BLOCK


def test_a_second_credential_takes_nothing_from_the_first_ones_limits() -> None:
    """Sending an exempt key along does not exempt another."""
    policy = parse_policy(EXEMPT)
    assert policy.ceiling(caller(KEY, OTHER), None, NOW) is Action.BLOCK
    assert policy.ceiling(caller(OTHER, KEY), None, NOW) is Action.BLOCK


def test_a_date_includes_its_day_in_utc() -> None:
    """What expires on the first still counts in its last second."""
    policy = parse_policy(EXEMPT)
    midnight = datetime(2026, 12, 2, tzinfo=UTC).timestamp()
    assert policy.ceiling(caller(), None, midnight - 1) is Action.PASS
    assert policy.ceiling(caller(), None, midnight) is Action.BLOCK


@pytest.mark.parametrize(
    "expires", ["2026-12-01T13:00:00+01:00", "2026-12-01T12:00:00Z", "2026-12-01 12:00:00"]
)
def test_a_date_with_time_ends_at_that_instant(expires: str) -> None:
    """Without a zone it is UTC."""
    policy = parse_policy(entitlement(f"key_id = '{KEY.hex()}'", expires=expires))
    assert policy.ceiling(caller(), None, NOW - 1) is Action.PASS
    assert policy.ceiling(caller(), None, NOW) is Action.BLOCK


def test_an_expired_entitlement_gives_way_to_a_wider_one() -> None:
    """The organisation's still counts when the key's has run out."""
    policy = parse_policy(EXEMPT + entitlement("organisation = 'Org'", "watch"))
    late = NOW + 2 * DAY
    assert policy.ceiling(caller(organisation="Org"), None, late) is Action.WATCH


def test_names_stand_for_key_ids() -> None:
    """Operators read a name, in whatever letter case they wrote the id."""
    policy = parse_policy(f'[names]\n"{KEY.hex().upper()}" = "search team"\n')
    assert policy.name_of(KEY.hex()) == "search team"
    assert policy.name_of(OTHER.hex()) is None


def test_terms_are_chosen_by_model_and_route() -> None:
    """Both must match where both are given; the first match counts."""
    policy = parse_policy(
        terms("models = ['gpt-*', 'o?']\nroutes = ['/v1/*']\nurl = 'https://example.com'", "A")
        + terms("routes = ['/internal/*']", "B")
        + terms("models = ['GPT-*']", "C")
    )
    found = policy.terms_for("gpt-5", "/v1/chat/completions")
    assert found is not None
    assert (found.title, found.clause, found.url) == ("A", "C", "https://example.com")
    titles = {
        (model, path): getattr(policy.terms_for(model, path), "title", None)
        for model, path in [("o3", "/v1/x"), ("o3", "/internal/x"), (" GPT-5 ", "/x"), ("o3", "/x")]
    }
    assert list(titles.values()) == ["A", "B", "C", None]


def test_a_model_that_the_terms_leave_out_has_none() -> None:
    """It is at most watched; a file without terms leaves nothing out."""
    policy = parse_policy(terms("models = ['gpt-*']"))
    assert policy.terms_for("claude-5", "/v1/messages") is None
    assert parse_policy(EXEMPT).terms_for("claude-5", "/v1/messages") is BUILT_IN_TERMS


def test_long_names_are_judged_and_not_kept() -> None:
    """A caller who makes up names fills no memory and gets the same answer."""
    policy = parse_policy(terms("models = ['*-mini']"))
    assert policy.terms_for("x" * 10_000 + "-mini", "/") is not None
    for number in range(3_000):
        policy.terms_for(f"{number}-mini", "/")
    assert policy.terms_for("x" * 100_000, "/") is None


@pytest.mark.parametrize(
    ("text", "reason", "line"),
    [
        ("[[entitlement]]\nkey_id = ", "Invalid value", None),
        ("a = 1\n", "unknown field `a`", 1),
        (EXEMPT.replace("purpose", "purpos"), "unknown field `purpos`", 5),
        (EXEMPT.replace("exempt", "free"), "Invalid enum value 'free'", 4),
        (EXEMPT.replace("2026-12-01", "'soon'"), "`expires` is neither", 2),
        (EXEMPT.replace("2026-12-01", "12:00:00"), "`expires` is neither", 2),
        (EXEMPT.replace("expires = 2026-12-01", ""), "missing required field `expires`", 2),
        (EXEMPT.replace("licensed distillation", " "), "may not be empty", 2),
        (EXEMPT.replace("key_id", "organisation") + EXEMPT + EXEMPT, "second entitlement", 14),
        (EXEMPT + "organisation = 'Org'", "either `key_id` or `organisation`", 2),
        (entitlement(""), "either `key_id` or `organisation`", 1),
        (entitlement("organisation = 'Org'\nend_user = 'u'"), "`end_user` needs", 1),
        (EXEMPT + entitlement("key_id = 7"), "got `int`", 8),
        ("\n[names]\n'sk-1' = 'x'", "a name stands for what is not an id", 2),
        ("[names]\na = 1", "Expected `str`, got `int`", 1),
        (terms(""), "`models` or `routes` is needed", 1),
        (terms("models = ['*']") + terms("models = ['*']", clause=""), "may not be empty", 5),
        (terms("models = ['*']", title="''a\nb''"), "on one line", 1),
        (terms("models = 'gpt'"), "Expected `array`, got `str`", 2),
        (terms("\nmodels = ['a', 1]"), "Expected `str`, got `int`", 3),
        ("terms = 1", "Expected `array`, got `int`", 1),
        ("a = " + "[" * 100_000, "nested too deeply", None),
        ("a = " + "9" * 5_000, "Exceeds the limit", None),
    ],
)
def test_a_mistake_is_named_with_its_line(text: str, reason: str, line: int | None) -> None:
    """Unknown names, wrong types, half entitlements: the operator reads what and where."""
    with pytest.raises(ConfigurationError) as caught:
        parse_policy(text)
    assert reason in str(caught.value)
    if line is not None:
        assert f"line {line})" in str(caught.value)


def test_an_unknown_name_is_named_with_the_nearest() -> None:
    """A typing error is quickly found."""
    with pytest.raises(ConfigurationError, match=r"HINT: did you mean `purpose`\?"):
        parse_policy(EXEMPT.replace("purpose", "purpos"))
    with pytest.raises(ConfigurationError, match=r"HINT: did you mean `terms`\?"):
        parse_policy("[[term]]\ntitle = 'x'")


@pytest.mark.parametrize(
    "text", [entitlement("key_id = 'sk-live-secret'"), "[names]\nsk-live-secret = 'x'"]
)
def test_a_raw_key_in_the_policy_is_refused_and_not_quoted(text: str) -> None:
    """Raw keys reach no log, not even by mistake."""
    with pytest.raises(ConfigurationError, match="gateway-guard key-id") as caught:
        parse_policy(text)
    assert "sk-live" not in str(caught.value)


@given(st.text() | st.text(alphabet='[]"=.\n entilmskyd_0-:{}', max_size=80))
def test_any_text_is_a_policy_or_a_configuration_error(text: str) -> None:
    """No file makes the reader fail in another way."""
    with suppress(ConfigurationError):
        assert isinstance(parse_policy(text), Policy)


def test_the_example_in_the_documentation_is_a_policy() -> None:
    """What the docstring shows can be copied."""
    lines = (room.__doc__ or "").split("errors::\n")[1].split("Without")[0]
    text = "\n".join(line[4:] for line in lines.splitlines()).replace("01f0...", KEY.hex())
    policy = parse_policy(text)
    assert policy.ceiling(caller(), "team-7", NOW) is Action.PASS
    assert policy.ceiling(caller(), None, NOW) is Action.BLOCK
    assert policy.name_of(KEY.hex()) == "search team, production"
    found = policy.terms_for("o3", "/v1/responses")
    assert found is not None
    assert found.title == "Usage policy, section 3"


def test_a_bad_file_stops_the_start(tmp_path: Path) -> None:
    """Nobody runs for weeks without the entitlements he believes to have granted."""
    path = write(tmp_path / "policy.toml", "entitlement = 1")
    for text in ("entitlement = 1", "\x00", "x" * (2**20 + 1)):
        write(path, text)
        with pytest.raises(ConfigurationError, match=r"policy\.toml cannot be used"):
            PolicyFile(load_settings(policy=path), NOW)
    path.unlink()
    with pytest.raises(ConfigurationError, match="No such file"):
        PolicyFile(load_settings(policy=path), NOW)


def test_text_that_is_not_utf8_is_named_with_its_line(tmp_path: Path) -> None:
    """A byte order mark is no harm, Latin letters are."""
    path = tmp_path / "policy.toml"
    path.write_bytes(b"\xef\xbb\xbf" + EXEMPT.encode())
    assert read_policy(path).ceiling(caller(), None, NOW) is Action.PASS
    path.write_bytes(b"[names]\n# M\xfcller\n")
    with pytest.raises(ConfigurationError, match=r"not UTF-8 text \(line 2\)"):
        read_policy(path)


def test_a_change_is_taken_over(tmp_path: Path) -> None:
    """The next look finds it; the one in between does not touch the disk."""
    path = write(tmp_path / "policy.toml", "")
    file = PolicyFile(load_settings(policy=path, policy_check_seconds="2s"), NOW)
    write(path, EXEMPT)
    assert not file.refresh(NOW + 1)
    assert file.current.ceiling(caller(), None, NOW) is Action.BLOCK
    assert file.refresh(NOW + 2)
    assert file.current.ceiling(caller(), None, NOW) is Action.PASS


def test_a_clock_that_jumps_back_does_not_stop_the_looking(tmp_path: Path) -> None:
    """A year too far ahead once does not mean a year without a look."""
    path = write(tmp_path / "policy.toml", "")
    file = PolicyFile(load_settings(policy=path), NOW)
    file.refresh(NOW + 365 * DAY)
    write(path, EXEMPT)
    assert file.refresh(NOW + 60)


def test_a_bad_change_keeps_the_last_good_policy_and_says_so_once(tmp_path: Path) -> None:
    """The log has reason and line; the gauge goes back when the file is mended."""
    path = write(tmp_path / "policy.toml", EXEMPT)
    file = PolicyFile(load_settings(policy=path), NOW)
    write(path, EXEMPT + "[[terms]]\ntitel = 'x'\n")
    with capture_logs() as logs:
        assert not file.refresh(NOW + 30)
        assert not file.refresh(NOW + 60)
    assert [log["event"] for log in logs] == ["gateway_guard.policy_rejected"]
    assert "titel" in logs[0]["reason"]
    assert logs[0]["line"] == 8
    assert (file.stale, file.rejected) == (True, 1)
    assert file.current.ceiling(caller(), None, NOW) is Action.PASS
    write(path, "")
    assert file.refresh(NOW + 120)
    assert (file.stale, file.rejected) == (False, 1)
    assert file.current.ceiling(caller(), None, NOW) is Action.BLOCK


def test_a_vanished_file_keeps_the_last_good_policy(tmp_path: Path) -> None:
    """A volume that is remounted takes nobody's entitlement away."""
    path = write(tmp_path / "policy.toml", EXEMPT)
    file = PolicyFile(load_settings(policy=path), NOW)
    path.unlink()
    assert not file.refresh(NOW + 30)
    assert file.stale
    assert file.current.ceiling(caller(), None, NOW) is Action.PASS
    write(path, EXEMPT)
    assert file.refresh(NOW + 60)
    assert not file.stale


def test_a_change_that_keeps_size_and_time_is_found(tmp_path: Path) -> None:
    """A replaced file has another inode."""
    path = write(tmp_path / "policy.toml", EXEMPT)
    before = path.stat()
    file = PolicyFile(load_settings(policy=path), NOW)
    write(path, EXEMPT.replace('"exempt"', '"watch" '))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert file.refresh(NOW + 30)
    assert file.current.ceiling(caller(), None, NOW) is Action.WATCH


def test_an_expired_entitlement_is_logged_once(tmp_path: Path) -> None:
    """The operator learns that it no longer counts, by id and purpose; not at every look."""
    text = EXEMPT + entitlement("organisation = 'Org'")
    path = write(tmp_path / "policy.toml", text)
    file = PolicyFile(load_settings(policy=path), NOW)
    with capture_logs() as logs:
        for days in (0, 1, 2, 3):
            file.refresh(NOW + days * DAY)
    [log] = logs
    with capture_logs() as at_start:
        PolicyFile(load_settings(policy=path), NOW + 9 * DAY)
    assert at_start == logs
    assert log["event"] == "gateway_guard.entitlement_expired"
    assert (log["key_id"], log["purpose"]) == (KEY.hex(), "licensed distillation")
    assert log["organisation"] is None
    assert log["expired"] == "2026-12-02T00:00:00Z"


def test_an_expired_entitlement_of_an_end_user_is_logged_with_his_name(tmp_path: Path) -> None:
    """One key may have many of them."""
    path = write(
        tmp_path / "policy.toml",
        entitlement(f"key_id = '{KEY.hex()}'\nend_user = 'team-7'", expires="2026-01-01"),
    )
    with capture_logs() as logs:
        PolicyFile(load_settings(policy=path), NOW)
    assert [(log["key_id"], log["end_user"]) for log in logs] == [(KEY.hex(), "team-7")]


def test_an_entitlement_of_another_subject_than_a_key_is_an_error() -> None:
    """Log lines hold two ids, and only one of them is a key's."""
    with pytest.raises(ConfigurationError, match="something else than a key") as caught:
        parse_policy(entitlement(f"key_id = '03{'ab' * 15}'"))
    assert caught.value.hint == "use key_id, not subject_id"
    assert caught.value.data == {"line": 1}


def test_a_grant_that_does_not_exist_names_those_that_do() -> None:
    """With the line that it stands on."""
    with pytest.raises(ConfigurationError, match="line 3") as caught:
        parse_policy(entitlement("organisation = 'Org'", "allow"))
    assert caught.value.hint == '`grant` is "exempt" or "watch"'
