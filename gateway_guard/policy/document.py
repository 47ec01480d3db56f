"""The policy file as it is written, and how it becomes a ``Policy``."""

from __future__ import annotations

import re
import tomllib
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, Literal, NoReturn

import msgspec

from gateway_guard.actions import Action
from gateway_guard.exceptions import ConfigurationError
from gateway_guard.policy.rules import Entitlement, Policy, Terms, TermsRule
from gateway_guard.settings import nearest

_KEY_ID: Final = re.compile(r"[0-9a-fA-F]{32}")
_KEY_ID_ADVICE: Final = "not an id as `gateway-guard key-id` prints it, 32 hexadecimal digits"
_ID_OF_A_KEY: Final = "01"  # the first byte of an id is its kind
_GRANTS: Final = {"exempt": Action.PASS, "watch": Action.WATCH}
_NO_KEY: Final = "`key_id` is the id of something else than a key"
_HINTS: Final = {
    _NO_KEY: "use key_id, not subject_id",
    "Invalid enum value": "`grant` is " + " or ".join(f'"{name}"' for name in _GRANTS),
}
_PLACE: Final = re.compile(r"(?P<reason>.*) - at `(?:key in )?\$\.?(?P<table>\w*)(?P<rest>[^`]*)`")
_UNKNOWN_FIELD: Final = re.compile(r"Object contains unknown field `(.*)`")


class _EntitlementTable(msgspec.Struct, forbid_unknown_fields=True):
    """``[[entitlement]]``."""

    grant: Literal["exempt", "watch"]
    purpose: str
    expires: Any
    key_id: str | None = None
    end_user: str | None = None
    organisation: str | None = None

    def __post_init__(self) -> None:
        """Check what types do not say.

        Raises:
            ValueError: with what is wrong; the id itself may be a raw key and is not quoted.

        """
        if (self.key_id is None) == (self.organisation is None):
            _reject("name either `key_id` or `organisation`")
        if self.end_user is not None and self.key_id is None:
            _reject("`end_user` needs the `key_id` under which it appears")
        if self.key_id is not None and not _KEY_ID.fullmatch(self.key_id):
            _reject(f"`key_id` is {_KEY_ID_ADVICE}")
        if self.key_id is not None and not self.key_id.startswith(_ID_OF_A_KEY):
            _reject(_NO_KEY)
        if "" in {self.purpose.strip(), self.end_user, self.organisation}:
            _reject("`purpose`, `end_user` and `organisation` may not be empty")
        if not isinstance(self.expires, date):
            _reject("`expires` is neither a date nor a date with time")

    def read(self) -> Entitlement:
        """Return the entitlement."""
        return Entitlement(
            most=_GRANTS[self.grant],
            purpose=self.purpose,
            expires_at=_instant(self.expires),
            key=bytes.fromhex(self.key_id) if self.key_id else None,
            end_user=self.end_user,
            organisation=self.organisation,
        )


class _TermsTable(msgspec.Struct, forbid_unknown_fields=True):
    """``[[terms]]``."""

    title: str
    clause: str
    url: str | None = None
    models: list[str] = []
    routes: list[str] = []

    def __post_init__(self) -> None:
        """Check what types do not say.

        Raises:
            ValueError: with what is wrong.

        """
        if not self.models and not self.routes:
            _reject('`models` or `routes` is needed; models = ["*"] covers everything')
        if not self.title.strip() or not self.clause.strip():
            _reject("`title` and `clause` may not be empty")
        if not all(text.isprintable() for text in (self.title, self.url or "")):
            _reject("`title` and `url` must stand on one line")

    def read(self) -> TermsRule:
        """Return the rule; what is not named is not restricted."""
        terms = Terms(title=self.title, clause=self.clause, url=self.url)
        return TermsRule(terms, self.models or ["*"], self.routes or ["*"])


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    """The whole file."""

    entitlement: list[_EntitlementTable] = []
    names: dict[str, str] = {}
    terms: list[_TermsTable] = []

    def __post_init__(self) -> None:
        """Check the ids that have names; one that is no id may be a raw key and is not quoted."""
        if not all(_KEY_ID.fullmatch(key_id) for key_id in self.names):
            message = f"a name stands for what is {_KEY_ID_ADVICE} - at `$.names`"
            raise msgspec.ValidationError(message)

    def read(self) -> Policy:
        """Return the policy.

        Raises:
            msgspec.ValidationError: two entitlements have the same holder.

        """
        entitlements = [table.read() for table in self.entitlement]
        holders = [entry.holder for entry in entitlements]
        for index, holder in enumerate(holders):
            if holder in holders[:index]:
                message = f"a second entitlement for one holder - at `$.entitlement[{index}]`"
                raise msgspec.ValidationError(message)
        names = {key_id.lower(): name for key_id, name in self.names.items()}
        return Policy(entitlements, names, [table.read() for table in self.terms])


_KNOWN_NAMES: Final = {
    "": _Document.__struct_fields__,
    "entitlement": _EntitlementTable.__struct_fields__,
    "terms": _TermsTable.__struct_fields__,
}


def parse_policy(text: str) -> Policy:
    """Return the policy that a TOML text describes.

    Raises:
        ConfigurationError: with the reason, the line where it can be told, and a hint.

    """
    try:
        return msgspec.convert(_parse_toml(text), _Document).read()
    except msgspec.ValidationError as error:
        raise _explain(str(error), text) from None


def _parse_toml(text: str) -> dict[str, Any]:
    """Return the tables of a TOML text."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        reason = "it is nested too deeply"
    except ValueError as error:
        reason = str(error)
    raise ConfigurationError(reason, hint="the file must be TOML")


def _explain(message: str, text: str) -> ConfigurationError:
    """Turn msgspec's message into one with a line and the name that was perhaps meant."""
    place = _PLACE.fullmatch(message)
    reason = place["reason"] if place else message
    table, rest = (place["table"], place["rest"]) if place else ("", "")
    unknown = _UNKNOWN_FIELD.fullmatch(reason)
    field = unknown[1] if unknown else rest.rpartition(".")[2].partition("[")[0]
    index = re.match(r"\[(\d+)\]", rest)
    line = _line_of(text, table, int(index[1]) if index else 0, field)
    known = nearest(field, _KNOWN_NAMES.get(table, ())) if unknown else None
    where = f" (in {table or 'the file'}, line {line})"
    hint = next((found for begun, found in _HINTS.items() if reason.startswith(begun)), "")
    hint = f"did you mean `{known}`?" if known else hint
    return ConfigurationError(reason + where, hint=hint, line=line)


def _line_of(text: str, table: str, index: int, field: str) -> int:
    """Return the number of the line where a field of the ``index``-th table stands, or the table.

    It is found by its looks, since the TOML parser keeps no places; at worst it is line 1.
    """
    lines = text.splitlines()
    header = re.compile(rf"\s*\[{{1,2}}\s*{re.escape(table)}\s*\]{{1,2}}") if table else None
    headers = [at for at, line in enumerate(lines) if header and header.match(line)]
    start = headers[index] if index < len(headers) else 0
    if field:
        named = re.compile(rf"[\s\[{{]*[\"']?{re.escape(field)}[\"']?\s*[\]=.]")
        start = next((at for at in range(start, len(lines)) if named.match(lines[at])), start)
    return start + 1


def _instant(expires: date) -> float:
    """Return when a date ends, or an instant; what has no zone is UTC."""
    if not isinstance(expires, datetime):
        expires = datetime.combine(expires, time(), UTC) + timedelta(days=1)
    return (expires if expires.tzinfo else expires.replace(tzinfo=UTC)).timestamp()


def _reject(reason: str) -> NoReturn:
    """Refuse a table."""
    raise ValueError(reason)
