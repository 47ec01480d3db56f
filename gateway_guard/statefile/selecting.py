"""Who is meant: from what an operator knows of somebody to the ids that a store has.

A name or key given by itself has an id under the present secret and, while it is being changed, one
under the previous secret; both are meant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from gateway_guard.dialects.sampling import end_user_name
from gateway_guard.exceptions import ConfigurationError
from gateway_guard.principal import SubjectIds, SubjectKind
from gateway_guard.principal.claims import Claims
from gateway_guard.principal.credentials import credential
from gateway_guard.settings import deployment_secret, previous_secret
from gateway_guard.statefile.walking import subjects_of

if TYPE_CHECKING:
    from typing import BinaryIO

    from gateway_guard.settings import Settings
    from gateway_guard.stores.base import Store

_ID_BYTES: Final = 16
_FROM_INPUT: Final = "-"
_KEY: Final = "key"


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """What was given on the command line; ``-`` stands for a line of the standard input.

    An end user is looked for under every key that the store knows, or within the one key given.
    """

    key: str | None = None
    raw_key: bool = False
    subject: str | None = None
    end_user: str | None = None
    organisation: str | None = None


class Selector:
    """Finds the ids of those who are meant."""

    def __init__(self, settings: Settings, given: BinaryIO) -> None:
        """Take the settings that the guard has, and where lines are read from."""
        secrets = (deployment_secret(settings), previous_secret(settings))
        self._ids = [SubjectIds(secret) for secret in secrets if secret is not None]
        self._claim, self._given = settings.key_claim, given

    def find(self, store: Store, selection: Selection) -> list[bytes]:
        """Return the ids that are meant, each once.

        Raises:
            ConfigurationError: something given is no id or name.
            StoreError: the store failed while it was searched.

        """
        keys = [] if selection.key is None else [_id_of(selection.key, SubjectKind.KEY)]
        if selection.raw_key:
            keys += self._keys_of(self._line(_KEY))
        if selection.end_user is not None:
            if selection.subject is not None:
                keys = [_id_of(selection.subject, SubjectKind.KEY)]
            name = self._text(selection.end_user, "end user")
            return self._end_users(store, name, keys)
        found = keys
        if selection.subject is not None:
            found = [*found, _id_of(selection.subject)]
        if selection.organisation is not None:
            name = self._text(selection.organisation, "organisation").strip()
            found += [ids.make(SubjectKind.ORGANISATION, name.encode()) for ids in self._ids]
        return [*dict.fromkeys(found)]

    def _keys_of(self, line: bytes) -> list[bytes]:
        key = credential(line)
        if not key:
            raise _nothing(_KEY)
        found = []
        for ids in self._ids:
            claimed = Claims(self._claim, ids, 0).claimed(key) if self._claim else None
            found.append(claimed or ids.make(SubjectKind.KEY, key))
        return found

    def _end_users(self, store: Store, name: str, keys: list[bytes]) -> list[bytes]:
        """Return an end user's ids: within given keys, or those that the store knows of."""
        named = (end_user_name(name) or "").encode("utf-8", "surrogatepass")

        def within(keys: list[bytes]) -> list[bytes]:
            return [ids.make(SubjectKind.END_USER, key, named) for key in keys for ids in self._ids]

        if keys:
            return [*dict.fromkeys(within(keys))]
        found = dict[bytes, None]()
        for page in subjects_of(store):
            possible = within([id_ for id_ in page if id_[0] == SubjectKind.KEY])
            kept = zip(possible, store.parts(possible), strict=True)
            found |= dict.fromkeys(id_ for id_, parts in kept if parts)
        return [*found]

    def _text(self, given: str, what: str) -> str:
        if given != _FROM_INPUT:
            return given
        return self._line(what).decode("utf-8", "surrogateescape")

    def _line(self, what: str) -> bytes:
        line = self._given.readline().rstrip(b"\r\n")
        if not line:
            raise _nothing(what)
        return line


def _id_of(text: str, kind: SubjectKind | None = None) -> bytes:
    """Return an id as logs show it."""
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    kinds = [*SubjectKind] if kind is None else [kind]
    if len(found) != _ID_BYTES or found[0] not in kinds:
        what = "the id of a subject" if kind is None else f"the id of a {kind.name.lower()}"
        message = f"{text[:40]!r} is not {what}"
        hint = "take key_id or subject_id from the log, or give the raw key with --raw-key-stdin"
        raise ConfigurationError(message, hint=hint)
    return found


def _nothing(what: str) -> ConfigurationError:
    message = f"there is no {what} on the standard input"
    return ConfigurationError(message, hint="pipe it in: it must not stand on a command line")
