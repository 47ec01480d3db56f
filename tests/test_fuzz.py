"""The fuzzer tries every reader, begins from what is sound, and knows a finding when it sees it."""

from __future__ import annotations

import json
from itertools import count
from typing import TYPE_CHECKING

import pytest

from gateway_guard.dialects import DIALECTS, dialect_for
from tests.fuzz import findings
from tests.fuzz.__main__ import chosen_names
from tests.fuzz.findings import Findings, TooLargeError, TooSlowError, Watch
from tests.fuzz.inputs import HEAD_BYTES, MOST_BYTES, chosen, repeating
from tests.fuzz.mutations import Mutator, dictionary, names
from tests.fuzz.seeds import PATHS, seeds
from tests.fuzz.targets import Middleware, targets

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", targets())
def test_every_reader_takes_what_the_fuzzer_begins_from(name: str) -> None:
    """Nothing raises, in one piece and in others."""
    target = targets()[name]()
    assert seeds(name)
    for seed in seeds(name):
        assert target(seed) == len(chosen(seed).body)
    if isinstance(target, Middleware):
        target.close()


def test_every_dialect_is_fuzzed_both_ways_at_its_own_paths() -> None:
    """Requests and answers; a new dialect needs seeds of its own."""
    assert set(PATHS) == {dialect.name for dialect in DIALECTS}
    for name, paths in PATHS.items():
        assert {dialect_for(path).name for path in paths} == {name}
        assert {f"{name}.request", f"{name}.answer"} <= set(targets())


def test_readers_are_chosen_by_how_their_names_begin() -> None:
    """Several at once, or all."""
    assert chosen_names("all") == list(targets())
    assert chosen_names("ollama, form") == ["ollama.request", "ollama.answer", "form"]
    assert chosen_names("nothing") == chosen_names("") == []


def test_an_input_may_repeat_a_piece_of_itself() -> None:
    """Up to half a megabyte: what takes long takes many of something."""
    body = chosen(repeating(b"[", b"1,", b"1]")).body
    assert body.startswith(b"[1,1,1,")
    assert body.endswith(b"1,1]")
    assert MOST_BYTES - 4 <= len(body) <= MOST_BYTES
    assert chosen(bytes(HEAD_BYTES) + b"[1]").body == b"[1]"
    assert chosen(b"\1").body == b""


def test_pieces_make_up_the_body() -> None:
    """Whole, byte by byte, and cut at seven places."""
    for cuts in (0, 1, 9, 65_535):
        data = bytes(6) + cuts.to_bytes(2) + b"abcdefgh" * 9
        assert b"".join(chosen(data).pieces()) == b"abcdefgh" * 9
    assert len(chosen(bytes(7) + b"\1" + b"abc").pieces()) == 3
    assert chosen(bytes(7) + b"\1").pieces() == []


def test_mutations_keep_json_whole() -> None:
    """Each is different from what it was made of, and none is longer than it may be."""
    data = bytes(HEAD_BYTES) + b'{"messages":[{"role":"user","content":[{"text":"a"}]}],"n":2}'
    mutator = Mutator()
    made = [mutator.mutate(data, 4096, seed) for seed in range(300)]
    bodies = [mutated[HEAD_BYTES:] for mutated in made if mutated is not None]
    assert len(bodies) > 250
    assert all(len(body) <= 4096 for body in bodies)
    assert len({json.dumps(json.loads(body)) for body in bodies}) > 150
    assert mutator.mutate(bytes(HEAD_BYTES) + b"{", 4096, 1) is None
    assert mutator.mutate(data, 10, 1) is None


def test_the_words_of_the_readers_are_known() -> None:
    """Fields, their names on the wire, and types."""
    assert {"messages", "topP", "function_call", "event_type"} <= set(names())
    assert '"messages"\n' in dictionary()


def test_what_takes_many_times_as_long_as_its_like_is_a_finding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Again and again, that is; once may be chance."""
    seconds = {b"quick": 0.001, b"slow": 0.2}
    chance = iter([0.2, *[0.001] * 3])
    now = 0.0

    def target(data: bytes) -> int:
        nonlocal now
        now += next(chance) if data == b"chance" else seconds[data]
        return 10

    monkeypatch.setattr(findings, "process_time", lambda: now)
    watch = Watch(target)
    for _ in range(9):
        watch.run(b"quick")
    watch.run(b"chance")
    with pytest.raises(TooSlowError, match=r"10 bytes took 0\.20 s of 0\.10"):
        watch.run(b"slow")


def test_much_memory_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has grown by more than an eighth of a gibibyte."""
    grown = count(0, 2**28)
    monkeypatch.setattr(findings, "_most_resident_bytes", lambda: next(grown))
    with pytest.raises(TooLargeError, match="256 MiB"):
        Watch(len).run(b"a")


def test_findings_are_kept_once_for_each_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The input as it was, and on standard error what came of it."""
    kept = Findings(tmp_path / "findings")
    for data in (b"a", b"b"):
        try:
            json.loads("{")
        except ValueError as error:
            kept.note(error, data)
    [path] = (tmp_path / "findings").iterdir()
    assert path.read_bytes() == b"a"
    assert "JSONDecodeError" in capsys.readouterr().err
