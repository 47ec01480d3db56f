"""Where settings come from: variables of the environment, and files for secrets."""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

from pydantic import SecretStr
from pydantic_settings import PydanticBaseSettingsSource

from gateway_guard.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic.fields import FieldInfo

PREFIX: Final = "GATEWAY_GUARD_"
FILE_SUFFIX: Final = "_FILE"


class Environment(PydanticBaseSettingsSource):
    """Texts as they stand in the environment, undecoded.

    An empty variable is the same as none, since compose files make them by the dozen. Secrets are
    the exception: whoever sets an empty one believes to have set one.
    """

    def __call__(self) -> dict[str, Any]:
        """Return the text of each field that the environment speaks of."""
        fields = self.settings_cls.model_fields
        texts = {name: self.get_field_value(field, name)[0] for name, field in fields.items()}
        return {name: text for name, text in texts.items() if text is not None}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return the text for a field or ``None``, its name, and that nothing is to be decoded.

        Raises:
            ConfigurationError: a secret is given twice, or its file cannot be read.

        """
        name = variable(field_name)
        text = os.environ.get(name)
        if is_secret(field):
            return _secret(name, text), field_name, False
        return text or None, field_name, False


def variable(field_name: str) -> str:
    """Return the name of the variable that sets a field."""
    return PREFIX + field_name.upper()


def is_secret(field: FieldInfo) -> bool:
    """Tell whether a field's value must never be shown."""
    return SecretStr in {field.annotation, *get_args(field.annotation)}


def unknown_variables(known: Iterable[str]) -> dict[str, str | None]:
    """Return the variables with the prefix that are not known, each with the nearest that is."""
    ends = {name.removeprefix(PREFIX) for name in known}
    found = {}
    for name in sorted(os.environ):
        prefix, end = name[: len(PREFIX)], name[len(PREFIX) :]
        if prefix.upper() == PREFIX and (prefix != PREFIX or end not in ends):
            match = nearest(end.upper(), ends)
            found[name] = match and PREFIX + match
    return found


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that a mistyped one resembles most, if any does."""
    return next(iter(get_close_matches(name, sorted(known), n=1, cutoff=0.6)), None)


def _secret(name: str, text: str | None) -> str | None:
    """Return a secret from its variable or from the file that another variable names."""
    path = os.environ.get(name + FILE_SUFFIX)
    if not path:
        return text
    if text:
        message = f"{name} and {name}{FILE_SUFFIX} are both set"
        raise ConfigurationError(message, hint="keep one of them", variable=name)
    return _read_secret(name + FILE_SUFFIX, path)


def _read_secret(name: str, path: str) -> str:
    """Return a file's text without the line break at its end."""
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        message = f"{name}={path!r} cannot be read: {reason}"
        hint = "name a file that holds the secret and that this process may read"
        raise ConfigurationError(message, hint=hint, variable=name) from None
