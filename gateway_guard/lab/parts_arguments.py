"""The options of ``lab corpus``: pools of questions, from files of texts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from gateway_guard.arguments import extra, within

if TYPE_CHECKING:
    import argparse

    from gateway_guard.arguments import AddParser

SEED: Final = within(int, 0, (1 << 64) - 1)
_WINDOWS: Final = within(int, 1, 1024)


def add_corpus(add_parser: AddParser) -> None:
    """Add ``lab corpus``."""
    corpus = add_parser("corpus", help="filters of public pools of questions")
    build = corpus.add_subparsers(title="commands", metavar="COMMAND", required=True).add_parser(
        "build",
        help="make one of files of items",
        description="Make a filter of some word windows of each item: no text can be read from it. "
        "GATEWAY_GUARD_CORPORA names the files that are used beside those that ship.",
    )
    build.add_argument("name", metavar="NAME", help="what the pool is called in reasons and logs")
    build.add_argument(
        "--kind",
        choices=["train", "test"],
        required=True,
        help="train: students are trained on it; test: evaluations ask it",
    )
    build.add_argument(
        "--in",
        dest="paths",
        type=Path,
        nargs="+",
        required=True,
        metavar="FILE",
        help="files with an item a line: .jsonl, .jsonl.gz, or text",
    )
    build.add_argument(
        "--without",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="files with texts whose windows are not the pool's own",
    )
    build.add_argument("--field", default="prompt", help="field of the item in a line of JSON")
    build.add_argument("--licence", default="", metavar="TEXT", help="a note to keep with it")
    build.add_argument(
        "--windows", type=_WINDOWS, default=8, metavar="N", help="word windows kept of an item"
    )
    _add_output(build)
    build.set_defaults(run=_run_corpus)


def _add_output(command: argparse.ArgumentParser) -> None:
    command.add_argument("--out", type=Path, required=True, metavar="FILE", help="file to write")
    command.add_argument(
        "--model-seed",
        type=SEED,
        metavar="SEED",
        help="seed of the model that it is for; without one, of the model that ships",
    )


def _run_corpus(options: argparse.Namespace) -> None:
    with extra("lab"):
        from gateway_guard.lab.building import write_corpus

    write_corpus(options)
