"""A month's callers can be forgotten while others write: nobody brings them back."""

from __future__ import annotations

import shutil
import subprocess
import sys
from random import Random
from typing import TYPE_CHECKING

import pytest

from gateway_guard.ledger import arrow, pseudonyms
from gateway_guard.ledger.batches import Entries
from gateway_guard.ledger.files import append_line
from gateway_guard.ledger.maintenance import Limits, maintain
from gateway_guard.ledger.pseudonyms import IDENTITIES, Pseudonyms, read_identities
from gateway_guard.ledger.segments import segments_of
from tests.ledgers import DAY, NOON, WINNOWER, key_id, prose, served, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MONTH = "2027-01"
ANN = b"ann".rjust(16, b"\0")
OTHER_PROCESS = """
import sys
from pathlib import Path
from tests.ledgers import NOON, WINNOWER, served
from gateway_guard.ledger.batches import Entries
entries = Entries(Path(sys.argv[1]), WINNOWER, NOON)
for line in sys.stdin:
    entries.enter([served(line, "ann")])
    entries.write(NOON)
    print("written", flush=True)
"""


def keys_in(directory: Path) -> list[str]:
    """Return the pseudonym of each answer's key, in the order in which they were written."""
    found = []
    for segment in segments_of(directory):
        rows = arrow.read_columns(*segment.files(directory)).rows
        found += [(row.writer, row.batch, row.position, row.key) for row in rows]
    return [key for *_, key in sorted(found)]


def erase(directory: Path) -> None:
    """Delete who was behind the month's pseudonyms, as the README says."""
    shutil.rmtree(directory / IDENTITIES / MONTH)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run another process that writes each line it is given as an answer to ann."""
    command = [sys.executable, "-c", OTHER_PROCESS, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


def tell(process: subprocess.Popen[str], line: str) -> None:
    """Have the other process write an answer, and wait until it has."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()
    assert process.stdout.readline() == "written\n"


def test_whoever_writes_on_gives_the_erased_new_pseudonyms(
    tmp_path: Path, other: subprocess.Popen[str]
) -> None:
    """In this process and in another one they are the same, and the old ones are nobody's."""
    random = Random(1)
    entries, erased = Entries(tmp_path, WINNOWER, NOON), ""
    for _ in range(2):
        entries.enter([served(prose(random, 40), "ann")])
        entries.write(NOON)
        tell(other, prose(random, 40))
        if len(keys_in(tmp_path)) == 2:
            [erased] = set(keys_in(tmp_path))
            erase(tmp_path)
    known = read_identities(tmp_path)
    assert erased not in known
    [fresh] = set(keys_in(tmp_path)) - {erased}
    assert known[fresh].id == key_id("ann")
    assert keys_in(tmp_path).count(fresh) == 2


def test_what_was_served_before_and_is_written_after_stays_nobodys(tmp_path: Path) -> None:
    """Nobody may be written down as the one behind an erased pseudonym."""
    entries = Entries(tmp_path, WINNOWER, NOON)
    entries.enter([served(prose(Random(1), 40), "ann")])
    erase(tmp_path)
    entries.write(NOON)
    [before] = keys_in(tmp_path)
    assert before not in read_identities(tmp_path)
    entries.enter([served(prose(Random(2), 40), "ann")])
    entries.write(NOON)
    [identity] = read_identities(tmp_path).values()
    assert identity.id == key_id("ann")
    assert identity.pseudonym != before


def test_an_erasure_in_the_middle_of_writing_is_not_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written down too late is deleted again."""

    def erased_before(path: Path, lines: bytes) -> None:
        erase(tmp_path)
        append_line(path, lines)

    known = Pseudonyms(tmp_path, "writer")
    known.of(MONTH, "key", ANN)
    monkeypatch.setattr(pseudonyms, "append_line", erased_before)
    known.save()
    assert read_identities(tmp_path) == {}
    monkeypatch.undo()
    known.refresh()
    fresh = known.of(MONTH, "key", ANN)
    known.save()
    assert list(read_identities(tmp_path)) == [fresh]


def test_a_copy_that_is_put_back_changes_no_pseudonym(tmp_path: Path) -> None:
    """Its salt is the same, so nobody was erased."""
    known = Pseudonyms(tmp_path, "writer")
    before = known.of(MONTH, "key", ANN)
    copy = shutil.copytree(tmp_path / IDENTITIES / MONTH, tmp_path / "copy")
    erase(tmp_path)
    shutil.copytree(copy, tmp_path / IDENTITIES / MONTH, copy_function=shutil.copyfile)
    known.save()
    assert known.of(MONTH, "key", ANN) == before
    assert list(read_identities(tmp_path)) == [before]


def test_house_keeping_leaves_whom_a_writer_has_just_noted(tmp_path: Path) -> None:
    """At the turn of the month, when nothing of the last one is written yet."""
    known = Pseudonyms(tmp_path, "writer")
    known.of(MONTH, "key", ANN)
    known.save()
    turn = NOON + 18 * DAY
    write(tmp_path, [served(prose(Random(1), 40), "ben", turn)], turn)
    limits = Limits(400 * DAY, 1 << 30)
    maintain(tmp_path, limits, turn)
    assert key_id("ben") in {one.id for one in read_identities(tmp_path).values()}
    assert ANN.hex() in {one.id for one in read_identities(tmp_path).values()}
    maintain(tmp_path, limits, turn + 2 * DAY)
    assert ANN.hex() not in {one.id for one in read_identities(tmp_path).values()}
