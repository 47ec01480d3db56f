"""Export: all that a store keeps, page by page, while guards go on writing to it.

Each subject is read at one moment, not all of them at the same one: parts are joined where they are
read, so any mixture of moments is a state that the guards could have been in. What an operator has
ordered is read last, so that nobody is in the file who was erased while it was written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gateway_guard.instrumentation import utc
from gateway_guard.statefile.format import (
    FORMAT,
    VERSION,
    EntryLine,
    Header,
    InstantsLine,
    PartLine,
    SlotLine,
    StateWriter,
    name_of,
)
from gateway_guard.statefile.walking import (
    KINDS,
    LOGS,
    entries_of,
    instants_of,
    lasting,
    subjects_of,
)
from gateway_guard.stores.base import SCHEMA
from gateway_guard.stores.parts import LAYOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gateway_guard.statefile.format import Line
    from gateway_guard.stores.base import Store


class Exported(NamedTuple):
    """What was written: numbers of things, and the digest of the file."""

    subjects: int
    lines: int
    digest: str


def export(
    store: Store, path: Path, namespace: str, secret: bytes, tell: Callable[[int], None]
) -> Exported:
    """Write all that a connected store keeps into a file; ``tell`` hears of lines written.

    Raises:
        StoreError: the store failed; there is no file then.

    """
    header = Header(
        format=FORMAT,
        version=VERSION,
        schema=SCHEMA,
        layout=LAYOUT,
        namespace=namespace,
        secret=name_of(secret),
        made_at=utc(store.now()) or "",
    )
    writer, subjects, last = StateWriter(path, header, secret), 0, b""
    try:
        for line in _lines(store):
            writer.add(line)
            if isinstance(line, PartLine) and line.subject != last:
                subjects, last = subjects + 1, line.subject
            tell(writer.lines)
    except BaseException:
        writer.abandon()
        raise
    return Exported(subjects, writer.lines, writer.finish())


def _lines(store: Store) -> Iterator[Line]:
    for lease, _ in store.leases():
        yield SlotLine(lease.slot, lease.epoch)
    for ids in subjects_of(store):
        for parts in store.parts(ids):
            for part in lasting(parts):
                yield PartLine(part.subject, part.slot, part.version, part.data, part.until_at)
    for kind in KINDS:
        for page in instants_of(store, kind):
            hashes, at = page.hashes.astype("<u8"), page.at.astype("<f8")
            if len(hashes):
                yield InstantsLine(kind, hashes.tobytes(), at.tobytes())
    for log in LOGS:
        for entry in entries_of(store, log):
            yield EntryLine(log, entry.data)
