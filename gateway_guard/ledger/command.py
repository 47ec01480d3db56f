"""``gateway-guard attribute``: whose answers are these?"""

from __future__ import annotations

import os
import sys
from time import time
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from gateway_guard.exceptions import ConfigurationError
from gateway_guard.ledger.bundle import write_bundle
from gateway_guard.ledger.bundling import Asked, make_bundle
from gateway_guard.ledger.duck import Limits
from gateway_guard.ledger.gathering import gather, opened
from gateway_guard.ledger.page import as_html
from gateway_guard.ledger.progress import Progress
from gateway_guard.ledger.report import report, score_all
from gateway_guard.ledger.samples import read_suspects
from gateway_guard.ledger.shown import as_text
from gateway_guard.memory import derived
from gateway_guard.settings import deployment_secret, previous_secret, secret_survives

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gateway_guard.ledger.gathering import Opened
    from gateway_guard.settings import Settings


class Look(NamedTuple):
    """Where to look: at which field of the rows, and at which days and part of the ledger."""

    field: str | None = None
    since: str = ""
    until: str = "9999"
    part: float = 1.0


class Wanted(NamedTuple):
    """What is to be made of an attribution."""

    as_json: bool = False
    html: Path | None = None
    bundle: Path | None = None


def attribute(
    suspects: Sequence[Path],
    directory: Path,
    look: Look,
    wanted: Wanted,
    settings: Settings,
) -> None:
    """Look samples up in a ledger, and print and write what was found.

    Raises:
        ConfigurationError: samples cannot be read, or there is no ledger, or no lasting secret.
        LedgerError: the ledger was written under another secret.

    """
    keys = ledger_keys(settings)
    ledger = looked_into(directory, keys, look)
    asked = Asked(read_suspects(suspects, look.field), look.field)
    progress = Progress()
    limits = Limits(threads=max(1, os.cpu_count() or 1), part=look.part)
    gathered = gather(ledger, asked.texts, limits, progress.tell)
    scored = score_all(gathered)
    found = report(gathered, scored)
    progress.end()
    if wanted.html is not None:
        wanted.html.write_text(as_html(found), encoding="utf-8")
    if wanted.bundle is not None:
        write_bundle(wanted.bundle, make_bundle(asked, gathered, scored[0], found, time()))
    text = msgspec.json.encode(found).decode() if wanted.as_json else as_text(found)
    sys.stdout.write(text + "\n")


def looked_into(directory: Path, keys: Sequence[bytes], look: Look) -> Opened:
    """Open a ledger.

    Raises:
        ConfigurationError: there is none.
        LedgerError: nothing in it was written under one of the keys.

    """
    if not directory.is_dir():
        message = f"{directory} is no directory"
        raise ConfigurationError(message, hint="name the directory of GATEWAY_GUARD_LEDGER")
    return opened(directory, keys, look.since, look.until)


def ledger_keys(settings: Settings) -> list[bytes]:
    """Return what keys the fingerprints of this deployment, and did before its secret changed.

    Raises:
        ConfigurationError: there is no secret that outlives a process.

    """
    if not secret_survives(settings):
        message = "without the guard's secret nothing can be looked up"
        hint = "set GATEWAY_GUARD_SECRET or GATEWAY_GUARD_STATE_DIR to what the guard has"
        raise ConfigurationError(message, hint=hint)
    secrets = [deployment_secret(settings), previous_secret(settings)]
    return [derived(secret, b"ledger") for secret in secrets if secret is not None]
