"""What was measured of the ledger, as a value and as rows of the table."""

from __future__ import annotations

from typing import Final

import msgspec

_MIB: Final = 1 << 20


class Written(msgspec.Struct, frozen=True):
    """What one answer costs: processor time in all threads, and bytes of all files."""

    us_an_answer: float
    bytes_an_answer: float
    chars_an_answer: float


class Waited(msgspec.Struct, frozen=True):
    """The slowest of a hundred requests, by the median of rounds: with the guard, and a ledger."""

    guard_ms: float
    ledger_ms: float
    ratio: float


class Kind(msgspec.Struct, frozen=True):
    """One way to change samples: which keys were named, and how many samples rightly.

    ``precision`` is the share of samples that tell a named key and were taken from it,
    ``recall`` the share of the taken samples that do.
    """

    kind: str
    named: int
    others: int
    precision: float
    recall: float


class Sight(msgspec.Struct, frozen=True):
    """So many samples of one key among the rest: in what share of draws it was named."""

    matching: int
    draws: int
    named: float
    others: float
    median_log10_p: float


class Innocent(msgspec.Struct, frozen=True):
    """Draws without any sample of the ledger: in what share of them any key was below a p-value."""

    draws: int
    below_0_05: float
    named: float


class Crashes(msgspec.Struct, frozen=True):
    """What became of a ledger whose writers were killed.

    ``committed`` answers had been reported as written, ``lost`` of them are not there; ``broken``
    counts segments that cannot be read, heads that do not follow, and roots of other answers.
    """

    kills: int
    committed: int
    lost: int
    segments: int
    broken: int


class Tampering(msgspec.Struct, frozen=True):
    """How many bytes were changed, one at a time, and how many of the changes were found.

    ``holds`` says that the bundle holds as it is.
    """

    holds: bool
    changed: int
    found: int


class Attributed(msgspec.Struct, frozen=True):
    """One attribution by the command, from its start to its report, in a process of its own."""

    answers: int
    keys: int
    samples: int
    thieves: int
    named: int
    others: int
    worst_log10_p: float
    seconds: float
    cpu_seconds: float
    rss: int
    scanned_per_second: float
    part: float
    part_seconds: float
    part_named: int


class Ledger(msgspec.Struct, frozen=True):
    """Everything that was measured of the ledger."""

    writing: Written
    waiting: Waited
    attribution: Attributed
    kinds: list[Kind]
    sight: list[Sight]
    innocent: Innocent
    crashes: Crashes
    tampering: Tampering


def rows_of(part: Ledger) -> list[tuple[str, str, str]]:
    """Return the rows of the table."""
    return [*_writing(part), *_attribution(part), *_trials(part), *_safety(part)]


def _writing(part: Ledger) -> list[tuple[str, str, str]]:
    written, waited = part.writing, part.waiting
    size = f"{written.chars_an_answer / 1000:.1f} KB"
    return [
        (f"ledger: an answer of {size}", f"{written.us_an_answer:.1f} us", "60 us"),
        ("  on disk", f"{written.bytes_an_answer:.0f} bytes", "400 bytes"),
        ("  slowest of a hundred requests, guard alone", f"{waited.guard_ms:.1f} ms", ""),
        ("  with the ledger", f"{waited.ledger_ms:.1f} ms", ""),
        ("  ratio", f"{waited.ratio:.2f}", "1.25"),
    ]


def _attribution(part: Ledger) -> list[tuple[str, str, str]]:
    found = part.attribution
    return [
        (f"attribution among {found.answers:,} answers", f"{found.seconds:.1f} s", "60 s"),
        ("  processor time", f"{found.cpu_seconds:.1f} s", ""),
        ("  fingerprints read a second", f"{found.scanned_per_second:,.0f}", ""),
        (
            f"  keys named by {found.part:.1%} of the fingerprints",
            f"{found.part_named} ({found.part_seconds:.1f} s)",
            "",
        ),
        ("  resident at most", f"{found.rss / _MIB:.0f} MiB", "4096 MiB"),
        (
            f"  keys named of {found.thieves}, and others",
            f"{found.named}, {found.others}",
            f"{found.thieves}, 0",
        ),
        ("  least certain of them, corrected p", f"1e{found.worst_log10_p:.0f}", "1e-6"),
    ]


def _trials(part: Ledger) -> list[tuple[str, str, str]]:
    kinds = [
        (
            f"  {kind.kind}: precision, recall (named, others)",
            f"{kind.precision:.3f}, {kind.recall:.3f} ({kind.named}, {kind.others})",
            "",
        )
        for kind in part.kinds
    ]
    sight = [
        (
            f"  {one.matching} of {part.attribution.samples:,} samples: named, others named",
            f"{one.named:.2f}, {one.others:.2f} (p 1e{one.median_log10_p:.1f})",
            "",
        )
        for one in part.sight
    ]
    innocent = part.innocent
    none = (
        f"  none, {innocent.draws} draws: any key below 0.05, named",
        f"{innocent.below_0_05:.3f}, {innocent.named:.3f}",
        "0.05, 0",
    )
    return [*kinds, *sight, none]


def _safety(part: Ledger) -> list[tuple[str, str, str]]:
    crashes, tampering = part.crashes, part.tampering
    return [
        (f"  writers killed {crashes.kills} times: answers lost", str(crashes.lost), "0"),
        (f"  of {crashes.segments} segments and their heads broken", str(crashes.broken), "0"),
        (
            f"  of {tampering.changed} changed bytes found",
            str(tampering.found),
            str(tampering.changed),
        ),
    ]
