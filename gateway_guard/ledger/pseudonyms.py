"""Pseudonyms of keys, end users and organisations: other ones each month, and who is behind them.

``identities/2026-11`` holds what connects the pseudonyms of a month with the ids that the policy
file and the log use: a salt, and what each writer has noted. Once that directory is deleted nobody
can tell whose the month's answers were, the operator included; who still writes takes another salt.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from secrets import token_bytes
from typing import TYPE_CHECKING, Final

import msgspec

from gateway_guard.ledger.files import append_line, kept
from gateway_guard.ledger.heads import LedgerError

if TYPE_CHECKING:
    from pathlib import Path

_SALT_BYTES: Final = 32
_DAY_SECONDS: Final = 86_400
_PSEUDONYM_BYTES: Final = 8
_REMEMBERED: Final = 1 << 17
_MONTHS_KEPT: Final = 2
IDENTITIES: Final = "identities"
Stamp = tuple[int, int] | None


class Identity(msgspec.Struct, frozen=True, gc=False):
    """Whom a pseudonym stands for: the id, in hex, that logs and the policy file use."""

    pseudonym: str
    kind: str
    id: str


class _Month:
    """The pseudonyms of one month under one salt, and those that are not written down yet."""

    __slots__ = ("known", "new", "salt", "stamp")

    def __init__(self, salt: bytes, stamp: Stamp) -> None:
        self.salt = salt
        self.stamp = stamp
        self.known: dict[tuple[str, bytes], str] = {}
        self.new: list[bytes] = []

    def make(self, kind: str, subject: bytes) -> str:
        state = blake2b(subject, key=self.salt, digest_size=_PSEUDONYM_BYTES)
        pseudonym = state.hexdigest()
        if len(self.known) >= _REMEMBERED:
            self.known.clear()
        self.known[kind, subject] = pseudonym
        self.new.append(msgspec.json.encode(Identity(pseudonym, kind, subject.hex())) + b"\n")
        return pseudonym


class Pseudonyms:
    """Gives pseudonyms, and notes who is behind them before anything is written under them.

    A month may be erased while others write: whose salt is gone, or is another one, begins anew and
    writes down nothing of whom it knew. What it has entered by then stays nobody's.
    """

    def __init__(self, directory: Path, writer: str) -> None:
        """Use the identities below a ledger's directory."""
        self._directory = directory / IDENTITIES
        self._writer = writer
        self._months: dict[str, _Month] = {}

    def of(self, month: str, kind: str, subject: bytes | None) -> str | None:
        """Return the pseudonym of a subject's id in a month, ``None`` where there is nobody."""
        if subject is None:
            return None
        open_ = self._months.get(month) or self._open(month)
        found = open_.known.get((kind, subject))
        return open_.make(kind, subject) if found is None else found

    def refresh(self) -> None:
        """Forget whom months knew that were erased since."""
        erased = [month for month, known in self._months.items() if self._gone(month, known)]
        for month in erased:
            del self._months[month]

    def save(self) -> None:
        """Write down who is behind the pseudonyms that are new.

        Where a month is erased at that moment, what was written comes too late and is deleted.
        """
        self.refresh()
        for month, known in self._months.items():
            lines, known.new = known.new, []
            if lines:
                path = self._directory / month / f"{self._writer}.jsonl"
                append_line(path, b"".join(lines))
                if self._gone(month, known):
                    path.unlink(missing_ok=True)
        for month in sorted(self._months)[:-_MONTHS_KEPT]:
            del self._months[month]

    def _gone(self, month: str, known: _Month) -> bool:
        """Tell whether a month has no salt any more, or another one."""
        path = self._salt(month)
        stamp = _stamp_of(path)
        if stamp != known.stamp:
            with suppress(FileNotFoundError):
                if path.read_bytes() == known.salt:  # as when a copy was put back
                    known.stamp = stamp
        return stamp != known.stamp

    def _open(self, month: str) -> _Month:
        path = self._salt(month)
        kept(path, token_bytes(_SALT_BYTES))
        stamp = _stamp_of(path)  # before it is read, so that no later salt passes for this one
        made = self._months[month] = _Month(path.read_bytes(), stamp)
        return made

    def _salt(self, month: str) -> Path:
        return self._directory / month / "salt"


def _stamp_of(path: Path) -> Stamp:
    """Return what tells a file from any other that had its name, nothing where there is none."""
    with suppress(FileNotFoundError):
        found = path.stat()
        return found.st_ino, found.st_mtime_ns
    return None


def day_of(at: float) -> str:
    """Return the day of an instant, in UTC, as ``2026-11-24``."""
    return _name_of(int(at // _DAY_SECONDS))


@lru_cache(maxsize=64)
def _name_of(day: int) -> str:
    return datetime.fromtimestamp(day * _DAY_SECONDS, UTC).strftime("%Y-%m-%d")


def read_identities(directory: Path) -> dict[str, Identity]:
    """Return who is behind each pseudonym, as far as that was not erased.

    Raises:
        LedgerError: a line says nothing of the kind.

    """
    decoder, found = msgspec.json.Decoder(Identity), {}
    for path in sorted((directory / IDENTITIES).glob("*/*.jsonl")):
        whole, _, _ = path.read_bytes().rpartition(b"\n")
        for number, line in enumerate(whole.split(b"\n") if whole else (), start=1):
            if not line.strip():  # what was erased is blank
                continue
            try:
                identity = decoder.decode(line)
            except msgspec.MsgspecError:
                message = f"{path}, line {number} does not say who is behind a pseudonym"
                hint = "without that line the key appears under its pseudonym"
                raise LedgerError(message, hint=hint) from None
            found[identity.pseudonym] = identity
    return found
