"""Keyed ids: what a subject is called once nobody can tell who it is."""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache
from hashlib import blake2b
from typing import Final

_DIGEST_BYTES: Final = 15
_LENGTH_BYTES: Final = 8


class SubjectKind(IntEnum):
    """Kinds of subjects; the value is the first byte of every id, so kinds never collide."""

    KEY = 1
    END_USER = 2
    TEMPLATE = 3
    NETWORK = 4
    CLIENT = 5
    ORGANISATION = 6
    TEMPLATE_IN_KEY = 7
    CORPUS = 8


class SubjectIds:
    """Makes ids of 16 bytes: the kind, then a BLAKE2b digest under the deployment's secret."""

    __slots__ = ("_begun", "_tags")

    def __init__(self, secret: bytes) -> None:
        """Take a secret of at most 64 bytes; hashes begun with it are copied for each id."""
        self._tags = [bytes((kind,)) for kind in range(len(SubjectKind) + 1)]
        self._begun = [blake2b(tag, key=secret, digest_size=_DIGEST_BYTES) for tag in self._tags]

    def make(self, kind: SubjectKind, *parts: bytes) -> bytes:
        """Return the id of a subject; other parts, or the same cut elsewhere, give another one."""
        state = self._begun[kind].copy()
        for part in parts:
            state.update(len(part).to_bytes(_LENGTH_BYTES) + part)
        return self._tags[kind] + state.digest()


def subject_id(kind: SubjectKind, *parts: bytes, secret: bytes) -> bytes:
    """Return the id of one subject under a secret."""
    return _ids_under(secret).make(kind, *parts)


@lru_cache(maxsize=8)
def _ids_under(secret: bytes) -> SubjectIds:
    """Return the maker of ids for a secret; a process has one secret, or two while it rotates."""
    return SubjectIds(secret)
