"""Errors that the package raises on purpose, each with what to do about it."""

from __future__ import annotations


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


class StoreError(GatewayGuardError):
    """A store did not do what it was asked: it is away, slow, full, damaged or of another version.

    ``data["kind"]`` is one word for logs and counters.
    """
