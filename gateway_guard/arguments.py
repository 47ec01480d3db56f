"""What the subcommands share: how options are read, and what is said where an extra is missing."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, TypeVar

from gateway_guard.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM: Final = "gateway-guard"
Number = TypeVar("Number", int, float)
AddParser = Callable[..., argparse.ArgumentParser]


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
        hint = f"pip install '{PROGRAM}[{name}]'"
        raise ConfigurationError(message, hint=hint) from error


def within(kind: type[Number], least: Number, most: Number) -> Callable[[str], Number]:
    """Return what reads an option's number and says between which limits it must lie."""
    noun = {"int": "a whole number"}.get(kind.__name__, "a number")

    def read(text: str) -> Number:
        with suppress(ValueError):
            value = kind(text)
            if least <= value <= most:
                return value
        message = f"{text!r} is not {noun} from {least} to {most}"
        raise argparse.ArgumentTypeError(message)

    return read
