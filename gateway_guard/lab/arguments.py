"""The options of ``gateway-guard lab``; what runs it is imported when it is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from gateway_guard.arguments import extra, within
from gateway_guard.lab.parts_arguments import SEED, add_corpus

if TYPE_CHECKING:
    import argparse

    from gateway_guard.arguments import AddParser

_FOLDER: Final = (
    "a folder of <class>_<source>.jsonl[.gz], class being human, app or harvest; below it, "
    "traces/*.csv.gz says when real clients send their requests"
)
_JOBS: Final = within(int, 1, 1024)
_KEYS: Final = within(int, 1, 1000)


def add_lab(add_parser: AddParser) -> None:
    """Add ``lab`` and its own subcommands."""
    top = add_parser(
        "lab",
        help="measure detection on labelled texts, and fit the weights to them",
        description="Compose traffic from a folder of labelled texts and judge it with the guard.",
    )
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_evaluate(commands.add_parser)
    _add_calibrate(commands.add_parser)
    add_corpus(commands.add_parser)


def _add_common(command: argparse.ArgumentParser) -> None:
    command.add_argument("--corpora", type=Path, required=True, metavar="DIR", help=_FOLDER)
    command.add_argument("--seed", type=int, default=0, help="another seed, other keys")
    command.add_argument(
        "--keys", type=_KEYS, default=18, metavar="N", help="harvesting keys of each source (18)"
    )
    command.add_argument("--quick", action="store_true", help="play a third of the keys")
    command.add_argument("--jobs", type=_JOBS, metavar="N", help="processes; as many as cores")


def _add_evaluate(add_parser: AddParser) -> None:
    command = add_parser(
        "evaluate",
        help="say whom the guard finds, how soon, and whom it refuses by mistake",
        description="Let people, programs and harvesters come before the guard, with a verdict "
        "after every request, once as their kind is documented to ask and once with nothing but "
        "their texts to tell them apart.",
    )
    _add_common(command)
    command.add_argument(
        "--weights",
        choices=["shipped", "loso"],
        default="shipped",
        help="shipped: those of the package; loso: each source is judged by weights that were "
        "fitted on all others (leave one source out)",
    )
    command.add_argument(
        "--scenario",
        action="append",
        default=[],
        metavar="NAME",
        help="play this scenario and nothing else; may come again. none: single keys alone",
    )
    command.add_argument(
        "--model",
        type=Path,
        metavar="FOLDER",
        help="judge by a deployment's own model and its weights (see calibrate --model-seed)",
    )
    command.add_argument("--html", type=Path, metavar="FILE", help="write a report with plots")
    command.add_argument("--json", action="store_true", help="print the results as JSON only")
    command.set_defaults(run=_run_evaluate)


def _run_evaluate(options: argparse.Namespace) -> None:
    with extra("lab"):
        from gateway_guard.lab.command import Evaluate, run_evaluate

    run_evaluate(
        Evaluate(
            corpora=options.corpora,
            weights=options.weights,
            seed=options.seed,
            keys=options.keys,
            quick=options.quick,
            jobs=options.jobs,
            as_json=options.json,
            html=options.html,
            scenarios=tuple(options.scenario),
            model=options.model,
        )
    )


def _add_calibrate(add_parser: AddParser) -> None:
    command = add_parser(
        "calibrate",
        help="fit the weights of the score",
        description="Fit the weights of the score on labelled texts, and choose the bias by the "
        "highest scores that the innocent have over their lives.",
    )
    _add_common(command)
    command.add_argument(
        "--out", type=Path, metavar="FILE", help="where the weights go, instead of the output"
    )
    command.add_argument(
        "--model-seed",
        type=SEED,
        metavar="SEED",
        help="fit for one deployment, whose model has hashes of its own: --out names a folder for "
        "GATEWAY_GUARD_MODEL, which gets the known pools that are in DIR, and the weights; pools "
        "that are in it already stay and are used",
    )
    command.set_defaults(run=_run_calibrate)


def _run_calibrate(options: argparse.Namespace) -> None:
    with extra("lab"):
        from gateway_guard.lab.command import Calibrate, run_calibrate

    run_calibrate(
        Calibrate(
            corpora=options.corpora,
            seed=options.seed,
            keys=options.keys,
            quick=options.quick,
            jobs=options.jobs,
            out=options.out,
            model_seed=options.model_seed,
        )
    )
