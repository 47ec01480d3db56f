"""Merkle trees over the answers of a batch (as in RFC 6962), built leaf by leaf.

A leaf's hash begins with another byte than an inner node's, so that neither passes for the other.
Where the leaves do not fill a tree, what is left over moves up unpaired.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

Side = Literal["left", "right"]
Path = list[tuple[Side, str]]
"""The way from a leaf to the root: on which side the next sibling stands, and its hash in hex."""

_LEAF, _NODE = b"\0", b"\1"
EMPTY: Final = sha256().digest()


class Row(msgspec.Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    """What is kept of one text that was served, apart from its fingerprints.

    ``writer``, ``batch`` and ``position`` say where it was entered. ``key``, ``end_user``,
    ``organisation`` are pseudonyms of a month, ``template`` and ``id`` keyed hashes. ``at_ms`` is
    wall-clock milliseconds, ``guarantee`` the shortest run of words that is surely found.
    """

    writer: str
    batch: int
    position: int
    at_ms: int
    key: str
    end_user: str | None
    organisation: str | None
    template: str | None
    model: str
    dialect: str
    id: str | None
    part: str
    words: int
    guarantee: int

    def leaf(self, fingerprints: bytes) -> bytes:
        """Return the leaf's hash; fingerprints are ascending little-endian 64-bit integers."""
        return sha256(_LEAF + msgspec.json.encode(self) + b"\n" + fingerprints).digest()


class Tree:
    """Takes leaves and knows the root; only the roots of complete subtrees are kept."""

    __slots__ = ("_roots", "size")

    def __init__(self) -> None:
        """Begin without leaves."""
        self.size = 0
        self._roots: list[bytes] = []

    def add(self, leaf: bytes) -> None:
        """Add the hash of a leaf."""
        size = self.size
        while size & 1:
            leaf = _node(self._roots.pop(), leaf)
            size >>= 1
        self._roots.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """Return the hash at the top."""
        if not self._roots:
            return EMPTY
        *rest, root = self._roots
        for left in reversed(rest):
            root = _node(left, root)
        return root


class Paths:
    """A whole tree, for the ways from its leaves to the root."""

    __slots__ = ("_levels",)

    def __init__(self, leaves: Sequence[bytes]) -> None:
        """Build every level over the leaves."""
        self._levels = [list(leaves)]
        while len(level := self._levels[-1]) > 1:
            above = [_node(*pair) for pair in zip(level[::2], level[1::2], strict=False)]
            self._levels.append(above + level[len(above) * 2 :])

    def of(self, position: int) -> Path:
        """Return the way from one leaf."""
        path: Path = []
        for level in self._levels:
            sibling = position ^ 1
            if sibling < len(level):
                path.append(("left" if position & 1 else "right", level[sibling].hex()))
            position >>= 1
        return path


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Return the root of a tree of these leaves."""
    tree = Tree()
    for leaf in leaves:
        tree.add(leaf)
    return tree.root()


def climb(leaf: bytes, path: Path) -> bytes:
    """Return the root that a leaf and its path lead to."""
    for side, sibling in path:
        other = bytes.fromhex(sibling)
        leaf = _node(leaf, other) if side == "right" else _node(other, leaf)
    return leaf


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(_NODE + left + right).digest()
