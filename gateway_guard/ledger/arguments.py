"""What the ledger adds to the command line; what it needs is imported when it is run."""

from __future__ import annotations

import sys
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gateway_guard.arguments import extra
from gateway_guard.exceptions import ConfigurationError
from gateway_guard.ledger.heads import LedgerError
from gateway_guard.ledger.verifying import said_of, verify
from gateway_guard.settings import load_settings

if TYPE_CHECKING:
    import argparse

    from gateway_guard.arguments import AddParser

_LEAST_PART: Final = 0.001
_NEVER: Final = "9999"


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
        help="samples: JSONL, a JSON list (.gz too) or Parquet, a row each; any other file is one",
    )
    command.add_argument("--ledger", type=Path, required=True, metavar="DIR", help="the ledger")
    command.add_argument(
        "--field", help="where a row holds its sample, as in output or messages.-1.content"
    )
    command.add_argument("--since", type=_day, metavar="DAY", help="a day like 2026-11-24")
    command.add_argument("--until", type=_day, metavar="DAY", help="this day included")
    command.add_argument(
        "--part",
        type=_part,
        default=1.0,
        metavar="SHARE",
        help="read only this part of the fingerprints: quicker, and sees less (default: 1)",
    )
    command.add_argument("--json", action="store_true", help="print the results as JSON only")
    command.add_argument("--html", type=Path, metavar="FILE", help="write a page of its own")
    command.add_argument(
        "--bundle", type=Path, metavar="FILE", help="write what others need to check it"
    )
    command.set_defaults(run=run_attribute)


def run_attribute(options: argparse.Namespace) -> None:
    """Attribute samples."""
    with extra("ledger"):
        command = import_module("gateway_guard.ledger.command")
    wanted = command.Wanted(as_json=options.json, html=options.html, bundle=options.bundle)
    days = (options.since or "", options.until or _NEVER)
    look = command.Look(options.field, *days, options.part)
    command.attribute(options.suspects, options.ledger, look, wanted, load_settings())


def add_whose(add_parser: AddParser) -> None:
    """Add ``whose``."""
    command = add_parser(
        "whose",
        help="say to whom the answers with these ids were served",
        description="Look up ids of answers, such as chatcmpl-abc, in the ledger. Exits with 1 "
        "where one of them is not in it. Needs the guard's own GATEWAY_GUARD_SECRET or "
        "GATEWAY_GUARD_STATE_DIR.",
    )
    command.add_argument("ids", nargs="+", metavar="ID", help="what the upstream called an answer")
    command.add_argument("--ledger", type=Path, required=True, metavar="DIR", help="the ledger")
    command.add_argument("--since", type=_day, metavar="DAY", help="a day like 2026-11-24")
    command.add_argument("--until", type=_day, metavar="DAY", help="this day included")
    command.add_argument("--json", action="store_true", help="print the rows as JSON only")
    command.set_defaults(run=run_whose)


def run_whose(options: argparse.Namespace) -> int:
    """Look up answers; return 1 if one was not found."""
    with extra("ledger"):
        lookup = import_module("gateway_guard.ledger.lookup")
        command = import_module("gateway_guard.ledger.command")
    look = command.Look(since=options.since or "", until=options.until or _NEVER)
    every = lookup.whose(options.ids, options.ledger, look, load_settings(), as_json=options.json)
    return 0 if every else 1


def _day(text: str) -> str:
    """Return a day; argparse explains what is wrong with others."""
    return date.fromisoformat(text).isoformat()


def _part(text: str) -> float:
    """Return a share that is not nothing."""
    part = float(text)
    if not _LEAST_PART <= part <= 1:
        raise ValueError(text)
    return part


def add_verify_bundle(add_parser: AddParser) -> None:
    """Add ``verify-bundle``."""
    command = add_parser(
        "verify-bundle",
        help="check the evidence of an attribution, offline",
        description="Check a bundle of `gateway-guard attribute --bundle`: that its answers lead "
        "to the heads that were written when they were served, that samples and p-values bear the "
        "claims out, and that no byte was changed. Needs neither the secret nor the ledger.",
    )
    command.add_argument("bundle", type=Path, metavar="FILE", help="the bundle")
    command.add_argument(
        "--heads",
        nargs="+",
        type=Path,
        default=[],
        metavar="COPY",
        help="published copies of heads: each head of the bundle must be in one of them",
    )
    command.add_argument(
        "--ledger",
        type=Path,
        metavar="DIR",
        help="the segments that are named: none of their bytes may be another one",
    )
    command.set_defaults(run=run_verify_bundle)


def run_verify_bundle(options: argparse.Namespace) -> int:
    """Verify a bundle; return 1 if it does not hold."""
    try:
        bundle, complaints = verify(options.bundle, published=options.heads, ledger=options.ledger)
    except OSError as error:
        message = f"{error.filename} cannot be read: {error.strerror}"
        raise ConfigurationError(message) from None
    except LedgerError as error:
        sys.stdout.write(f"DOES NOT HOLD: {error}\n")
        return 1
    sys.stdout.write(said_of(bundle, complaints, published=bool(options.heads)) + "\n")
    return 1 if complaints else 0
