"""Texts that were put where a later request asks about them: threads, conversations.

They count with the request that asks. Until then only what is known of them is kept, under a keyed
hash of the key and the place; no text is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
from cachetools import LRUCache

from gateway_guard.features import Anchors, Features
from gateway_guard.subjects import half_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from gateway_guard.subjects import SubjectId

_PLACES_KEPT = 4096
_MOST_SHINGLES = 32
_MOST_HITS = 16


class Known(NamedTuple):
    """What is known of the texts in one place, and the templates that they begin or end."""

    features: Features
    templates: tuple[SubjectId, ...]


class Placed:
    """What keys have put in places and not asked about since; what is oldest makes room."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._known: LRUCache[int, Known] = LRUCache(_PLACES_KEPT)

    def get(self, place: int) -> Known | None:
        """Return what a key has put in a place, ``None`` for nothing."""
        return self._known.get(place)

    def add(self, place: int, features: Features, templates: tuple[SubjectId, ...]) -> None:
        """Keep what is known of texts that follow what the place has."""
        known = self._known.get(place)
        if known is not None:
            features = joined(known.features, features)
            templates = templates or known.templates
        self._known[place] = Known(features, templates)

    def forget(self, halves: Collection[int]) -> None:
        """Forget what keys have put, by the upper halves of their hashes."""
        for place in [place for place in self._known if half_of(place) in halves]:
            del self._known[place]

    def asked(self, place: int) -> None:
        """Let go of what was counted with the request that asked about it."""
        self._known.pop(place, None)


def joined(older: Features, newer: Features) -> Features:
    """Return the features of two requests' texts as if one request had brought them all."""
    body = newer if newer.body_chars else older
    old, new = older.anchors, newer.anchors
    read = max(1, older.new_chars + newer.new_chars)
    test = older.test or newer.test
    unspaced = older.unspaced * older.new_chars + newer.unspaced * newer.new_chars
    return msgspec.structs.replace(
        newer,
        chars=older.chars + newer.chars,
        new_chars=older.new_chars + newer.new_chars,
        system_chars=older.system_chars + newer.system_chars,
        constant_chars=older.constant_chars + newer.constant_chars,
        body_chars=body.body_chars,
        turns=older.turns + newer.turns,
        tool_turns=older.tool_turns + newer.tool_turns,
        images=older.images + newer.images,
        items=max(older.items, newer.items),
        unspaced=unspaced / read,
        anchors=Anchors(new.system or old.system, new.head or old.head, new.tail or old.tail),
        body_hash=body.body_hash,
        shingles=np.union1d(older.shingles, newer.shingles)[:_MOST_SHINGLES],
        hits=(*newer.hits, *older.hits)[:_MOST_HITS],
        train=() if test else tuple(dict.fromkeys((*older.train, *newer.train))),
        test=test,
    )
