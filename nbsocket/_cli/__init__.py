"""The command line: ``nbsocket`` and ``python -m nbsocket``.

One file a subcommand. Each defines ``add_arguments(parser)`` and ``main(options)``; what ``main`` returns is the exit
code, or a function that gives it and runs outside of all error handling here (that is how ``run`` leaves a program's
exceptions alone). Only the chosen subcommand's file is imported.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Protocol, cast

from nbsocket._cli._exit import CommandError, ExitCode, describe_exit_codes, exit_code_of, sentence_of
from nbsocket._cli._logging import set_up_logging, show_warnings
from nbsocket._cli._options import Parser, add_common_options
from nbsocket._cli._standard_streams import open_missing, show_missing
from nbsocket._dataclass import dataclass
from nbsocket._modem_options import closest
from nbsocket._version import __version__


class SubcommandModule(Protocol):
    """What the file of a subcommand defines."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the subcommand's own options."""

    def main(self, options: argparse.Namespace) -> int | Callable[[], int]:
        """Do the work."""


@dataclass(frozen=True, slots=True)
class Subcommand:
    """A row of the table of subcommands."""

    #: module inside this package
    module: str
    #: one line for ``nbsocket --help``
    summary: str


SUBCOMMANDS = {
    "run": Subcommand("_run", "run a Python program, unmodified, over the modem"),
    "info": Subcommand("_info", "show the module, its signal and its registration"),
    "doctor": Subcommand("_doctor", "look for what is wrong, from the cable to the broker, and how to mend it"),
    "ping": Subcommand("_ping", "ping a host from the module"),
    "resolve": Subcommand("_resolve", "look a name up with the module's DNS client"),
    "dns": Subcommand("_dns", "show or set the module's name servers"),
    "ntp": Subcommand("_ntp", "ask a time server, and set the module's clock"),
    "sockets": Subcommand("_sockets", "list what is open in the module"),
    "at": Subcommand("_at", "send AT commands"),
    "baud": Subcommand("_baud", "show or change the speed of the serial line"),
    "sim": Subcommand("_sim", "simulate a module on a pseudo-terminal"),
    "demo": Subcommand("_demo", "paho-mqtt and requests over a simulated module, without hardware"),
}


SUMMARY = "Python's socket over an NB-IoT modem (Quectel BC260Y-CN)."

#: Subcommands that open no port: their options describe a simulated modem.
WITHOUT_MODEM = frozenset({"sim", "demo"})


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv`` (default: ``sys.argv[1:]``) and return the exit code."""
    open_missing()
    options = _parse_common(list(sys.argv[1:] if argv is None else argv))
    try:
        outcome = _run_subcommand(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of our output (head, less) has gone: not an error, and nothing more can be said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FAILURE
    except (OSError, ValueError, CommandError, KeyboardInterrupt) as error:
        return _report(error, is_json=options.json)
    if isinstance(outcome, int):
        return outcome
    show_warnings()
    show_missing()
    try:
        return outcome()
    except CommandError as error:
        return _report(error, is_json=options.json)


def _parse_common(argv: list[str]) -> argparse.Namespace:
    rows = "\n".join(f"  {name:<9}{subcommand.summary}" for name, subcommand in SUBCOMMANDS.items())
    parser = Parser(
        prog="nbsocket",
        usage="nbsocket [options] subcommand ...",
        description=f"{SUMMARY}\n\nsubcommands (each has --help):\n{rows}",
        epilog=describe_exit_codes(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_common_options(parser)
    parser.add_argument("--version", action="version", version=f"nbsocket {__version__}")
    parser.add_argument("subcommand", nargs="?", metavar="subcommand", help="one of the list below")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="...", help="the subcommand's own arguments")
    options = parser.parse_args(argv)
    if options.subcommand is None or (options.subcommand == "help" and not options.arguments):
        parser.print_help()
        parser.exit()
    if options.subcommand == "help":
        options.subcommand, options.arguments = options.arguments[0], ["--help"]
    if options.subcommand not in SUBCOMMANDS:
        hint = closest(options.subcommand, SUBCOMMANDS)
        parser.error(f"there is no subcommand {options.subcommand!r}{hint}")
    return options


def _run_subcommand(options: argparse.Namespace) -> int | Callable[[], int]:
    subcommand = SUBCOMMANDS[options.subcommand]
    module = cast("SubcommandModule", importlib.import_module(f"{__name__}.{subcommand.module}"))
    parser = Parser(
        prog=f"nbsocket {options.subcommand}",
        description=f"{subcommand.summary[0].upper()}{subcommand.summary[1:]}.",
        allow_abbrev=False,
    )
    module.add_arguments(parser)
    if options.subcommand not in WITHOUT_MODEM:
        add_common_options(parser, is_behind=True)
    chosen = parser.parse_args(options.arguments, options)
    set_up_logging(chosen.verbosity, chosen.log, shows_identities=chosen.show_identities)
    if options.subcommand in WITHOUT_MODEM:
        return module.main(chosen)
    from nbsocket._cli._progress import Progress

    with Progress(is_plain=chosen.verbosity > 0):
        return module.main(chosen)


def _report(error: BaseException, *, is_json: bool) -> ExitCode:
    code = exit_code_of(error)
    if code is ExitCode.INTERRUPTED:
        return code  # no message: the user has pressed Ctrl-C and knows
    if is_json:
        import json

        values = {
            "error": sentence_of(error),
            "exit_code": int(code),
            "errno": getattr(error, "errno", None),
            "result": getattr(error, "result", None),
            "command": getattr(error, "command", None),
        }
        print(json.dumps(values), file=sys.stderr)
    else:
        print(f"nbsocket: {sentence_of(error)}", file=sys.stderr)
    return code


__all__ = ["SUBCOMMANDS", "Subcommand", "main"]
