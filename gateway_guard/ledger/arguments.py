"""What the ledger adds to the command line; what it needs is imported when it is run."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from gateway_guard.exceptions import extra
from gateway_guard.settings import load_settings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    AddParser = Callable[..., argparse.ArgumentParser]


def add_attribute(add_parser: AddParser) -> None:
    """Add ``attribute``."""
    command = add_parser(
        "attribute",
        help="say which keys a data set's texts were served to",
        description="Look up samples in the ledger and say which keys, organisations and templates "
        "they were served to, and how likely that is by chance. Needs the guard's own "
        "GATEWAY_GUARD_SECRET or GATEWAY_GUARD_STATE_DIR.",
    )
    command.add_argument(
        "suspects",
        nargs="+",
        type=Path,
        metavar="SUSPECT",
        help="samples: JSONL (.gz too) or Parquet, a row each; any other file is one sample",
    )
    command.add_argument("--ledger", type=Path, required=True, metavar="DIR", help="the ledger")
    command.add_argument(
        "--field", help="where a row holds its sample, as in output or messages.-1.content"
    )
    command.add_argument("--json", action="store_true", help="print the results as JSON only")
    command.add_argument("--html", type=Path, metavar="FILE", help="write a page of its own")
    command.set_defaults(run=run_attribute)


def run_attribute(options: argparse.Namespace) -> None:
    """Attribute samples."""
    with extra("ledger"):
        command = import_module("gateway_guard.ledger.command")
    wanted = command.Wanted(as_json=options.json, html=options.html)
    command.attribute(options.suspects, options.ledger, options.field, wanted, load_settings())
