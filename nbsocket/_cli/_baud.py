"""``nbsocket baud``: the rate of the serial line."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import closing

from nbsocket._cli._exit import CommandError, ExitCode
from nbsocket._cli._options import LOOK_ONLY, configure_modem


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--set`` and ``--yes``."""
    parser.add_argument("--set", type=int, metavar="RATE", dest="rate", help="change it; the module stores the rate")
    parser.add_argument("--yes", action="store_true", help="do not ask first, for scripts")


def main(options: argparse.Namespace) -> int:
    """Print the rate, after changing it if asked; a rate at which the modem is not heard is taken back."""
    with closing(configure_modem(options, **LOOK_ONLY)) as modem:
        settings = modem.settings()
        if options.rate is not None and options.rate != settings.baudrate:
            from nbsocket._driver import check_baudrate

            check_baudrate(options.rate)
            if not (options.yes or _is_agreed(settings.baudrate, options.rate)):
                print("nbsocket: nothing was changed", file=sys.stderr)
                return ExitCode.FAILURE
            modem.set_baudrate(options.rate)
            settings = modem.settings()
    if options.json:
        print(json.dumps({"baudrate": settings.baudrate, "stored": settings.stored_baudrate}))
        return ExitCode.SUCCESS
    stored = {None: "not told", 0: "found by the module itself"}.get(settings.stored_baudrate, settings.stored_baudrate)
    print(f"in use    {settings.baudrate}\nstored    {stored}")
    return ExitCode.SUCCESS


def _is_agreed(old: int, new: int) -> bool:
    if not sys.stdin.isatty():
        raise CommandError("baud: --set asks first; give --yes where nobody can answer", ExitCode.USAGE)
    print(
        f"The module stores its rate: after this, every program must speak to it at {new} baud instead of {old}.\n"
        "Change it? [y/N] ",
        end="",
        file=sys.stderr,
        flush=True,
    )
    return sys.stdin.readline().strip().lower() in ("y", "yes")
