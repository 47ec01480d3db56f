"""``gateway-guard whose``: to whom the answers with these ids were served."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import msgspec

from gateway_guard.instrumentation import utc
from gateway_guard.ledger import arrow
from gateway_guard.ledger.command import ledger_keys, looked_into
from gateway_guard.ledger.gathering import LOOKING
from gateway_guard.ledger.progress import Progress
from gateway_guard.ledger.pseudonyms import read_identities
from gateway_guard.ledger.segments import ANSWERS
from gateway_guard.ledger.served import answer_digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from gateway_guard.ledger.command import Look
    from gateway_guard.ledger.gathering import Opened
    from gateway_guard.ledger.merkle import Row
    from gateway_guard.ledger.pseudonyms import Identity
    from gateway_guard.ledger.segments import Segment
    from gateway_guard.settings import Settings


class Text(msgspec.Struct, frozen=True):
    """One text of an answer, to whom it was served, and where it stands in the ledger.

    Key, end user and organisation are the ids that logs and the policy file use; ``erased`` says
    that the key's was deleted: then its pseudonym is all there is. ``answer`` is the row.
    """

    id: str
    served_at: str
    part: str
    key: str
    erased: bool
    end_user: str | None
    organisation: str | None
    template: str | None
    model: str
    dialect: str
    segment: str
    answer: int
    digest: str


def whose(
    ids: Sequence[str], directory: Path, look: Look, settings: Settings, *, as_json: bool
) -> bool:
    """Print what the ledger holds of answers; tell whether there was something of each.

    Raises:
        ConfigurationError: there is no ledger, or no lasting secret.
        LedgerError: the ledger was written under another secret, or a segment is damaged.

    """
    keys = ledger_keys(settings)
    ledger = looked_into(directory, keys, look)
    digests = {answer_digest(each, key).hex(): each for each in ids for key in keys}
    found = _found(ledger, digests)
    if as_json:
        shown = msgspec.json.encode(found).decode()
    else:
        shown = "\n\n".join([_told(each, found) for each in dict.fromkeys(ids)])
    sys.stdout.write(shown + "\n")
    return {text.id for text in found} == set(ids)


def _found(ledger: Opened, digests: Mapping[str, str]) -> list[Text]:
    identities = read_identities(ledger.directory)
    segments = [segment for part in ledger.parts for segment in part.segments]
    progress, found = Progress(), []
    for number, segment in enumerate(segments, start=1):
        path = segment.file(ledger.directory, ANSWERS)
        for answer, row in arrow.rows_with(path, list(digests)):
            found.append(_text(row, answer, segment, digests[row.id or ""], identities))
        progress.tell(LOOKING, number / len(segments))
    progress.end()
    return sorted(found, key=lambda text: (text.served_at, text.answer))


def _text(
    row: Row, answer: int, segment: Segment, id_: str, identities: Mapping[str, Identity]
) -> Text:
    def of(pseudonym: str | None) -> str | None:
        known = identities.get(pseudonym or "")
        return pseudonym if known is None else known.id

    return Text(
        id=id_,
        served_at=utc(row.at_ms / 1000) or "",
        part=row.part,
        key=of(row.key) or row.key,
        erased=row.key not in identities,
        end_user=of(row.end_user),
        organisation=of(row.organisation),
        template=row.template,
        model=row.model,
        dialect=row.dialect,
        segment=segment.label,
        answer=answer,
        digest=row.id or "",
    )


def _told(id_: str, found: Sequence[Text]) -> str:
    """Return what people are told of one answer."""
    texts = [text for text in found if text.id == id_]
    lines = [f"{id_}: {len(texts)} texts" if texts else f"{id_}: not in the ledger"]
    for text in texts:
        lines.append(f"  {text.served_at}  {text.part}  {text.model}  {text.dialect}")
        called = "pseudonym, the key's id was erased" if text.erased else "key"
        for name, value in (
            (called, text.key),
            ("end user", text.end_user),
            ("organisation", text.organisation),
            ("template", text.template),
            ("row", f"{text.answer} of {text.segment}"),
        ):
            if value:
                lines.append(f"    {name}: {value}")
    return "\n".join(lines)
