"""Errors that the package raises on purpose, each with what to do about it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class GatewayGuardError(Exception):
    """Base of every error the package raises on purpose.

    Attributes:
        hint: one sentence that says what to do, or an empty string.
        data: the values the message was made from, for programs.

    """

    def __init__(self, message: str, *, hint: str = "", **data: object) -> None:
        """Keep the message, the hint and the data apart."""
        super().__init__(message)
        self.hint = hint
        self.data = data

    def __str__(self) -> str:
        """Return the message, with the hint on a line of its own."""
        message = super().__str__()
        return f"{message}\nHINT: {self.hint}" if self.hint else message


class ConfigurationError(GatewayGuardError):
    """A setting, a policy file or their combination cannot be used."""


@contextmanager
def extra(name: str, what: str = "this command") -> Iterator[None]:
    """Turn the absence of an optional package into advice.

    Raises:
        ConfigurationError: if a package is missing, with the extra that brings it.

    """
    try:
        yield
    except ModuleNotFoundError as error:
        message = f"{what} needs {error.name}, which is not installed"
        hint = f"pip install 'gateway-guard[{name}]'"
        raise ConfigurationError(message, hint=hint) from error
