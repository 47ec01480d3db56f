"""Bundles: what a third party needs to check an attribution, in one file and without any text.

A bundle is one line of JSON and, on a second line, its SHA-256. The JSON is written in one way
only, so that whatever byte is changed is found.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from gateway_guard.ledger.heads import Head, LedgerError
from gateway_guard.ledger.merkle import Path as MerklePath
from gateway_guard.ledger.merkle import Row

if TYPE_CHECKING:
    from pathlib import Path

    from gateway_guard.ledger.fingerprints import Integers

VERSION: Final = 1
PROVES: Final = tuple(
    """\
Every answer in here was entered in the ledger when its head was written: its row and its \
fingerprints lead to the root that the head commits to. Whoever holds a copy of the head from that \
time can tell that nothing was added or changed since.
Every sample in here shares fingerprints with answers that were served to the key that is named, \
and, among the keys that are named, with no other.
The p-values follow from the counts and from the null model that is given.""".splitlines()
)
DOES_NOT_PROVE: Final = tuple(
    """\
That the holder of the key passed the answers on, or trained a model on them.
Who the holder of the key is: a pseudonym and a keyed id stand for a credential. That the one \
stands for the other is in the ledger's identities, which are not in here.
That no other key was served the same: fingerprints of the ledger's other keys were compared, but \
are not in here, and of what is not in the ledger nothing is known.
That the fingerprints are those of the samples: to make them again takes the key of the \
deployment, which is not in here. The digests of the samples are.
Anything about the time before a head was published.""".splitlines()
)


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of everything in a bundle."""


class SuspectFile(Strict, frozen=True):
    """A file of samples: its name and digest, and how many samples it has."""

    name: str
    sha256: str
    samples: int


class Sample(Strict, frozen=True):
    """A sample that matches: its number, the digest of its text, and its fingerprints."""

    number: int
    sha256: str
    fingerprints: str


class Entry(Strict, frozen=True):
    """An answer that was matched: its row, its fingerprints, and the way to its head's root.

    ``segment`` and ``head`` are places in the bundle's lists.
    """

    row: Row
    fingerprints: str
    segment: int
    head: int
    path: MerklePath


class SegmentFiles(Strict, frozen=True):
    """The two files that answers were taken from, as they were when the bundle was made."""

    segment: str
    answers_sha256: str
    fingerprints_sha256: str


class Claim(Strict, frozen=True):
    """What is claimed of one key, and all that its p-value follows from.

    ``pseudonyms`` are those that it has in the rows. ``samples`` and ``answers`` are places in the
    bundle's lists. The rest is as in the report and as in ``chance``: at ``level`` there were
    ``matches``, where the null answers had ``null_matches`` in an exposure of ``null_exposure``.
    """

    key: str
    organisation: str | None
    pseudonyms: list[str]
    samples: list[int]
    answers: list[int]
    level: float
    matches: int
    exposure: float
    null_matches: int
    null_exposure: float
    shape: float
    rate: float
    log10_p: float
    log10_odds: float


class Method(Strict, frozen=True):
    """How it was found."""

    program: str
    schemes: list[str]
    least_fingerprints: int
    boilerplate_above: int
    levels: list[float]
    correction: str
    threshold: float
    keys: int
    samples: int
    ledger_answers: int


class Bundle(Strict, frozen=True):
    """Everything."""

    version: int
    made_at: str
    field: str | None
    method: Method
    suspects: list[SuspectFile]
    claims: list[Claim]
    samples: list[Sample]
    answers: list[Entry]
    segments: list[SegmentFiles]
    heads: list[Head]
    proves: list[str]
    does_not_prove: list[str]


def write_bundle(path: Path, bundle: Bundle) -> None:
    """Write a bundle."""
    line = msgspec.json.encode(bundle)
    path.write_bytes(line + b"\n" + sha256(line).hexdigest().encode() + b"\n")


def read_bundle(path: Path) -> Bundle:
    """Read a bundle that is whole.

    Raises:
        LedgerError: it is none, or a byte of it is not what it was.

    """
    raw = path.read_bytes()
    line, _, rest = raw.partition(b"\n")
    if rest != sha256(line).hexdigest().encode() + b"\n":
        message = f"{path.name} is not what was written: its digest is another one"
        raise LedgerError(message)
    try:
        bundle = msgspec.json.decode(line, type=Bundle)
    except msgspec.MsgspecError as error:
        message = f"{path.name} is no bundle: {error}"
        raise LedgerError(message) from None
    if msgspec.json.encode(bundle) != line:
        message = f"{path.name} is not written as bundles are"
        raise LedgerError(message)
    return bundle


def packed(fingerprints: Integers) -> str:
    """Return fingerprints as text."""
    return b64encode(fingerprints.astype("<i8").tobytes()).decode()


def unpacked(text: str) -> Integers:
    """Return the fingerprints that were packed."""
    return np.frombuffer(b64decode(text, validate=True), "<i8").astype(np.int64)
