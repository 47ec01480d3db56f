"""Pseudonyms of keys, end users and organisations: other ones each month, and who is behind them.

``identities/2026-11`` holds what connects the pseudonyms of a month with the ids that the policy
file and the log use: a salt, and what each writer has noted. Once that directory is deleted nobody
can tell whose the month's answers were, the operator included.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from secrets import token_bytes
from typing import TYPE_CHECKING, Final

import msgspec

from gateway_guard.ledger.files import append_line, kept

if TYPE_CHECKING:
    from pathlib import Path

_SALT_BYTES: Final = 32
_DAY_SECONDS: Final = 86_400
_PSEUDONYM_BYTES: Final = 8
_REMEMBERED: Final = 1 << 17
IDENTITIES: Final = "identities"


class Identity(msgspec.Struct, frozen=True, gc=False):
    """Whom a pseudonym stands for: the id, in hex, that logs and the policy file use."""

    pseudonym: str
    kind: str
    id: str


class Pseudonyms:
    """Gives pseudonyms, and notes who is behind them before anything is written under them."""

    def __init__(self, directory: Path, writer: str) -> None:
        """Use the identities below a ledger's directory."""
        self._directory = directory / IDENTITIES
        self._writer = writer
        self._salts: dict[str, bytes] = {}
        self._known: dict[tuple[str, str, bytes], str] = {}
        self._new: dict[str, list[bytes]] = {}

    def of(self, month: str, kind: str, subject: bytes | None) -> str | None:
        """Return the pseudonym of a subject's id in a month, ``None`` where there is nobody."""
        if subject is None:
            return None
        found = self._known.get((month, kind, subject))
        return self._made(month, kind, subject) if found is None else found

    def save(self) -> None:
        """Write down who is behind the pseudonyms that are new."""
        new, self._new = self._new, {}
        for month, lines in new.items():
            append_line(self._directory / month / f"{self._writer}.jsonl", b"".join(lines))

    def _made(self, month: str, kind: str, subject: bytes) -> str:
        state = blake2b(subject, key=self._salt(month), digest_size=_PSEUDONYM_BYTES)
        pseudonym = state.hexdigest()
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[month, kind, subject] = pseudonym
        line = msgspec.json.encode(Identity(pseudonym, kind, subject.hex())) + b"\n"
        self._new.setdefault(month, []).append(line)
        return pseudonym

    def _salt(self, month: str) -> bytes:
        if month not in self._salts:
            path = self._directory / month / "salt"
            self._salts[month] = kept(path, token_bytes(_SALT_BYTES))
        return self._salts[month]


def day_of(at: float) -> str:
    """Return the day of an instant, in UTC, as ``2026-11-24``."""
    return _name_of(int(at // _DAY_SECONDS))


@lru_cache(maxsize=64)
def _name_of(day: int) -> str:
    return datetime.fromtimestamp(day * _DAY_SECONDS, UTC).strftime("%Y-%m-%d")


def read_identities(directory: Path) -> dict[str, Identity]:
    """Return who is behind each pseudonym, as far as that was not erased."""
    decoder, found = msgspec.json.Decoder(Identity), {}
    for path in sorted((directory / IDENTITIES).glob("*/*.jsonl")):
        whole, _, _ = path.read_bytes().rpartition(b"\n")
        for line in whole.splitlines():
            if line.strip():  # what was erased is blank
                identity = decoder.decode(line)
                found[identity.pseudonym] = identity
    return found
