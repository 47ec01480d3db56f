"""The options of ``gateway-guard state``; what runs it is imported when it is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import argparse

    from gateway_guard.arguments import AddParser
    from gateway_guard.statefile.selecting import Selection

_STORE: Final = (
    "the store, where it is not the one of the environment; a URL with a password is better given "
    "as GATEWAY_GUARD_STORE_FILE"
)
_NEEDS: Final = (
    "Needs the guard's own GATEWAY_GUARD_SECRET or GATEWAY_GUARD_STATE_DIR. Guards may go on."
)


def add_state(add_parser: AddParser) -> None:
    """Add ``state`` and its own subcommands."""
    top = add_parser(
        "state",
        help="move, back up, erase and pardon what a store keeps",
        description="Work on what guards keep in a store, while they use it.",
    )
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_export(commands.add_parser)
    _add_import(commands.add_parser)
    _add_forget(commands.add_parser)
    _add_pardon(commands.add_parser)


def _add_export(add_parser: AddParser) -> None:
    command = add_parser(
        "export",
        help="write all that a store keeps into a file",
        description="Write all that a store keeps into a file: profiles, verdicts, ages, served "
        "answers as hashes. No secret, key or text is in it. " + _NEEDS,
    )
    command.add_argument("file", type=Path, metavar="FILE", help="where it goes; replaced if there")
    _add_common(command)
    command.set_defaults(run=_run_export)


def _add_import(add_parser: AddParser) -> None:
    command = add_parser(
        "import",
        help="join a file of `state export` to what a store keeps",
        description="Join a file of `state export` to what a store keeps. What is newer stays; "
        "nothing is counted twice, however often it is imported. " + _NEEDS,
    )
    command.add_argument("file", type=Path, metavar="FILE", help="the file")
    command.add_argument(
        "--from-namespace", metavar="NAME", help="import what was exported from another namespace"
    )
    _add_common(command)
    command.set_defaults(run=_run_import)


def _add_forget(add_parser: AddParser) -> None:
    command = add_parser(
        "forget",
        help="erase a key, an end user or an organisation",
        description="Erase what is kept of a key, an end user or an organisation, in the store, by "
        "the guards that use it and in the ledger. Exits with 1 where the store knew nothing of "
        "them; guards are told all the same. " + _NEEDS,
        epilog="A throttle or block in force stays in force until it ends, without its evidence: "
        "else whoever is caught would have himself erased.",
    )
    _add_selection(command)
    command.add_argument(
        "--with-verdict", action="store_true", help="lift a throttle or block in force as well"
    )
    command.add_argument(
        "--ledger", type=Path, metavar="DIR", help="the ledger, if not GATEWAY_GUARD_LEDGER"
    )
    _add_common(command)
    command.set_defaults(run=_run_forget)


def _add_pardon(add_parser: AddParser) -> None:
    command = add_parser(
        "pardon",
        help="clear somebody of everything that was found against him",
        description="Lift a throttle or block and let all evidence count as nothing, for good and "
        "at every guard that uses the store. Exits with 1 where the store knows nothing of the "
        "subject. " + _NEEDS,
    )
    _add_selection(command)
    _add_common(command)
    command.set_defaults(run=_run_pardon)


def _add_selection(command: argparse.ArgumentParser) -> None:
    who = command.add_argument_group("who", "a name given as - is a line of the standard input")
    keys = who.add_mutually_exclusive_group()
    keys.add_argument("--key", metavar="ID", help="a key, by the key_id of the log or `key-id`")
    keys.add_argument(
        "--raw-key-stdin", action="store_true", help="a key, read from the standard input"
    )
    keys.add_argument("--subject", metavar="ID", help="anybody, by the subject_id of the log")
    names = who.add_mutually_exclusive_group()
    names.add_argument(
        "--end-user", metavar="NAME", help="an end user, within the key given or under any key"
    )
    names.add_argument("--organisation", metavar="NAME", help="an organisation")


def _add_common(command: argparse.ArgumentParser) -> None:
    command.add_argument("--store", metavar="URL", help=_STORE)
    command.add_argument("--json", action="store_true", help="print the results as JSON only")


def _run_export(options: argparse.Namespace) -> None:
    from gateway_guard.statefile.command import opened, run_export

    run_export(opened(options.store), options.file, as_json=options.json)


def _run_import(options: argparse.Namespace) -> None:
    from gateway_guard.statefile.command import opened, run_import

    place = opened(options.store, new=True)
    run_import(place, options.file, options.from_namespace, as_json=options.json)


def _run_forget(options: argparse.Namespace) -> int:
    from gateway_guard.statefile.command import Wanted, opened, run_forget

    wanted = Wanted(options.ledger, options.with_verdict, options.json)
    return run_forget(opened(options.store), _selection(options), wanted)


def _run_pardon(options: argparse.Namespace) -> int:
    from gateway_guard.statefile.command import opened, run_pardon

    return run_pardon(opened(options.store), _selection(options), as_json=options.json)


def _selection(options: argparse.Namespace) -> Selection:
    from gateway_guard.statefile.selecting import Selection

    return Selection(
        key=options.key,
        raw_key=options.raw_key_stdin,
        subject=options.subject,
        end_user=options.end_user,
        organisation=options.organisation,
    )
