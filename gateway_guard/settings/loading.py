"""Load the settings, with complaints that an operator can act on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import msgspec
import structlog
from pydantic import ValidationError

from gateway_guard.exceptions import ConfigurationError
from gateway_guard.settings.environment import (
    FILE_SUFFIX,
    is_secret,
    nearest,
    unknown_variables,
    variable,
)
from gateway_guard.settings.fields import Kind
from gateway_guard.settings.variables import Settings

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails
    from structlog.typing import FilteringBoundLogger

_LONGEST_VALUE = 80
_log: FilteringBoundLogger = structlog.get_logger("gateway_guard")


class Variable(msgspec.Struct, frozen=True):
    """One row of the table of variables, in words."""

    name: str
    kind: str
    default: str
    meaning: str


def load_settings(**overrides: object) -> Settings:
    """Return the settings that the environment describes; what is passed by name beats it.

    Raises:
        ConfigurationError: a value cannot be used, or not together with another.

    """
    _warn_about_unknown_variables()
    values: dict[str, Any] = overrides
    try:
        return Settings(**values)
    except ValidationError as error:
        raise _explain(error) from None


def describe_variables() -> tuple[Variable, ...]:
    """Return a row for every variable, in the order of their declaration."""
    return tuple(
        Variable(variable(name), _kind(field).name, _default(field), field.description or "")
        for name, field in Settings.model_fields.items()
    )


def _warn_about_unknown_variables() -> None:
    """Log each variable that has the prefix and does nothing."""
    fields = Settings.model_fields
    known = {variable(name) for name in fields}
    known |= {variable(name) + FILE_SUFFIX for name, field in fields.items() if is_secret(field)}
    for name, nearest_name in unknown_variables(known).items():
        _log.warning("gateway_guard.unknown_variable", variable=name, nearest=nearest_name)


def _explain(error: ValidationError) -> ConfigurationError:
    """Turn pydantic's findings into one error that names each variable once."""
    findings = {finding["loc"][:1]: finding for finding in reversed(error.errors())}
    complaints = [_complaint(finding) for finding in findings.values()]
    hints = dict.fromkeys(hint for _, hint in complaints if hint)
    message = "\n".join(message for message, _ in reversed(complaints))
    return ConfigurationError(message, hint="; ".join(hints), variables=_names(findings))


def _complaint(finding: ErrorDetails) -> tuple[str, str]:
    """Return a sentence about one value, and a hint."""
    reason = finding["msg"].removeprefix("Value error, ")
    if not finding["loc"]:
        return reason, ""
    name = str(finding["loc"][0])
    field = Settings.model_fields.get(name)
    if field is None:
        return f"there is no setting {name!r}", _did_you_mean(name)
    value = "(not shown)" if is_secret(field) else repr(finding["input"])[:_LONGEST_VALUE]
    return f"{variable(name)}={value} cannot be used: {reason}", _kind(field).hint


def _names(findings: dict[tuple[int | str, ...], ErrorDetails]) -> tuple[str, ...]:
    """Return the variables that were complained about."""
    return tuple(variable(str(name)) for place in findings for name in place)


def _did_you_mean(name: str) -> str:
    """Return a hint at the setting that resembles a name most."""
    known = nearest(name, Settings.model_fields)
    return f"did you mean {known!r}?" if known else ""


def _kind(field: FieldInfo) -> Kind:
    """Return how a field's type is explained to people."""
    declared = [entry for entry in field.metadata if isinstance(entry, Kind)]
    if declared:
        return declared[0]
    if get_origin(field.annotation) is Literal:
        choices = " or ".join(get_args(field.annotation))
        return Kind(choices, f"write {choices}")
    if is_secret(field):
        return Kind("secret", "any text, or the name of its file in the variable with _FILE")
    return Kind("path", "write the path of a file or directory")


def _default(field: FieldInfo) -> str:
    """Return a default as an operator would write it; empty where there is none."""
    return "" if field.default in {None, ()} else _kind(field).show(field.default)
