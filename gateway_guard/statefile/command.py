"""``gateway-guard state``: export, import, forget and pardon, on the store that is meant."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from gateway_guard.exceptions import ConfigurationError
from gateway_guard.ledger.erasing import erase_identities
from gateway_guard.settings import (
    deployment_secret,
    load_settings,
    previous_secret,
    secret_survives,
)
from gateway_guard.statefile.exporting import export
from gateway_guard.statefile.forgetting import forget
from gateway_guard.statefile.format import StateReader
from gateway_guard.statefile.importing import import_state
from gateway_guard.statefile.orders import Ordered, pardon
from gateway_guard.statefile.selecting import Selection, Selector
from gateway_guard.stores import store_of
from gateway_guard.stores.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from gateway_guard.settings import Settings
    from gateway_guard.stores import Store

PATIENCE_SECONDS: Final = 10.0
"""How long a call may take: nobody waits for it but the operator."""

SETTLE_SECONDS: Final = 2.0
"""How long guards are given to hear of an erasure before the store is searched."""

_SHOWN_SECONDS: Final = 0.5
_CLEAR: Final = "\r\x1b[K"


class Place(NamedTuple):
    """A store that is connected, and the settings that it was found with."""

    store: Store
    settings: Settings


class Wanted(NamedTuple):
    """What is to be erased beside what the store has, and how it is told of."""

    ledger: Path | None = None
    lift: bool = False
    as_json: bool = False


def opened(url: str | None, *, new: bool = False) -> Place:
    """Connect to the store of a URL, or to the one that the guard itself would use.

    Only where it may be ``new`` is there one afterwards where there was none.

    Raises:
        ConfigurationError: there is none that outlives a process, or no secret that does.
        StoreError: it cannot be reached.

    """
    settings = load_settings() if url is None else load_settings(store=url)
    if not secret_survives(settings):
        message = "without the guard's secret nobody in a store can be told from others"
        hint = "set GATEWAY_GUARD_SECRET or GATEWAY_GUARD_STATE_DIR to what the guard has"
        raise ConfigurationError(message, hint=hint)
    store = store_of(settings, time.time, patience_seconds=PATIENCE_SECONDS)
    if not store.durable:
        message = "the guard has no store that outlives its process"
        hint = "set GATEWAY_GUARD_STORE or GATEWAY_GUARD_STATE_DIR, or give --store URL"
        raise ConfigurationError(message, hint=hint)
    if isinstance(store, SqliteStore) and not (new or store.path.exists()):
        message = f"there is no store at {store.path}"
        raise ConfigurationError(message, hint="look at GATEWAY_GUARD_STORE or --store")
    store.connect()
    return Place(store, settings)


def run_export(place: Place, path: Path, *, as_json: bool = False) -> None:
    """Write all that is kept into a file."""
    store, settings = place
    progress = _Progress("lines written")
    try:
        done = export(store, path, settings.namespace, deployment_secret(settings), progress.tell)
    except OSError as error:
        raise _unusable(path, error) from None
    finally:
        progress.end()
        store.close()
    text = f"{done.subjects:,} subjects in {done.lines:,} lines, digest {done.digest}"
    _print({"file": str(path), **done._asdict()}, text, as_json=as_json)


def run_import(
    place: Place, path: Path, namespace: str | None = None, *, as_json: bool = False
) -> None:
    """Join a file to what is kept.

    Raises:
        StateFileError: the file is not whole, or cannot be read here.

    """
    store, settings = place
    progress = _Progress("lines read")
    secrets = [deployment_secret(settings), previous_secret(settings)]
    try:
        with path.open("rb") as file:
            reader = StateReader(file, [secret for secret in secrets if secret is not None])
            _check_namespace(reader.header.namespace, namespace or settings.namespace)
            done = import_state(reader, store, progress.tell)
    except OSError as error:
        raise _unusable(path, error) from None
    finally:
        progress.end()
        store.close()
    text = f"{done.new_parts:,} of {done.parts:,} parts were new, {done.new_entries:,} entries"
    _print({"file": str(path), **done._asdict()}, text, as_json=as_json)


def run_forget(
    place: Place,
    meant: Selection,
    wanted: Wanted,
    pause: Callable[[], None] = lambda: time.sleep(SETTLE_SECONDS),
) -> int:
    """Erase somebody; return 1 if nothing was known of him."""
    store, settings = place
    try:
        subjects = _found(place, meant)
        done = forget(store, subjects, pause, lift=wanted.lift)
    finally:
        store.close()
    directory = wanted.ledger or settings.ledger
    ids = [bytes.fromhex(said.id) for said in done.subjects]
    identities = 0 if directory is None else erase_identities(directory, ids)
    shown = {"instants": done.instants, "entries": done.entries, "identities": identities}
    text = "erased: " + ", ".join(f"{count:,} {name}" for name, count in shown.items())
    return _print_ordered(done.subjects, shown, text, as_json=wanted.as_json)


def run_pardon(place: Place, meant: Selection, *, as_json: bool = False) -> int:
    """Pardon somebody; return 1 if nothing was known of him."""
    try:
        done = pardon(place.store, _found(place, meant))
    finally:
        place.store.close()
    return _print_ordered(done, {}, "", as_json=as_json)


def _found(place: Place, meant: Selection) -> list[bytes]:
    if meant == Selection():
        message = "nobody was named"
        raise ConfigurationError(message, hint="say who is meant: --key ID, --end-user NAME ...")
    return Selector(place.settings, sys.stdin.buffer).find(place.store, meant)


def _check_namespace(of_file: str, wanted: str) -> None:
    if of_file != wanted:
        message = f"the file is of the namespace {of_file!r}"
        hint = f"give --from-namespace {of_file} to import it nevertheless"
        raise ConfigurationError(message, hint=hint)


def _print_ordered(
    done: Sequence[Ordered], counts: Mapping[str, int], text: str, *, as_json: bool
) -> int:
    lines = [_told(each) for each in done] + [text] * bool(text)
    _print({"subjects": done, **counts}, "\n".join(lines) or "nobody was found", as_json=as_json)
    return 0 if any(each.known for each in done) else 1


def _told(said: Ordered) -> str:
    known = "" if said.known else ", unknown to the store"
    verdict = f", {said.action} {said.verdict}" if said.verdict != "none" else ""
    until = f" until {said.until}" if said.verdict == "kept" else ""
    return f"{said.kind} {said.id}{known}{verdict}{until}"


def _print(shown: Mapping[str, object], text: str, *, as_json: bool) -> None:
    sys.stdout.write((msgspec.json.encode(shown).decode() if as_json else text) + "\n")


def _unusable(path: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(f"{path} cannot be used: {error.strerror}")


class _Progress:
    """Shows on the standard error how much is done, where that is a terminal."""

    def __init__(self, what: str) -> None:
        self._what, self._shown_at = what, time.monotonic()
        self._shown = sys.stderr.isatty()

    def tell(self, count: int) -> None:
        now = time.monotonic()
        if self._shown and now - self._shown_at >= _SHOWN_SECONDS:
            self._shown_at = now
            sys.stderr.write(f"{_CLEAR}{count:,} {self._what}")
            sys.stderr.flush()

    def end(self) -> None:
        if self._shown:
            sys.stderr.write(_CLEAR)
            sys.stderr.flush()
