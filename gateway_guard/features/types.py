"""What is known of a request once its texts have been read: numbers and hashes only."""

from __future__ import annotations

from enum import IntEnum

import msgspec
import numpy as np
import numpy.typing as npt


class Cue(IntEnum):
    """Families of wording that ask for more than an answer."""

    REASONING = 0
    SYNTHESIS = 1
    RUBRIC = 2
    EXTRACTION = 3


class CueHit(msgspec.Struct, frozen=True, gc=False):
    """A cue found in a text.

    ``shingle`` is the hash of the word window at which it was found: a subject in whose exchanges
    that window recurs carries the cue in its constant part. ``from_tool`` marks text that a tool
    fetched, ``constant`` a system text that the key has shown before.
    """

    family: Cue
    shingle: int
    from_tool: bool = False
    constant: bool = False


class Anchors(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Hashes under which requests of one template meet; ``None`` where a text is too short.

    ``system`` identifies the system text, ``head`` and ``tail`` the first and last six words of the
    newest user text.
    """

    system: int | None = None
    head: int | None = None
    tail: int | None = None


class Reply(msgspec.Struct, frozen=True, gc=False):
    """One answer in numbers: ``shingles`` are its smallest window hashes, as a request has them.

    ``declined`` says that the words in which it begins decline to answer, ``longer`` that it cannot
    stand in the request, which is shorter.
    """

    shingles: npt.NDArray[np.uint64]
    declined: bool = False
    longer: bool = False


class Features(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One request in numbers.

    Characters count as Unicode code points. ``new_chars`` are those of texts this key had not shown
    before, ``system_chars`` those of system texts, ``body_chars`` those of the newest user text.
    ``constant_chars`` are those of system texts this key had shown before. ``body_hash`` identifies
    the newest user text as a whole. ``shingles`` holds at most 32 distinct hashes, the smallest
    among all word windows of the texts read, so that the same window is chosen in every request
    that has it. ``items`` is the number of questions or list entries the newest user text packs
    together (at least 1). ``text_hashes`` identify every text of the request, newest last;
    ``new_hits`` are the cue hits of each text read for the first time, to be remembered with its
    hash. ``terms`` are hashes of up to two words of the newest user text, drawn at random from the
    long ones: the more of its vocabulary a subject uses once only, the more of them differ.
    ``direction``, ``train`` and ``test`` are what the model says of the caller's own words: where
    they point, which train corpora they are from, whether they are from a test corpus.
    """

    chars: int
    new_chars: int
    system_chars: int
    constant_chars: int
    body_chars: int
    turns: int
    tool_turns: int
    images: int
    items: int
    unspaced: float
    anchors: Anchors
    body_hash: int
    shingles: npt.NDArray[np.uint64]
    hits: tuple[CueHit, ...]
    text_hashes: tuple[int, ...]
    new_hits: tuple[tuple[int, tuple[CueHit, ...]], ...]
    terms: tuple[int, ...] = ()
    direction: bytes = b""
    train: tuple[int, ...] = ()
    test: bool = False
