"""Folders of texts are read as they are named, and complain clearly."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from gateway_guard.corpora import read_folder
from gateway_guard.exceptions import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, *rows: dict[str, Any]) -> None:
    """Write rows as lines of JSON, compressed if the name says so."""
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def test_files_are_sources_of_the_class_that_their_name_begins_with(tmp_path: Path) -> None:
    """Plain and compressed files are read in the order of their names; others are left alone."""
    write(tmp_path / "harvest_raw_pool.jsonl.gz", {"prompt": "a", "turn": 0, "output_len": 7})
    write(tmp_path / "app_sorter.jsonl", {"prompt": "b", "stream": 3, "system": "s"})
    write(tmp_path / "templates.json", {"prompt": "no"})
    (tmp_path / "human_notes.txt").write_text("no")
    with (tmp_path / "app_sorter.jsonl").open("a") as file:
        file.write("\n")
    app, harvest = read_folder(tmp_path)
    assert (app.text_class, app.name, app.rows[0].stream) == ("app", "sorter", 3)
    assert (harvest.text_class, harvest.name) == ("harvest", "raw_pool")
    assert harvest.rows[0].output_len == 7
    assert harvest.rows[0].system is None


def test_rows_of_one_conversation_stand_together(tmp_path: Path) -> None:
    """A row without a conversation is a conversation of its own."""
    rows = [("x", 0), ("x", 1), ("y", 0), (None, 0), (None, 0)]
    write(
        tmp_path / "human_chat.jsonl.gz",
        *({"prompt": f"{i}", "conv": conv, "turn": turn} for i, (conv, turn) in enumerate(rows)),
    )
    [source] = read_folder(tmp_path)
    found = [[row.prompt for row in talk] for talk in source.conversations()]
    assert found == [["0", "1"], ["2"], ["3"], ["4"]]


def test_each_stream_is_a_program(tmp_path: Path) -> None:
    """Rows that name no stream belong to one program without a name."""
    streams = ["a", None, "a", "b"]
    rows = ({"prompt": f"{i}", "stream": stream} for i, stream in enumerate(streams))
    write(tmp_path / "app_many.jsonl", *rows)
    [source] = read_folder(tmp_path)
    assert {name: len(talks) for name, talks in source.streams().items()} == {"a": 2, "": 1, "b": 1}


def test_a_line_that_is_no_row_is_named(tmp_path: Path) -> None:
    """The complaint quotes the file and the line, not the text."""
    (tmp_path / "human_broken.jsonl").write_text('{"prompt": "fine"}\n{"turn": 1}\n')
    with pytest.raises(ConfigurationError, match=r"human_broken\.jsonl, line 2: .*prompt"):
        read_folder(tmp_path)


def test_a_folder_without_texts_says_how_they_are_named(tmp_path: Path) -> None:
    """An empty folder and a missing one are told apart."""
    with pytest.raises(ConfigurationError, match="human_"):
        read_folder(tmp_path)
    with pytest.raises(ConfigurationError, match="no folder"):
        read_folder(tmp_path / "nowhere")
